"""The family of improvements over the best value so far: expected, expected under noise, and probable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

import torch
from torch import Tensor

from acquisition.criteria.believer import Believer
from acquisition.criteria.merit import best_known, log_kept, utilities, within
from acquisition.errors import StrategyError
from acquisition.functions import NOTHING, NoisyImprovement
from acquisition.improvement import log_gain, log_probability
from acquisition.maximise import Staged
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Problem
from acquisition.strategies.model_based import Criterion, ModelBased, Situation

Kind = Literal["log_noisy", "plain", "probability"]

SAMPLES: Final = 32

BESIDE: Final = 128
"""Samples where experiments are pending. Their values are uncertain too, and with fewer samples the chosen point has a
tenth less expected improvement than the best one, with so many a thirtieth (eight pending, 12 to 47 asks)."""

FEW: Final = 4
MANY: Final = 20_000
KEEP: Final = 256
"""Of more than so many candidates, or with several objectives, so many are looked at with all samples."""

MARGIN: Final = 0.01
"""An improvement counts as one from this share of typical differences on; without it none would be most probable."""


class ExpectedImprovement(ModelBased):
    """Improves one objective over the best feasible value so far.

    Args:
        kind: ``log_noisy``: the expected improvement, averaged over what the noisy and the pending values may be
            (Letham et al. 2019, Ament et al. 2023), as `auto` has it; ``plain``: over the best expected value (Jones et
            al., J. Glob. Optim. 13, 455 (1998)), pending points counting as measured at what is expected;
            ``probability``: the probability to improve on it at all (Kushner, J. Basic Eng. 86, 97 (1964)), greedy.
        model: see :class:`ModelBased`.
    """

    def __init__(self, kind: Kind = "log_noisy", *, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model=model)
        if kind not in get_args(Kind):
            raise StrategyError(
                f"there is no kind {kind!r}.",
                field="strategy.options.kind",
                mend=f"Kinds are {', '.join(get_args(Kind))}.",
            )
        self.kind = kind
        self.in_unit = kind != "probability"

    def check(self, problem: Problem) -> None:
        """Refuse several objectives."""
        super().check(problem)
        if len(problem.objectives) > 1:
            raise StrategyError(
                f"expected_improvement improves one objective, not {len(problem.objectives)}.",
                field="strategy.name",
                mend="Use hypervolume (or auto) for several objectives.",
            )

    def name(self, problem: Problem) -> str:  # noqa: ARG002  one objective always
        """The criterion's name."""
        return "probability of improvement" if self.kind == "probability" else "expected improvement"

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the improvement's expectation or probability, weighed with the outcome constraints."""
        if self.kind == "log_noisy":
            return noisy(situation)
        beliefs, problem = situation.beliefs, situation.problem
        (objective,) = problem.objectives
        anchors = torch.from_numpy(situation.anchors)
        means = {metric: model.moments(anchors)[0] for metric, model in beliefs.models.items()}
        level = best_known(utilities(problem, means)[:, 0], within(problem, means))
        believed = {metric: Believer(model, situation.waiting) for metric, model in beliefs.models.items()}
        width = beliefs.models[objective.metric].width

        def log_improvement(candidates: Tensor) -> Tensor:
            moments = {metric: believer(candidates) for metric, believer in believed.items()}
            mean, std = moments[objective.metric]
            if self.kind == "plain":
                # a window that is reached leaves nothing to gain; then the chance to be inside again decides
                least = level.clamp_max(-1e-6 * width) if objective.goal == "target" else level
                gain = log_gain(objective, mean, std, least)
            else:
                gain = log_probability(better_than(objective, float(level), MARGIN * width), mean, std)
            gain = torch.nan_to_num(gain, nan=NOTHING, neginf=NOTHING).clamp_min(NOTHING)
            return gain + log_kept(problem.outcome_constraints, moments)

        return log_improvement


def noisy(situation: Situation) -> Criterion:
    """Noisy log expected improvement, of the objective or of the hypervolume.

    Where it is costly, by several objectives or many candidates, one of fewer samples says where it is worth having.
    """
    problem = situation.problem
    # gains on open samples and on new ones, of which more or fewer wait, are compared: they take equally many samples
    compared = problem.conditions_per_sample is not None
    alone = len(problem.objectives) == 1
    most = BESIDE if len(situation.waiting) and alone and not compared else SAMPLES

    def improvement(samples: int) -> NoisyImprovement:
        return NoisyImprovement(
            situation.beliefs.models,
            problem.objectives,
            problem.outcome_constraints,
            situation.known,
            samples=samples,
            seed=situation.seed,
        )

    size = problem.space.size or 0
    if not alone or size > MANY:
        return Staged(improvement(FEW), improvement(most), KEEP)
    if size > KEEP and most > SAMPLES:  # all rows are looked at
        return Staged(improvement(SAMPLES), improvement(most), KEEP)
    return improvement(most)


def better_than(objective: Objective, level: float, margin: float) -> OutcomeConstraint:
    """The values whose utility exceeds a level by a margin; of a window that is reached, those inside it."""
    if objective.goal == "maximize":
        return OutcomeConstraint(objective.metric, lower=level + margin)
    if objective.goal == "minimize":
        return OutcomeConstraint(objective.metric, upper=-level - margin)
    low, high = objective.window
    distance = max(-level - margin, 1e-6 * margin)
    return OutcomeConstraint(objective.metric, lower=low - distance, upper=high + distance)
