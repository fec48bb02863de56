"""Reach a window: recipes whose outcomes lie where they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import torch
from torch import Tensor

from acquisition.criteria.believer import Believer
from acquisition.criteria.merit import log_kept
from acquisition.errors import StrategyError
from acquisition.objectives import OutcomeConstraint
from acquisition.problem import Problem
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Criterion, ModelBased, Situation

Kind = Literal["probability", "distance"]

NARROWEST: Final = 0.01
"""Windows count as at least this wide on either side, in units of typical differences: a value alone is never hit."""


class TargetWindow(ModelBased):
    """Finds points whose metrics lie in their target windows; all objectives must have the goal ``target``.

    Args:
        kind: ``probability``: many different ways into the window: the probability that all metrics lie inside, times
            what is left to learn of them there, so that a hit is not repeated next door; ``distance``: one good hit:
            the expected reduction of the distance to the window (of several windows: of the hypervolume).
        model: see :class:`ModelBased`.
    """

    def __init__(self, kind: Kind = "probability", *, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model=model)
        if kind not in get_args(Kind):
            raise StrategyError(
                f"there is no kind {kind!r}.",
                field="strategy.options.kind",
                mend=f"Kinds are {' and '.join(get_args(Kind))}.",
            )
        self.kind = kind
        self.in_unit = kind == "distance"

    def check(self, problem: Problem) -> None:
        """Refuse objectives without a target."""
        super().check(problem)
        for objective in problem.objectives:
            if objective.goal != "target":
                raise StrategyError(
                    f"target_window needs targets, but {objective.metric!r} is to {objective.goal}.",
                    field="strategy.name",
                    mend="Give the objective `goal: target` with a `target`, or use auto.",
                )

    def name(self, problem: Problem) -> str:
        """What is maximised."""
        windows = "the window" if len(problem.objectives) == 1 else "all windows"
        return f"expected way to {windows}" if self.kind == "distance" else f"unexplored chance to lie in {windows}"

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the probability times the deviations, or of the expected reduction of the distance."""
        if self.kind == "distance":
            return noisy(situation)
        beliefs, problem = situation.beliefs, situation.problem
        believed = {metric: Believer(model, situation.waiting) for metric, model in beliefs.models.items()}
        windows = []
        for objective in problem.objectives:
            low, high = objective.window
            least = NARROWEST * beliefs.models[objective.metric].width
            windows.append(OutcomeConstraint(objective.metric, lower=low - least, upper=high + least))

        def log_chance(candidates: Tensor) -> Tensor:
            moments = {metric: believer(candidates) for metric, believer in believed.items()}
            total = torch.zeros(len(candidates), dtype=candidates.dtype)
            for objective in problem.objectives:
                total = total + (moments[objective.metric][1] / beliefs.models[objective.metric].width).log()
            return total + log_kept([*windows, *problem.outcome_constraints], moments)

        return log_chance
