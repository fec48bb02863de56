"""Exact uniform draws of compositions: fractions that sum to one, bounded, few of them present.

Both samplers go through the components one by one and ask how much room the remaining ones have: the number of ways
(with a step) or the volume (without) in which components ``j, j + 1, ...`` can make up a remainder ``r`` with ``k`` of
them still allowed. That answers each component's conditional distribution exactly, so that nothing is rejected and the
order of the components does not matter.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import InfeasibleSpaceError
from acquisition.layout import Floats
from acquisition.volumes import BoxSums

_ROUNDING = 1e-9


class LatticeSimplex:
    """Compositions whose fractions are multiples of ``1 / units``.

    Args:
        low: (m,) least fractions; above zero means always present.
        high: (m,) greatest fractions.
        most: at most so many components are present.
        units: number of steps in 1.
        least: (m,) least fractions of present components; ``low`` by default.

    Attributes:
        low: (m,) least fractions on the grid, zero where a component may be absent.
        high: (m,) greatest fractions on the grid.
        least: (m,) least fractions of present components on the grid.

    Raises:
        InfeasibleSpaceError: no such composition exists.
    """

    atom = 0.0

    def __init__(self, low: Floats, high: Floats, most: int, units: int, least: Floats | None = None) -> None:
        self.most = most
        self.units = units
        self.forced = np.ceil(np.asarray(low) * units - _ROUNDING * units) > 0
        floor = np.asarray(low if least is None else np.maximum(low, least))
        self.least_units = np.maximum(np.ceil(floor * units - _ROUNDING * units).astype(int), 1)
        self.most_units = np.floor(np.asarray(high) * units + _ROUNDING * units).astype(int)
        self.most_units = np.where((self.most_units < self.least_units) & ~self.forced, 0, self.most_units)
        self.least: Floats = self.least_units / units
        self.low: Floats = np.where(self.forced, self.least, 0.0)
        self.high: Floats = self.most_units / units
        if np.any(self.forced & (self.least_units > self.most_units)) or self.count == 0:
            raise InfeasibleSpaceError("no composition on the grid of the step meets the bounds.", field="step")

    @cached_property
    def _ways(self) -> list[NDArray[Any]]:
        """Ways[j][r, k]: exact number of ways in which components j.. make r units with at most k present."""
        limit = min(self.most, len(self.low))
        table = np.zeros((self.units + 1, limit + 1), dtype=object)
        table[0, :] = 1
        ways = [table]
        for forced, first, greatest in zip(
            self.forced[::-1], self.least_units[::-1], self.most_units[::-1], strict=True
        ):
            following = ways[-1]
            table = np.zeros_like(following)
            if not forced:
                table += following
            if greatest >= first:
                totals = np.zeros((self.units + 2, limit), dtype=object)
                np.cumsum(following[:, :-1], axis=0, out=totals[1:])
                r = np.arange(self.units + 1)
                table[:, 1:] += totals[np.maximum(r - first + 1, 0)] - totals[np.maximum(r - greatest, 0)]
            ways.append(table)
        return ways[::-1]

    @cached_property
    def count(self) -> int:
        """Exact number of compositions."""
        return int(self._ways[0][self.units, -1])

    @cached_property
    def _scaled(self) -> list[Floats]:
        """The ways as floats, each table relative to its largest entry (only ratios within a table matter)."""
        return [(table / table.max()).astype(float) for table in self._ways]

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniform draws over all compositions, (n, m)."""
        whole = np.zeros((n, len(self.low)), dtype=int)
        left = np.full(n, self.units)
        room = np.full(n, self._ways[0].shape[1] - 1)
        for j in range(len(self.low)):
            uniform = rng.random(n)
            for k in np.unique(room):
                rows = np.flatnonzero(room == k)
                whole[rows, j] = self._draw(j, int(k), left[rows], uniform[rows])
            left -= whole[:, j]
            room -= whole[:, j] > 0
        return whole / self.units

    def _draw(self, j: int, k: int, left: NDArray[np.intp], uniform: Floats) -> NDArray[np.intp]:
        """Units of component j for rows with so many units left and k components still allowed."""
        if k == 0:
            return np.zeros(len(left), dtype=int)
        following = self._scaled[j + 1]
        absent = np.zeros(len(left)) if self.forced[j] else following[left, k]
        totals = np.concatenate([[0.0], np.cumsum(following[:, k - 1])])
        below = totals[np.maximum(left - self.most_units[j], 0)]
        above = totals[np.maximum(left - self.least_units[j] + 1, 0)]
        target = uniform * (absent + np.maximum(above - below, 0.0))
        inside = np.minimum(below + np.maximum(target - absent, 0.0), np.nextafter(above, 0.0))
        rest = np.searchsorted(totals, inside, side="right") - 1
        return np.where(target < absent, 0, left - rest)

    def settle(self, x: Floats) -> Floats:
        """Rows put on the grid."""
        return np.rint(x * self.units) / self.units

    def points(self) -> Floats:
        """Every composition once, in rising order, (count, m)."""
        whole = np.zeros((1, 0), dtype=int)
        left, room = np.array([self.units]), np.array([self._ways[0].shape[1] - 1])
        for j in range(len(self.low)):
            parts = []
            present = range(self.least_units[j], self.most_units[j] + 1)
            for unit in present if self.forced[j] else (0, *present):
                after, spare = left - unit, room - (unit > 0)
                alive = (after >= 0) & (spare >= 0)
                alive[alive] = self._scaled[j + 1][after[alive], spare[alive]] > 0
                parts.append((np.c_[whole[alive], np.full(alive.sum(), unit)], after[alive], spare[alive]))
            whole = np.concatenate([part[0] for part in parts])
            left = np.concatenate([part[1] for part in parts])
            room = np.concatenate([part[2] for part in parts])
        return whole[np.lexsort(whole.T[::-1])] / self.units


class SolidSimplex:
    """Compositions of real fractions: the feasible faces of highest dimension, uniform by their volume.

    Args:
        low: (m,) least fractions; above zero means always present.
        high: (m,) greatest fractions.
        most: at most so many components are present.

    Attributes:
        low: (m,) least fractions.
        high: (m,) greatest fractions.
        least: (m,) the same as ``low``: a present component may have as little as it likes.
        atom: zero, see :class:`acquisition.gapped.GappedSimplex`.

    Raises:
        InfeasibleSpaceError: no such composition exists.
    """

    count = None
    atom = 0.0

    def __init__(self, low: Floats, high: Floats, most: int) -> None:
        self.low: Floats = np.asarray(low, dtype=float)
        self.least = self.low
        self.high: Floats = np.minimum(np.asarray(high, dtype=float), 1.0)
        self.most = most
        self.forced = self.low > 0
        self.optional = ~self.forced & (self.high > 0)
        self.slack = 1.0 - math.fsum(self.low)
        self.choose = int(min(most - self.forced.sum(), self.optional.sum()))
        caps = self.high - self.low
        ranked = np.sort(caps[self.optional])[::-1]
        reach = caps[self.forced].sum() + (ranked[: self.choose].sum() if self.choose > 0 else 0.0)
        if np.any(caps < -_ROUNDING) or self.choose < 0 or self.slack < -_ROUNDING or reach < self.slack - _ROUNDING:
            raise InfeasibleSpaceError("the bounds leave no composition.", field="bounds")
        caps = np.maximum(caps, 0.0)
        corner = reach <= self.slack + _ROUNDING
        self._sums: BoxSums | None = None
        if self.slack > _ROUNDING and not corner:
            self._sums = BoxSums(caps[self.forced], caps[self.optional], self.choose, self.slack)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniform draws, (n, m); each sums to 1 and keeps within the bounds."""
        x = np.tile(self.low, (n, 1))
        if self._sums is not None:
            required, chosen, _ = self._sums.sample(n, rng)
            x[:, self.forced] += required
            x[:, self.optional] += chosen
        elif self.slack > _ROUNDING:
            x = self._corners(n, rng)
        return self.settle(x)

    def _corners(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw where the bounds admit the largest fractions only: which of equal ones are there is left to chance."""
        x = np.tile(np.where(self.forced, self.high, 0.0), (n, 1))
        index = np.flatnonzero(self.optional)
        order = np.argsort(rng.random((n, len(index))), axis=1)
        caps = np.round(self.high[index] / _ROUNDING)
        order = np.take_along_axis(order, np.argsort(-caps[order], axis=1, kind="stable"), axis=1)[:, : self.choose]
        np.put_along_axis(x, index[order], self.high[index[order]], axis=1)
        return x

    def settle(self, x: Floats) -> Floats:
        """Take what rounding left of the sum where there is room for it."""
        x = np.clip(x, self.low, self.high)
        rows = np.arange(len(x))
        for _ in range(2):
            miss = 1.0 - x.sum(axis=1)
            room = np.where(miss[:, None] > 0, self.high - x, x - self.low) * (x > 0)
            pick = room.argmax(axis=1)
            x[rows, pick] = np.clip(x[rows, pick] + miss, self.low[pick], self.high[pick])
        return x

    def points(self) -> Floats:
        """Not countable.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a continuous composition has no list of points")
