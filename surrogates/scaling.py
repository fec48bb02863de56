"""Standardisation of outcomes that survives constant, tiny and huge ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """Outcomes are ``centre + width * standardised``."""

    centre: float
    width: float

    @classmethod
    def of(cls, outcomes: Array) -> Scale:
        """Mean and standard deviation of the outcomes (n,).

        Where all are equal to rounding there is no width to learn: a tenth of their size stands in, or 1 for zeros.
        """
        size = float(np.abs(outcomes).max())
        if size == 0.0:
            return cls(0.0, 1.0)
        relative = outcomes / size  # squares of very large or small numbers overflow otherwise
        centre, width = float(relative.mean()), float(relative.std())
        if width < 1e-14:
            width = 0.1
        # the width of the very smallest numbers must not vanish
        return cls(centre * size, max(width * size, float(np.finfo(np.float64).tiny)))

    def standardise(self, outcomes: Array) -> Array:
        """Outcomes with mean zero and standard deviation one; (n,) to (n,)."""
        return (outcomes - self.centre) / self.width

    def restore(self, standardised: Array) -> Array:
        """The inverse of :meth:`standardise`."""
        return self.centre + self.width * standardised
