"""Problems in which a quarter of the space does not work, and nobody says where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from _duel.functions import Noisy, Values, drawn_waves, problem

SHARE = 0.25
"""Of uniformly drawn experiments that fail."""


@dataclass(frozen=True)
class Hidden:
    """A noisy problem and a function (n, d) to (n,) above whose ``limit`` experiments fail."""

    base: Noisy
    danger: Values
    limit: float
    seed: int

    def fails(self, x: np.ndarray) -> np.ndarray:
        """Whether experiments at points (n, d) fail; (n,)."""
        return np.asarray(self.danger(x) > self.limit)

    @cached_property
    def optimum(self) -> float:
        """The highest value that works: many random points, the best of them improved by shrinking random steps."""
        rng = np.random.default_rng([self.seed, 31])
        x = _uniform(self.base, 20_000, rng)
        x = x[~self.fails(x)]
        x = x[np.argsort(-self.base.values(x))[:10]]
        heights = self.base.values(x)
        for step in np.geomspace(0.1, 1e-4, 60):
            for i in range(len(x)):
                near = x[i] + step * rng.normal(size=(100, x.shape[1]))
                near = np.abs(near) / np.abs(near).sum(1, keepdims=True) if self.base.simplex else near.clip(0.0, 1.0)
                found = np.where(self.fails(near), -np.inf, self.base.values(near))
                if found.max() > heights[i]:
                    x[i], heights[i] = near[found.argmax()], found.max()
        return float(heights.max())


def _uniform(base: Noisy, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.dirichlet(np.ones(base.d), n) if base.simplex else rng.random((n, base.d))


@lru_cache(8)
def hidden(task: str, seed: int) -> Hidden:
    """The problem of that name and seed: ``waves``, ``peaks`` or ``hartmann6``, with a region drawn by seed.

    With ``_near`` behind the name the region lies where the objective is high, so that the best that works is at its
    rim; else it has nothing to do with the objective.
    """
    base = problem(task.removesuffix("_near"), seed)
    rng = np.random.default_rng([seed, 29])
    x = _uniform(base, 20_000, rng)
    region = drawn_waves(rng, base.d, base.d, 0.5 if not base.simplex else 0.3)
    weight = 1.0 if task.endswith("_near") else 0.0
    centre, spread, size = float(base.values(x).mean()), float(base.values(x).std()), float(region(x).std())

    def danger(points: np.ndarray) -> np.ndarray:
        return region(points) / size + weight * (base.values(points) - centre) / spread

    return Hidden(base, danger, float(np.quantile(danger(x), 1 - SHARE)), seed)
