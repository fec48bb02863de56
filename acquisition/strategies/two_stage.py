"""Several conditions on one sample, and settings that a batch shares, for strategies that know nothing of either.

Each call of the strategy underneath sees a space in which what is given cannot be changed: the preparation of an open
sample, the settings that the batch shares. Everything else of the problem stays true for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from acquisition.costs import Costs
from acquisition.errors import InfeasibleSpaceError, SpaceExhaustedError, StrategyError
from acquisition.problem import Array, OpenSample, Problem, Proposal, Proposals, Strategy
from acquisition.space import SearchSpace

NEW: Final = "new-"
"""How names of samples that are still to be made begin; within one batch the same name is the same sample."""

DESIGN: Final = "design"
"""The part of a strategy's state that holds points of the space that it was asked about, and of no other."""

MOST_FORESEEN: Final = 3
"""So many conditions on a new sample are thought through at most before it is made; each takes a search."""


def preparation_columns(space: SearchSpace) -> tuple[str, ...]:
    """The columns that fix a sample."""
    return tuple(column for p in space.parameters if p.stage == "preparation" for column in p.columns)


def usual_conditions(costs: Costs | None) -> int:
    """How many conditions to measure on a sample where no gain says: the square root of the costs' ratio.

    The optimum of two-stage sampling for equal variances between and within samples (Cochran, Sampling Techniques,
    3rd ed. 1977, eq. 10.10).
    """
    if costs is None or costs.experiment <= 0:
        return 1
    return max(1, round(math.sqrt(costs.preparation / costs.experiment)))


class TwoStage:
    """Makes any strategy propose several conditions on each sample, and equal settings throughout a batch.

    With a number of conditions per sample, open samples come first, the oldest before others; new ones follow. With
    ``auto``, the gain that the strategy expects per cost decides between each open sample and a new one. A sample is
    left when one more condition on it gains less per cost than a new sample would with the usual number of conditions,
    its preparation included (the marginal value theorem: Charnov, Theor. Popul. Biol. 9, 129 (1976)). Where the
    strategy says no gain, that usual number itself decides (:func:`usual_conditions`).

    Args:
        strategy: chooses points.
        apart: every experiment of a batch is on a sample of its own, as cells that work at the same time need it.
    """

    def __init__(self, strategy: Strategy, *, apart: bool = False) -> None:
        self._strategy, self._apart = strategy, apart

    def propose(self, problem: Problem, n: int) -> Proposals:
        """See :class:`acquisition.problem.Strategy`."""
        batch = _Batch(self._strategy, problem, n)
        wanted = problem.conditions_per_sample
        if wanted == "auto":
            while batch.left and self._best(batch):
                pass
        else:
            self._by_number(batch, 1 if wanted is None else wanted)
        return batch.answer()

    def _by_number(self, batch: _Batch, wanted: int) -> None:
        """Open samples up to the number that is wanted, then new ones with as many conditions."""
        for seat in batch.seats:
            missing = wanted - seat.used
            batch.measure(seat, min(1, missing) if self._apart else missing, wanted)
        while batch.left:
            samples = batch.left if self._apart else math.ceil(batch.left / wanted)
            for seat in (made := batch.make(samples, wanted)):
                batch.measure(seat, 0 if self._apart else wanted - 1, wanted)
            if not made:
                return

    def _best(self, batch: _Batch) -> bool:
        """Add the proposal with the highest gain per cost; says whether there was one.

        What was found for one proposal of a batch serves for the next: with more experiments under way a gain only
        falls, so that an option is thought through again when its former gain would win, and not before (lazy greedy
        choice: Minoux, Optimization Techniques 7, 234 (1978)).
        """
        seats = [seat for seat in batch.seats if not (self._apart and seat.chosen)]
        usual = usual_conditions(batch.problem.costs)
        if not batch.options:
            fresh = batch.candidate(None)
            if fresh is not None and fresh.gain is None:
                return self._usual(batch, [seat for seat in seats if seat.used < usual], usual)
            rated = batch.consider(seats)
            if fresh is not None:
                batch.consider_new(fresh, min(usual, MOST_FORESEEN) - 1 if rated else 0)
        batch.consider([seat for seat in seats if seat not in batch.options])
        while batch.options:
            rates = {seat: batch.rate(seat, option.proposals) for seat, option in batch.options.items()}
            seat = max(rates, key=lambda option: rates[option])
            if seat is not None and seat not in seats:
                del batch.options[seat]
            elif batch.options[seat].current(batch):
                batch.take(seat, rates)
                return True
            elif seat is not None:
                batch.consider([seat])
            else:
                del batch.options[None]
                fresh = batch.candidate(None)
                if fresh is not None:
                    batch.consider_new(fresh, min(usual, MOST_FORESEEN) - 1 if batch.options else 0)
        # no new sample is left, and no gain says which of the open ones is best
        return self._usual(batch, seats, usual)

    def _usual(self, batch: _Batch, seats: list[_Seat], usual: int) -> bool:
        """As with a number of conditions, one proposal at a time."""
        before = batch.left
        for seat in seats:
            batch.measure(seat, 1, usual)
            if batch.left < before:
                return True
        return bool(batch.make(1, usual))


@dataclass(eq=False)
class _Seat:
    """A sample that takes further conditions.

    Attributes:
        name: of the sample; that of one still to be made begins with :data:`NEW`.
        point: (c,) whose preparation columns are the sample's.
        used: experiments on it.
        chosen: of these, experiments of this batch.
    """

    name: str
    point: Array
    used: int
    chosen: int = 0


@dataclass(frozen=True, eq=False)
class _Option:
    """What was found on one sample.

    Attributes:
        proposals: the best one, and of a new sample those that would follow.
        after: so many proposals of the batch were known then.
        call: of the strategy by which it was found, only so well that it can be compared; ``None``: as well as can be.
    """

    proposals: tuple[Proposal, ...]
    after: int
    call: int | None

    def current(self, batch: _Batch) -> bool:
        """Whether it was found with all that is proposed by now under way."""
        return self.after == len(batch)


class _Batch:
    """The proposals of one ask as they come together."""

    def __init__(self, strategy: Strategy, problem: Problem, n: int) -> None:
        self.problem, self.left = problem, n
        self.seats = [_Seat(sample.name, sample.point, sample.used) for sample in problem.open_samples]
        self.options: dict[_Seat | None, _Option] = {}
        """What was found so far on open samples and on a new one."""
        self._strategy = strategy
        self._preparation = preparation_columns(problem.space)
        self._proposals: list[Proposal] = []
        self._state = dict(problem.state)
        self._calls = 0
        self._made = 0
        self._nothing: SpaceExhaustedError | None = None

    def __len__(self) -> int:
        return len(self._proposals)

    def answer(self) -> Proposals:
        """All proposals.

        Raises:
            SpaceExhaustedError: there are none.
        """
        if not self._proposals and self._nothing is not None:
            raise self._nothing
        return Proposals(tuple(self._proposals), self._state)

    def make(self, samples: int, conditions: int) -> list[_Seat]:
        """Propose experiments on so many new samples; fewer where the space or the batch ends."""
        made: list[_Seat] = []
        while self.left and len(made) < samples:
            alone = bool(self.problem.fixed) and not self._proposals  # the first one settles what a batch shares
            many = 1 if alone else min(samples - len(made), self.left)
            found = self._ask(None, many, conditions)
            made += [self.add(None, proposal) for proposal in found]
            if len(found) < many:
                break
        return made

    def measure(self, seat: _Seat, many: int, conditions: int, *, rough: bool = False) -> None:
        """Propose up to so many further conditions on a sample."""
        while self.left and many > 0:
            alone = bool(self.problem.fixed) and not self._proposals
            wanted = 1 if alone else min(many, self.left)
            found = self._ask(seat, wanted, conditions, rough=rough)
            for proposal in found:
                self.add(seat, proposal)
            many -= wanted
            if len(found) < wanted:
                return

    def candidate(self, seat: _Seat | None, *, rough: bool = False) -> Proposal | None:
        """The best condition on a sample, or experiment on a new one, if there is any; it is not added."""
        kept = self._state
        found = self._ask(seat, 1, usual_conditions(self.problem.costs), rough=rough)
        if seat is not None or (found and found[0].gain is None):
            self._state = kept  # the design's next point is taken when it is added
        return found[0] if found else None

    def consider(self, seats: Sequence[_Seat]) -> bool:
        """Look for the best condition on each of some samples; says whether one of them has any, with a gain."""
        for seat in seats:
            self.options.pop(seat, None)
            call, found = self._calls, self.candidate(seat, rough=True)
            if found is not None and found.gain is not None:
                self.options[seat] = _Option((found,), len(self), call)
        return any(seat in self.options for seat in seats)

    def consider_new(self, fresh: Proposal, further: int) -> None:
        """An experiment on a new sample, and so many further ones that would follow on it."""
        self.options[None] = _Option(tuple(self.foreseen(fresh, further)), len(self), None)

    def foreseen(self, fresh: Proposal, further: int) -> list[Proposal]:
        """An experiment on a new sample, and so many further ones that would follow on it; none is added."""
        trial = copy(self)
        trial._proposals, trial.seats, trial.left = list(self._proposals), list(self.seats), further + 1
        seat = trial.add(None, fresh)
        trial.measure(seat, further, further + 1, rough=True)
        return trial._proposals[len(self._proposals) :]

    def take(self, seat: _Seat | None, rates: Mapping[_Seat | None, float]) -> None:
        """Add the best option, looked for as well as can be.

        Args:
            seat: its sample.
            rates: gains per cost of all options, for the reason.
        """
        option = self.options.pop(seat)
        proposal, rate = option.proposals[0], rates[seat]
        if option.call is not None:
            last, self._calls = self._calls, option.call  # the same search with the same random numbers, to its end
            proposal = self.candidate(seat) or proposal
            rate, self._calls = self.rate(seat, [proposal]), max(last, self._calls)
        unit = self.problem.costs.unit if self.problem.costs else "experiment"
        others = [other for where, other in rates.items() if (where is None) != (seat is None)]
        than = (
            f" against {max(others):.2g} {'on an open sample' if seat is None else 'on a new sample'}" if others else ""
        )
        made = self.add(seat, replace(proposal, reason=f"{proposal.reason}; {rate:.2g} a {unit}{than}"))
        if seat is None and len(option.proposals) > 1:  # what would follow on the new sample is known already
            self.options[made] = _Option(option.proposals[1:2], len(self), self._calls)

    def rate(self, seat: _Seat | None, proposals: Sequence[Proposal]) -> float:
        """Gain per cost of experiments on one sample."""
        import torch

        from acquisition.costs import cost

        prices = [
            float(cost(self._problem(where), torch.from_numpy(p.point[None, :]))[0])
            for where, p in zip([seat, *(_Seat("", p.point, 1) for p in proposals[1:])], proposals, strict=True)
        ]
        return sum(p.gain or 0.0 for p in proposals) / sum(prices)

    def add(self, seat: _Seat | None, proposal: Proposal) -> _Seat:
        """Add a proposal; the sample that it is on."""
        if seat is None:
            self._made += 1
            seat = _Seat(f"{NEW}{self._made}", proposal.point, 0)
            if self.problem.conditions_per_sample is not None:
                self.seats.append(seat)
        seat.used, seat.chosen = seat.used + 1, seat.chosen + 1
        more = f" (condition {seat.used} on its sample)" if seat.used > 1 else ""
        shared = self.problem.conditions_per_sample is not None
        self._proposals.append(
            replace(proposal, reason=proposal.reason + more, sample=seat.name if shared else proposal.sample)
        )
        self.left -= 1
        return seat

    def _ask(self, seat: _Seat | None, n: int, conditions: int, *, rough: bool = False) -> tuple[Proposal, ...]:
        """What the strategy proposes on one sample, or on new ones; nothing where nothing is left."""
        try:
            problem = replace(self._problem(seat), rough=rough)
            left = problem.initial - len(problem.observations) - len(problem.pending)
            if left > 0:  # a design of so many samples, or of so many conditions on this one
                design = math.ceil(left / conditions) if seat is None else min(left, max(conditions - seat.used, n))
                problem = replace(problem, initial=problem.initial - left + design)
            answer = self._strategy.propose(problem, n)
        except SpaceExhaustedError as nothing:
            self._nothing = nothing
            return ()
        except InfeasibleSpaceError as none:
            self._nothing = SpaceExhaustedError(f"nothing is left on sample {seat.name if seat else 'new'}: {none}")
            return ()
        finally:
            self._calls += 1
        found = answer.proposals[:n]
        inside = problem.space.contains(np.stack([p.point for p in found]))
        if not inside.all():
            raise StrategyError(
                "the strategy proposes a point outside the space that it was given.",
                field="strategy",
                mend="It must heed `problem.space`, where settings of a sample or a batch are given.",
            )
        own = {k: v for k, v in answer.state.items() if k != DESIGN}
        design_of_all = answer.state if seat is None and problem.space is self.problem.space else self._state
        self._state = own | {k: v for k, v in design_of_all.items() if k == DESIGN}
        return found

    def _problem(self, seat: _Seat | None) -> Problem:
        """The problem as the strategy is to see it for its next call."""
        chosen, whole = self._proposals, self.problem
        given = ([] if seat is None else list(self._preparation)) + (list(whole.fixed) if chosen else [])
        # every call starts from what was handed in with the ask, so that models need not be fitted again
        space, state = whole.space, {k: v for k, v in whole.state.items() if k != DESIGN}
        if DESIGN in self._state:
            state[DESIGN] = self._state[DESIGN]
        points = np.array([p.point for p in chosen]).reshape(-1, len(space.columns))
        taken = np.vstack([whole.taken, points])
        if given:
            at = (chosen[0].point if seat is None else seat.point).copy()
            if chosen:
                index = [space.columns.index(column) for column in whole.fixed]
                at[index] = chosen[0].point[index]
            space = space.given(at, given)
            taken = taken[space.contains(taken)] if len(taken) else taken
            state.pop(DESIGN, None)
        open_samples = () if seat is None else (OpenSample(seat.name, seat.point, seat.used),)
        waiting = whole.pending_samples or (None,) * len(whole.pending)
        return replace(
            whole,
            space=space,
            taken=taken,
            pending=np.vstack([whole.pending, points]),
            pending_samples=(*waiting, *(p.sample for p in chosen)),
            fixed=(),
            open_samples=open_samples,
            seed=self._seed(),
            state=state,
        )

    def _seed(self) -> int:
        """The campaign's for the first call; others must not draw the same numbers once more."""
        if not self._calls:
            return self.problem.seed
        return int(np.random.SeedSequence([self.problem.seed, self.problem.ask, self._calls]).generate_state(1)[0])
