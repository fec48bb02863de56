"""Numbers in boxes ``[low, cap]`` that sum to a total, some of the boxes chosen: uniform draws.

With ``V_j^k(r)`` the volume in which items ``j, j + 1, ...`` can make up ``r`` when ``k`` of the optional ones among
them are still to be chosen,

    ``V_j^k(r) = [j optional] V_{j+1}^k(r) + integral_low_j^min(cap_j, r) V_{j+1}^{k'}(r - x) dx``

(``k' = k - 1`` for an optional item, ``k`` for a required one). Items whose bounds do not bind stand last, where
``V = C(free, k) r^(m-1) / (m-1)!`` is known; with two items left the volume is a sum of overlaps of intervals. What is
between is tabulated, each state on a grid of its own reachable remainders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.layout import Floats

_NODES = 1025
_POINT = 1e-12


class _Curve:
    """A piecewise linear, non-negative density, zero outside its grid."""

    def __init__(self, nodes: Floats, values: Floats) -> None:
        self.nodes, self.values = nodes, values
        areas = 0.5 * np.diff(nodes) * (values[1:] + values[:-1])
        self._below = np.concatenate([[0.0], np.cumsum(areas)])
        # Both directions are kept: the difference of two large numbers is no small area.
        self._above = np.concatenate([np.cumsum(areas[::-1])[::-1], [0.0]])

    def __call__(self, r: Floats) -> Floats:
        """Density at r."""
        return np.interp(r, self.nodes, self.values, left=0.0, right=0.0)

    def _partial(self, r: Floats) -> tuple[Floats, Floats]:
        """Areas below and above r."""
        cell = np.clip(np.searchsorted(self.nodes, r, side="right") - 1, 0, len(self.nodes) - 2)
        into, rest = r - self.nodes[cell], self.nodes[cell + 1] - r
        here = self(r)
        below = self._below[cell] + 0.5 * into * (self.values[cell] + here)
        above = self._above[cell + 1] + 0.5 * rest * (self.values[cell + 1] + here)
        return below, above

    def area(self, a: Floats, b: Floats) -> Floats:
        """Area between a and b."""
        a, b = np.clip(a, *self.nodes[[0, -1]]), np.clip(b, *self.nodes[[0, -1]])
        below_a, above_a = self._partial(a)
        below_b, above_b = self._partial(b)
        return np.maximum(np.where(below_b <= above_a, below_b - below_a, above_a - above_b), 0.0)

    def invert(self, a: Floats, b: Floats, uniform: Floats) -> Floats:
        """Where the share ``uniform`` of the area between a and b is reached."""
        a, b = np.clip(a, *self.nodes[[0, -1]]), np.clip(b, *self.nodes[[0, -1]])
        below_a, above_a = self._partial(a)
        below_b, above_b = self._partial(b)
        upward = self._solve(self.nodes, self.values, self._below, below_a + uniform * (below_b - below_a))
        target = above_b + (1 - uniform) * (above_a - above_b)
        downward = -self._solve(-self.nodes[::-1], self.values[::-1], self._above[::-1], target)
        return np.clip(np.where(below_b <= above_a, upward, downward), a, b)

    @staticmethod
    def _solve(nodes: Floats, values: Floats, areas: Floats, target: Floats) -> Floats:
        cell = np.clip(np.searchsorted(areas, target, side="right") - 1, 0, len(nodes) - 2)
        missing = np.maximum(target - areas[cell], 0.0)
        slope = (values[cell + 1] - values[cell]) / (nodes[cell + 1] - nodes[cell])
        root = np.sqrt(np.maximum(values[cell] ** 2 + 2 * slope * missing, 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            step = np.where(missing > 0, 2 * missing / (values[cell] + root), 0.0)
        return nodes[cell] + step


@dataclass(frozen=True)
class _Item:
    low: float
    cap: float
    column: int
    required: bool


class BoxSums:
    """Uniform draws of numbers within boxes that sum to ``total``.

    Args:
        required: (a,) caps of the items that are always chosen.
        optional: (b,) caps of the others.
        choose: how many of the others are chosen.
        total: what all chosen items sum to; without gaps the feasible set must have a volume.
        lows: (b,) least values of the others where they are chosen; zero by default.
    """

    def __init__(
        self, required: Floats, optional: Floats, choose: int, total: float, lows: Floats | None = None
    ) -> None:
        self._shape = (len(required), len(optional))
        self._total = total
        lows = np.zeros(len(optional)) if lows is None else lows
        items = [_Item(0.0, min(cap / total, 1.0), i, True) for i, cap in enumerate(required) if cap > 0]
        items += [
            _Item(low / total, min(cap / total, 1.0), i + len(required), False)
            for i, (low, cap) in enumerate(zip(lows, optional, strict=True))
            if low <= total
        ]
        free = [item for item in items if item.cap >= 1.0 and item.low == 0.0]
        bound = [item for item in items if item not in free]
        self._items = bound + free
        self._bound = len(bound)
        self._choose = choose
        self._free_required = sum(item.required for item in free)
        self._free_optional = len(free) - self._free_required
        self._curves: dict[tuple[int, int], _Curve | None] = {}
        self._tabulate()

    def _left(self, j: int, k: int) -> int:
        """How many items are still to be chosen from j on."""
        return sum(item.required for item in self._items[j:]) + k

    def _range(self, j: int, k: int) -> tuple[float, float]:
        """Least and greatest remainder with which state (j, k) can be met."""

        def reach(items: list[_Item], chosen: int) -> tuple[float, float]:
            caps = sorted((item.cap for item in items if not item.required), reverse=True)
            lows = sorted(item.low for item in items if not item.required)
            if not 0 <= chosen <= len(caps):
                return math.inf, -math.inf
            return sum(lows[:chosen]), sum(item.cap for item in items if item.required) + sum(caps[:chosen])

        least_before, most_before = reach(self._items[:j], self._choose - k)
        least, most = reach(self._items[j:], k)
        return max(0.0, least, 1.0 - most_before), min(1.0, most, 1.0 - least_before)

    def _tabulate(self) -> None:
        for j in range(self._bound, -1, -1):
            for k in range(self._choose + 1):
                self._curves[j, k] = self._curve(j, k)

    def _curve(self, j: int, k: int) -> _Curve | None:
        low, high = self._range(j, k)
        left = self._left(j, k)
        if high <= 0 or low > high or left < 2:
            return None
        if high - low < _POINT:
            # Nothing was chosen before: one remainder only, at the upper end of any grid.
            low = 0.5 * high
        nodes = np.linspace(low, high, _NODES)
        if left == 2:
            return _Curve(nodes, self._overlaps(j, k, nodes)[1].sum(axis=1))
        if j == self._bound:
            ways = math.comb(self._free_optional, k)
            return _Curve(nodes, ways * nodes ** (left - 1) / math.factorial(left - 1)) if ways else None
        item = self._items[j]
        values = np.zeros(_NODES)
        if not item.required and (skipped := self._curves[j + 1, k]) is not None:
            values += skipped(nodes)
        then = k if item.required else k - 1
        if then >= 0 and (taken := self._curves[j + 1, then]) is not None:
            values += taken.area(nodes - item.cap, nodes - item.low)
        return _Curve(nodes, values) if values.any() else None

    def _overlaps(self, j: int, k: int, r: Floats) -> tuple[NDArray[np.intp], Floats]:
        """Pairs that may be the last two, (p, 2), and the lengths that each leaves at remainders r, (n, p)."""
        required = [i for i in range(j, len(self._items)) if self._items[i].required]
        optional = [i for i in range(j, len(self._items)) if not self._items[i].required]
        if k == 0:
            pairs = np.array([required])
        elif k == 1:
            pairs = np.array([(required[0], i) for i in optional]).reshape(-1, 2)
        else:
            first, second = np.triu_indices(len(optional), 1)
            pairs = np.c_[np.array(optional)[first], np.array(optional)[second]]
        low, high = self._between(pairs, r[:, None])
        return pairs, np.maximum(high - low, 0.0)

    def _between(self, pairs: NDArray[np.intp], r: Floats) -> tuple[Floats, Floats]:
        """Between which values the first of two items may be when they make up r."""
        lows, caps = np.array([item.low for item in self._items]), np.array([item.cap for item in self._items])
        first, second = pairs[:, 0], pairs[:, 1]
        return np.maximum(lows[first], r - caps[second]), np.minimum(caps[first], r - lows[second])

    def volume(self) -> float:
        """Volume of all feasible sets of chosen items together; of single points, their number."""
        left = self._left(0, self._choose)
        if left == 0:
            return 0.0
        if left == 1:
            fitting = [item for item in self._items if item.required == (self._choose == 0)]
            return float(sum(item.low <= 1.0 <= item.cap for item in fitting))
        curve = self._curves[0, self._choose]
        return 0.0 if curve is None else float(curve(np.ones(1))[0]) * self._total ** (left - 1)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Uniform draws: required items (n, a), optional ones (n, b), zero where not chosen, and which are chosen."""
        y = np.full((n, sum(self._shape)), -1.0)
        r, k = np.ones(n), np.full(n, self._choose)
        open_ = np.arange(n)
        for j in range(self._bound + 1):
            last = np.array([self._left(j, int(choice)) <= 2 for choice in range(self._choose + 1)])
            done = last[k[open_]]
            self._finish(j, open_[done], r, k, y, rng)
            open_ = open_[~done]
            if j == self._bound or not len(open_):
                break
            self._advance(j, open_, r, k, y, rng)
        self._dirichlet(open_, r, k, y, rng)
        chosen = y >= 0.0
        y = np.where(chosen, y * self._total, 0.0)
        return y[:, : self._shape[0]], y[:, self._shape[0] :], chosen[:, self._shape[0] :]

    def _advance(
        self, j: int, rows: NDArray[np.intp], r: Floats, k: NDArray[np.intp], y: Floats, rng: np.random.Generator
    ) -> None:
        """Draw item j in the given rows."""
        item = self._items[j]
        choice, place = rng.random(len(rows)), rng.random(len(rows))
        for state in np.unique(k[rows]):
            here = k[rows] == state
            index = rows[here]
            then = state if item.required else state - 1
            taken = self._curves[j + 1, then] if then >= 0 else None
            skipped = None if item.required else self._curves[j + 1, state]
            if taken is None:
                continue
            area = taken.area(r[index] - item.cap, r[index] - item.low)
            other = skipped(r[index]) if skipped is not None else np.zeros(len(index))
            take = choice[here] * (area + other) < area
            index = index[take]
            rest = taken.invert(r[index] - item.cap, r[index] - item.low, place[here][take])
            y[index, item.column] = r[index] - rest
            r[index] = rest
            k[index] = then

    def _finish(
        self, j: int, rows: NDArray[np.intp], r: Floats, k: NDArray[np.intp], y: Floats, rng: np.random.Generator
    ) -> None:
        """Share the remainder between the last one or two items."""
        columns = np.array([item.column for item in self._items])
        lows, caps = np.array([item.low for item in self._items]), np.array([item.cap for item in self._items])
        for state in np.unique(k[rows]):
            index = rows[k[rows] == state]
            left = self._left(j, int(state))
            if left == 0:
                continue
            if left == 1:
                candidates = [i for i in range(j, len(self._items)) if self._items[i].required == (state == 0)]
                fits = ((caps[candidates] >= r[index, None]) & (lows[candidates] <= r[index, None])).astype(float)
                pick = np.array(candidates)[_pick(fits, rng)]
                y[index, columns[pick]] = r[index]
                continue
            pairs, lengths = self._overlaps(j, int(state), r[index])
            picked = pairs[_pick(lengths, rng)]
            first, second = picked.T
            low, high = self._between(picked, r[index])
            value = low + rng.random(len(index)) * (high - low)
            y[index, columns[first]] = value
            y[index, columns[second]] = r[index] - value

    def _dirichlet(
        self, rows: NDArray[np.intp], r: Floats, k: NDArray[np.intp], y: Floats, rng: np.random.Generator
    ) -> None:
        """Share the remainder among the free items, any of them chosen with equal probability."""
        free = self._items[self._bound :]
        if not len(rows):
            return
        columns = np.array([item.column for item in free])
        required = np.array([item.required for item in free])
        # Required items rank first, then the optional ones in random order: the first so many are chosen.
        rank = np.where(required, -1.0, rng.random((len(rows), len(free)))).argsort(axis=1).argsort(axis=1)
        parts = rng.standard_exponential((len(rows), len(free)))
        left_out = rank >= (required.sum() + k[rows])[:, None]
        parts[left_out] = 0.0
        shares = parts / parts.sum(axis=1, keepdims=True) * r[rows, None]
        y[rows[:, None], columns] = np.where(left_out, -1.0, shares)


def _pick(weights: Floats, rng: np.random.Generator) -> NDArray[np.intp]:
    """One column index a row, with the probability of the weights."""
    totals = weights.cumsum(axis=1)
    picks: NDArray[np.intp] = (
        (rng.random(len(weights))[:, None] * totals[:, -1:] >= totals).sum(axis=1).clip(max=weights.shape[1] - 1)
    )
    return picks
