"""A Markov chain that leaves the uniform law on a constrained set alone, for many chains at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Choice, Interval, Mixture, Whole
from acquisition.chains import Chains
from acquisition.layout import Floats
from acquisition.moves import Exchange, Line, Move, Pivot, Rechoose, Redraw, Regrid, Replace, Shift, Swap, Toggle
from acquisition.polytope import Polytope


class Walk:
    """Random moves within a polytope, each of which draws from an exact conditional law.

    Continuous coordinates move by hit-and-run and by exchanges of two fractions; what is present changes by swaps; a
    number is drawn anew between the bounds that the others leave it; two numbers shift against each other where a
    constraint would hold each of them. Sets in several pieces that none of these connect are only reached as far as the
    chains start in them.
    """

    def __init__(self, polytope: Polytope) -> None:
        self._polytope = polytope
        self._line = Line(polytope)
        weighted = list(self._block_moves())
        if self._line.straight.any():
            weighted.append((1.0 + 0.5 * self._line.straight.sum(), self._line))
        self._shifts = list(self._pair_moves())
        weighted += [(1.0, shift) for shift in self._shifts]
        self._moves = [move for _, move in weighted]
        weights = np.array([weight for weight, _ in weighted])
        self._shares = weights / weights.sum()

    def _block_moves(self) -> list[tuple[float, Move]]:
        """Moves of single blocks, each with how often it is due."""
        moves: list[tuple[float, Move]] = []
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            if isinstance(block, Mixture) and block.units is not None:
                moves.append((2.0 * block.width, Regrid(start, block)))
            elif isinstance(block, Mixture):
                moves.append((float(block.width), Exchange(start, block)))
                if block.atom:
                    moves.append((2.0 * block.width, Toggle(start, block)))
                if block.selects:
                    moves += [(float(block.width), move) for move in self._newcomers(start, block)]
            elif isinstance(block, Interval | Whole):
                moves.append((1.0, Redraw(start, block)))
            elif isinstance(block, Choice):
                moves.append((1.0, Rechoose(start, block)))
        return moves

    def _newcomers(self, start: int, block: Mixture) -> list[Move]:
        """Moves by which an absent component comes in for a present one."""
        weighed = self._polytope.rows.coefficients[:, start : start + block.width]
        pivots = [Pivot(start, block, row) for row in weighed if np.ptp(row) > 0]
        return [Swap(start, block), Replace(start, block), *pivots]

    def _pair_moves(self) -> list[Shift]:
        """For each constraint, shifts of two of its numbers, one of them whole, that keep its sum."""
        movable: dict[int, bool] = {}
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            if isinstance(block, Interval | Whole) and not block.log:
                movable[start] = isinstance(block, Whole)
        shifts = []
        for row in self._polytope.rows.coefficients:
            columns = [column for column in movable if row[column]]
            for i, a in enumerate(columns):
                for b in columns[i + 1 :]:
                    if movable[a] or movable[b]:
                        first, second = (a, b) if movable[a] else (b, a)
                        shift = Shift.between(first, second, row, movable[first] and movable[second])
                        shifts += [shift] if shift is not None else []
        return shifts

    def run(self, x: Floats, steps: int, rng: np.random.Generator) -> Floats:
        """Chains after so many random moves, (m, g)."""
        chains = self.start(x, rng)
        for choice in rng.choice(len(self._moves), size=steps, p=self._shares):
            self._moves[choice](chains, rng)
        return self.points(chains)

    def start(self, x: Floats, rng: np.random.Generator) -> Chains:
        """Chains at given points, (m, g)."""
        return Chains(self._polytope, x.copy(), self._active(x, rng))

    def step(self, chains: Chains, rng: np.random.Generator) -> None:
        """One random move of all chains; half of the moves along lines are short ones, of all lengths."""
        move = self._moves[rng.choice(len(self._moves), p=self._shares)]
        if isinstance(move, Line | Exchange) and rng.random() < 0.5:
            chains.reach, chains.even = float(10.0 ** rng.uniform(-3.0, -0.3)), True
        move(chains, rng)
        chains.reach, chains.even = np.inf, False

    def points(self, chains: Chains) -> Floats:
        """Where chains are, with what rounding left taken out, (m, g)."""
        return self._settled(np.where(chains.active, chains.x, 0.0))

    def local(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A short step along a direction that keeps every constraint, (m, g)."""
        present = self._active(x, rng) & (x > 0)
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            if not isinstance(block, Mixture):
                present[:, start : start + block.width] = True
        chains = Chains(self._polytope, x.copy(), present, reach=scale)
        movers: list[Move] = [*self._shifts, *([self._line] if self._line.straight.any() else [])]
        if movers:
            movers[rng.integers(len(movers))](chains, rng)
        return self._settled(chains.x)

    def _active(self, x: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which coordinates are in play: all, but of continuous compositions only as many as may be present."""
        active = np.ones(x.shape, dtype=bool)
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            if isinstance(block, Mixture) and block.units is None:
                part = x[:, start : start + block.width]
                rank = np.where(part > 0, 2.0, rng.random(part.shape))
                rank = np.where(block.low > 0, 3.0, np.where(block.high > 0, rank, -1.0))
                order = (-rank).argsort(axis=1).argsort(axis=1)
                there = (order < block.most) & (block.high > 0)
                # with a least fraction a component is present or not, there is no third
                active[:, start : start + block.width] = part > 0 if block.atom else there
        return active

    def _settled(self, x: Floats) -> Floats:
        """Points with what rounding left taken out of them."""
        x = np.clip(x, self._polytope.low, self._polytope.high)
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            part = slice(start, start + block.width)
            if isinstance(block, Mixture):
                x[:, part] = block.settle(x[:, part])
            elif isinstance(block, Whole):
                x[:, part] = np.rint(x[:, part])
        return x
