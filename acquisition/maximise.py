"""Finds the candidate with the highest score, whatever the space is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.polish import polished
from acquisition.problem import Array, Problem
from acquisition.strategies.candidates import MOST_LISTED, draw, free_rows, listed

Score = Callable[[Tensor], Tensor]
"""Maps points (m, c) in native form to scores (m,)."""

CHUNK: Final = 8192
IN_CACHE: Final = 1e6
"""Rows that are scored at once times observations: their covariances are to stay near the processor."""

PAIRS: Final = 6e7
"""Pools are searched whole as long as rows times observations keep below this; beyond, a random part of that size."""
DRAWN: Final = 1024
KEPT: Final = 8
POLISHED: Final = 3
OFFSPRING: Final = 24
SCALES: Final = np.geomspace(0.3, 3e-3, 10)
POOL_SCALES: Final = np.geomspace(1e-4, 1e-6, 6)
"""Share of a large pool that counts as near, in turn."""


@dataclass(frozen=True, eq=False)
class Staged:
    """A score that is costly, with a cheap one that says which candidates deserve it.

    Attributes:
        cheap: the stand-in.
        exact: the score itself.
        keep: so many of the best by the stand-in are looked at.
    """

    cheap: Score
    exact: Score
    keep: int = 512

    def __call__(self, points: Tensor) -> Tensor:
        """The score itself."""
        return self.exact(points)

    def weighed(self, extra: Score) -> Staged:
        """The same with something added to both."""
        return Staged(
            lambda points: self.cheap(points) + extra(points),
            lambda points: self.exact(points) + extra(points),
            self.keep,
        )


def best_candidate(problem: Problem, score: Score, anchors: Array, generator: np.random.Generator) -> Array:
    """The point with the highest score among those that may still be proposed; (c,).

    Pools and small finite spaces are searched whole, unless rows times observations are very many: then the best of a
    random part, and of its neighbours. Elsewhere the best of many uniform draws, and of moves about the anchors, are
    improved by feasible random moves that grow smaller: a search that treats mixtures, numbers and categories alike
    and never leaves the constraints. What is continuous in them is then polished along the gradient.

    Args:
        problem: space and points that are taken.
        score: higher is better; differentiable where the space has continuous columns.
        anchors: (a, c) promising points, such as the best known ones; a may be 0.
        generator: for draws and moves.

    Raises:
        SpaceExhaustedError: a finite space has nothing left.
    """
    array = problem.space.array
    if array is not None:
        rows = free_rows(problem)
        limit = int(max(MOST_LISTED, PAIRS / max(1, len(problem.observations))))
        if len(rows) <= limit:
            return _best_of(array, generator.permutation(rows), score, _chunk(problem))
        some = array[generator.choice(rows, limit, replace=False)]
        return _search(problem, score, some, anchors, POOL_SCALES, generator)
    points = listed(problem)
    if points is not None:
        return _best_of(points, generator.permutation(len(points)), score, _chunk(problem))
    scales = SCALES[::3] if problem.rough else SCALES  # ends where the whole search does, in fewer steps
    return _search(problem, score, draw(problem, DRAWN, generator), anchors, scales, generator)


def _chunk(problem: Problem) -> int:
    return int(min(CHUNK, max(256, IN_CACHE / max(1, len(problem.observations)))))


def _values(score: Score, points: Array, chunk: int) -> Array:
    parts = [score(torch.from_numpy(points[i : i + chunk])).numpy() for i in range(0, len(points), chunk)]
    values: Array = np.concatenate(parts)
    return values


def _best_of(array: Array, rows: NDArray[np.intp], score: Score, chunk: int) -> Array:
    """The best of some rows of a table; their order decides ties, which must not favour the first rows of a table."""
    if isinstance(score, Staged) and len(rows) > score.keep:
        cheap = np.concatenate(
            [score.cheap(torch.from_numpy(array[rows[i : i + chunk]])).numpy() for i in range(0, len(rows), chunk)]
        )
        rows = rows[np.sort(np.argpartition(-cheap, score.keep)[: score.keep])]
    best, value = -1, -np.inf
    for i in range(0, len(rows), chunk):
        values = score(torch.from_numpy(array[rows[i : i + chunk]])).numpy()
        at = int(values.argmax())
        if best < 0 or values[at] > value:
            best, value = int(rows[i + at]), float(values[at])
    return np.array(array[best])


def _search(
    problem: Problem,
    score: Score,
    points: Array,
    anchors: Array,
    scales: NDArray[np.float64],
    generator: np.random.Generator,
) -> Array:
    """The best of points and of random moves from the best of them; where that can be, polished."""
    space = problem.space
    cheap, chunk = score.cheap if isinstance(score, Staged) else score, _chunk(problem)
    if len(anchors):
        near = np.vstack([space.perturb(anchors, scale, generator) for scale in (0.2, 0.05, 0.01) for _ in range(4)])
        # anchors were executed outside, or lie beside what is given: not every step from them leads inside
        points = np.vstack([points, near[space.contains(near)]])
    values = _values(cheap, points, chunk)
    seen = _Seen(problem)
    seen.add(points, values)
    chosen = np.argsort(-values, kind="stable")[:KEPT]
    elite, best = points[chosen], values[chosen]
    rows = np.arange(len(elite))
    for scale in scales:
        moved = space.perturb(np.repeat(elite, OFFSPRING, axis=0), float(scale), generator)
        moved_values = _values(cheap, moved, chunk)
        seen.add(moved, moved_values)
        by_parent = moved_values.reshape(len(elite), OFFSPRING)
        winner = by_parent.argmax(1)
        better = by_parent[rows, winner] > best
        elite = np.where(better[:, None], moved.reshape(len(elite), OFFSPRING, -1)[rows, winner], elite)
        best = np.where(better, by_parent[rows, winner], best)
    if isinstance(score, Staged):
        finalists = np.vstack([elite, seen.best(score.keep)])
        values = _values(score.exact, finalists, chunk)
        seen = _Seen(problem)
        seen.add(finalists, values)
        chosen = np.argsort(-values, kind="stable")[:KEPT]
        elite, best = finalists[chosen], values[chosen]
    if problem.rough:
        return np.asarray(seen.best(1)[0])
    moved = polished(space, score, elite[np.argsort(-best, kind="stable")][:POLISHED])
    seen.add(moved, _values(score, moved, chunk))
    found: Array = seen.best(1)[0]
    return found


class _Seen:
    """Remembers the points that may still be proposed with their values; others only serve as stepping stones."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        self._taken = set() if problem.replicates != "none" else set(problem.space.keys(problem.taken))
        self._points: list[Array] = [problem.taken[:0]]
        self._values: list[Array] = [np.empty(0)]

    def add(self, points: Array, values: Array) -> None:
        """Points (m, c) with values (m,)."""
        self._points.append(points)
        self._values.append(values)

    def best(self, count: int) -> Array:
        """The best free points, each once, the best first; (k, c), k at most ``count``."""
        points, values = np.vstack(self._points), np.concatenate(self._values)
        order = np.argsort(-values, kind="stable")
        kept: list[int] = []
        known = set(self._taken)
        for start in range(0, len(order), 64):  # keys are costly; mostly the first few will do
            part = order[start : start + 64]
            for row, key in zip(part, self._space.keys(points[part]), strict=True):
                if key not in known:
                    known.add(key)
                    kept.append(int(row))
            if len(kept) >= count:
                break
        best: Array = points[kept[:count]]
        return best
