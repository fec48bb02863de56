"""The default strategy: a short initial design, then a Gaussian process with noisy log expected improvement."""

from __future__ import annotations

from typing import Final

from acquisition.functions import NoisyImprovement
from acquisition.problem import Problem
from acquisition.strategies.model_based import Criterion, ModelBased, Situation

SAMPLES: Final = 32


class Auto(ModelBased):
    """Chooses by itself: initial design while data are few, expected improvement afterwards.

    One objective is improved over the best feasible value so far, several by the hypervolume that they dominate.
    Noise, pending experiments and batches enter through joint samples of the uncertain values. Where experiments have
    failed, the gain is weighted with the probability that the next one works.
    """

    in_unit = True

    def criterion(self, situation: Situation) -> Criterion:
        """Noisy log expected improvement, of the objective or of the hypervolume."""
        problem = situation.problem
        return NoisyImprovement(
            situation.beliefs.models,
            problem.objectives,
            problem.outcome_constraints,
            situation.known,
            samples=SAMPLES,
            seed=situation.seed,
        )

    def name(self, problem: Problem) -> str:
        """The criterion's name."""
        return "expected improvement" if len(problem.objectives) == 1 else "expected gain in hypervolume"
