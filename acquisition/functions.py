"""Acquisition functions: how much one more experiment is expected to gain, as a logarithm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from acquisition.beliefs import Models
from acquisition.improvement import feasible, log_gain, log_probability, utility
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Array

NOTHING = -1e3
"""Log gain where there is none to rounding; finite, so that averages and sums stay ordered."""


class NoisyImprovement:
    """Expected improvement over the best feasible of all measured and pending points.

    One objective: of the objective itself. Several: of the hypervolume that the non-dominated points dominate. With
    outcome constraints the gain is weighted, sample by sample, with the probability that they are kept.
    """

    def __init__(
        self,
        models: Models,
        objectives: Sequence[Objective],
        constraints: Sequence[OutcomeConstraint],
        known: Array,
        *,
        samples: int,
        seed: int,
    ) -> None:
        """Sample the models at the known points.

        Args:
            models: by metric, one for each objective and constraint.
            objectives: one or more.
            constraints: none or more.
            known: (b, c) native measured and pending points, b at least 1.
            samples: number of joint samples.
            seed: of the samples.
        """
        self._objectives, self._constraints = tuple(objectives), tuple(constraints)
        self._fantasies = {
            metric: model.fantasies(known, samples, seed + index)
            for index, (metric, model) in enumerate(sorted(models.items()))
        }
        self._feasible = torch.ones(samples, len(known), dtype=torch.bool)
        for constraint in self._constraints:
            self._feasible &= feasible(constraint, self._fantasies[constraint.metric].values)
        utilities = torch.stack([utility(o, self._fantasies[o.metric].values) for o in self._objectives], dim=-1)
        if len(self._objectives) == 1:
            self._levels = self._best(utilities[..., 0])
            if self._objectives[0].goal == "target":
                # where the window is reached nothing more is to be gained; then count the chance to be inside again
                width = models[self._objectives[0].metric].width
                self._levels = self._levels.clamp_max(-1e-6 * width)
        else:
            from acquisition.hypervolume import boxes

            self._boxes = boxes(utilities, self._feasible, self._objectives)

    def _best(self, utilities: Tensor) -> Tensor:
        """(samples, 1) best feasible utility; where nothing is feasible, the worst of all, so that any may gain."""
        worst = utilities.amin(1, keepdim=True)
        return torch.where(self._feasible, utilities, worst).amax(1, keepdim=True)

    def __call__(self, candidates: Tensor) -> Tensor:
        """Log of the expected gain at native candidates (m, c); (m,), finite."""
        given = {metric: fantasies.given(candidates) for metric, fantasies in self._fantasies.items()}
        if len(self._objectives) == 1:
            objective = self._objectives[0]
            mean, std = given[objective.metric]
            gain = log_gain(objective, mean, std, self._levels)
        else:
            from acquisition.hypervolume import log_hypervolume_gain

            gain = log_hypervolume_gain(self._objectives, given, self._boxes)
        for constraint in self._constraints:
            mean, std = given[constraint.metric]
            gain = gain + log_probability(constraint, mean, std)
        gain = gain.nan_to_num(nan=NOTHING, neginf=NOTHING).clamp_min(NOTHING)
        return torch.logsumexp(gain, 0) - math.log(len(gain))
