"""Designs that fill a space evenly, around what is already there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.domains import Domain
from acquisition.layout import Floats

_CANDIDATES = 2048
_REFERENCES = 512


def fill(domain: Domain, n: int, rng: np.random.Generator, existing: Floats) -> Floats:
    """Choose n points that, with the existing ones, stand for the whole space.

    Greedy minimisation of the energy distance to the uniform law (support points: Mak and Joseph, Ann. Stat. 46, 2562
    (2018)): each new point is near to the bulk of the space and far from the points before. Distances treat all
    components alike.

    Args:
        domain: the space.
        n: how many.
        rng: decides everything.
        existing: (m, c) points to keep away from; not chosen again while others are left.

    Returns:
        (n, c), all different where the space has so many.
    """
    if n == 0:
        return np.zeros((0, len(domain.layout.names)))
    candidates = _candidates(domain, n + len(existing), rng)
    known = set(domain.layout.keys(existing))
    fresh = np.array([key not in known for key in domain.layout.keys(candidates)], dtype=bool)
    chosen = _greedy(domain, candidates[fresh], existing, n, rng)
    while len(chosen) < n:
        # The space has no more: everything once again.
        chosen = np.concatenate([chosen, _greedy(domain, candidates, existing, n - len(chosen), rng)])
    return chosen


def _candidates(domain: Domain, n: int, rng: np.random.Generator) -> Floats:
    """Different points, at least n of them where there are so many."""
    wanted = max(_CANDIDATES, 4 * n)
    if domain.size is not None and domain.size <= wanted:
        points = domain.points()
        return points[rng.permutation(len(points))]
    found = domain.sample(wanted, rng)
    return found[_first(domain, found)]


def _first(domain: Domain, points: Floats) -> NDArray[np.intp]:
    """Positions of the first of each set of equal points."""
    return np.sort(np.unique(domain.layout.quantise(points), axis=0, return_index=True)[1])


def _greedy(domain: Domain, candidates: Floats, existing: Floats, n: int, rng: np.random.Generator) -> Floats:
    z = domain.metric(candidates)
    reference = z if len(z) <= _REFERENCES else domain.metric(domain.sample(_REFERENCES, rng))
    attraction = np.mean([_distance(z, point) for point in reference], axis=0) if len(z) else np.zeros(0)
    repulsion = np.zeros(len(z))
    for point in domain.metric(existing):
        repulsion += _distance(z, point)
    picks: list[int] = []
    free = np.ones(len(z), dtype=bool)
    for _ in range(min(n, len(z))):
        count = len(existing) + len(picks) + 1
        score = np.where(free, attraction - repulsion / count, np.inf)
        pick = int(score.argmin())
        picks.append(pick)
        free[pick] = False
        repulsion += _distance(z, z[pick])
    return candidates[picks]


def _distance(z: Floats, point: Floats) -> Floats:
    return np.sqrt(((z - point) ** 2).sum(axis=1))
