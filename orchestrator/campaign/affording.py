"""What fits a purse where what the strategy wants most does not: it is asked again about the part that can be paid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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

MOST_KEPT: Final = 4
"""So many parameters whose changes cost something are kept or changed in all combinations; of more, all or none."""


def cheaper(strategy: Strategy, problem: Problem, purse: float) -> Proposals | None:
    """One proposal that costs no more than a purse; ``None`` where there is none.

    The strategy is asked about one affordable part of the space after the other until one of them has a point: open
    samples before a new one, all changes of what is in place before fewer. A strategy that knows samples itself is left
    alone.

    Args:
        strategy: chooses points.
        problem: what was asked.
        purse: what one experiment may cost.
    """
    if problem.costs is None or getattr(strategy, "knows_samples", False):
        return None
    design = {key: value for key, value in problem.state.items() if key == DESIGN}
    for sample in (*problem.open_samples, None):
        for part in _parts(problem, problem.costs, sample, purse):
            try:
                answer = strategy.propose(part, 1)
            except (SpaceExhaustedError, InfeasibleSpaceError):
                continue
            name = None if sample is None else sample.name
            proposal = answer.proposals[0]
            if (prices(problem, proposal.point[None, :], [name])[0] or 0.0) <= purse:
                why = f"{proposal.reason}; the best of what the remaining {purse:.6g} {problem.costs.unit} can pay"
                state = {key: value for key, value in answer.state.items() if key != DESIGN}
                return Proposals((replace(proposal, reason=why, sample=name),), state | design)
    return None


def _parts(problem: Problem, costs: Costs, sample: OpenSample | None, purse: float) -> Iterator[Problem]:
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
