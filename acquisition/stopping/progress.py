"""What stopping rules judge by, and what they say."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import StoppingError

if TYPE_CHECKING:
    from acquisition.beliefs import Model
    from acquisition.problem import Problem
    from acquisition.stopping.combine import AllOf, AnyOf


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a campaign is: a pure function of what its store holds.

    Attributes:
        problem: what is known, and where one looks.
        models: gives the fitted models by metric; ``None`` while some metric has no value.
        experiments: so many were proposed and not called off; prior data do not count.
        hours: passed by the laboratory's clock.
        cost: of these experiments, in the unit of the problem's costs.
        next_cost: the least that one more experiment costs.
        gains: what the model expected of each of these experiments, in order; ``None`` where no model proposed it.
        ages: (n,) so many of these experiments ended after each observation of the problem.
        told: so many of these experiments have ended.
        lasts: so long an experiment took on average so far, h; 0 while none has ended. Only for rules that need it.
        cells: so many experiments may run at a time. Only for rules that need it.
        mass: of the catalyst on all samples that were made or are planned, mg.
        sample_mass: of the catalyst on a fresh sample, mg; 0 where it is not known.
        samples_wait: whether further experiments are wanted on a sample that is there already.
    """

    problem: Problem
    models: Callable[[], Mapping[str, Model] | None]
    experiments: int = 0
    hours: float = 0.0
    cost: float = 0.0
    next_cost: float = 1.0
    gains: Sequence[float | None] = ()
    ages: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    told: int = 0
    lasts: float = 0.0
    cells: int = 1
    mass: float = 0.0
    sample_mass: float = 0.0
    samples_wait: bool = False


@dataclass(frozen=True, slots=True)
class Reserve:
    """What a search may not use of its budgets, since something is to follow it.

    Attributes:
        experiments: so many.
        cost: theirs, in the unit of the campaign's costs.
    """

    experiments: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a campaign stands by one rule.

    Attributes:
        rule: the rule's key in campaign files; ``any`` and ``all`` for combinations.
        text: the rule in words.
        met: whether it ends the campaign.
        now: the number that it judges by; ``None`` where that is not known yet.
        limit: what that number is compared with.
        unit: of both.
        reason: why the campaign is over by it; empty while it is not.
        room: so many experiments may still be started before it can be met by their number alone.
        purse: what they may cost.
        fresh: so many new samples they may need.
        left: of a budget, what is reserved included; ``None`` for what is no budget.
        parts: of a combination.
    """

    rule: str
    text: str
    met: bool
    now: float | None = None
    limit: float | None = None
    unit: str = ""
    reason: str = ""
    room: float = math.inf
    purse: float = math.inf
    fresh: float = math.inf
    left: float | None = None
    parts: tuple[Standing, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "rule": self.rule,
            "text": self.text,
            "met": self.met,
            "now": None if self.now is None or not math.isfinite(self.now) else self.now,
            "limit": self.limit,
            "unit": self.unit,
            "left": self.left,
            "parts": [part.plain() for part in self.parts],
        }

    def leaves(self) -> list[Standing]:
        """The single rules below this one, itself if it is one."""
        return [leaf for part in self.parts for leaf in part.leaves()] if self.parts else [self]


class StoppingRule(ABC):
    """Says when a campaign is over. Rules combine: ``a | b`` ends at the first, ``a & b`` when both are met.

    Class attributes:
        key: its name in campaign files.
    """

    key: ClassVar[str] = ""

    @abstractmethod
    def standing(self, progress: Progress) -> Standing:
        """Where a campaign stands."""

    @abstractmethod
    def text(self) -> str:
        """The rule in words, as a part of a sentence."""

    def bounds(self, *, instant: bool = False) -> bool:  # noqa: ARG002  only time asks
        """Whether it ends every campaign sooner or later.

        Args:
            instant: experiments take no time.
        """
        return False

    @property
    def looks_ahead(self) -> bool:
        """Whether it needs fitted models."""
        return False

    @property
    def needs_gains(self) -> bool:
        """Whether it needs a strategy that says what it expects to gain."""
        return False

    @property
    def needs_durations(self) -> bool:
        """Whether it needs to know how long experiments take."""
        return False

    @property
    def most(self) -> int | None:
        """The most experiments that it allows; ``None``: no such number."""
        return None

    def reserving(self, reserve: Reserve) -> StoppingRule:  # noqa: ARG002  only budgets have something to keep back
        """The same rule with something kept back of its budgets, in place of what was kept back before.

        Raises:
            StoppingError: that leaves nothing of one of them.
        """
        return self

    def check(self, problem: Problem) -> None:  # noqa: B027  most suit every problem
        """Refuse problems that the rule means nothing for.

        Raises:
            StoppingError: with what does not fit.
        """

    def __or__(self, other: StoppingRule) -> AnyOf:
        from acquisition.stopping.combine import AnyOf

        return AnyOf((self, other))

    def __and__(self, other: StoppingRule) -> AllOf:
        from acquisition.stopping.combine import AllOf

        return AllOf((self, other))


def check_rule(rule: StoppingRule, problem: Problem, *, instant: bool = False) -> None:
    """Refuse a rule that never ends the campaign for sure, or that means nothing for its problem.

    A finite space without replicates ends every campaign.

    Raises:
        StoppingError: with what is wrong.
    """
    rule.check(problem)
    finite = problem.space.size is not None and problem.replicates == "none"
    if finite or rule.bounds(instant=instant):
        return
    raise StoppingError(
        f"nothing is sure to end this campaign: {rule.text()}.",
        mend="Add `experiments`"
        + ("" if instant else ", `hours`")
        + ", `cost` or `catalyst_mass` beside the other rules (with `all`, such a rule among its parts is not enough).",
    )
