"""Thompson sampling: the best point of a function drawn from what is believed possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from acquisition.criteria.merit import best_known, draw_merit, log_excess, utilities, within
from acquisition.strategies.model_based import Criterion, ModelBased, Situation
from surrogates.surrogate import Path

SLACK: Final = 0.05
"""Drawn constraints are smoothed over this share of their outcomes' typical differences."""


class Thompson(ModelBased):
    """Maximises one function drawn from the posterior, another one for each proposal (Thompson, Biometrika 1933).

    Experiments of one batch are as varied as the model is unsure, whatever their number, at no extra cost. Outcome
    constraints are drawn too (Eriksson & Poloczek, AISTATS 2021). Several objectives are weighed at random, anew for
    each proposal.
    """

    what = "value of a function drawn from the posterior"

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the draw's excess over the best known point of the same draw, where drawn constraints are kept."""
        beliefs, problem = situation.beliefs, situation.problem
        generator = np.random.default_rng([situation.seed, situation.position])
        merit = draw_merit(beliefs, situation.anchors, generator)
        paths: Mapping[str, Path] = {
            metric: model.path(1, int(generator.integers(2**31))) for metric, model in sorted(beliefs.models.items())
        }

        def drawn(points: Tensor) -> dict[str, Tensor]:
            return {metric: path(points)[0] for metric, path in paths.items()}

        known = drawn(torch.from_numpy(situation.known))
        level = best_known(merit(utilities(problem, known)), within(problem, known))

        def log_gain(candidates: Tensor) -> Tensor:
            values = drawn(candidates)
            total = log_excess(merit(utilities(problem, values)), level)
            for constraint in problem.outcome_constraints:
                value, soft = values[constraint.metric], SLACK * beliefs.models[constraint.metric].width
                if constraint.lower is not None:
                    total = total + torch.special.log_ndtr((value - constraint.lower) / soft)
                if constraint.upper is not None:
                    total = total + torch.special.log_ndtr((constraint.upper - value) / soft)
            return total

        return log_gain
