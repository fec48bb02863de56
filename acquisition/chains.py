"""The state of many Markov chains, and how far each may go along a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acquisition.layout import Floats
from acquisition.polytope import Polytope

_FLAT = 1e-12
SLACK = 1e-9
"""Relative rounding that constraints forgive."""


@dataclass
class Chains:
    """Chains in a polytope; moves change them in place.

    Attributes:
        polytope: what they live in.
        x: (m, g) their points.
        active: (m, g) coordinates in play; a component that is present may come as near to zero as it likes and still
            counts as present.
        reach: longest step of a line move, relative to the ranges.
    """

    polytope: Polytope
    x: Floats
    active: NDArray[np.bool_]
    reach: float = np.inf

    @property
    def rows(self) -> NDArray[np.intp]:
        """Indices of the chains."""
        return np.arange(len(self.x))

    def pair(self, up: NDArray[np.intp], down: NDArray[np.intp]) -> Floats:
        """Directions that raise one coordinate and lower another, (m, g)."""
        direction = np.zeros_like(self.x)
        direction[self.rows, up] += 1.0
        direction[self.rows, down] -= 1.0
        return direction

    def segment(self, base: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """Between which t ``base + t direction`` is feasible, (m,) each; first above second where it never is.

        The base itself need not be feasible.
        """
        rows = self.polytope.rows
        value = np.concatenate([base, base @ rows.coefficients.T], axis=1)
        slope = np.concatenate([direction, direction @ rows.coefficients.T], axis=1)
        low = np.concatenate([self.polytope.low, rows.lower])
        high = np.concatenate([self.polytope.high, rows.upper])
        size = np.concatenate([np.abs(direction), np.abs(direction) @ np.abs(rows.coefficients).T], axis=1)
        flat = np.abs(slope) <= _FLAT * size
        slack = SLACK * np.maximum(1.0, np.abs(value))
        broken = (flat & ((value < low - slack) | (value > high + slack))).any(axis=1)
        safe = np.where(flat, 1.0, slope)
        to_low, to_high = (low - value) / safe, (high - value) / safe
        back = np.where(flat, -np.inf, np.minimum(to_low, to_high)).max(axis=1)
        forth = np.where(flat, np.inf, np.maximum(to_low, to_high)).min(axis=1)
        still = broken | ~np.isfinite(back) | ~np.isfinite(forth)
        return np.where(still, 0.0, back), np.where(still, -1.0, forth)

    def chord(self, direction: Floats) -> tuple[Floats, Floats]:
        """How far each chain can go backward and forward; zero is always between."""
        back, forth = self.segment(self.x, direction)
        if np.isfinite(self.reach):
            span = np.maximum(self.polytope.high - self.polytope.low, 1e-300)
            longest = self.reach / np.maximum(np.abs(direction / span).max(axis=1), 1e-300)
            back, forth = np.maximum(back, -longest), np.minimum(forth, longest)
        return np.minimum(back, 0.0), np.maximum(forth, 0.0)

    def slide(self, direction: Floats, rng: np.random.Generator) -> None:
        """Go to a uniform point of the chord."""
        back, forth = self.chord(direction)
        self.x += (back + rng.random(len(self.x)) * (forth - back))[:, None] * direction

    def room(self, column: int) -> tuple[Floats, Floats]:
        """Between which values one coordinate may vary while all others stay, (m,) each."""
        direction = np.zeros_like(self.x)
        direction[:, column] = 1.0
        back, forth = self.chord(direction)
        return self.x[:, column] + back, self.x[:, column] + forth

    def jump(self, accept: NDArray[np.bool_], trial: Floats, gone: NDArray[np.intp], new: NDArray[np.intp]) -> None:
        """Accept trial points in which one component has taken another's place."""
        index = np.flatnonzero(accept)
        self.x[index] = trial[index]
        self.active[index, gone[index]] = False
        self.active[index, new[index]] = True
