"""Uniform draws of compositions whose components are absent, or present with a least fraction at least."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import InfeasibleSpaceError
from acquisition.layout import Floats
from acquisition.volumes import BoxSums

_ROUNDING = 1e-9
_THIN = 1e-7
_TRIES = 1000


class GappedSimplex:
    """Compositions of real fractions, each zero or within its own bounds.

    Without a gap above zero, faces with fewer components are limits of those with more, and nothing is lost by drawing
    from the latter alone. With gaps they are sets of their own. Each choice of present components weighs its volume
    times ``atom`` for each component that is absent: as if absence stood for all the fractions that are left out, since
    ``atom`` is the (largest) least fraction of a present component. With smaller and smaller gaps this becomes the
    uniform law without gaps.

    Args:
        low: (m,) least fractions; above zero means always present.
        high: (m,) greatest fractions.
        least: (m,) least fractions of present components.
        most: at most so many components are present.

    Attributes:
        low: (m,) least fractions: zero, or ``least`` where always present.
        high: (m,) greatest fractions, zero of components that can never be present.
        least: (m,) least fractions of present components.
        atom: what absence weighs against a unit of length.

    Raises:
        InfeasibleSpaceError: no such composition exists.
    """

    count = None

    def __init__(self, low: Floats, high: Floats, least: Floats, most: int) -> None:
        low = np.asarray(low, dtype=float)
        self.least: Floats = np.maximum(low, least)
        self.forced = low > 0
        self.low: Floats = np.where(self.forced, self.least, 0.0)
        high = np.minimum(np.asarray(high, dtype=float), 1.0)
        self.optional = ~self.forced & (high > 0) & (high >= self.least - _ROUNDING)
        self.high: Floats = np.where(self.forced | self.optional, np.maximum(high, self.least), 0.0)
        if np.any(self.forced & (self.least > high + _ROUNDING)) or self.forced.sum() > most:
            raise InfeasibleSpaceError("the bounds leave no composition.", field="bounds")
        self.atom = float(self.least[self.optional].max(initial=0.0))
        counts = list(self._counts(most - int(self.forced.sum())))
        if not counts:
            raise InfeasibleSpaceError(
                "no choice of present components can sum to 1 between their bounds.", field="min_present"
            )
        # sets of single points have no volume: widened by a hair they have, and settling narrows them again
        self._parts = self._volumes(counts, 0.0) or self._volumes(counts, _THIN)
        weights = np.array([weight for weight, _ in self._parts])
        self._shares = weights.cumsum() / weights.sum()

    def _counts(self, most: int) -> Iterator[int]:
        """How many optional components may be present."""
        room, need = 1.0 - math.fsum(self.low), 1.0 - math.fsum(self.high[self.forced])
        # of each count, the sums of least and greatest fractions that no other choice betters in both
        fronts: list[list[tuple[float, float]]] = [[(0.0, 0.0)]] + [[] for _ in range(most)]
        for least, high in zip(self.least[self.optional], self.high[self.optional], strict=True):
            for k in range(most, 0, -1):
                added = [(a + least, b + high) for a, b in fronts[k - 1] if a + least <= room + _ROUNDING]
                fronts[k] = _unbettered(fronts[k] + added)
        for k, front in enumerate(fronts):
            if room >= -_ROUNDING and any(high >= need - _ROUNDING for _, high in front):
                yield k

    def _volumes(self, counts: list[int], widened: float) -> list[tuple[float, BoxSums]]:
        """Draws for each number of present components that has a volume, with the weight of that number."""
        shift = max(float(self.least[self.optional].min(initial=1.0)) - widened, 0.0)
        floor = self.least[self.optional] - shift - widened
        parts = []
        for k in counts:
            total = 1.0 - math.fsum(self.low) - k * shift + widened * int(self.forced.sum())
            if total <= _ROUNDING:
                continue
            caps = self.high - np.where(self.forced, self.least, shift) + 2 * widened
            sums = BoxSums(caps[self.forced], caps[self.optional], k, total, np.maximum(floor, 0.0))
            if (volume := sums.volume()) > 0:
                parts.append((volume * self.atom**-k if self.atom else volume, sums))
        self._shift, self._widened = shift, widened
        return parts

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, m); each sums to 1 and keeps within the bounds."""
        x = np.empty((n, len(self.low)))
        open_ = np.arange(n)
        for _ in range(_TRIES):
            x[open_] = self._draw(len(open_), rng)
            # tabulated volumes are not quite zero in narrow holes between feasible remainders
            open_ = open_[~self._fits(x[open_])]
            if not len(open_):
                return self.settle(x)
        raise InfeasibleSpaceError("compositions within these bounds are too rare to be drawn.", field="min_present")

    def _draw(self, n: int, rng: np.random.Generator) -> Floats:
        x = np.zeros((n, len(self.low)))
        picks = np.minimum(np.searchsorted(self._shares, rng.random(n), side="right"), len(self._parts) - 1)
        for i, (_, sums) in enumerate(self._parts):
            rows = np.flatnonzero(picks == i)
            required, chosen, present = sums.sample(len(rows), rng)
            x[np.ix_(rows, self.forced)] = self.low[self.forced] - self._widened + required
            x[np.ix_(rows, self.optional)] = np.where(present, chosen + self._shift, 0.0)
        return x

    def _fits(self, x: Floats) -> NDArray[np.bool_]:
        slack = _ROUNDING + 2 * self._widened
        inside = (x >= self.least - slack) & (x <= self.high + slack)
        return np.asarray((inside | (~self.forced & (x == 0))).all(axis=1) & (np.abs(x.sum(axis=1) - 1) < _THIN * 10))

    def settle(self, x: Floats) -> Floats:
        """Take what rounding left of the sum where there is room for it."""
        present = x > 0
        x = np.where(present, np.clip(x, self.least, self.high), self.low)
        rows = np.arange(len(x))
        for _ in range(x.shape[1]):
            miss = 1.0 - x.sum(axis=1)
            if not miss.any():
                break
            room = np.where(miss[:, None] > 0, self.high - x, x - self.least) * present
            pick = room.argmax(axis=1)
            moved = np.clip(x[rows, pick] + miss, self.least[pick], self.high[pick])
            x[rows, pick] = np.where(room[rows, pick] > 0, moved, x[rows, pick])  # else what is absent would come in
        return x

    def points(self) -> Floats:
        """Not countable.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a continuous composition has no list of points")


def _unbettered(sums: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Pairs of which no other has both a smaller first and a greater second."""
    kept: list[tuple[float, float]] = []
    for least, high in sorted(sums, key=lambda pair: (pair[0], -pair[1])):
        if not kept or high > kept[-1][1] + 1e-12:
            kept.append((least, high))
    return kept
