"""Whether a measured point is worth measuring again: what that tells about where the best is, against a new point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from acquisition.criteria.integrated import measurement_noise
from acquisition.criteria.merit import utilities, within
from acquisition.improvement import utility
from acquisition.problem import Array

if TYPE_CHECKING:
    from acquisition.strategies.model_based import Situation

RIVALS: Final = 24
"""So many of the most promising measured points may be the best."""

LEAST: Final = 1e-3
"""Knowledge worth less than this share of typical differences is no reason to measure again."""

NODES: Final = 128


def worth_again(situation: Situation, point: Array | None) -> Array | None:
    """The measured point (c,) whose repetition is worth more than measuring a new point (c,); ``None``: there is none.

    The worth is the knowledge gradient (Frazier et al., INFORMS J. Comput. 21, 599 (2009)): by how much the expected
    value of the best rises when one more noisy measurement is known, over the promising measured points and the new
    one. The expected improvement cannot tell, since to it a value is known once measured. Without noise a repetition
    tells nothing, and is worth nothing.

    Args:
        situation: of the proposal; problems with several objectives are not repeated.
        point: the best new point; ``None`` where no new one is left.
    """
    problem = situation.problem
    if len(problem.objectives) != 1 or not len(situation.anchors):
        return None
    rivals = _possible(situation)
    rivals = rivals[problem.space.contains(rivals)][:RIVALS]  # others cannot be asked for, whatever was executed
    if not len(rivals):
        return None
    worth = _knowledge_gradient(situation, rivals if point is None else np.vstack([rivals, point]))
    best = int(worth[: len(rivals)].argmax())
    if point is not None and worth[best] <= max(float(worth[-1]), LEAST):
        return None
    return np.array(rivals[best])


def _possible(situation: Situation) -> Array:
    """Anchors that are expected to keep the outcome constraints; all where none is."""
    at = torch.from_numpy(situation.anchors)
    means = {metric: model.moments(at)[0] for metric, model in situation.beliefs.models.items()}
    good = within(situation.problem, means).numpy()
    return situation.anchors[good] if good.any() else situation.anchors


def _knowledge_gradient(situation: Situation, points: Array) -> Array:
    """What one more measurement at each of the points is worth, in units of typical differences; (k,)."""
    problem, objective = situation.problem, situation.problem.objectives[0]
    model, waiting = situation.beliefs.models[objective.metric], situation.waiting
    noise = measurement_noise(problem, situation.beliefs.models, points)[objective.metric]
    whole = np.vstack([points, waiting])
    covariance = model.covariance_with(whole)(torch.from_numpy(whole))
    count = len(points)
    among = covariance[:count, :count]
    if len(waiting):
        pending = covariance[count:, count:]
        lowest = noise + 1e-8 * float(covariance.diagonal().mean())
        factor = torch.linalg.cholesky(pending + lowest * torch.eye(len(pending), dtype=pending.dtype))
        white = torch.linalg.solve_triangular(factor, covariance[count:, :count], upper=False)
        among = among - white.T @ white
    shifts = among / (among.diagonal().clamp_min(0.0) + noise).clamp_min(1e-12).sqrt()  # column j: by measuring at j
    mean = model.moments(torch.from_numpy(points))[0]
    normal = np.sqrt(2.0) * torch.erfinv((2.0 * torch.arange(NODES, dtype=torch.float64) + 1.0) / NODES - 1.0)
    # (points, measured, nodes): means that would be believed
    believed = mean[:, None, None] + model.width * shifts[:, :, None] * normal
    after = utility(objective, believed).amax(0).mean(1)
    now = utilities(problem, {objective.metric: mean}).amax()
    return np.asarray(((after - now) / model.width).numpy())
