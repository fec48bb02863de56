"""Uniform draws from what constraints leave of a few blocks, by whatever is exact and fast there."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import numpy as np

from acquisition.blocks import product
from acquisition.errors import InfeasibleSpaceError
from acquisition.feasibility import Program
from acquisition.layout import Floats
from acquisition.polytope import Polytope
from acquisition.walk import Walk

LISTED = 200_000
"""Finite sets of up to so many points (before constraints) are simply listed."""

_TRIALS = 4096
_DECENT = 48
_CHUNK = 65_536
_CHAINS = 1024
_STARTS = 16


class Sampler(Protocol):
    """Draws from one set of blocks."""

    polytope: Polytope

    @property
    def size(self) -> int | None:
        """Number of points, None where not finite or not known."""

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, g)."""

    def points(self) -> Floats:
        """Every point, (size, g)."""


class Native:
    """Blocks without constraints: their own samplers, side by side."""

    def __init__(self, polytope: Polytope) -> None:
        self.polytope = polytope

    @cached_property
    def size(self) -> int | None:
        """Product of the blocks' counts."""
        counts = [block.count for block in self.polytope.blocks]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Independent draws, (n, g)."""
        return self.polytope.native(n, rng)

    def points(self) -> Floats:
        """Every combination."""
        return product([block.points() for block in self.polytope.blocks])


class Listed:
    """A finite set that is small enough to write down.

    Raises:
        InfeasibleSpaceError: no combination meets the constraints.
    """

    def __init__(self, polytope: Polytope) -> None:
        self.polytope = polytope
        everything = product([block.points() for block in polytope.blocks])
        self._points = everything[polytope.rows.holds(everything)]
        if not len(self._points):
            raise InfeasibleSpaceError("no point meets the constraints.", field="constraints")
        weights = np.ones(len(self._points))
        for start, block in zip(polytope.starts, polytope.blocks, strict=True):
            weights *= block.weights(self._points[:, start : start + block.width])
        self._shares = weights.cumsum() / weights.sum()

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self._points)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws from the list, (n, g)."""
        picks = np.searchsorted(self._shares, rng.random(n), side="right")
        return self._points[np.minimum(picks, len(self._points) - 1)]

    def points(self) -> Floats:
        """The list."""
        return self._points.copy()


class Rejection:
    """Native draws, those kept that meet the constraints; for sets where enough do."""

    size = None

    def __init__(self, polytope: Polytope, acceptance: float) -> None:
        self.polytope, self._acceptance = polytope, acceptance

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Exact draws, (n, g)."""
        parts: list[Floats] = []
        missing = n
        while missing > 0:
            trials = self.polytope.native(min(_CHUNK, int(1.2 * missing / self._acceptance) + 16), rng)
            parts.append(trials[self.polytope.rows.holds(trials)][:missing])
            missing -= len(parts[-1])
        return np.concatenate(parts) if parts else np.zeros((0, len(self.polytope.low)))

    def points(self) -> Floats:
        """Not listed."""
        raise NotImplementedError("this set has no list of points")


class Wandering:
    """Many Markov chains in parallel, for sets that native draws hardly ever hit.

    The chains start at far-apart feasible points and are run in once, by a generator of their own, when first needed; a
    draw takes some of them and walks on, so it depends on the set and on its generator alone.
    """

    size = None

    def __init__(self, polytope: Polytope, starts: Floats) -> None:
        self.polytope, self._starts = polytope, starts
        self._walk = Walk(polytope)

    @cached_property
    def _settled(self) -> Floats:
        rng = np.random.default_rng(0)
        corners = Program(self.polytope).corners(_STARTS, rng)
        starts = np.concatenate([self._starts, corners])
        x = starts[np.arange(_CHAINS) % len(starts)]
        return self._walk.run(x, 40 * len(self.polytope.low) + 100, rng)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, g)."""
        settled = self._settled
        rounds = -(-n // len(settled))
        picks = np.concatenate([rng.permutation(len(settled)) for _ in range(rounds)])[:n] if n else np.zeros(0, int)
        return self._walk.run(settled[picks], 4 * len(self.polytope.low) + 20, rng)

    def points(self) -> Floats:
        """Not listed."""
        raise NotImplementedError("this set has no list of points")


def sampler(polytope: Polytope) -> Sampler:
    """The sampler that fits a set.

    Raises:
        InfeasibleSpaceError: the set is empty.
    """
    if not len(polytope.rows):
        return Native(polytope)
    counts = [block.count for block in polytope.blocks]
    if None not in counts and math.prod(count for count in counts if count is not None) <= LISTED:
        return Listed(polytope)
    trials = polytope.native(_TRIALS, np.random.default_rng(0))
    hits = trials[polytope.rows.holds(trials)]
    if len(hits) >= _DECENT:
        return Rejection(polytope, len(hits) / len(trials))
    if not len(hits):
        hits = Program(polytope).point()[None]
    return Wandering(polytope, hits)
