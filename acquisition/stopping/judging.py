"""What models say about how far a campaign is: numbers for stopping rules. ``None`` where nothing can be said yet.

All raise :class:`~acquisition.errors.StoppingError` while there are no models.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.beliefs import promising
from acquisition.errors import StoppingError
from acquisition.improvement import feasible, utility
from acquisition.maximise import best_candidate
from acquisition.objectives import Objective, OutcomeConstraint
from surrogates.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acquisition.beliefs import Model
    from acquisition.problem import Problem
    from acquisition.stopping.progress import Progress

Floats = NDArray[np.float64]

PURPOSE = 7
"""Tells the random numbers of the search for the highest bound from those of proposals."""

PENALTY = 1e3
"""What a point that cannot keep an outcome constraint loses, in widths of the objective a width of the outcome."""


def _models(progress: Progress) -> Mapping[str, Model]:
    models = progress.models()
    if models is None:
        raise StoppingError("nothing is known yet that a model could judge by.", field="stop")
    return models


def success(progress: Progress, metric: str, at_least: float | None, at_most: float | None) -> float:
    """The highest probability, among executed points, that the noise-free outcome keeps bounds and constraints."""
    from scipy.special import ndtr

    models, points = _models(progress), progress.problem.observations.points
    total = np.ones(len(points))
    wanted = [(metric, at_least, at_most)]
    wanted += [(c.metric, c.lower, c.upper) for c in progress.problem.outcome_constraints]
    for name, lower, upper in wanted:
        belief = models[name].predict(points)
        std = np.maximum(belief.std, np.finfo(float).tiny)
        below = 1.0 if upper is None else ndtr((upper - belief.mean) / std)
        above = 0.0 if lower is None else ndtr((lower - belief.mean) / std)
        total *= np.clip(below - above, 0.0, 1.0)
    return float(total.max())


def improvement(progress: Progress, experiments: int) -> float | None:
    """By how much the last experiments have improved the best executed point, or the hypervolume of all."""
    problem, models = progress.problem, _models(progress)
    old = progress.ages >= experiments
    if progress.told < experiments or not old.any():
        return None
    means = {m: torch.from_numpy(model.predict(problem.observations.points).mean) for m, model in models.items()}
    good = np.ones(len(old), dtype=bool)
    for constraint in problem.outcome_constraints:
        good &= feasible(constraint, means[constraint.metric]).numpy()
    values = torch.stack([utility(o, means[o.metric]) for o in problem.objectives], 1)
    if not (good & old).any():  # nothing feasible then: what is feasible now is an improvement
        return math.inf if good.any() else None
    if len(problem.objectives) == 1:
        single = values[:, 0].numpy()
        return float(single[good].max() - single[good & old].max())
    reference = _reference(problem.objectives, values)
    return _volume(values[torch.from_numpy(good)], reference) - _volume(values[torch.from_numpy(good & old)], reference)


def _reference(objectives: tuple[Objective, ...], values: Tensor) -> Tensor:
    """The stated worst values that count, else the worst executed ones; as utilities."""
    worst = [
        values[:, i].min() if o.reference is None else utility(o, torch.tensor(o.reference, dtype=values.dtype))
        for i, o in enumerate(objectives)
    ]
    return torch.stack(worst)


def _volume(values: Tensor, reference: Tensor) -> float:
    from botorch.utils.multi_objective.hypervolume import Hypervolume
    from botorch.utils.multi_objective.pareto import is_non_dominated

    return float(Hypervolume(ref_point=reference).compute(values[is_non_dominated(values)]))


def noise(progress: Progress) -> float:
    """One standard deviation of the learned noise of the objective."""
    return _models(progress)[progress.problem.objectives[0].metric].surrogate.noise


def regret(progress: Progress, delta: float) -> float | None:
    """Highest upper bound over the space minus the highest lower bound of the executed points that seem feasible."""
    problem, models = progress.problem, _models(progress)
    points = torch.from_numpy(problem.observations.points)
    with one_thread(), torch.no_grad():
        root = _root_beta(problem, delta)
        good = torch.ones(len(points), dtype=torch.bool)
        for constraint in problem.outcome_constraints:
            good &= feasible(constraint, models[constraint.metric].moments(points)[0])
        if not bool(good.any()):
            return None
        objective = problem.objectives[0]
        mean, std = models[objective.metric].moments(points)
        lowest = _pessimistic(objective, mean, root * std)[good].max()
        upper = _Upper(problem, models, root)
        # points that were executed may hold the optimum too
        everywhere = replace(problem, replicates="auto")
        anchors = promising(problem, models)[:5]
        point = best_candidate(everywhere, upper, anchors, problem.generator(PURPOSE))
        highest = torch.maximum(upper(torch.from_numpy(point[None, :]))[0], upper(points).max())
    return max(float(highest - lowest), 0.0)


def _root_beta(problem: Problem, delta: float) -> float:
    """The factor on standard deviations: GP-UCB's for t observations in d dimensions, beta scaled down by 5."""
    t, d = max(len(problem.observations), 1), len(problem.space.columns)
    return math.sqrt(2.0 * math.log(d * t**2 * math.pi**2 / (6.0 * delta)) / 5.0)


class _Upper:
    """Upper confidence bound of the utility, lowered where no outcome constraint can be kept."""

    def __init__(self, problem: Problem, models: Mapping[str, Model], root: float) -> None:
        self._problem, self._models, self._root = problem, models, root

    def __call__(self, points: Tensor) -> Tensor:
        objective = self._problem.objectives[0]
        model = self._models[objective.metric]
        mean, std = model.moments(points)
        bound = _optimistic(objective, mean, self._root * std)
        for constraint in self._problem.outcome_constraints:
            other = self._models[constraint.metric]
            mean, std = other.moments(points)
            bound = bound - PENALTY * model.width / other.width * _missed(constraint, mean, self._root * std)
        return bound


def _optimistic(objective: Objective, mean: Tensor, spread: Tensor) -> Tensor:
    if objective.goal != "target":
        return utility(objective, mean) + spread
    low, high = objective.window
    return -((low - mean - spread).clamp_min(0.0) + (mean - spread - high).clamp_min(0.0))


def _pessimistic(objective: Objective, mean: Tensor, spread: Tensor) -> Tensor:
    return torch.minimum(utility(objective, mean - spread), utility(objective, mean + spread))


def _missed(constraint: OutcomeConstraint, mean: Tensor, spread: Tensor) -> Tensor:
    """By how much even the optimistic end misses the bounds."""
    missed = torch.zeros_like(mean)
    if constraint.lower is not None:
        missed = missed + (constraint.lower - mean - spread).clamp_min(0.0)
    if constraint.upper is not None:
        missed = missed + (mean - spread - constraint.upper).clamp_min(0.0)
    return missed
