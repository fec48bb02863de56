"""Expected improvement with models for many parameters, of which few matter or that act one by one."""

from __future__ import annotations

from typing import ClassVar

from acquisition.beliefs import Beliefs, fit
from acquisition.problem import Problem
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Criterion, ModelBased, Situation


class _Improvement(ModelBased):
    """Improves the objective, or the hypervolume of several, with a stated kernel."""

    kernel: ClassVar[str]
    in_unit = True

    def fit(self, problem: Problem) -> Beliefs:
        """Models with the kernel."""
        return fit(problem, {"kernel": self.kernel})

    def criterion(self, situation: Situation) -> Criterion:
        """Noisy log expected improvement."""
        return noisy(situation)

    def name(self, problem: Problem) -> str:
        """The criterion's name."""
        what = "expected improvement" if len(problem.objectives) == 1 else "expected gain in hypervolume"
        return f"{what} by a model with {self.what} kernel"


class Additive(_Improvement):
    """For parameters that mostly act one by one: a sum of kernels, one a parameter, beside a joint one.

    Duvenaud et al., NeurIPS 24 (2011); Kandasamy et al., ICML 2015.
    """

    what = "an additive"
    kernel = "additive"


class Saas(_Improvement):
    """For many parameters of which few matter: sparse axis-aligned subspaces.

    Half-Cauchy priors switch parameters on, one by one as the data ask for them (Eriksson & Jankowiak, UAI 2021).
    """

    what = "a sparse"
    kernel = "saas"
