"""Designs that fill a space evenly, around what is already there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from acquisition.domains import Domain
from acquisition.layout import Floats
from acquisition.parameters import Composition

if TYPE_CHECKING:
    from acquisition.space import SearchSpace

_CANDIDATES = 2048
_REFERENCES = 1024
_MARGINS = 0.5
_SWEEPS = 3
_SWEPT = 256
_ROWS = 128
"""Distances are worked out for so many candidates at a time, which a processor's cache holds."""


def fill(domain: Domain, n: int, rng: np.random.Generator, existing: Floats) -> Floats:
    """Choose n points that, with the existing ones, stand for the whole space.

    Minimises the energy distance to the uniform law over random candidates (support points: Mak and Joseph, Ann. Stat.
    46, 2562 (2018)), one point after the other and then each anew: a point should be near to the bulk of the space and
    far from the other points. Half of the distance in single coordinates is added to the Euclidean one, which spreads
    the margins too: in boxes of 2 to 6 dimensions and for up to 20 points the centred discrepancy is that of scrambled
    Sobol sequences and the mean gap is smaller; and in any space all components are treated alike.

    Args:
        domain: the space.
        n: how many.
        rng: decides everything.
        existing: (m, c) points to keep away from; not chosen again while others are left.

    Returns:
        (n, c), all different where the space has so many.
    """
    candidates = _candidates(domain, n, len(existing), rng)
    known = set(domain.layout.keys(existing))
    fresh = np.array([key not in known for key in domain.layout.keys(candidates)], dtype=bool)
    chosen = _choose(domain, candidates[fresh], existing, n)
    while len(chosen) < n:
        # The space has no more: everything once again.
        around = np.concatenate([existing, chosen])
        chosen = np.concatenate([chosen, _choose(domain, candidates, around, n - len(chosen))])
    return chosen


def _candidates(domain: Domain, n: int, existing: int, rng: np.random.Generator) -> Floats:
    """Different points in random order, at least n of them that do not exist yet where there are so many."""
    if domain.size is not None and domain.size <= max(_CANDIDATES, 4 * (n + existing)):
        points = domain.points()
        return points[rng.permutation(len(points))]
    # a quarter of the space at most is there already: most of what is drawn is new
    found = domain.sample(max(_CANDIDATES, 4 * n), rng)
    return found[domain.layout.first(found)]


class _Repulsion:
    """Distances of all candidates to chosen points."""

    def __init__(self, z: Floats) -> None:
        self._z = z
        self.total = np.zeros(len(z))

    def of(self, point: Floats) -> Floats:
        """Distance of each candidate to one point."""
        gap = self._z - point
        lengths: Floats = np.sqrt((gap**2).sum(axis=1)) + _MARGINS * np.abs(gap).sum(axis=1)
        return lengths


def _choose(domain: Domain, candidates: Floats, existing: Floats, n: int) -> Floats:
    """Up to n different candidates."""
    if not n or not len(candidates):
        return candidates[:0]
    z = domain.metric(candidates)
    repulsion = _Repulsion(z)
    attraction = _mean_distance(z, z[:_REFERENCES])
    if len(existing):
        repulsion.total += len(existing) * _mean_distance(z, domain.metric(existing))
    taken = np.zeros(len(z), dtype=bool)
    picks: list[int] = []

    def best(others: int) -> int:
        return int(np.where(taken, np.inf, attraction - repulsion.total / (others + 1)).argmin())

    for i in range(min(n, len(z))):
        picks.append(best(len(existing) + i))
        taken[picks[-1]] = True
        repulsion.total += repulsion.of(z[picks[-1]])
    for i in [*range(len(picks))] * (_SWEEPS if len(picks) <= _SWEPT else 0):
        taken[picks[i]] = False
        repulsion.total -= repulsion.of(z[picks[i]])
        picks[i] = best(len(existing) + len(picks) - 1)
        taken[picks[i]] = True
        repulsion.total += repulsion.of(z[picks[i]])
    return candidates[picks]


def _mean_distance(z: Floats, reference: Floats) -> Floats:
    """Mean distance of each row of z to all rows of the reference, (n,)."""
    lengths = (reference**2).sum(axis=1)
    total: Floats = np.empty(len(z))
    for start in range(0, len(z), _ROWS):
        rows = z[start : start + _ROWS]
        squared = rows @ (-2.0 * reference.T)
        squared += lengths
        squared += (rows**2).sum(axis=1)[:, None]
        np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
        total[start : start + _ROWS] = squared.mean(axis=1)
    count = len(reference)
    for x, r in zip(z.T, np.sort(reference, axis=0).T, strict=True):
        # With r sorted, the mean of |x - r| follows from how many of them are below x and what those sum to.
        below = np.searchsorted(r, x)
        sums = np.concatenate([[0.0], np.cumsum(r)])
        total += _MARGINS * ((2 * below - count) * x + sums[-1] - 2 * sums[below]) / count
    return total


FEWEST, MOST = 4, 10


def usual_initial(space: SearchSpace, conditions: int | None = None) -> int:
    """How many experiments are to come before a model takes over, where nobody says.

    One for each number that can be chosen freely, but 4 at least and 10 at most: fewer leave more of the budget to the
    model, which was found to pay. 10 for pools, where they are drawn at random, and fewer were found to cost more
    later.

    Args:
        space: where to look.
        conditions: experiments on each sample; then the preparation counts, in samples.
    """
    if space.pool is not None:
        number = MOST
    else:
        chosen = [p for p in space.parameters if conditions is None or p.stage == "preparation"]
        free = sum(len(p.columns) - isinstance(p, Composition) for p in chosen)
        number = min(max(free, FEWEST), MOST)
    return number * (conditions or 1)
