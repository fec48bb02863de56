"""Noisy functions with a known optimum, all to be maximised: three of the issue, and families drawn by seed.

The families guard against tuning to a function: each seed is another problem, mirrored and permuted at random where the
function is a textbook's (Surjanovic and Bingham, Virtual Library of Simulation Experiments), with another noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from scipy.optimize import minimize

Values = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Noisy:
    """A problem: values of points (n, d) in the unit cube or on the simplex, their optimum, the noise's deviation.

    Regrets are told in units of ``scale``, for families the standard deviation of the values over the space.
    """

    values: Values
    d: int
    optimum: float
    noise: float
    simplex: bool = False
    scale: float = 1.0

    @property
    def question(self) -> Mapping[str, Any]:
        """What a player is told of it."""
        names = [f"m{i}" for i in range(self.d)]
        if self.simplex:
            parameters: list[dict[str, Any]] = [{"type": "composition", "name": "x", "components": names}]
        else:
            parameters = [{"type": "continuous", "name": name, "low": 0.0, "high": 1.0} for name in names]
        return {"parameters": parameters, "objectives": [("y", "maximize")]}

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [f"x_m{i}" if self.simplex else f"m{i}" for i in range(self.d)]

    def array(self, point: Mapping[str, float]) -> np.ndarray:
        """(d,), checked to lie inside."""
        x = np.array([point[name] for name in self.columns], dtype=float)
        if x.min() < -1e-6 or x.max() > 1 + 1e-6 or (self.simplex and abs(x.sum() - 1) > 1e-4):
            raise ValueError(f"a point outside: {x}")
        return x

    def regret(self, point: Mapping[str, float]) -> float:
        """How much less than the optimum a point truly gives."""
        return (self.optimum - float(self.values(self.array(point)[None, :])[0])) / self.scale


A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
ALPHA = np.array([1, 1.2, 3, 3.2])
M1, M2 = np.array([0.55, 0.25, 0.1, 0.05, 0.05, 0]), np.array([0, 0.1, 0.1, 0.1, 0.2, 0.5])
MIXTURE_OPTIMUM = 1.0017351
"""By the random search of the shared protocol: 20,000 steps around ``M1``."""


def hartmann6(x: np.ndarray) -> np.ndarray:
    """Four ridges in six dimensions."""
    return np.exp(-(A * (x[:, None, :] - P) ** 2).sum(2)) @ ALPHA


def ackley5(x: np.ndarray) -> np.ndarray:
    """Many shallow optima and one narrow one, off the centre."""
    z = (x - 0.37) * 10
    bowl = 20 * np.exp(-0.2 * np.sqrt((z**2).mean(1)))
    return bowl + np.exp(np.cos(2 * np.pi * z).mean(1)) - 20 - np.e


def mixture6(x: np.ndarray) -> np.ndarray:
    """Two peaks on a simplex, the lower one broader."""
    return np.exp(-((x - M1) ** 2).sum(1) / 0.03) + 0.7 * np.exp(-((x - M2) ** 2).sum(1) / 0.1)


ISSUE: Mapping[str, Noisy] = {
    "hartmann6": Noisy(hartmann6, 6, 3.32237, 0.1),
    "ackley5": Noisy(ackley5, 5, 0.0, 0.3),
    "mixture6": Noisy(mixture6, 6, MIXTURE_OPTIMUM, 0.03, simplex=True),
}


def branin(x: np.ndarray) -> np.ndarray:
    """Three equal optima in two dimensions."""
    u, v = 15 * x[:, 0] - 5, 15 * x[:, 1]
    bowl = (v - 5.1 / (4 * np.pi**2) * u**2 + 5 / np.pi * u - 6) ** 2
    return -(bowl + 10 * (1 - 1 / (8 * np.pi)) * np.cos(u) + 10)


def levy(x: np.ndarray) -> np.ndarray:
    """Waves on a bowl."""
    w = 1 + (20 * x - 11) / 4
    inner = ((w[:, :-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:, :-1] + 1) ** 2)).sum(1)
    last = (w[:, -1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[:, -1]) ** 2)
    return -(np.sin(np.pi * w[:, 0]) ** 2 + inner + last)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    """A bent valley; the root keeps its walls from hiding the rest."""
    z = 4 * x - 2
    return -np.sqrt((100 * (z[:, 1:] - z[:, :-1] ** 2) ** 2 + (1 - z[:, :-1]) ** 2).sum(1))


def michalewicz(x: np.ndarray) -> np.ndarray:
    """Steep ridges and flats."""
    z = np.pi * x
    return (np.sin(z) * np.sin(np.arange(1, x.shape[1] + 1) * z**2 / np.pi) ** 20).sum(1)


def mirrored(values: Values, order: np.ndarray, flip: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A function whose axes are permuted, and mirrored where ``flip``."""
    moved = np.where(flip, 1 - x, x)
    return values(moved[:, order])


def waves(omega: np.ndarray, phase: np.ndarray, weight: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A sum of cosines: a draw of a Gaussian process by random features."""
    return np.cos(x @ omega + phase) @ weight


def peaks(centres: np.ndarray, widths: np.ndarray, heights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A sum of Gaussian peaks."""
    squares = ((x[:, None, :] - centres) ** 2).sum(2)
    return np.exp(-squares / (2 * widths**2)) @ heights


def drawn_waves(rng: np.random.Generator, d: int, active: int, median: float) -> Values:
    """A Matern-5/2 draw in ``active`` of d dimensions, with lengthscales around a median."""
    features = 128
    lengths = np.exp(np.log(median) + 0.5 * rng.normal(size=d))
    lengths[active:] = np.inf  # the others have no effect
    spread = np.sqrt(5 / rng.chisquare(5, size=features))  # Student-t frequencies: a Matern-5/2 spectrum
    omega = rng.normal(size=(d, features)) * spread / lengths[rng.permutation(d)][:, None]
    weight = rng.normal(size=features) * np.sqrt(2 / features)
    return partial(waves, omega, rng.uniform(0, 2 * np.pi, features), weight)


def _problem(
    values: Values,
    d: int,
    noise: float,
    *,
    simplex: bool,
    seed: int,
    optimum: float | None = None,
    starting: np.ndarray | None = None,
) -> Noisy:
    """Scale the noise by the function's spread over the space, and search the optimum where it is not known."""
    rng = np.random.default_rng([seed, 7])
    x = rng.dirichlet(np.ones(d), 4000) if simplex else rng.random((4000, d))
    y = values(x)
    starts = x[np.argsort(-y)[:12]]
    if starting is not None:
        starts = np.vstack([starts, starting])
    best = searched(values, starts, simplex, rng) if optimum is None else optimum
    return Noisy(values, d, best, noise * float(y.std()), simplex, float(y.std()))


def searched(values: Values, starts: np.ndarray, simplex: bool, rng: np.random.Generator) -> float:
    """The highest value near good starts: gradients in the cube, shrinking random steps on the simplex."""
    if not simplex:
        bounds = [(0.0, 1.0)] * starts.shape[1]
        found = [minimize(lambda x: -values(x[None, :])[0], x, bounds=bounds, method="L-BFGS-B") for x in starts]
        return float(-min(each.fun for each in found))
    x, heights = starts.copy(), values(starts)
    for step in np.geomspace(0.1, 1e-4, 60):
        for i in range(len(x)):
            around = np.abs(x[i] + step * rng.normal(size=(100, x.shape[1])))
            around /= around.sum(1, keepdims=True)
            found = values(around)
            if found.max() > heights[i]:
                x[i], heights[i] = around[found.argmax()], found.max()
    return float(heights.max())


NOISES = (0.01, 0.1, 0.3)
"""Of the families, by turns, relative to the spread of the function over the space."""


@lru_cache(8)
def family(name: str, seed: int) -> Noisy:
    """The problem of that family and seed.

    ``waves``: Gaussian-process draws in 2 to 6 dimensions; ``few_of_many``: in ten dimensions, three of which matter;
    ``peaks``: random peaks on a simplex of 3 to 8 fractions; and textbook functions by their names.
    """
    rng = np.random.default_rng([seed, 11])
    noise = NOISES[seed % 3]
    make = partial(_problem, noise=noise, seed=seed)
    if name == "waves":
        d = int(rng.integers(2, 7))
        return make(drawn_waves(rng, d, d, 0.35), d, simplex=False)
    if name == "few_of_many":
        return make(drawn_waves(rng, 10, 3, 0.3), 10, simplex=False)
    if name == "peaks":
        d, many = int(rng.integers(3, 9)), 6
        centres = rng.dirichlet(np.full(d, 0.6), many)
        values = partial(peaks, centres, rng.uniform(0.08, 0.35, many), rng.uniform(0.3, 1.0, many))
        return make(values, d, simplex=True, starting=centres)
    values, d, optimum = TEXTBOOK[name]
    moved = partial(mirrored, values, rng.permutation(d), rng.random(d) < 0.5)
    return make(moved, d, simplex=False, optimum=optimum)


TEXTBOOK: Mapping[str, tuple[Values, int, float]] = {
    "branin": (branin, 2, -0.397887),
    "levy4": (levy, 4, 0.0),
    "rosenbrock4": (rosenbrock, 4, 0.0),
    "michalewicz5": (michalewicz, 5, 4.687658),
}
BROAD = ("waves", "few_of_many", "peaks", *TEXTBOOK)


def problem(task: str, seed: int) -> Noisy:
    """A problem of the issue, or of a family."""
    return ISSUE[task] if task in ISSUE else family(task, seed)
