"""Which points a strategy may still choose from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.problem import Array, Problem, exhausted

MOST_LISTED = 20_000
"""Finite spaces up to this size are listed whole; larger ones are searched."""

TRIES = 200


def free_rows(problem: Problem) -> NDArray[np.intp]:
    """Which rows of the problem's pool may still be proposed.

    Raises:
        SpaceExhaustedError: none is left.
    """
    free = np.ones(problem.space.size or 0, dtype=bool)
    if problem.replicates == "none" and len(problem.taken):
        known = problem.space.row_of(problem.taken)
        free[known[known >= 0]] = False
    if not free.any():
        raise exhausted(problem)
    return np.flatnonzero(free)


def listed(problem: Problem) -> Array | None:
    """All points of a pool or small finite space that may still be proposed, (m, c); ``None`` for other spaces.

    Raises:
        SpaceExhaustedError: none is left.
    """
    space = problem.space
    if space.array is not None:
        rows: Array = space.array[free_rows(problem)]
        return rows
    points = space.enumerate(MOST_LISTED)
    if points is None:
        return None
    points = without_taken(problem, points)
    if not len(points):
        raise exhausted(problem)
    return points


def without_taken(problem: Problem, points: Array) -> Array:
    """The points that may still be proposed, each once; (m, c) to (k, c) in the same order."""
    seen = set() if problem.replicates != "none" else set(problem.space.keys(problem.taken))
    keep = []
    for index, key in enumerate(problem.space.keys(points)):
        if key not in seen:
            seen.add(key)
            keep.append(index)
    return points[keep]


def draw(problem: Problem, n: int, generator: np.random.Generator) -> Array:
    """Up to n different points, uniformly from those that may still be proposed; (k, c), k at least 1.

    Raises:
        SpaceExhaustedError: none is left.
    """
    if problem.space.array is not None:
        rows = free_rows(problem)
        drawn: Array = problem.space.array[generator.choice(rows, min(n, len(rows)), replace=False)]
        return drawn
    known = listed(problem)
    if known is not None:
        return known[generator.choice(len(known), min(n, len(known)), replace=False)]
    found = np.empty((0, len(problem.space.columns)))
    for _ in range(TRIES):  # a large finite space may be nearly used up; others give all at the first try
        found = without_taken(problem, np.vstack([found, problem.space.sample(n, generator)]))
        if len(found) >= n:
            break
    if not len(found):
        raise exhausted(problem)
    return found[:n]
