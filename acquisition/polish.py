"""Moves good points to the top of the hill that they are on, along the gradient, within all linear constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.layout import Floats
from acquisition.polyhedron import Polyhedron
from acquisition.space import SearchSpace
from surrogates.minimize import minimize_each

ITERATIONS: Final = 10
AT_BOUND: Final = 1e-9
"""Closer to a bound than this share of its range, a column is held there; so is a sum at its limit."""

NEAR_BOUND: Final = 0.01
"""A climb that ends closer than this to a bound or limit was perhaps stopped by it: it goes on along it."""


def polished(space: SearchSpace, score: Callable[[Tensor], Tensor], points: Floats) -> Floats:
    """Points with their continuous columns moved to a nearby maximum of the score; (m, c) to (m, c).

    All points together in one batch of L-BFGS, each in the directions that keep sums and active constraints as they
    are. Categories, grids and columns at a bound stay as they are, and no component comes in that was absent: what
    changes these are the random moves from which the points come. A component may be pressed down to nothing.

    Args:
        space: whose points they are.
        score: native points (m, c) to (m,), differentiable.
        points: (m, c), inside.
    """
    polyhedron = space.polyhedron()
    if not polyhedron.movable.any() or not len(points):
        return points
    climbed = _climbed(space, polyhedron, score, points)
    snapped = _snapped(polyhedron, climbed)
    inside = space.contains(snapped) & (snapped != climbed).any(axis=1)
    if inside.any():
        along = _climbed(space, polyhedron, score, snapped[inside])
        rows = np.flatnonzero(inside)
        better = (score(torch.from_numpy(along)) > score(torch.from_numpy(climbed[rows]))).numpy()
        climbed[rows[better]] = along[better]
    return climbed


def _climbed(space: SearchSpace, polyhedron: Polyhedron, score: Callable[[Tensor], Tensor], points: Floats) -> Floats:
    low, high = polyhedron.around(points)
    span = _span(polyhedron)
    free = (points > low + AT_BOUND * span) & (points < high - AT_BOUND * span)
    basis = torch.from_numpy(_directions(polyhedron, points, free, span))
    start, scale = torch.from_numpy(points), torch.from_numpy(span)
    inside = _inside(polyhedron, low, high)

    def place(u: Tensor, who: Tensor) -> Tensor:
        return start[who] + torch.einsum("mck,mk->mc", basis[who], u) * scale

    def loss(u: Tensor, who: Tensor) -> Tensor:
        x = place(u, who)
        return torch.where(inside(x.detach(), who), -score(x), torch.inf)

    still = torch.zeros(len(points), basis.shape[2], dtype=torch.float64)
    found = minimize_each(loss, still, iterations=ITERATIONS)
    moved = np.clip(place(found.x, torch.arange(len(points))).numpy(), low, high)
    good = space.contains(moved)
    return np.where(good[:, None], moved, points)


def _span(polyhedron: Polyhedron) -> Floats:
    return np.where(polyhedron.high > polyhedron.low, polyhedron.high - polyhedron.low, 1.0)


def _snapped(polyhedron: Polyhedron, points: Floats) -> Floats:
    """Points moved onto the bounds and limits that they are near to, by the shortest way that keeps the sums."""
    low, high = polyhedron.around(points)
    span, moved = _span(polyhedron), points.copy()
    free = polyhedron.movable & (high > low)
    for limit in (low, high):
        moved = np.where(free & (np.abs(moved - limit) < NEAR_BOUND * span), limit, moved)
    matrix, size = polyhedron.matrix, np.abs(polyhedron.matrix) @ span
    held = free & ((moved == low) | (moved == high))
    for point, may in enumerate(free & ~held):
        sums, columns = matrix @ moved[point], np.flatnonzero(may)
        equal = polyhedron.lower == polyhedron.upper
        below = np.abs(sums - polyhedron.lower) <= np.abs(polyhedron.upper - sums)
        limit = np.where(below, polyhedron.lower, polyhedron.upper)
        near = equal | (np.abs(sums - limit) < NEAR_BOUND * size)
        if near.any() and len(columns):
            weighed = matrix[np.ix_(near, columns)] * span[columns]
            moved[point, columns] += span[columns] * (np.linalg.pinv(weighed) @ (limit - sums)[near])
    return moved


def _directions(polyhedron: Polyhedron, points: Floats, free: NDArray[np.bool_], span: Floats) -> Floats:
    """Orthonormal directions (m, c, k), zero-padded, that move free columns and no active row, in units of ``span``."""
    found = []
    sums = points @ polyhedron.matrix.T
    for point, may in enumerate(free):
        columns = np.flatnonzero(may)
        size = np.abs(polyhedron.matrix) @ span + 1e-300
        near = np.minimum(sums[point] - polyhedron.lower, polyhedron.upper - sums[point]) < AT_BOUND * size
        active = polyhedron.matrix[np.ix_(near, columns)] * span[columns]
        active = active[np.abs(active).max(axis=1, initial=0.0) > 0.0]
        if len(active):
            _, values, across = np.linalg.svd(active, full_matrices=True)
            rank = int((values > 1e-10 * values[0]).sum())
            within = across[rank:].T
        else:
            within = np.eye(len(columns))
        whole = np.zeros((len(span), within.shape[1]))
        whole[columns] = within
        found.append(whole)
    most = max(1, *(whole.shape[1] for whole in found)) if found else 1
    return np.stack([np.pad(whole, ((0, 0), (0, most - whole.shape[1]))) for whole in found])


def _inside(polyhedron: Polyhedron, low: Floats, high: Floats) -> Callable[[Tensor, Tensor], Tensor]:
    """Which points keep the bounds of their members (m, c), and the rows, to rounding."""
    least, most = torch.from_numpy(low - 1e-12), torch.from_numpy(high + 1e-12)
    matrix = torch.from_numpy(polyhedron.matrix)
    slack = 1e-9 * (1.0 + np.abs(polyhedron.matrix).sum(axis=1))
    lower, upper = torch.from_numpy(polyhedron.lower - slack), torch.from_numpy(polyhedron.upper + slack)

    def inside(x: Tensor, who: Tensor) -> Tensor:
        sums = x @ matrix.T
        return ((x >= least[who]) & (x <= most[who])).all(1) & ((sums >= lower) & (sums <= upper)).all(1)

    return inside
