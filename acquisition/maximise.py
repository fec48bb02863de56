"""Finds the candidate with the highest score, whatever the space is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from acquisition.problem import Array, Problem, exhausted
from acquisition.strategies.candidates import draw, listed, without_taken

Score = Callable[[Array], NDArray[np.float64]]
"""Maps points (m, c) in native form to scores (m,)."""

CHUNK = 8192
DRAWN = 1024
KEPT = 8
OFFSPRING = 24
SCALES = np.geomspace(0.3, 5e-4, 24)


def best_candidate(problem: Problem, score: Score, anchors: Array, generator: np.random.Generator) -> Array:
    """The point with the highest score among those that may still be proposed; (c,).

    Pools and small finite spaces are searched whole. Elsewhere the best of many uniform draws, and of moves about the
    anchors, are improved by feasible random moves that grow smaller: a local search that treats mixtures, numbers and
    categories alike and never leaves the constraints.

    Args:
        problem: space and points that are taken.
        score: higher is better.
        anchors: (a, c) promising points, such as the best known ones; a may be 0.
        generator: for draws and moves.

    Raises:
        SpaceExhaustedError: a finite space has nothing left.
    """
    points = listed(problem)
    if points is not None:
        order = generator.permutation(len(points))  # ties must not favour the first rows of a table
        values = np.concatenate([score(points[order[i : i + CHUNK]]) for i in range(0, len(order), CHUNK)])
        return np.asarray(points[order[int(values.argmax())]])
    return _search(problem, score, anchors, generator)


def _search(problem: Problem, score: Score, anchors: Array, generator: np.random.Generator) -> Array:
    space = problem.space
    points = draw(problem, DRAWN, generator)
    if len(anchors):
        near = [space.perturb(anchors, scale, generator) for scale in (0.2, 0.05, 0.01) for _ in range(4)]
        points = np.vstack([points, *near])
    values = score(points)
    chosen = np.argsort(-values, kind="stable")[:KEPT]
    elite, best = points[chosen], values[chosen]
    for scale in SCALES:
        moved = space.perturb(np.repeat(elite, OFFSPRING, axis=0), float(scale), generator)
        moved_values = score(moved).reshape(len(elite), OFFSPRING)
        winner = moved_values.argmax(1)
        rows = np.arange(len(elite))
        better = moved_values[rows, winner] > best
        elite = np.where(better[:, None], moved.reshape(len(elite), OFFSPRING, -1)[rows, winner], elite)
        best = np.where(better, moved_values[rows, winner], best)
    order = np.argsort(-best, kind="stable")
    free = without_taken(problem, elite[order])
    if len(free):
        return np.asarray(free[0])
    free = without_taken(problem, points[np.argsort(-values, kind="stable")])
    if not len(free):
        raise exhausted(problem)
    return np.asarray(free[0])
