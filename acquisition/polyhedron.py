"""What a gradient-based optimiser must know of a search space: bounds, linear rows, and which columns may move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.layout import Floats


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """``low <= x <= high`` and ``lower <= matrix @ x <= upper`` in native columns, c of them, with k rows.

    It holds the sums of compositions (rows whose ``lower`` and ``upper`` are 1) and all linear constraints. What no
    gradient can change is left out: grids, categories, how many components are present, non-linear constraints. So a
    point is polished with everything else as it is: ``around`` gives the bounds for that.

    Attributes:
        low: (c,) least values, tightened by constraints on single columns.
        high: (c,) greatest values.
        matrix: (k, c).
        lower: (k,), infinite where there is no bound.
        upper: (k,).
        movable: (c,) columns of real numbers that may take more than one value.
        least: (c,) least fraction of a component that is present; ``low`` elsewhere.
        fractions: (c,) columns that are fractions of a composition.
    """

    low: Floats
    high: Floats
    matrix: Floats
    lower: Floats
    upper: Floats
    movable: NDArray[np.bool_]
    least: Floats
    fractions: NDArray[np.bool_]

    def around(self, points: Floats) -> tuple[Floats, Floats]:
        """Bounds (m, c) within which each of the points (m, c) may move while the same components stay present.

        Columns that cannot move, and absent components, are held where they are.
        """
        free = self.movable & ~(self.fractions & (points <= 0.0))
        # a point may lie outside a little, as a measured one does: it must not be made infeasible
        low = np.minimum(np.where(self.fractions, self.least, self.low), points)
        high = np.maximum(self.high, points)
        return np.where(free, low, points), np.where(free, high, points)
