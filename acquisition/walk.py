"""A Markov chain that leaves the uniform law on a constrained set alone, for many chains at once.

Each step is one of: a hit-and-run along a random direction over all continuous coordinates; an exchange between two
fractions; a swap of a present component for an absent one; a fresh draw of one number between the bounds that the
others leave it; a shift of two numbers against each other. All draw from the exact conditional law (Gibbs) or are
symmetric and refused outside the set (Metropolis).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Choice, Interval, Mixture, Whole
from acquisition.layout import Floats
from acquisition.polytope import Polytope

_FLAT = 1e-12
_SLACK = 1e-9

_Move: TypeAlias = Callable[[Floats, NDArray[np.bool_], np.random.Generator], None]


class Walk:
    """Moves of chains within a polytope.

    Chains are rows of x (m, g). Beside x goes a mask (m, g) of the coordinates that are in play: a component that is
    present may come as near to zero as it likes and still counts as present.
    """

    def __init__(self, polytope: Polytope) -> None:
        self._polytope = polytope
        rows = polytope.rows
        self._rows = rows
        self._low, self._high = polytope.low, polytope.high
        self._span = np.maximum(self._high - self._low, 1e-300)
        self._straight = np.zeros(len(self._low), dtype=bool)
        self._solids: list[tuple[int, Mixture]] = []
        self._moves: list[tuple[float, _Move]] = []
        for start, block in zip(polytope.starts, polytope.blocks, strict=True):
            self._add(start, block)
        if self._straight.any():
            self._equalities = self._fixed_sums()
            self._moves.append((1.0 + 0.5 * self._straight.sum(), self._run_straight))
        self._add_pairs()
        weights = np.array([weight for weight, _ in self._moves])
        self._shares = weights / weights.sum()

    def _add(self, start: int, block: object) -> None:
        if isinstance(block, Mixture) and block.units is None:
            self._straight[start : start + block.width] = block.low < block.high
            self._solids.append((start, block))
            self._moves.append((float(block.width), partial(self._exchange, start, block)))
            if block.most < (block.high > 0).sum():
                self._moves.append((float(block.width), partial(self._swap, start, block)))
                self._moves.append((float(block.width), partial(self._replace, start, block)))
        elif isinstance(block, Mixture):
            self._moves.append((2.0 * block.width, partial(self._regrid, start, block)))
        elif isinstance(block, Interval) and block.log:
            self._moves.append((1.0, partial(self._redraw, start, block)))
        elif isinstance(block, Interval):
            self._straight[start] = block.low[0] < block.high[0]
            self._moves.append((1.0, partial(self._redraw, start, block)))
        elif isinstance(block, Whole):
            self._moves.append((1.0, partial(self._redraw, start, block)))
        elif isinstance(block, Choice):
            self._moves.append((1.0, partial(self._rechoose, start, block)))

    def _fixed_sums(self) -> Floats:
        """Rows over the straight coordinates whose values no step may change, scaled to unit range, (q, g)."""
        equal = self._rows.upper - self._rows.lower <= _SLACK * np.abs(self._rows.coefficients).max(axis=1)
        fixed = [row * self._straight for row in self._rows.coefficients[equal]]
        for start, block in self._solids:
            row = np.zeros(len(self._low))
            row[start : start + block.width] = 1.0
            fixed.append(row * self._straight)
        return np.array([row for row in fixed if row.any()]).reshape(-1, len(self._low)) * self._span

    def _add_pairs(self) -> None:
        """Shifts of two numbers against each other, such that one constraint keeps its value."""
        plain = np.zeros(len(self._low), dtype=bool)
        whole = np.zeros(len(self._low), dtype=bool)
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            plain[start] |= isinstance(block, Whole) or (isinstance(block, Interval) and not block.log)
            plain[start] &= not (isinstance(block, Whole) and block.log)
            whole[start] = isinstance(block, Whole)
        for row in self._rows.coefficients:
            columns = np.flatnonzero((row != 0) & plain)
            for i, a in enumerate(columns):
                for b in columns[i + 1 :]:
                    if whole[a] or whole[b]:
                        self._moves.append((0.5, partial(self._shift, int(a), int(b), row, whole)))

    # -- what all moves share --------------------------------------------------------------------------------------

    def _chord(self, x: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """How far each chain can go backward and forward along its direction, (m,) each."""
        value = np.concatenate([x, x @ self._rows.coefficients.T], axis=1)
        slope = np.concatenate([direction, direction @ self._rows.coefficients.T], axis=1)
        low = np.concatenate([self._low, self._rows.lower])
        high = np.concatenate([self._high, self._rows.upper])
        size = np.abs(direction) @ np.abs(self._rows.coefficients).T
        flat = np.abs(slope) <= _FLAT * np.concatenate([np.ones_like(x), np.maximum(size, 1e-300)], axis=1)
        safe = np.where(flat, 1.0, slope)
        to_low, to_high = (low - value) / safe, (high - value) / safe
        back = np.where(flat, -np.inf, np.minimum(to_low, to_high)).max(axis=1)
        forth = np.where(flat, np.inf, np.maximum(to_low, to_high)).min(axis=1)
        back, forth = np.minimum(back, 0.0), np.maximum(forth, 0.0)
        still = ~(np.isfinite(back) & np.isfinite(forth))
        return np.where(still, 0.0, back), np.where(still, 0.0, forth)

    def run(self, x: Floats, steps: int, rng: np.random.Generator) -> Floats:
        """Chains after so many random moves, (m, g)."""
        x = x.copy()
        active = self._activate(x, rng)
        for choice in rng.choice(len(self._moves), size=steps, p=self._shares):
            self._moves[choice][1](x, active, rng)
        for start, block in self._solids:
            part = slice(start, start + block.width)
            x[:, part] = np.where(active[:, part], x[:, part], 0.0)
            x[:, part] /= x[:, part].sum(axis=1, keepdims=True)
        return np.clip(x, self._low, self._high)

    def _activate(self, x: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which coordinates are in play: all, but of continuous compositions only as many as may be present."""
        active = np.ones(x.shape, dtype=bool)
        for start, block in self._solids:
            part = x[:, start : start + block.width]
            rank = np.where(part > 0, 2.0, rng.random(part.shape))
            rank = np.where(block.low > 0, 3.0, np.where(block.high > 0, rank, -1.0))
            order = (-rank).argsort(axis=1).argsort(axis=1)
            active[:, start : start + block.width] = (order < block.most) & (block.high > 0)
        return active

    def local(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A short step along a random straight direction, which keeps every constraint; (m, g)."""
        if not self._straight.any():
            return x.copy()
        active = np.ones(x.shape, dtype=bool)
        for start, block in self._solids:
            active[:, start : start + block.width] = x[:, start : start + block.width] > 0
        direction = self._direction(active, rng)
        back, forth = self._chord(x, direction)
        length = np.abs(direction / self._span).max(axis=1)
        step = scale * rng.standard_normal(len(x)) / np.maximum(length, 1e-300)
        return np.clip(x + np.clip(step, back, forth)[:, None] * direction, self._low, self._high)

    # -- continuous moves ------------------------------------------------------------------------------------------

    def _direction(self, active: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """Random directions that change no fixed sum, (m, g)."""
        free = active & self._straight
        direction = rng.standard_normal(free.shape) * free
        if len(self._equalities):
            basis = self._equalities[None] * free[:, None, :]
            gram = basis @ basis.transpose(0, 2, 1)
            height = basis @ direction[:, :, None]
            direction -= (basis.transpose(0, 2, 1) @ (np.linalg.pinv(gram, hermitian=True) @ height))[:, :, 0]
        return direction * self._span

    def _run_straight(self, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator) -> None:
        direction = self._direction(active, rng)
        back, forth = self._chord(x, direction)
        x += (back + rng.random(len(x)) * (forth - back))[:, None] * direction
        np.clip(x, self._low, self._high, out=x)

    def _exchange(
        self, start: int, block: Mixture, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        """Redraw how two present components share their sum."""
        key = np.where(active[:, start : start + block.width], rng.random((len(x), block.width)), -1.0)
        first, second = start + np.argsort(-key, axis=1)[:, :2].T
        rows = np.arange(len(x))
        direction = np.zeros_like(x)
        direction[rows, first], direction[rows, second] = 1.0, -1.0
        direction[~(active[rows, first] & active[rows, second])] = 0.0
        back, forth = self._chord(x, direction)
        x += (back + rng.random(len(x)) * (forth - back))[:, None] * direction

    def _optional(
        self, start: int, block: Mixture, active: NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """A present component that need not be, an absent one that may be, and where there are both."""
        part = active[:, start : start + block.width]
        out_key = np.where(part & (block.low == 0), rng.random(part.shape), -1.0)
        in_key = np.where(~part & (block.high > 0), rng.random(part.shape), -1.0)
        possible = (out_key.max(axis=1) >= 0) & (in_key.max(axis=1) >= 0)
        return start + out_key.argmax(axis=1), start + in_key.argmax(axis=1), possible

    def _swap(self, start: int, block: Mixture, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Let an absent component take the place of a present one."""
        gone, new, possible = self._optional(start, block, active, rng)
        rows = np.arange(len(x))
        trial = x.copy()
        trial[rows, new], trial[rows, gone] = x[rows, gone], 0.0
        accept = possible & (trial[rows, new] <= self._high[new]) & self._rows.holds(trial)
        self._take(x, active, trial, gone, new, accept)

    def _replace(
        self, start: int, block: Mixture, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        """Redraw a present component's share with a third one, or give its place to an absent one, by their lengths."""
        gone, new, possible = self._optional(start, block, active, rng)
        rows = np.arange(len(x))
        key = np.where(active[:, start : start + block.width], rng.random((len(x), block.width)), -1.0)
        key[rows, gone - start] = -1.0
        third = start + key.argmax(axis=1)
        possible &= key.max(axis=1) >= 0
        base = x.copy()
        base[rows, third] += base[rows, gone]
        base[rows, gone] = 0.0
        bounds = []
        for column in (gone, new):
            direction = np.zeros_like(x)
            direction[rows, column], direction[rows, third] = 1.0, -1.0
            bounds.append((direction, *self._segment(base, direction)))
        (old_way, a0, a1), (new_way, b0, b1) = bounds
        old_length, new_length = np.maximum(a1 - a0, 0.0), np.maximum(b1 - b0, 0.0)
        accept = possible & (rng.random(len(x)) * (old_length + new_length) < new_length)
        u = rng.random(len(x))
        trial = base + (b0 + u * new_length)[:, None] * new_way
        stay = possible & ~accept & (old_length > 0)
        x[stay] = (base + (a0 + u * old_length)[:, None] * old_way)[stay]
        self._take(x, active, trial, gone, new, accept)

    def _segment(self, base: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """The feasible part of a line whose origin need not be feasible; empty (backward above forward) where none."""
        value = np.concatenate([base, base @ self._rows.coefficients.T], axis=1)
        slope = np.concatenate([direction, direction @ self._rows.coefficients.T], axis=1)
        low = np.concatenate([self._low, self._rows.lower])
        high = np.concatenate([self._high, self._rows.upper])
        flat = np.abs(slope) <= _FLAT * np.maximum(np.abs(slope).max(axis=1, keepdims=True), 1e-300)
        safe = np.where(flat, 1.0, slope)
        slack = _SLACK * np.maximum(1.0, np.abs(value))
        broken = (flat & ((value < low - slack) | (value > high + slack))).any(axis=1)
        to_low, to_high = (low - value) / safe, (high - value) / safe
        back = np.where(flat, -np.inf, np.minimum(to_low, to_high)).max(axis=1)
        forth = np.where(flat, np.inf, np.maximum(to_low, to_high)).min(axis=1)
        return np.where(broken, 0.0, back), np.where(broken, -1.0, forth)

    @staticmethod
    def _take(
        x: Floats,
        active: NDArray[np.bool_],
        trial: Floats,
        gone: NDArray[np.intp],
        new: NDArray[np.intp],
        accept: NDArray[np.bool_],
    ) -> None:
        rows = np.flatnonzero(accept)
        x[rows] = trial[rows]
        active[rows, gone[rows]] = False
        active[rows, new[rows]] = True

    # -- moves on grids --------------------------------------------------------------------------------------------

    def _room(self, x: Floats, column: int) -> tuple[Floats, Floats]:
        """Between which values one column may vary while all others stay, (m,) each."""
        direction = np.zeros_like(x)
        direction[:, column] = 1.0
        back, forth = self._chord(x, direction)
        return x[:, column] + back, x[:, column] + forth

    def _redraw(
        self, column: int, block: Interval | Whole, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        low, high = self._room(x, column)
        if isinstance(block, Whole):
            slack = _SLACK * np.maximum(1.0, np.abs(x[:, column]))
            low, high = np.ceil(low - slack), np.floor(high + slack)
        x[:, column] = block.between(low, high, rng)

    def _rechoose(
        self, column: int, block: Choice, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        low, high = self._room(x, column)
        slack = _SLACK * np.maximum(1.0, np.abs(x[:, column]))
        fits = (block.values >= (low - slack)[:, None]) & (block.values <= (high + slack)[:, None])
        x[:, column] = block.values[np.where(fits, rng.random(fits.shape), -1.0).argmax(axis=1)]

    def _regrid(
        self, start: int, block: Mixture, x: Floats, active: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        """Redraw how two components of a composition with a step share their sum."""
        units = block.units or 1
        first, second = start + np.argsort(rng.random((len(x), block.width)), axis=1)[:, :2].T
        rows = np.arange(len(x))
        direction = np.zeros_like(x)
        direction[rows, first], direction[rows, second] = 1.0, -1.0
        back, forth = self._chord(x, direction)
        now = np.rint(x[rows, first] * units)
        total = now + np.rint(x[rows, second] * units)
        low, high = np.ceil(now + back * units - 1e-6), np.floor(now + forth * units + 1e-6)
        present = (x[:, start : start + block.width] > 0).sum(axis=1)
        others = present - (x[rows, first] > 0) - (x[rows, second] > 0)
        value = np.floor(low + rng.random(len(x)) * (high - low + 1))
        # With room for only one of the two, all goes to the one or to the other.
        none_first, none_second = low <= 0, high >= total
        either = np.where(none_first & (~none_second | (rng.random(len(x)) < 0.5)), 0.0, total)
        value = np.where(others + 2 <= block.most, np.clip(value, low, high), either)
        value = np.where(total == 0, 0.0, value)
        x[rows, first], x[rows, second] = value / units, (total - value) / units

    def _shift(
        self,
        a: int,
        b: int,
        row: Floats,
        whole: NDArray[np.bool_],
        x: Floats,
        active: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> None:
        """Move two numbers so that ``row`` keeps its value; whole numbers by whole steps."""
        from fractions import Fraction

        direction = np.zeros_like(x)
        if whole[a] and whole[b]:
            ratio = Fraction(float(row[a] / row[b])).limit_denominator(1000)
            if abs(float(ratio) - row[a] / row[b]) > _SLACK * abs(float(ratio)):
                return
            direction[:, a], direction[:, b] = ratio.denominator, -ratio.numerator
        elif whole[a]:
            direction[:, a], direction[:, b] = 1.0, -row[a] / row[b]
        else:
            direction[:, b], direction[:, a] = 1.0, -row[b] / row[a]
        back, forth = self._chord(x, direction)
        low, high = np.ceil(back - _SLACK), np.floor(forth + _SLACK)
        x += np.floor(low + rng.random(len(x)) * (high - low + 1)).clip(low, high)[:, None] * direction
