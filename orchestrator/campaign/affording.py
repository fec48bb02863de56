"""What can be done with what is left where what the strategy wants most cannot: it is asked again about that part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from acquisition.constraints import LinearConstraint
from acquisition.errors import InfeasibleSpaceError, SpaceExhaustedError
from acquisition.problem import Array, OpenSample, Problem, Proposals
from acquisition.space import SearchSpace
from acquisition.strategies.candidates import MOST_LISTED
from acquisition.strategies.two_stage import DESIGN, preparation_columns
from orchestrator.campaign.samples import prices

if TYPE_CHECKING:
    from acquisition.costs import Costs
    from acquisition.parameters import Parameter
    from acquisition.problem import Strategy
    from orchestrator.store.records import ExperimentRecord

MOST_KEPT: Final = 4
"""So many parameters whose changes cost something are kept or changed in all combinations; of more, all or none."""


@dataclass(frozen=True, slots=True)
class Means:
    """What further experiments may take.

    Attributes:
        purse: of the budget of costs, in their unit.
        fresh: new samples.
    """

    purse: float = math.inf
    fresh: float = math.inf


def within(records: Sequence[ExperimentRecord], problem: Problem, means: Means) -> list[ExperimentRecord]:
    """The first of a batch, up to the one that takes more than there is.

    Args:
        records: as proposed.
        problem: what was asked.
        means: that there are.
    """
    known, cost, fresh = {sample.name for sample in problem.open_samples}, 0.0, 0
    kept: list[ExperimentRecord] = []
    for record in records:
        cost += record.cost or 0.0
        fresh += record.sample not in known
        if cost > means.purse or fresh > means.fresh:
            break
        if record.sample is not None:  # else each has its own
            known.add(record.sample)
        kept.append(record)
    return kept


def cheaper(strategy: Strategy, problem: Problem, means: Means) -> Proposals | None:
    """One proposal that takes no more than there is; ``None`` where there is none.

    The strategy is asked about one affordable part of the space after the other until one of them has a point: open
    samples before a new one, all changes of what is in place before fewer. A strategy that knows samples itself is left
    alone.

    Args:
        strategy: chooses points.
        problem: what was asked.
        means: what one experiment may take.
    """
    if getattr(strategy, "knows_samples", False):
        return None
    for sample in (*problem.open_samples, *((None,) if means.fresh >= 1 else ())):
        for part in _parts(problem, sample, means.purse):
            if (answer := _one(strategy, problem, part, sample, means)) is not None:
                return answer
    return None


def _one(
    strategy: Strategy, problem: Problem, part: Problem, sample: OpenSample | None, means: Means
) -> Proposals | None:
    """A proposal for one part of a problem."""
    try:
        answer = strategy.propose(part, 1)
    except (SpaceExhaustedError, InfeasibleSpaceError):
        return None
    name = None if sample is None else sample.name
    proposal = answer.proposals[0]
    if (prices(problem, proposal.point[None, :], [name])[0] or 0.0) > means.purse:
        return None
    why = f"{proposal.reason}; the best {_what(problem, means)}"
    design = {key: value for key, value in problem.state.items() if key == DESIGN}
    state = {key: value for key, value in answer.state.items() if key != DESIGN}
    return Proposals((replace(proposal, reason=why, sample=name),), state | design)


def _what(problem: Problem, means: Means) -> str:
    """What limits a choice, in words."""
    if problem.costs is None or math.isinf(means.purse):
        return "on a sample that is there"
    return f"of what the remaining {means.purse:.6g} {problem.costs.unit} can pay"


def _parts(problem: Problem, sample: OpenSample | None, purse: float) -> Iterator[Problem]:
    """The problem in parts of its space of which a purse pays every point, on one sample or on a new one."""
    opened = () if sample is None else (sample,)
    state = {key: value for key, value in problem.state.items() if key != DESIGN}
    problem = replace(problem, open_samples=opened, fixed=(), state=state)
    made = preparation_columns(problem.space)
    here = problem.space
    if sample is not None:
        try:
            here = here.given(sample.point, made)
        except InfeasibleSpaceError:
            return
    costs = problem.costs
    if costs is None or math.isinf(purse):
        yield replace(problem, space=here)
        return
    points = here.array if here.array is not None else here.enumerate(MOST_LISTED)
    if points is not None:
        yield _priced(replace(problem, space=here), points, purse)
        return
    for space in _spanned(problem, costs, sample, purse):
        taken = problem.taken[space.contains(problem.taken)] if len(problem.taken) else problem.taken
        yield replace(problem, space=space, taken=taken)


def _priced(problem: Problem, points: Array, purse: float) -> Problem:
    """The problem with every point of its finite space taken that costs more."""
    import torch

    from acquisition.costs import cost

    dear = points[cost(problem, torch.from_numpy(np.array(points))).numpy() > purse]
    taken = problem.taken[:0] if problem.replicates == "auto" else problem.taken
    return replace(problem, taken=np.vstack([taken, dear]), replicates="none")


def _spanned(problem: Problem, costs: Costs, sample: OpenSample | None, purse: float) -> Iterator[SearchSpace]:
    """Parts of a space of parameters: for what is in place in each cell, every choice of what may change."""
    space, made = problem.space, preparation_columns(problem.space)
    paid = [name for name in space.columns if sample is None or name not in made]  # the rest is paid already
    slopes = {name: costs.slope[name] for name in paid if costs.slope.get(name)}
    left = purse - costs.experiment - (costs.preparation if sample is None else 0.0)
    dear = [p for p in space.parameters if costs.change.get(p.name) and set(p.columns) <= set(paid)]
    cells = [] if problem.current is None else list(problem.current)
    for kept in _choices(dear):
        changed = sum(costs.change[p.name] for p in dear if p not in kept) if cells else 0.0
        part = _below(space, slopes, left - changed)
        if part is None:
            continue
        columns = [column for p in kept for column in p.columns]
        for cell in cells if kept else [None]:
            try:
                held = part if cell is None else part.given(cell, columns)
                yield held if sample is None else held.given(sample.point, made)
            except InfeasibleSpaceError:
                continue


def _choices(dear: list[Parameter]) -> Iterator[tuple[Parameter, ...]]:
    """Which of the parameters that are dear to change are kept: none first, all last."""
    numbers = range(len(dear) + 1) if len(dear) <= MOST_KEPT else (0, len(dear))
    for number in numbers:
        yield from combinations(dear, number)


def _below(space: SearchSpace, slopes: dict[str, float], most: float) -> SearchSpace | None:
    """The part of a space whose slopes cost no more than ``most``; ``None`` where there is none."""
    if not slopes:
        return space if most >= 0 else None
    try:
        return SearchSpace(space.parameters, [*space.constraints, LinearConstraint(slopes, upper=most)])
    except InfeasibleSpaceError:
        return None
