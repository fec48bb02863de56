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


@dataclass(frozen=True, eq=False)
class Way:
    """A direction for each chain, by the coordinates that it changes and how fast; all (m, s)."""

    columns: NDArray[np.intp]
    slopes: Floats

    def added(self, base: Floats, t: Floats) -> Floats:
        """Points t along the way from base, (m, g)."""
        moved = base.copy()
        rows = np.arange(len(base))[:, None]
        moved[rows, self.columns] += t[:, None] * self.slopes
        return moved


@dataclass
class Chains:
    """Chains in a polytope; moves change them in place.

    Attributes:
        polytope: what they live in.
        x: (m, g) their points.
        active: (m, g) coordinates in play; a component that is present may come as near to zero as its least fraction
            admits and still counts as present.
        reach: longest step of a line move, relative to the ranges.
        even: whether a step of limited reach is as likely as the one back, so that the uniform law stays as it is:
            steps that would end outside are not taken then, instead of ending before.
    """

    polytope: Polytope
    x: Floats
    active: NDArray[np.bool_]
    reach: float = np.inf
    even: bool = False

    @property
    def rows(self) -> NDArray[np.intp]:
        """Indices of the chains."""
        return np.arange(len(self.x))

    def pair(self, up: NDArray[np.intp], down: NDArray[np.intp], rise: float = 1.0, fall: float = 1.0) -> Way:
        """Raise one coordinate and lower another (of another column)."""
        return Way(np.stack([up, down], axis=1), np.tile([rise, -fall], (len(up), 1)))

    def segment(self, base: Floats, way: Way) -> tuple[Floats, Floats]:
        """Between which t ``base + t direction`` is feasible, (m,) each; first above second where it never is.

        The base itself need not be feasible, but in the coordinates that do not change.
        """
        polytope, rows = self.polytope, self.polytope.rows
        weights = rows.coefficients.T[way.columns]
        steps = way.slopes[:, :, None] * weights
        slope = np.concatenate([way.slopes, steps.sum(axis=1)], axis=1)
        size = np.concatenate([np.abs(way.slopes), np.abs(steps).sum(axis=1)], axis=1)
        value = np.concatenate([np.take_along_axis(base, way.columns, axis=1), base @ rows.coefficients.T], axis=1)
        floor = np.broadcast_to(rows.lower, (len(base), len(rows)))
        roof = np.broadcast_to(rows.upper, (len(base), len(rows)))
        # a component that is absent, and stays so, is where it should be
        in_play = np.take_along_axis(self.active, way.columns, axis=1) | (way.slopes != 0)
        bottom = np.where(in_play, polytope.least[way.columns], polytope.low[way.columns])
        low = np.concatenate([bottom, floor], axis=1)
        high = np.concatenate([polytope.high[way.columns], roof], axis=1)
        flat = np.abs(slope) <= _FLAT * size
        range_ = (polytope.high - polytope.low)[way.columns]
        loose = np.concatenate([SLACK * range_, np.broadcast_to(rows.slack(), floor.shape)], axis=1)
        broken = (flat & ((value < low - loose) | (value > high + loose))).any(axis=1)
        safe = np.where(flat, 1.0, slope)
        to_low, to_high = (low - value) / safe, (high - value) / safe
        back = np.where(flat, -np.inf, np.minimum(to_low, to_high)).max(axis=1)
        forth = np.where(flat, np.inf, np.maximum(to_low, to_high)).min(axis=1)
        still = broken | ~np.isfinite(back) | ~np.isfinite(forth)
        return np.where(still, 0.0, back), np.where(still, -1.0, forth)

    def chord(self, way: Way) -> tuple[Floats, Floats]:
        """How far each chain can go backward and forward; zero is always between."""
        back, forth = self.segment(self.x, way)
        if np.isfinite(self.reach):
            longest = self._longest(way)
            back, forth = np.maximum(back, -longest), np.minimum(forth, longest)
        return np.minimum(back, 0.0), np.maximum(forth, 0.0)

    def _longest(self, way: Way) -> Floats:
        """How far the reach goes along a way, (m,)."""
        span = np.maximum(self.polytope.high - self.polytope.low, 1e-300)
        return np.asarray(self.reach / np.maximum(np.abs(way.slopes / span[way.columns]).max(axis=1), 1e-300))

    def slide(self, way: Way, rng: np.random.Generator) -> None:
        """Go to a uniform point of the chord."""
        if self.even:
            back, forth = self.segment(self.x, way)
            step = self._longest(way) * (2 * rng.random(len(self.x)) - 1)
            self.x = way.added(self.x, np.where((step >= back) & (step <= forth), step, 0.0))
            return
        back, forth = self.chord(way)
        self.x = way.added(self.x, back + rng.random(len(self.x)) * (forth - back))

    def room(self, column: int) -> tuple[Floats, Floats]:
        """Between which values one coordinate may vary while all others stay, (m,) each."""
        back, forth = self.chord(Way(np.full((len(self.x), 1), column), np.ones((len(self.x), 1))))
        return self.x[:, column] + back, self.x[:, column] + forth

    def jump(self, accept: NDArray[np.bool_], trial: Floats, gone: NDArray[np.intp], new: NDArray[np.intp]) -> None:
        """Accept trial points in which one component has taken another's place."""
        index = np.flatnonzero(accept)
        self.x[index] = trial[index]
        self.active[index, gone[index]] = False
        self.active[index, new[index]] = True
