"""What experiments and changes of settings cost, so that gains are weighed against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from acquisition._schema import CONFIG, speaks
from acquisition.errors import ObjectiveError
from acquisition.parameters import Categorical, Composition, Continuous, Discrete, Integer, Parameter

if TYPE_CHECKING:
    from torch import Tensor

    from acquisition.problem import Problem
    from acquisition.space import SearchSpace

Array = NDArray[np.float64]

SAME: Final = 1e-6
"""Settings closer than this, relative to the parameter's range, are in place already."""

LEAST: Final = 0.01
"""No experiment counts as cheaper than this share of `experiment` + `preparation`: a free one would always win."""


@speaks(ObjectiveError)
@dataclass(frozen=True, config=CONFIG)
class Costs:
    """Costs in one unit of the user's choice: minutes, euros.

    Attributes:
        experiment: of each experiment, its condition stage.
        preparation: of each new sample, on top.
        change: by parameter, of setting it to another value than the one in place (switching the electrolyte).
        slope: by numeric column, of one unit of it in each experiment (an hour of electrolysis, a gram of gold).
        unit: what they are in, for messages.

    Raises:
        ObjectiveError: a cost that is negative, or none above zero.
    """

    experiment: float = 1.0
    preparation: float = 0.0
    change: dict[str, float] = Field(default_factory=dict)
    slope: dict[str, float] = Field(default_factory=dict)
    unit: str = "experiments"
    type: Literal["costs"] = Field(default="costs", kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (
            ("experiment", self.experiment),
            ("preparation", self.preparation),
            *((f"change.{k}", v) for k, v in self.change.items()),
        ):
            if value < 0:
                raise ObjectiveError(
                    f"the cost {name} is negative ({value:g}).", field=name, mend="Costs are 0 or more."
                )
        if self.experiment == 0 and self.preparation == 0:
            raise ObjectiveError(
                "an experiment must cost something.", field="experiment", mend="Give `experiment` or `preparation`."
            )


def check_costs(costs: Costs, space: SearchSpace) -> None:
    """Refuse costs that do not fit a space.

    Raises:
        ObjectiveError: `change` of what is no parameter, `slope` of what is no numeric column, or slopes that make an
            experiment cost nothing or less; `field` counts from the costs.
    """
    from acquisition.layout import nearest

    columns = {name: p for p in space.parameters for name in p.columns}
    single = [name for name in space.columns if not isinstance(columns.get(name), Composition)]
    names = list(dict.fromkeys([*(p.name for p in space.parameters), *single]))
    for name in costs.change:
        if name not in names:
            owner = columns.get(name)
            raise ObjectiveError(
                f"a cost is given for a change of {name!r}, which is no parameter.",
                field=f"change.{name}",
                mend=nearest(name, names) if owner is None else f"Give it for {owner.name!r} as a whole.",
            )
    for name in costs.slope:
        if name not in space.columns or isinstance(columns.get(name), Categorical):
            numeric = [n for n in space.columns if not isinstance(columns.get(n), Categorical)]
            raise ObjectiveError(
                f"a cost is given for each unit of {name!r}, which is no numeric column.",
                field=f"slope.{name}",
                mend=nearest(name, numeric),
            )
    _check_least(costs, space)


def _check_least(costs: Costs, space: SearchSpace) -> None:
    """Refuse slopes by which an experiment may cost nothing or less."""
    least = costs.experiment + costs.preparation + sum(_least_slope(costs, p) for p in space.parameters)
    if costs.slope and least <= 0:
        raise ObjectiveError(
            f"by its slopes an experiment may cost as little as {least:g} {costs.unit}.",
            field="slope",
            mend="Raise `experiment` until all experiments cost something.",
        )


def _least_slope(costs: Costs, parameter: Parameter) -> float:
    """The least that the columns of one parameter may cost."""
    slopes = [costs.slope.get(column, 0.0) for column in parameter.columns]
    if isinstance(parameter, Composition):
        return min(slopes)  # all fractions sum to one
    if isinstance(parameter, Categorical) or not slopes[0]:
        return 0.0
    ends = parameter.values if isinstance(parameter, Discrete) else (parameter.low, parameter.high)
    return min(slopes[0] * end for end in ends)


def log_cost(problem: Problem, points: Tensor, chosen: Array | None = None) -> Tensor:
    """Logarithm of :func:`cost`: what a log gain is reduced by, so that gain per cost is maximised."""
    return cost(problem, points, chosen).log()


def cost(problem: Problem, points: Tensor, chosen: Array | None = None) -> Tensor:
    """What one more experiment costs at each point, in the unit of the problem's costs.

    - Every experiment costs `experiment`, and `slope` times its condition columns.
    - One that needs a new sample costs `preparation`, and `slope` times its preparation columns, on top. An open sample
      serves a point whose preparation columns are those of the sample.
    - Each parameter with a `change` cost that differs from what is in place in the cell adds it; the cell is the one
      where that costs least. What fixes a sample is not set where the sample exists.

    Args:
        problem: its costs, current settings and open samples. Without costs every experiment costs 1.
        points: (m, c) in native form.
        chosen: (b, c) points chosen for the same batch already: each has taken the cell that suited it best, in order;
            when all cells are taken, they stand as these experiments leave them.

    Returns:
        (m,), positive; differentiable in columns with a slope.
    """
    costs = problem.costs
    if costs is None:
        return points.new_ones(len(points))
    rates = _Rates(costs, problem.space)
    plain = points.detach().numpy()
    new = points.new_tensor(_needs_sample(problem, rates, plain), dtype=points.dtype)
    slopes = points.new_tensor(rates.slopes)
    fixed = points.new_tensor(rates.preparation, dtype=points.dtype)
    total = costs.experiment + points @ (slopes * (1.0 - fixed))
    total = total + new * (costs.preparation + points @ (slopes * fixed))
    cells = _cells(problem, rates, np.empty((0, points.shape[1])) if chosen is None else chosen)
    if len(cells) and costs.change:
        total = total + points.new_tensor(rates.changes(plain, cells, new.numpy() > 0).min(1))
    return total.clamp_min(LEAST * (costs.experiment + costs.preparation))


class _Rates:
    """Costs by column of a space.

    Attributes:
        slopes: (c,) a unit.
        preparation: (c,) whether the column fixes the sample.
    """

    def __init__(self, costs: Costs, space: SearchSpace) -> None:
        names = space.columns
        owners = {column: parameter for parameter in space.parameters for column in parameter.columns}
        self.slopes = np.array([costs.slope.get(name, 0.0) for name in names])
        self.preparation = np.array([name in owners and owners[name].stage == "preparation" for name in names])
        self._grain = np.array([_grain(owners.get(name)) for name in names])
        self._logs = np.array([getattr(owners.get(name), "log", False) for name in names], dtype=bool)
        self._groups: list[tuple[float, Sequence[int], bool]] = []
        for parameter in space.parameters:
            if price := costs.change.get(parameter.name, 0.0):
                index = [names.index(column) for column in parameter.columns]
                self._groups.append((price, index, parameter.stage == "preparation"))

    def differ(self, points: Array, rows: Array) -> NDArray[np.bool_]:
        """Which settings are not the same, (m, k, c)."""
        gap = np.abs(points[:, None, :] - rows[None, :, :])
        width = np.where(self._logs, np.minimum(np.abs(rows), self._grain), self._grain)
        different: NDArray[np.bool_] = gap > SAME * width[None, :, :]
        return different

    def changes(self, points: Array, cells: Array, new: NDArray[np.bool_]) -> Array:
        """What it costs to set each cell (k, c) to each point (m, c), (m, k); `new`: (m,) points on a new sample."""
        different = self.differ(points, cells)
        total = np.zeros(different.shape[:2])
        for price, index, preparation in self._groups:
            changed = different[:, :, index].any(2)
            total += price * (changed & new[:, None] if preparation else changed)
        return total


def _grain(parameter: Parameter | None) -> float:
    """What differences of a parameter's settings are relative to; constant columns of a pool have no parameter."""
    if isinstance(parameter, Continuous):
        return parameter.high - parameter.low
    if isinstance(parameter, Discrete):
        return float(np.diff(np.sort(parameter.values)).min())
    if parameter is None or isinstance(parameter, Integer | Categorical | Composition):
        return 1.0
    raise TypeError(f"{parameter!r} is no parameter.")


def _needs_sample(problem: Problem, rates: _Rates, points: Array) -> NDArray[np.bool_]:
    """Which points cannot be measured on an open sample, (m,)."""
    if problem.conditions_per_sample is None or not problem.open_samples:
        return np.ones(len(points), dtype=bool)
    rows = np.stack([sample.point for sample in problem.open_samples])
    others = rates.differ(points, rows)[:, :, rates.preparation].sum(axis=2) > 0
    return np.asarray(others.sum(axis=1) == len(rows))


def _cells(problem: Problem, rates: _Rates, chosen: Array) -> Array:
    """(k, c) settings in place in the cells that are left for one more experiment of a batch."""
    if problem.current is None or not len(problem.current):
        return chosen[:0]
    rows = np.array(problem.current, dtype=np.float64)
    new = _needs_sample(problem, rates, chosen)
    free = np.ones(len(rows), dtype=bool)
    for point, fresh in zip(chosen, new, strict=True):
        price = rates.changes(point[None, :], rows, np.array([fresh]))[0]
        cell = int(np.where(free, price, np.inf).argmin())
        rows[cell], free[cell] = point, False
        if not free.any():
            free[:] = True
    return rows[free]


def in_place(problem: Problem, points: Array, chosen: Array | None = None) -> Array:
    """Variants of points whose costly settings are those in place, where the space has them; (k, c), k from 0.

    A search by random moves would never hit a continuous setting that is in place exactly.

    Args:
        problem: its costs and current settings.
        points: (m, c) inside the space.
        chosen: as for :func:`cost`.
    """
    costs = problem.costs
    if costs is None or not costs.change:
        return points[:0]
    space = problem.space
    rates = _Rates(costs, space)
    cells = _cells(problem, rates, points[:0] if chosen is None else chosen)
    kept = [name for p in space.parameters if costs.change.get(p.name) for name in p.columns]
    index = [space.columns.index(name) for name in kept]
    variants = np.repeat(points[None, :, :], len(cells), axis=0)
    variants[:, :, index] = cells[:, None, index]
    variants = variants.reshape(-1, points.shape[1])
    return variants[space.contains(variants)] if len(variants) else points[:0]
