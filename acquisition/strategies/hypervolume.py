"""Several objectives: let the volume that the best compromises dominate grow."""

from __future__ import annotations

from acquisition.errors import StrategyError
from acquisition.problem import Problem
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Criterion, ModelBased, Situation


class Hypervolume(ModelBased):
    """Maximises the expected gain in hypervolume, under noise (Daulton et al., NeurIPS 34 (2021)), in closed form."""

    what = "expected gain in hypervolume"
    in_unit = True

    def check(self, problem: Problem) -> None:
        """Refuse one objective."""
        super().check(problem)
        if len(problem.objectives) < 2:
            raise StrategyError(
                "hypervolume needs two objectives or more.",
                field="strategy.name",
                mend="Use expected_improvement (or auto) for one.",
            )

    def criterion(self, situation: Situation) -> Criterion:
        """Noisy log expected hypervolume improvement."""
        return noisy(situation)
