"""One parameter's share of a point: its feasible values once single-column constraints have tightened them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.errors import InfeasibleSpaceError
from acquisition.gapped import GappedSimplex
from acquisition.layout import Floats
from acquisition.parameters import Categorical, Composition, Continuous, Discrete, Integer, Parameter
from acquisition.simplex import LatticeSimplex, SolidSimplex

_ROUNDING = 1e-9


class Block(Protocol):
    """The columns of one parameter.

    Attributes:
        width: number of columns.
        count: number of values, None where not finite.
        low: (width,) least values after tightening.
        high: (width,) greatest values after tightening.
        real: whether it holds real numbers, which may change by any small amount.
    """

    width: int
    real: bool
    low: Floats
    high: Floats

    @property
    def count(self) -> int | None:
        """Number of values, None where not finite."""

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Independent draws from the parameter's own measure, (n, width)."""

    def points(self) -> Floats:
        """Every value of a finite block, (count, width)."""

    def weights(self, points: Floats) -> Floats:
        """Relative probabilities of points of a finite block, (n,)."""

    def nudge(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """One random step from each row, of about ``scale`` times the range."""


class Fixed:
    """Values that are given, whether or not the parameter's own bounds admit them."""

    count = 1
    real = False

    def __init__(self, values: Floats) -> None:
        self.width = len(values)
        self.low = self.high = values

    def sample(self, n: int, rng: np.random.Generator) -> Floats:  # noqa: ARG002  there is no choice
        """The values, (n, width)."""
        return np.tile(self.low, (n, 1))

    def points(self) -> Floats:
        """The values, (1, width)."""
        return self.low[None, :].copy()

    def weights(self, points: Floats) -> Floats:
        """One."""
        return np.ones(len(points))

    def nudge(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:  # noqa: ARG002  nothing moves
        """The same."""
        return x.copy()


class Interval:
    """A real number, uniform or (log) uniform in its logarithm."""

    width = 1
    count = None
    real = True

    def __init__(self, low: float, high: float, log: bool = False) -> None:
        if low > high + _ROUNDING * max(abs(low), abs(high)):
            raise InfeasibleSpaceError("no value is left.")
        self.low, self.high, self.log = np.array([low]), np.array([max(low, high)]), log

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, 1)."""
        return self.between(np.full(n, self.low[0]), np.full(n, self.high[0]), rng)[:, None]

    def between(self, low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
        """One draw between each pair of bounds, (n,)."""
        u = rng.random(len(low))
        if self.log:
            return np.clip(low * (high / low) ** u, low, high)
        return np.clip(low + u * (high - low), low, high)

    def points(self) -> Floats:
        """Not countable."""
        raise NotImplementedError("an interval has no list of points")

    def weights(self, points: Floats) -> Floats:
        """Uniform."""
        return np.ones(len(points))

    def nudge(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A normal step, stopped by the bounds."""
        low, high, value = self.low, self.high, x
        if self.log:
            low, high, value = np.log(low), np.log(high), np.log(np.clip(x, self.low, self.high))
        moved: Floats = np.clip(value + scale * (high - low) * rng.standard_normal(x.shape), low, high)
        return np.clip(np.exp(moved), self.low, self.high) if self.log else moved


class Whole:
    """A whole number, uniform or uniform in its logarithm (each number stands for the half steps around it)."""

    width = 1
    real = False

    def __init__(self, low: float, high: float, log: bool = False) -> None:
        low, high = np.ceil(low - _ROUNDING * max(1.0, abs(low))), np.floor(high + _ROUNDING * max(1.0, abs(high)))
        if low > high:
            raise InfeasibleSpaceError("no whole number is left.")
        self.low, self.high, self.log = np.array([low]), np.array([high]), log

    @property
    def count(self) -> int:
        """Number of values."""
        return int(self.high[0] - self.low[0]) + 1

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, 1)."""
        return self.between(np.full(n, self.low[0]), np.full(n, self.high[0]), rng)[:, None]

    def between(self, low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
        """One draw between each pair of (whole) bounds, (n,)."""
        u = rng.random(len(low))
        a, b = low - 0.5, high + 0.5
        value = a * (b / a) ** u if self.log else a + u * (b - a)
        return np.clip(np.rint(value), low, high)

    def points(self) -> Floats:
        """Every number, (count, 1)."""
        return np.arange(self.low[0], self.high[0] + 1)[:, None]

    def weights(self, points: Floats) -> Floats:
        """Widths of the logarithmic cells, or ones."""
        x = points[:, 0]
        return np.log((x + 0.5) / (x - 0.5)) if self.log else np.ones(len(points))

    def nudge(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A step of one or more, in either direction."""
        width = x * np.log(self.high / self.low) if self.log else self.high - self.low
        return _hop(x, scale * width, self.low, self.high, rng)


class Choice:
    """One of several numbers, or of the indices of several labels."""

    width = 1
    real = False

    def __init__(self, values: Floats, ordered: bool) -> None:
        if not len(values):
            raise InfeasibleSpaceError("no value is left.")
        self.values, self.ordered = values, ordered
        self.low, self.high = values[:1], values[-1:]

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.values)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, 1)."""
        return self.values[rng.integers(len(self.values), size=n)][:, None]

    def points(self) -> Floats:
        """Every value, (count, 1)."""
        return self.values[:, None]

    def weights(self, points: Floats) -> Floats:
        """Uniform."""
        return np.ones(len(points))

    def nudge(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A neighbouring value, or any other label."""
        count = len(self.values)
        if count == 1:
            return x.copy()
        index = np.abs(x - self.values).argmin(axis=1)
        if not self.ordered:
            others: Floats = self.values[(index + rng.integers(1, count, size=len(x))) % count]
            return others[:, None]
        hopped = _hop(index.astype(float), np.full(len(x), scale * (count - 1)), 0.0, count - 1.0, rng)
        return self.values[hopped.astype(np.intp)][:, None]


class Mixture:
    """A composition: fractions that sum to one.

    Args:
        low: (width,) least fractions; above zero means always present.
        high: (width,) greatest fractions.
        most: at most so many components are present; None: all may be.
        step: fractions are multiples of it.
        least: (width,) least fractions of present components; ``low`` by default.

    Attributes:
        most: at most so many components are present.
        units: number of steps in 1, or None.
        least: (width,) least fractions of present components.
        atom: what the absence of a component weighs against a unit of length, see
            :class:`acquisition.gapped.GappedSimplex`; zero where no fractions above zero are left out.
    """

    def __init__(
        self, low: Floats, high: Floats, most: int | None, step: float | None, least: Floats | None = None
    ) -> None:
        self.width = len(low)
        self.most = self.width if most is None else most
        self.units = None if step is None else round(1 / step)
        self.real = step is None
        least = low if least is None else np.maximum(low, least)
        low = np.where(low > 0, least, low)
        if np.any(low > high + _ROUNDING):
            raise InfeasibleSpaceError("a component has no fraction left.")
        high = np.maximum(low, high)
        self.simplex: LatticeSimplex | SolidSimplex | GappedSimplex
        if self.units is not None:
            self.simplex = LatticeSimplex(low, high, self.most, self.units, least)
        elif np.any((least > 0) & (low == 0) & (high > 0)):
            self.simplex = GappedSimplex(low, high, least, self.most)
        else:
            self.simplex = SolidSimplex(low, high, self.most)
        self.low, self.high = self.simplex.low, self.simplex.high
        self.least, self.atom = self.simplex.least, self.simplex.atom

    @property
    def count(self) -> int | None:
        """Number of compositions, None without a step."""
        return self.simplex.count

    @property
    def selects(self) -> bool:
        """Whether it can differ which components are present, as a matter of more than volume."""
        return self.most < (self.high > 0).sum() or self.atom > 0

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws, (n, components)."""
        return self.simplex.sample(n, rng)

    def points(self) -> Floats:
        """Every composition on the step's grid, (count, components)."""
        return self.simplex.points()

    def weights(self, points: Floats) -> Floats:
        """Uniform."""
        return np.ones(len(points))

    def nudge(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """Give some of one component's fraction to another; rows whose step leads outside stay."""
        rows = np.arange(len(x))
        giver = choose((x > self.low) & (x > 0), rng)
        present = x > 0
        present_only = rng.random(len(x))[:, None] < 0.5
        others = (x < self.high) & (np.arange(self.width) != giver[:, None])
        wanted = others & (present == present_only)
        taker = choose(np.where(wanted.any(axis=1, keepdims=True), wanted, others), rng)
        amount = np.abs(rng.standard_normal(len(x))) * scale
        if self.units is not None:
            amount = np.maximum(1, np.rint(amount * self.units)) / self.units
        has, available = x[rows, giver], x[rows, giver] - self.low[giver]
        newcomer = ~present[rows, taker]
        room = self.high[taker] - x[rows, taker]
        amount = np.minimum(np.maximum(amount, np.where(newcomer, self.least[taker], 0.0)), np.minimum(available, room))
        # What would be left of less than the least fraction is kept at that, or goes too.
        spare, optional = np.maximum(has - self.least[giver], 0.0), self.low[giver] == 0
        scant = (amount > spare) & (amount < has)
        amount = np.where(scant, np.where(optional & (amount > 0.5 * (spare + has)), has, spare), amount)
        # A newcomer beyond the allowed number takes the place of another, wholly.
        full = (present.sum(axis=1) >= self.most) & newcomer
        amount = np.where(full, has, amount)
        possible = others.any(axis=1) & (amount <= room + 1e-15) & (amount <= available + 1e-15) & (taker != giver)
        possible &= ~newcomer | (amount >= self.least[taker] - 1e-15)
        amount = np.where(possible, amount, 0.0)
        moved = x.copy()
        moved[rows, giver] -= amount
        moved[rows, taker] += amount
        moved[moved < 1e-12] = 0.0
        return self.settle(moved)

    def settle(self, x: Floats) -> Floats:
        """Rows with their sum exactly one, and on the grid of the step."""
        return self.simplex.settle(x)


def choose(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """A random true column of each row (column 0 where there is none)."""
    picks: NDArray[np.intp] = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
    return picks


def _hop(x: Floats, size: Floats, low: Floats | float, high: Floats | float, rng: np.random.Generator) -> Floats:
    """Whole numbers after a normal step of one at least; a bound stops it, or turns it round where it starts."""
    step = rng.standard_normal(x.shape) * size
    step = np.where(step < 0, -1.0, 1.0) * np.maximum(1.0, np.rint(np.abs(step)))
    moved = np.clip(x + step, low, high)
    return np.clip(np.where(moved == x, x - np.sign(step), moved), low, high)


def build(parameter: Parameter, low: Floats, high: Floats, held: Mapping[int, float] | None = None) -> Block:
    """The block of a parameter within the tightened bounds of its columns.

    Args:
        parameter: what the block stands for.
        low: (width,) least values that constraints leave.
        high: (width,) greatest values that constraints leave.
        held: component -> its given fraction, for some components of a composition.

    Raises:
        InfeasibleSpaceError: nothing is left.
    """
    match parameter:
        case Continuous():
            return Interval(max(parameter.low, low[0]), min(parameter.high, high[0]), parameter.log)
        case Integer():
            return Whole(max(float(parameter.low), low[0]), min(float(parameter.high), high[0]), parameter.log)
        case Discrete():
            values = np.sort(np.asarray(parameter.values, dtype=float))
            slack = _ROUNDING * np.maximum(1.0, np.abs(values))
            return Choice(values[(values >= low[0] - slack) & (values <= high[0] + slack)], ordered=True)
        case Categorical():
            return Choice(np.arange(len(parameter.values), dtype=float), ordered=False)
        case Composition():
            limits = np.array([parameter.limits(component) for component in parameter.components])
            lowest, highest = np.maximum(limits[:, 0], low), np.minimum(limits[:, 1], high)
            least = np.array([parameter.least(component) for component in parameter.components])
            for component, fraction in (held or {}).items():
                lowest[component] = highest[component] = least[component] = fraction
            return Mixture(lowest, highest, parameter.max_components, parameter.step, least)


def product(parts: Sequence[Floats]) -> Floats:
    """Every combination of the rows of several tables, first table slowest."""
    out = np.zeros((1, 0))
    for part in parts:
        out = np.concatenate([np.repeat(out, len(part), axis=0), np.tile(part, (len(out), 1))], axis=1)
    return out
