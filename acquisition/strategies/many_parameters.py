"""Expected improvement with models for many parameters, of which few matter or that act one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from acquisition.errors import StrategyError
from acquisition.problem import Problem
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Criterion, ModelBased, Situation


class _Improvement(ModelBased):
    """Improves the objective, or the hypervolume of several, with a stated kernel.

    Args:
        model: see :class:`ModelBased`; the kernel is the strategy's own.
    """

    kernel: ClassVar[str]
    in_unit = True

    def __init__(self, *, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model=model)
        if self.model.get("kernel", self.kernel) != self.kernel:
            raise StrategyError(
                f"this strategy has the kernel {self.kernel!r}, not {self.model['kernel']!r}.",
                field="strategy.options.model.kernel",
                mend="Leave it out, or use auto.",
            )
        self.model = {**self.model, "kernel": self.kernel}

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
