"""Expected hypervolume improvement in closed form over a box decomposition of the non-dominated region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.improvement import TINY, log_gain
from acquisition.objectives import Objective

Boxes = list[tuple[Tensor, Tensor]]
"""For each sample: lower and upper corners (k, objectives) of the boxes, in utilities."""


def boxes(utilities: Tensor, feasible: Tensor, objectives: Sequence[Objective]) -> Boxes:
    """Decompose, sample by sample, what the feasible points do not dominate.

    Args:
        utilities: (samples, b, objectives), more is better.
        feasible: (samples, b).
        objectives: their references, where given, are the worst point that counts; others are inferred a tenth of the
            range of the mean front below its worst point (Ishibuchi et al., Evol. Comput. 26, 411 (2018)).
    """
    from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning

    reference = reference_point(utilities, feasible, objectives)
    result: Boxes = []
    for values, good in zip(utilities, feasible, strict=True):
        above = values[good & (values > reference).all(-1)]
        partitioning = FastNondominatedPartitioning(ref_point=reference, Y=above)
        lower, upper = partitioning.hypercell_bounds
        result.append((lower, upper))
    return result


def reference_point(utilities: Tensor, feasible: Tensor, objectives: Sequence[Objective]) -> Tensor:
    """(objectives,): stated references, else a tenth of the front's range below its worst point."""
    from botorch.utils.multi_objective.pareto import is_non_dominated

    mean = utilities.mean(0)
    likely = feasible.double().mean(0) >= 0.5
    points = mean[likely] if bool(likely.any()) else mean
    front = points[is_non_dominated(points)]
    worst, best = front.amin(0), front.amax(0)
    # a front of one point has no range; that of all points stands in
    span = torch.where(best > worst, best - worst, (mean.amax(0) - mean.amin(0)).clamp_min(TINY))
    inferred = worst - 0.1 * span
    stated = []
    for index, objective in enumerate(objectives):
        if objective.reference is None:
            stated.append(float(inferred[index]))
        elif objective.goal == "target":
            low, high = objective.window
            stated.append(-max(low - objective.reference, objective.reference - high, 0.0))
        else:
            stated.append(objective.reference if objective.goal == "maximize" else -objective.reference)
    return torch.tensor(stated, dtype=utilities.dtype)


def log_hypervolume_gain(
    objectives: Sequence[Objective], given: Mapping[str, tuple[Tensor, Tensor]], cells: Boxes
) -> Tensor:
    """Log of the expected hypervolume improvement.

    The sum over boxes of the product over objectives of the expected side that a point fills (Yang et al., J. Global
    Optim. 75, 3 (2019), with objectives independent given the sample).

    Args:
        objectives: what is good.
        given: by metric, mean (samples, m) and standard deviation (m,) or (samples, m).
        cells: of :func:`boxes`.

    Returns:
        (samples, m).
    """
    lower, upper = _padded(cells)
    volume = torch.ones((), dtype=lower.dtype)
    for index, objective in enumerate(objectives):
        mean, std = given[objective.metric]
        at, spread = mean[:, :, None], (std if std.dim() == 2 else std[None])[:, :, None]
        floor, limit = lower[:, None, :, index], upper[:, None, :, index]
        side = log_gain(objective, at, spread, floor).exp()
        open_ = limit.isinf()
        if not bool(open_.all()):
            beyond = log_gain(objective, at, spread, torch.where(open_, torch.zeros_like(limit), limit)).exp()
            side = side - torch.where(open_, torch.zeros_like(beyond), beyond)
        side = side.clamp_min(0.0)
        volume = volume * side
    return volume.sum(-1).clamp_min(TINY).log()


def _padded(cells: Boxes) -> tuple[Tensor, Tensor]:
    """Lower and upper corners (samples, k, objectives) of all samples; boxes without volume fill up."""
    most = max(len(lower) for lower, _ in cells)

    def filled(corners: Tensor) -> Tensor:
        return torch.cat([corners, corners.new_zeros(most - len(corners), corners.shape[1])])

    return torch.stack([filled(lower) for lower, _ in cells]), torch.stack([filled(upper) for _, upper in cells])


def spanning(utilities: NDArray[np.float64], objectives: Sequence[Objective], most: int) -> list[int]:
    """The points that span a front best: each adds most to the hypervolume of those before it.

    Such a choice has at least 63 % of the hypervolume of the best one of that size, as for all that is monotone and
    submodular (Nemhauser et al., Math. Program. 14, 265 (1978)).

    Args:
        utilities: (n, objectives) of points that do not dominate each other, more is better.
        objectives: give references, see :func:`boxes`.
        most: so many.

    Returns:
        Rows, in the order of the choice.
    """
    from botorch.utils.multi_objective.hypervolume import Hypervolume

    points = torch.from_numpy(np.ascontiguousarray(utilities))
    volume = Hypervolume(ref_point=reference_point(points[None], torch.ones(1, len(points)).bool(), objectives))
    chosen: list[int] = []
    while len(chosen) < min(most, len(points)):
        left = [row for row in range(len(points)) if row not in chosen]
        chosen.append(max(left, key=lambda row: (volume.compute(points[[*chosen, row]]), -row)))
    return chosen
