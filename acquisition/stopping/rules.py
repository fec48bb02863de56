"""The rules that judge by what the models and their proposals say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import StoppingError
from acquisition.stopping.progress import Progress, Standing, StoppingRule

if TYPE_CHECKING:
    from acquisition.problem import Problem


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class Target(StoppingRule):
    """Met when an executed point reaches a goal in the model's eyes, not by one lucky value.

    Judged is the noise-free outcome: the probability that it lies within the bounds and keeps all outcome constraints
    must reach ``probability`` for one executed point.

    Attributes:
        at_least: lower bound, in the metric's unit.
        at_most: upper bound; with both, a window.
        metric: of an objective or outcome constraint; that of the only objective if left out.
        probability: how sure one wants to be.

    Raises:
        StoppingError: no bound, bounds in the wrong order, or no probability.
    """

    at_least: float | None = None
    at_most: float | None = None
    metric: str | None = None
    probability: float = Field(default=0.95, gt=0.0, lt=1.0)

    key = "target"

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise StoppingError("a target needs a bound.", field="at_least", mend="Give `at_least` or `at_most`.")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise StoppingError("a target's `at_least` is above its `at_most`.", field="at_least")

    @property
    def looks_ahead(self) -> bool:
        """See :attr:`StoppingRule.looks_ahead`."""
        return True

    def check(self, problem: Problem) -> None:
        """See :meth:`StoppingRule.check`."""
        if self.metric is None and len(problem.objectives) > 1:
            raise StoppingError(
                "with several objectives a target must say its metric.", field="target.metric", mend="Name one."
            )
        if self.metric is not None and self.metric not in problem.metrics:
            raise StoppingError(
                f"the target's metric {self.metric!r} is that of no objective and no outcome constraint.",
                field="target.metric",
                mend=f"Those are {', '.join(problem.metrics)}.",
            )

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        metric, now = self.metric or progress.problem.objectives[0].metric, None
        if progress.models() is not None:
            from acquisition.stopping.judging import success

            now = success(progress, metric, self.at_least, self.at_most)
        met = now is not None and now >= self.probability
        reason = f"{self._goal(metric)} is reached with a probability of {now:.3g}" if met else ""
        room = 0.0 if met else math.inf
        return Standing(self.key, self.text(), met, now, self.probability, "probability", reason, room=room)

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        return f"{self._goal(self.metric or 'the objective')} with a probability of {self.probability:g}"

    def _goal(self, metric: str) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{metric} within {self.at_least:g} and {self.at_most:g}"
        return (
            f"{metric} of at least {self.at_least:g}"
            if self.at_most is None
            else f"{metric} of at most {self.at_most:g}"
        )


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class ExpectedGain(StoppingRule):
    """Met when the model expected little of each of the last experiments that it proposed.

    Attributes:
        below: in the objective's unit; with several objectives in that of their hypervolume.
        patience: so many experiments in a row.

    Raises:
        StoppingError: numbers that are not positive.
    """

    below: float = Field(gt=0)
    patience: int = Field(default=3, ge=1, strict=True)

    key = "expected_gain"

    @property
    def needs_gains(self) -> bool:
        """See :attr:`StoppingRule.needs_gains`."""
        return True

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        last = list(progress.gains[-self.patience :])
        known = [gain for gain in last if gain is not None]
        now = max(known) if len(known) == self.patience else None
        met = now is not None and now < self.below
        which = "the last experiment" if self.patience == 1 else f"each of the last {self.patience} experiments"
        reason = f"a gain below {self.below:g} was expected of {which}" if met else ""
        return Standing(self.key, self.text(), met, now, self.below, "", reason, room=0.0 if met else math.inf)

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        times = "" if self.patience == 1 else f" {self.patience} times in a row"
        return f"an expected gain below {self.below:g}{times}"


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class RegretBound(StoppingRule):
    """Met when what could still be gained is bounded: the highest upper minus the best point's lower confidence bound.

    Makarova et al., Automatic Termination for Hyperparameter Optimization, AutoML 2022, eqs. 4-6: the bounds are mean
    +- sqrt(beta) std with beta of GP-UCB (Srinivas et al. 2010, Theorem 1), scaled down by 5 as is usual.

    Attributes:
        below: in the objective's unit.
        below_noise: instead: in standard deviations of the learned noise of one measurement, below which a difference
            cannot be measured.
        delta: probability that the bounds do not hold.

    Raises:
        StoppingError: not exactly one limit, or numbers out of range.
    """

    below: float | None = Field(default=None, gt=0)
    below_noise: float | None = Field(default=None, gt=0)
    delta: float = Field(default=0.1, gt=0.0, lt=1.0)

    key = "regret"

    def __post_init__(self) -> None:
        if (self.below is None) == (self.below_noise is None):
            raise StoppingError(
                "a bound on the regret needs one limit.", field="below", mend="Give `below` or `below_noise`."
            )

    @property
    def looks_ahead(self) -> bool:
        """See :attr:`StoppingRule.looks_ahead`."""
        return True

    def check(self, problem: Problem) -> None:
        """See :meth:`StoppingRule.check`."""
        if len(problem.objectives) > 1:
            raise StoppingError(
                "a bound on the regret needs a single objective.",
                field="regret",
                mend="Use `plateau` or `expected_gain`.",
            )

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        now, limit = None, self.below
        if progress.models() is not None:
            from acquisition.stopping.judging import noise, regret

            now = regret(progress, self.delta)
            limit = noise(progress) * self.below_noise if self.below_noise is not None else limit
        met = now is not None and limit is not None and now <= limit
        reason = f"no more than {now:.3g} can be gained, below {limit:.3g}" if met else ""
        return Standing(self.key, self.text(), met, now, limit, "", reason, room=0.0 if met else math.inf)

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        if self.below is not None:
            return f"a possible gain below {self.below:g}"
        return f"a possible gain below {self.below_noise:g} times the noise"


@speaks(StoppingError)
@dataclass(frozen=True, config=CONFIG)
class Plateau(StoppingRule):
    """Met when the last experiments have not improved the best executed point, as the present model judges both.

    With several objectives the hypervolume of the executed points counts.

    Attributes:
        experiments: so many experiments without improvement.
        by: what does not count as one, in the objective's unit.

    Raises:
        StoppingError: numbers that are negative, or no experiments.
    """

    experiments: int = Field(ge=1, strict=True)
    by: float = Field(default=0.0, ge=0)

    key = "plateau"

    @property
    def looks_ahead(self) -> bool:
        """See :attr:`StoppingRule.looks_ahead`."""
        return True

    def standing(self, progress: Progress) -> Standing:
        """See :meth:`StoppingRule.standing`."""
        now = None
        if progress.models() is not None:
            from acquisition.stopping.judging import improvement

            now = improvement(progress, self.experiments)
        met = now is not None and now <= self.by
        reason = f"the best has not improved by more than {self.by:g} in {self.experiments} experiments" if met else ""
        return Standing(self.key, self.text(), met, now, self.by, "", reason, room=0.0 if met else math.inf)

    def text(self) -> str:
        """See :meth:`StoppingRule.text`."""
        return f"no improvement{f' by more than {self.by:g}' if self.by else ''} in {self.experiments} experiments"
