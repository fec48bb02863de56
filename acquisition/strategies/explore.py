"""Learn the whole map: the experiment that leaves the least uncertainty over the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acquisition.criteria.integrated import log_reduction, measurement_noise, references
from acquisition.errors import StrategyError
from acquisition.layout import nearest
from acquisition.problem import Problem
from acquisition.strategies.model_based import Criterion, ModelBased, Situation


class Explore(ModelBased):
    """Minimises the integrated posterior variance over the space by one more measurement.

    What is good or bad plays no part: the model becomes right everywhere alike. Several metrics count in units of
    their typical differences.

    Args:
        metrics: those to learn; by default all of the objectives and outcome constraints.
        model: see :class:`ModelBased`.
    """

    what = "reduction of the variance over the space"
    values_repeats = True

    def __init__(self, metrics: Sequence[str] | None = None, *, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model=model)
        if metrics is not None and (isinstance(metrics, str) or not isinstance(metrics, Sequence) or not metrics):
            raise StrategyError("metrics must be a list of names.", field="strategy.options.metrics")
        self.metrics = None if metrics is None else tuple(metrics)

    def check(self, problem: Problem) -> None:
        """Refuse metrics that are not observed for their own sake."""
        super().check(problem)
        for metric in self.metrics or ():
            if metric not in problem.metrics:
                raise StrategyError(
                    f"explore is to learn {metric!r}, which is neither objective nor outcome constraint.",
                    field="strategy.options.metrics",
                    mend=nearest(metric, problem.metrics),
                )

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the reduction, summed over metrics."""
        models, points = situation.beliefs.models, references(situation.problem)
        noise = measurement_noise(situation.problem, models, points)
        learned = {metric: models[metric] for metric in self.metrics or situation.problem.metrics}
        return log_reduction(learned, points, situation.waiting, noise)
