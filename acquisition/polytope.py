"""The blocks that constraints tie together, seen as one set: numbers, grids and faces between linear bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Block
from acquisition.layout import Floats


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear constraints ``lower <= coefficients @ x <= upper``, k of them, infinite where there is no bound."""

    coefficients: Floats
    lower: Floats
    upper: Floats

    def __len__(self) -> int:
        return len(self.lower)

    def holds(self, x: Floats, tolerance: float = 1e-9) -> NDArray[np.bool_]:
        """Which rows of x meet all constraints, up to a tolerance relative to the size of the terms."""
        value = x @ self.coefficients.T
        slack = tolerance * np.maximum(1e-12, np.abs(x) @ np.abs(self.coefficients).T)
        slack = np.maximum(slack, tolerance * np.abs(self.coefficients).max(axis=1))
        return np.asarray(((value >= self.lower - slack) & (value <= self.upper + slack)).all(axis=1))


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

    @property
    def starts(self) -> list[int]:
        """First column of each block."""
        return [int(i) for i in np.cumsum([0, *(block.width for block in self.blocks)])[:-1]]

    @property
    def low(self) -> Floats:
        """(g,) least values."""
        return np.concatenate([block.low for block in self.blocks])

    @property
    def high(self) -> Floats:
        """(g,) greatest values."""
        return np.concatenate([block.high for block in self.blocks])

    def native(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws that heed no constraint, (n, g)."""
        return np.concatenate([block.sample(n, rng) for block in self.blocks], axis=1)
