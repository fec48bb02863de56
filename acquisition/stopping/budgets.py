"""The rules that are budgets: of experiments, time, cost and catalyst."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import StoppingError
from acquisition.stopping.progress import Progress, Reserve, Standing, StoppingRule

if TYPE_CHECKING:
    from acquisition.problem import Problem

SLACK = 1e-9
"""Budgets may be missed by this share of them: sums of costs are rounded."""

MOST_RESERVED = 0.5
"""Where a reserve is only an estimate, no larger share of the budget is kept back."""


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class Experiments(StoppingRule):
    """A budget of experiments: those that failed count, prior data do not.

    Attributes:
        experiments: so many in all.
        reserved: the last of them, which the search may not use: they are kept to confirm the best.

    Raises:
        StoppingError: fewer than one, or none that are not reserved.
    """

    experiments: int = Field(ge=1, strict=True)
    reserved: int = Field(default=0, ge=0, strict=True)

    key = "experiments"

    def __post_init__(self) -> None:
        _leaves_some(self.experiments, self.reserved, "experiments")

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        left = self.experiments - self.reserved - progress.experiments
        return Standing(
            self.key,
            self.text(),
            left <= 0,
            progress.experiments,
            self.experiments,
            "experiments",
            f"the budget of {self.text()} is used" if left <= 0 else "",
            room=max(left, 0),
            left=max(left + self.reserved, 0),
        )

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        kept = f" less {self.reserved} to confirm the best" if self.reserved else ""
        return f"{self.experiments} experiment{'s' if self.experiments > 1 else ''}{kept}"

    def bounds(self, *, instant: bool = False) -> bool:  # noqa: ARG002
        """See :meth:`StoppingRule.bounds`."""
        return True

    @property
    def most(self) -> int | None:
        """See :attr:`StoppingRule.most`."""
        return self.experiments - self.reserved

    def reserving(self, reserve: Reserve) -> Experiments:
        """See :meth:`StoppingRule.reserving`."""
        return Experiments(self.experiments, reserved=reserve.experiments)


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class Hours(StoppingRule):
    """A budget of time by the laboratory's clock: afterwards no experiment is started.

    Attributes:
        hours: so many in all.
        reserved: so many experiments are still to follow, to confirm the best. As much time is kept for them as they
            would take if they lasted as long as experiments did on average so far, in the cells that were used so far,
            but no more than half of all.

    Raises:
        StoppingError: no time at all.
    """

    hours: float = Field(gt=0)
    reserved: int = Field(default=0, ge=0, strict=True)

    key = "hours"

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        rounds = math.ceil(self.reserved / max(progress.cells, 1))
        kept = min(rounds * progress.lasts, MOST_RESERVED * self.hours)
        met = progress.hours >= self.hours - kept
        over = f"{self.hours:g} hours are over"
        if kept:
            over = f"{self.hours - kept:.3g} of {self.hours:g} hours are over, the rest is kept to confirm the best"
        reason = over if met else ""
        room = 0.0 if met else math.inf
        left = max(self.hours - progress.hours, 0.0)
        return Standing(self.key, self.text(), met, progress.hours, self.hours, "h", reason, room=room, left=left)

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        kept = f" less what {self.reserved} experiments take to confirm the best" if self.reserved else ""
        return f"{self.hours:g} hours{kept}"

    def bounds(self, *, instant: bool = False) -> bool:
        """See :meth:`StoppingRule.bounds`."""
        return not instant

    @property
    def needs_durations(self) -> bool:
        """See :attr:`StoppingRule.needs_durations`."""
        return self.reserved > 0

    def reserving(self, reserve: Reserve) -> Hours:
        """See :meth:`StoppingRule.reserving`."""
        return Hours(self.hours, reserved=reserve.experiments)


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class CostBudget(StoppingRule):
    """A budget in the unit of the campaign's costs; it is never overdrawn.

    Attributes:
        cost: so much in all.
        reserved: of it, which the search may not spend: it is kept to confirm the best.
        following: so many experiments do that. Where they would cost more if they cost as much as experiments did on
            average so far, that is kept instead, but no more than half of all.

    Raises:
        StoppingError: nothing may be spent, or all of it is reserved.
    """

    cost: float = Field(gt=0)
    reserved: float = Field(default=0.0, ge=0)
    following: int = Field(default=0, ge=0, strict=True)

    key = "cost"

    def __post_init__(self) -> None:
        _leaves_some(self.cost, self.reserved, "cost")

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        usual = self.following * progress.cost / max(progress.experiments, 1)
        kept = max(self.reserved, min(usual, MOST_RESERVED * self.cost))
        left = max(self.cost - kept - progress.cost, 0.0) + SLACK * self.cost
        room = float(math.floor(left / progress.next_cost))
        unit = "" if progress.problem.costs is None else progress.problem.costs.unit
        text = self._text(unit, kept)
        reason = "" if room else f"what is left of {text} pays no further experiment"
        still = max(self.cost - progress.cost, 0.0)
        return Standing(
            self.key, text, not room, progress.cost, self.cost, unit, reason, room=room, purse=left, left=still
        )

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        return self._text("", self.reserved)

    def _text(self, unit: str, kept: float) -> str:
        less = f" less {kept:.6g} to confirm the best" if kept else ""
        return f"a cost of {self.cost:g} {unit}".rstrip() + less

    def reserving(self, reserve: Reserve) -> CostBudget:
        """See :meth:`StoppingRule.reserving`."""
        return CostBudget(self.cost, reserved=reserve.cost, following=reserve.experiments)

    def bounds(self, *, instant: bool = False) -> bool:  # noqa: ARG002
        """See :meth:`StoppingRule.bounds`."""
        return True

    def check(self, problem: Problem) -> None:
        """See :meth:`StoppingRule.check`."""
        if problem.costs is None:
            raise StoppingError(
                "a cost is to end the campaign, but nothing is known of costs.",
                field="cost",
                mend="Say what an experiment costs: `costs: {experiment: 40, unit: min}`.",
            )


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class CatalystMass(StoppingRule):
    """A budget of catalyst: each fresh sample takes some of it. Met when it does not do for another one.

    A sample on which further experiments are wanted needs nothing more: these are still done.

    Attributes:
        catalyst_mass: so much in all, mg.
        reserved: so many fresh samples the search may not use: they are kept to confirm the best.

    Raises:
        StoppingError: there is none.
    """

    catalyst_mass: float = Field(gt=0)
    reserved: int = Field(default=0, ge=0, strict=True)

    key = "catalyst_mass"

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`.

        Raises:
            StoppingError: nothing is known of the mass of a sample.
        """
        if progress.sample_mass <= 0.0:
            raise StoppingError(
                "a mass of catalyst is to end the campaign, but nothing is known of the mass of a sample.",
                field=self.key,
                mend="Say it: `samples: {catalyst_mass: 0.5}`, in mg.",
            )
        left = max(self.catalyst_mass - progress.mass, 0.0)
        most = math.floor((left + SLACK * self.catalyst_mass) / progress.sample_mass)
        fresh = float(max(most - self.reserved, 0))
        met = not fresh and not progress.samples_wait
        reason = f"what is left of {self.text()} makes no further sample" if met else ""
        return Standing(
            self.key,
            self.text(),
            met,
            progress.mass,
            self.catalyst_mass,
            "mg",
            reason,
            room=0.0 if met else math.inf,
            fresh=fresh,
            left=left,
        )

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        kept = f" less {self.reserved} samples to confirm the best" if self.reserved else ""
        return f"{self.catalyst_mass:g} mg catalyst{kept}"

    def bounds(self, *, instant: bool = False) -> bool:  # noqa: ARG002
        """See :meth:`StoppingRule.bounds`."""
        return True

    def reserving(self, reserve: Reserve) -> CatalystMass:
        """See :meth:`StoppingRule.reserving`: each experiment that follows needs a fresh sample."""
        return CatalystMass(self.catalyst_mass, reserved=reserve.experiments)


def _leaves_some(whole: float, reserved: float, field: str) -> None:
    """Refuse a reserve that is the whole budget.

    Raises:
        StoppingError: nothing is left for the search.
    """
    if reserved >= whole:
        what = "experiments" if field == "experiments" else "cost"
        raise StoppingError(
            f"confirming the best takes {reserved:g} of {whole:g} {what}: nothing is left for the search.",
            field=field,
            mend="Raise the budget, or confirm less.",
        )
