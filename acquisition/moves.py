"""The moves of the Markov chains: each leaves the uniform law on a polytope as it is.

Moves draw from the exact law of some coordinates given all others (Gibbs), or propose symmetrically and refuse what
lies outside (Metropolis).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Choice, Interval, Mixture, Whole, choose
from acquisition.chains import SLACK, Chains, Way
from acquisition.layout import Floats
from acquisition.polytope import Polytope

_LOST = 1e-14


class Move(Protocol):
    """One random step of all chains, in place."""

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""


class Line:
    """Hit-and-run over all continuous coordinates on a linear scale, along directions that change no fixed sum.

    Attributes:
        straight: (g,) the coordinates.
    """

    def __init__(self, polytope: Polytope) -> None:
        rows = polytope.rows
        self.straight = np.zeros(len(polytope.low), dtype=bool)
        fixed: list[Floats] = []
        for start, block in zip(polytope.starts, polytope.blocks, strict=True):
            if isinstance(block, Mixture) and block.units is None:
                self.straight[start : start + block.width] = block.low < block.high
                fixed.append(np.zeros(len(polytope.low)))
                fixed[-1][start : start + block.width] = 1.0
            elif isinstance(block, Interval) and not block.log:
                self.straight[start] = block.low[0] < block.high[0]
        if len(rows):
            fixed += list(rows.coefficients[rows.upper - rows.lower <= 2 * rows.slack()])
        self._span = np.maximum(polytope.high - polytope.low, 1e-300)
        kept = [row * self.straight * self._span for row in fixed]
        self._fixed = np.array([row / np.abs(row).max() for row in kept if row.any()]).reshape(-1, len(self._span))

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        free = chains.active & self.straight
        direction = rng.standard_normal(free.shape) * free
        if len(self._fixed):
            basis = self._fixed[None] * free[:, None, :]
            across = basis.transpose(0, 2, 1)
            heights = np.linalg.pinv(basis @ across, hermitian=True) @ (basis @ direction[:, :, None])
            direction -= (across @ heights)[:, :, 0]
        direction[np.abs(direction) < 1e-12] = 0.0
        columns = np.broadcast_to(np.arange(free.shape[1]), free.shape)
        chains.slide(Way(columns, direction * self._span), rng)


@dataclass(frozen=True)
class Exchange:
    """Draw anew how two present components of a continuous composition share their sum."""

    start: int
    block: Mixture

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        active = chains.active[:, self.start : self.start + self.block.width]
        first, second = self.start + _two(active, rng)
        way = chains.pair(first, second)
        way.slopes[~(chains.active[chains.rows, first] & chains.active[chains.rows, second])] = 0.0
        chains.slide(way, rng)


@dataclass(frozen=True)
class Swap:
    """Let an absent component take over the fraction of a present one."""

    start: int
    block: Mixture

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        gone, new, possible = _newcomer(self, chains, rng)
        trial = chains.x.copy()
        trial[chains.rows, new] = chains.x[chains.rows, gone]
        trial[chains.rows, gone] = np.where(new == gone, trial[chains.rows, gone], 0.0)
        value = trial[chains.rows, new]
        fits = (value <= chains.polytope.high[new]) & (value >= chains.polytope.least[new])
        chains.jump(possible & fits & chains.polytope.rows.holds(trial), trial, gone, new)


@dataclass(frozen=True)
class Replace:
    """Draw anew how a present component and a third share their sum, or give the first one's place to an absent one.

    A uniform draw from the two segments together.
    """

    start: int
    block: Mixture

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        gone, new, possible = _newcomer(self, chains, rng)
        others = chains.active[:, self.start : self.start + self.block.width].copy()
        others[chains.rows, gone - self.start] = False
        third = self.start + choose(others, rng)
        base = chains.x.copy()
        base[chains.rows, third] += base[chains.rows, gone]
        base[chains.rows, gone] = 0.0
        ways = chains.pair(gone, third), chains.pair(new, third)
        _replace(chains, base, ways, possible & others.any(axis=1), rng)


@dataclass(frozen=True)
class Pivot:
    """Like ``Replace``, with two others making up for the sum and for one constraint, which keep their values.

    The two are the same on either segment, and so is the factor by which the fraction of the first measures volume.

    Attributes:
        row: (width,) coefficients of the constraint.
    """

    start: int
    block: Mixture
    row: Floats

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        gone, new, possible = _newcomer(self, chains, rng)
        others = chains.active[:, self.start : self.start + self.block.width].copy()
        others[chains.rows, gone - self.start] = False
        third, fourth = _two(others, rng)
        gap = self.row[fourth] - self.row[third]
        possible &= (others.sum(axis=1) >= 2) & (np.abs(gap) > 1e-9 * np.abs(self.row).max())
        gap = np.where(possible, gap, 1.0)
        ways = []
        for first in (gone, new):
            weight = self.row[first - self.start]
            slopes = np.stack(
                [np.ones_like(gap), (weight - self.row[fourth]) / gap, (self.row[third] - weight) / gap], axis=1
            )
            ways.append(Way(np.stack([first, self.start + third, self.start + fourth], axis=1), slopes))
        base = ways[0].added(chains.x, -chains.x[chains.rows, gone])
        base[chains.rows, gone] = 0.0
        _replace(chains, base, (ways[0], ways[1]), possible, rng)


@dataclass(frozen=True)
class Regrid:
    """Draw anew how two components of a composition with a step share their sum."""

    start: int
    block: Mixture

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        units = self.block.units or 1
        x, rows = chains.x, chains.rows
        part = x[:, self.start : self.start + self.block.width]
        first, second = _two(np.ones(part.shape, dtype=bool), rng)
        low, high = np.rint(self.block.least * units), np.rint(self.block.high * units)
        back, forth = chains.chord(chains.pair(self.start + first, self.start + second))
        now = np.rint(part[rows, first] * units)
        total = now + np.rint(part[rows, second] * units)
        from_, to = np.ceil(now + back * units - 1e-6), np.floor(now + forth * units + 1e-6)
        others = (part > 0).sum(axis=1) - (part[rows, first] > 0) - (part[rows, second] > 0)
        # One of the two may be absent, or both are present: every way counts the same.
        a, b = np.maximum(from_, np.maximum(low[first], total - high[second])), np.minimum(to, total - low[second])
        b = np.minimum(b, high[first])
        both = np.where(others + 2 <= self.block.most, np.maximum(b - a + 1, 0.0), 0.0)
        without_first = self._alone(second, first, total) & (from_ <= 0)
        without_second = self._alone(first, second, total) & (to >= total) & (total > 0)
        pick = np.floor(rng.random(len(rows)) * (both + without_first + without_second))
        value = np.where(pick < both, a + pick, np.where((pick < both + without_first) & without_first, 0.0, total))
        value = np.where(both + without_first + without_second > 0, value, now)
        part[rows, first], part[rows, second] = value / units, (total - value) / units

    def _alone(self, there: NDArray[np.intp], gone: NDArray[np.intp], total: Floats) -> NDArray[np.bool_]:
        """Whether one component may have the whole sum while the other is absent."""
        units = self.block.units or 1
        low, high = np.rint(self.block.least * units), np.rint(self.block.high * units)
        optional = self.block.low == 0
        holds = (total >= low[there]) & (total <= high[there]) | ((total == 0) & optional[there])
        return np.asarray(optional[gone] & holds)


@dataclass(frozen=True)
class Toggle:
    """Draw anew how two components share their sum, where one of them may be absent, and which of them is.

    The exact law given all others: absence weighs ``atom`` against a unit of length (see
    :class:`acquisition.gapped.GappedSimplex`).
    """

    start: int
    block: Mixture

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        rows, block = chains.rows, self.block
        active = chains.active[:, self.start : self.start + block.width]
        first, second = _two(np.tile(block.high > 0, (len(rows), 1)), rng)
        a, b = self.start + first, self.start + second
        present = active[rows, first] | active[rows, second]
        others = active.sum(axis=1) - active[rows, first] - active[rows, second]
        total = chains.x[rows, a] + chains.x[rows, b]
        base = chains.x.copy()
        base[rows, a], base[rows, b] = 0.0, total
        way = chains.pair(a, b)
        from_, to = chains.segment(base, way)
        length = np.where(present & (others + 2 <= block.most), np.maximum(to - from_, 0.0), 0.0)
        swapped = base.copy()
        swapped[rows, a], swapped[rows, b] = total, 0.0
        without_a = present & self._alone(second, first, total) & chains.polytope.rows.holds(base)
        without_b = present & self._alone(first, second, total) & chains.polytope.rows.holds(swapped)
        weight = length + block.atom * without_a + block.atom * without_b
        choice, place = rng.random(len(rows)) * weight, rng.random(len(rows))
        both = (choice < length) & (length > 0)
        only_a = ~both & without_b & ((choice >= length + block.atom * without_a) | ~without_a)
        only_b = ~both & ~only_a & without_a
        moved = way.added(base, from_ + place * length)
        for taken, points in ((both, moved), (only_a, swapped), (only_b, base)):
            chains.x[taken] = points[taken]
        changed = np.flatnonzero(both | only_a | only_b)
        chains.active[changed, a[changed]] = (both | only_a)[changed]
        chains.active[changed, b[changed]] = (both | only_b)[changed]

    def _alone(self, there: NDArray[np.intp], gone: NDArray[np.intp], total: Floats) -> NDArray[np.bool_]:
        """Whether one component may have the whole sum while the other is absent."""
        block = self.block
        fits = (total >= block.least[there]) & (total <= block.high[there])
        return np.asarray((block.low[gone] == 0) & fits)


@dataclass(frozen=True)
class Redraw:
    """Draw a number anew between the bounds that all others leave it."""

    column: int
    block: Interval | Whole

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        low, high = chains.room(self.column)
        if isinstance(self.block, Whole):
            slack = SLACK + _LOST * np.abs(chains.x[:, self.column])
            low, high = np.ceil(low - slack), np.floor(high + slack)
        chains.x[:, self.column] = self.block.between(low, high, rng)


@dataclass(frozen=True)
class Rechoose:
    """Draw a discrete value anew among those that all others leave it."""

    column: int
    block: Choice

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        low, high = chains.room(self.column)
        values = self.block.values
        slack = SLACK * np.diff(values, append=np.inf).min() + _LOST * np.abs(chains.x[:, self.column])
        fits = (values >= (low - slack)[:, None]) & (values <= (high + slack)[:, None])
        chains.x[:, self.column] = values[choose(fits, rng)]


@dataclass(frozen=True)
class Shift:
    """Move two numbers against each other such that a constraint keeps its sum, by whole multiples of a step.

    Attributes:
        first, second: their columns; the first is a whole number.
        up, down: by how much one multiple raises the first and lowers the second.
    """

    first: int
    second: int
    up: float
    down: float

    @classmethod
    def between(cls, first: int, second: int, row: Floats, both_whole: bool) -> Shift | None:
        """The smallest such step, or None where two whole numbers have none of a sensible size."""
        ratio = float(row[first] / row[second])
        if not both_whole:
            return cls(first, second, 1.0, ratio)
        exact = Fraction(ratio).limit_denominator(1000)
        if abs(float(exact) - ratio) > SLACK * abs(ratio):
            return None
        return cls(first, second, float(exact.denominator), float(exact.numerator))

    def __call__(self, chains: Chains, rng: np.random.Generator) -> None:
        """Move all chains once."""
        count = len(chains.x)
        way = chains.pair(np.full(count, self.first), np.full(count, self.second), self.up, self.down)
        back, forth = chains.chord(way)
        low, high = np.ceil(back - SLACK), np.floor(forth + SLACK)
        chains.x = way.added(chains.x, np.clip(np.floor(low + rng.random(count) * (high - low + 1)), low, high))


def _two(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """Two different random true columns of each row, (2, m); others where there are fewer."""
    key = np.where(mask, rng.random(mask.shape), -1.0)
    return np.asarray(np.argpartition(-key, 1, axis=1)[:, :2].T)


def _newcomer(
    move: Swap | Replace | Pivot, chains: Chains, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """A present component that need not be, an absent one that may be, and in which chains there are both."""
    block = move.block
    part = chains.active[:, move.start : move.start + block.width]
    leaving, coming = part & (block.low == 0), ~part & (block.high > 0)
    possible = leaving.any(axis=1) & coming.any(axis=1)
    return move.start + choose(leaving, rng), move.start + choose(coming, rng), possible


def _replace(
    chains: Chains, base: Floats, ways: tuple[Way, Way], possible: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Draw from two segments that start where the component that may leave is zero, and take the point drawn.

    The first coordinate of the first way is the component that may leave, that of the second way the one that may come;
    both change it at unit speed, so that lengths compare.
    """
    (old_from, old_to), (new_from, new_to) = (chains.segment(base, way) for way in ways)
    old_length, new_length = np.maximum(old_to - old_from, 0.0), np.maximum(new_to - new_from, 0.0)
    place, choice = rng.random(len(base)), rng.random(len(base))
    accept = possible & (choice * (old_length + new_length) < new_length)
    stay = possible & ~accept & (old_length > 0)
    chains.x[stay] = ways[0].added(base, old_from + place * old_length)[stay]
    trial = ways[1].added(base, new_from + place * new_length)
    chains.jump(accept, trial, ways[0].columns[:, 0], ways[1].columns[:, 0])
