"""Finds the candidate with the highest score, whatever the space is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.problem import Array, Problem
from acquisition.strategies.candidates import draw, listed

Score = Callable[[Tensor], Tensor]
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
    values_of = _plain(score)
    points = listed(problem)
    if points is not None:
        order = generator.permutation(len(points))  # ties must not favour the first rows of a table
        values = np.concatenate([values_of(points[order[i : i + CHUNK]]) for i in range(0, len(order), CHUNK)])
        return np.asarray(points[order[int(values.argmax())]])
    return _search(problem, values_of, anchors, generator)


def _plain(score: Score) -> Callable[[Array], NDArray[np.float64]]:
    return lambda points: np.asarray(score(torch.from_numpy(points)).numpy())


def _search(
    problem: Problem, score: Callable[[Array], NDArray[np.float64]], anchors: Array, generator: np.random.Generator
) -> Array:
    space = problem.space
    points = draw(problem, DRAWN, generator)
    if len(anchors):
        near = [space.perturb(anchors, scale, generator) for scale in (0.2, 0.05, 0.01) for _ in range(4)]
        points = np.vstack([points, *near])
    values = score(points)
    free = _BestFree(problem)
    free.see(points, values)
    chosen = np.argsort(-values, kind="stable")[:KEPT]
    elite, best = points[chosen], values[chosen]
    rows = np.arange(len(elite))
    for scale in SCALES:
        moved = space.perturb(np.repeat(elite, OFFSPRING, axis=0), float(scale), generator)
        moved_values = score(moved)
        free.see(moved, moved_values)
        by_parent = moved_values.reshape(len(elite), OFFSPRING)
        winner = by_parent.argmax(1)
        better = by_parent[rows, winner] > best
        elite = np.where(better[:, None], moved.reshape(len(elite), OFFSPRING, -1)[rows, winner], elite)
        best = np.where(better, by_parent[rows, winner], best)
    return free.point


class _BestFree:
    """Remembers the best point seen that may still be proposed; others only serve as stepping stones."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._taken = set() if problem.replicates != "none" else set(problem.space.keys(problem.taken))
        self._value = -np.inf
        self.point: Array = problem.taken[:0]

    def see(self, points: Array, values: NDArray[np.float64]) -> None:
        """Look at points (m, c) with scores (m,), best first, until one is free or none can be better."""
        promising = np.flatnonzero(values > self._value)
        for row in promising[np.argsort(-values[promising], kind="stable")]:
            if self._space.keys(points[row : row + 1])[0] not in self._taken:
                self._value, self.point = float(values[row]), np.array(points[row])
                return
