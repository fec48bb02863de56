"""Upper confidence bounds: the point that could be best, a stated number of deviations above what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from acquisition.criteria.believer import Believer
from acquisition.criteria.merit import best_known, draw_merit, log_excess, log_kept, utilities, within
from acquisition.errors import StrategyError
from acquisition.improvement import utility
from acquisition.strategies.model_based import Criterion, ModelBased, Situation


class UpperConfidence(ModelBased):
    """Maximises expected utility plus ``beta`` standard deviations (Srinivas et al., ICML 2010).

    Pending experiments and those of the same batch count as measured at what is expected, which shrinks the deviation
    around them. Several objectives are weighed at random, anew for each proposal.

    Args:
        beta: 0 exploits alone; the more, the more it explores.
        model: see :class:`ModelBased`.
    """

    what = "upper confidence bound"

    def __init__(self, beta: float = 1.5, *, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model=model)
        if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 <= beta < float("inf"):
            raise StrategyError("beta must be a number, 0 or more.", field="strategy.options.beta")
        self.beta = float(beta)

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the bound's excess over the best known mean, weighed with the outcome constraints."""
        beliefs, problem = situation.beliefs, situation.problem
        merit = draw_merit(beliefs, situation.anchors, problem.generator(100 + situation.position))
        believed = {metric: Believer(model, situation.waiting) for metric, model in beliefs.models.items()}
        anchors = torch.from_numpy(situation.anchors)
        means = {metric: model.moments(anchors)[0] for metric, model in beliefs.models.items()}
        level = best_known(merit(utilities(problem, means)), within(problem, means))

        def log_gain(candidates: Tensor) -> Tensor:
            moments = {metric: believer(candidates) for metric, believer in believed.items()}
            bounds = [utility(o, moments[o.metric][0]) + self.beta * moments[o.metric][1] for o in problem.objectives]
            return log_excess(merit(torch.stack(bounds, -1)), level) + log_kept(problem.outcome_constraints, moments)

        return log_gain
