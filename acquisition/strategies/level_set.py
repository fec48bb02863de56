"""Find where a metric crosses a level: the border between what is good enough and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import torch
from torch import Tensor

from acquisition.criteria.believer import Believer
from acquisition.criteria.integrated import log_reduction, measurement_noise, references
from acquisition.criteria.merit import log_excess, log_kept
from acquisition.errors import StrategyError
from acquisition.layout import nearest
from acquisition.maximise import Staged
from acquisition.problem import Problem
from acquisition.strategies.model_based import Criterion, ModelBased, Situation

Kind = Literal["targeted", "straddle"]

CONFIDENCE: Final = 1.96
"""Deviations that the straddle allows for: 95 %, as published."""

BAND: Final = 0.05
"""Half-width of the border, in units of typical differences: a border has no width, its measurements do."""

FARTHEST: Final = 1e100
"""Levels farther off than so many typical differences are all alike."""


class LevelSet(ModelBased):
    """Measures where it is least known on which side of a level a metric lies.

    Args:
        level: in the metric's unit.
        metric: an objective or outcome constraint; by default the first objective. Its goal plays no part.
        kind: ``targeted``: reduces the variance over the space, each place weighted with how likely the border runs
            through it (Picheny et al., J. Mech. Des. 132, 071008 (2010)); ``straddle``: the point with the highest
            ``1.96 std - |mean - level|`` (Bryan et al., NeurIPS 18 (2005)), cheaper by half.
        model: see :class:`ModelBased`.
    """

    values_repeats = True

    def __init__(
        self,
        level: float,
        metric: str | None = None,
        kind: Kind = "targeted",
        *,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model=model)
        if isinstance(level, bool) or not isinstance(level, int | float) or not abs(level) < float("inf"):
            raise StrategyError("level must be a finite number.", field="strategy.options.level")
        if kind not in get_args(Kind):
            raise StrategyError(
                f"there is no kind {kind!r}.",
                field="strategy.options.kind",
                mend=f"Kinds are {' and '.join(get_args(Kind))}.",
            )
        self.level, self.metric, self.kind = float(level), metric, kind

    def check(self, problem: Problem) -> None:
        """Refuse a metric that is not observed for its own sake."""
        super().check(problem)
        if self.metric is not None and self.metric not in problem.metrics:
            raise StrategyError(
                f"level_set is to follow {self.metric!r}, which is neither objective nor outcome constraint.",
                field="strategy.options.metric",
                mend=nearest(self.metric, problem.metrics),
            )

    def name(self, problem: Problem) -> str:
        """What is sought."""
        return f"gain of knowledge where {self._followed(problem)} crosses {self.level:g}"

    def _followed(self, problem: Problem) -> str:
        return self.metric or problem.objectives[0].metric

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the weighted reduction, or of the smoothed straddle; weighted with the outcome constraints.

        A constraint on the metric itself is not among them: both sides of a border must be visited.
        """
        metric = self._followed(situation.problem)
        gain = self._targeted(situation, metric) if self.kind == "targeted" else self._straddle(situation, metric)
        beliefs, problem = situation.beliefs, situation.problem
        others = [c for c in problem.outcome_constraints if c.metric != metric]

        def log_allowed(candidates: Tensor) -> Tensor:
            moments = {c.metric: beliefs.models[c.metric].moments(candidates) for c in others}
            return torch.zeros(len(candidates), dtype=candidates.dtype) + log_kept(others, moments)

        if not others:
            return gain
        if isinstance(gain, Staged):
            return gain.weighed(log_allowed)
        return lambda candidates: gain(candidates) + log_allowed(candidates)

    def _straddle(self, situation: Situation, metric: str) -> Criterion:
        model = situation.beliefs.models[metric]
        believed = Believer(model, situation.waiting)

        def log_straddle(candidates: Tensor) -> Tensor:
            mean, std = believed(candidates)
            excess = (CONFIDENCE * std - (mean - self.level).abs()) / model.width
            return log_excess(excess, torch.zeros(1, dtype=excess.dtype))

        return log_straddle

    def _targeted(self, situation: Situation, metric: str) -> Criterion:
        model, points = situation.beliefs.models[metric], references(situation.problem)
        mean, std = Believer(model, situation.waiting)(torch.from_numpy(points))
        # in units of typical differences, so that no outcome is too large or too small to be squared
        spread = ((std / model.width).square() + BAND**2).sqrt()
        gap = ((mean - self.level) / model.width).clamp(-FARTHEST, FARTHEST)
        log_density = -0.5 * (gap / spread).square() - spread.log()
        weights = (log_density - log_density.amax()).exp()  # where no place is likely, the likeliest still counts
        noise = measurement_noise(situation.problem, {metric: model}, points)
        return log_reduction({metric: model}, points, situation.waiting, noise, weights)
