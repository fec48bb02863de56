"""The blocks that constraints tie together, seen as one set: numbers, grids and faces between linear bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Block, Mixture
from acquisition.layout import RESOLUTION, Floats

_LOST = 1e-14


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear constraints ``lower <= coefficients @ x <= upper``, k of them, infinite where there is no bound.

    Attributes:
        coefficients: (k, g).
        lower: (k,).
        upper: (k,).
        grains: (k,) what tolerances are relative to: the sum over columns of coefficient times grain.
        sizes: (k,) the largest that the terms can sum to, which sets what arithmetic loses.
    """

    coefficients: Floats
    lower: Floats
    upper: Floats
    grains: Floats
    sizes: Floats

    def __len__(self) -> int:
        return len(self.lower)

    def slack(self, tolerance: float = RESOLUTION) -> Floats:
        """How far each constraint may be missed, (k,)."""
        return tolerance * self.grains + _LOST * self.sizes

    def missed(self, x: Floats, tolerance: float = RESOLUTION) -> NDArray[np.bool_]:
        """Which constraints each row of x misses, (n, k)."""
        value, slack = x @ self.coefficients.T, self.slack(tolerance)
        return np.asarray((value < self.lower - slack) | (value > self.upper + slack))

    def holds(self, x: Floats, tolerance: float = RESOLUTION) -> NDArray[np.bool_]:
        """Which rows of x meet all constraints, (n,)."""
        return np.asarray(~self.missed(x, tolerance).any(axis=1))

    def undecided(self, fixed: Mapping[int, float]) -> tuple[Rows, NDArray[np.bool_]]:
        """The constraints that weigh a column without a given value, and which those are, (k,).

        A value that is there cannot be mended: a constraint on such values alone has nothing left to decide.
        """
        free = [i not in fixed for i in range(self.coefficients.shape[1])]
        there = (self.coefficients[:, free] != 0).any(axis=1)
        return self.part(there, np.arange(len(free))), there

    def holding(self, fixed: Mapping[int, float]) -> Rows:
        """What the undecided constraints ask of the other columns once some have their values."""
        rows, _ = self.undecided(fixed)
        columns = list(fixed)
        done = rows.coefficients[:, columns] @ np.array(list(fixed.values()), dtype=float)
        coefficients = rows.coefficients.copy()
        coefficients[:, columns] = 0.0
        return Rows(coefficients, rows.lower - done, rows.upper - done, rows.grains, rows.sizes)

    def part(self, rows: NDArray[np.bool_], columns: NDArray[np.intp]) -> Rows:
        """Some of the constraints, over the columns that they weigh."""
        coefficients = self.coefficients[np.ix_(rows, columns)]
        return Rows(coefficients, self.lower[rows], self.upper[rows], self.grains[rows], self.sizes[rows])


@dataclass(frozen=True, eq=False)
class Polytope:
    """Blocks side by side, with the constraints between them.

    Attributes:
        blocks: in column order.
        starts: first column of each block.
        rows: constraints over all columns of the blocks.
    """

    blocks: tuple[Block, ...]
    rows: Rows

    @cached_property
    def starts(self) -> list[int]:
        """First column of each block."""
        return [int(i) for i in np.cumsum([0, *(block.width for block in self.blocks)])[:-1]]

    @cached_property
    def low(self) -> Floats:
        """(g,) least values."""
        return np.concatenate([block.low for block in self.blocks])

    @cached_property
    def high(self) -> Floats:
        """(g,) greatest values."""
        return np.concatenate([block.high for block in self.blocks])

    @cached_property
    def least(self) -> Floats:
        """(g,) least values, of components that are present; on grids the same as ``low``."""
        own = [block.simplex.least if isinstance(block, Mixture) and block.real else block.low for block in self.blocks]
        return np.concatenate(own)

    def native(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws that heed no constraint, (n, g)."""
        return np.concatenate([block.sample(n, rng) for block in self.blocks], axis=1)
