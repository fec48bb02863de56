"""Where a chemistry is best, by brute force: a lattice over its whole space, then closer looks at the best points."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from simulators._schema import nearest
from simulators.batch import Floats, truth
from simulators.constants import FIGURES
from simulators.errors import ChemistryError
from simulators.worlds import stream

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry

GOALS: Final = {"maximize": 1.0, "minimize": -1.0}
LATTICE: Final = 10
"""Steps of a fraction between 0 and 1 on the lattice."""
MOST_LEVELS: Final = 21
"""Values of a number between its bounds on the lattice, where that makes no more than :data:`LARGEST` points."""
LARGEST: Final = 70_000
_STARTS, _NEIGHBOURS, _ROUNDS, _SHRINK, _FINALISTS = 24, 48, 20, 0.68, 3


def optimum(chemistry: Chemistry, metric: str, goal: str) -> dict[str, Any]:
    """The best point of a chemistry's space; see :meth:`Chemistry.optimum`."""
    if metric not in FIGURES:
        raise ChemistryError(f"there is no metric {metric!r} here.", field="metric", mend=nearest(metric, FIGURES))
    if goal not in GOALS:
        raise ChemistryError(f"the goal is {goal!r}.", field="goal", mend="Use maximize or minimize.")
    world = chemistry.world
    if world.name != "shifted" and (kept := stored(chemistry.name, world.name).get(metric, {}).get(goal)):
        return {"parameters": dict(kept["parameters"]), "value": kept["value"]}
    parameters, value = searched(chemistry.name, world.name, world.seed, metric, goal)
    return {"parameters": dict(parameters), "value": value}


@cache
def _stored() -> Mapping[str, Any]:
    text = files("simulators").joinpath("data/optima.json").read_text(encoding="utf-8")
    return MappingProxyType(json.loads(text)["optima"])


def stored(chemistry: str, world: str) -> Mapping[str, Any]:
    """The optima that are kept in ``data/optima.json``: metric to goal to parameters and value."""
    kept: Mapping[str, Any] = _stored().get(chemistry, {}).get(world, {})
    return kept


@lru_cache(maxsize=1024)
def searched(name: str, world: str, seed: int, metric: str, goal: str) -> tuple[Mapping[str, Any], float]:
    """Look for an optimum, whatever is kept: parameters, and the value there."""
    problem, surveys = _surveyed(name, world, seed)
    sign, figure = GOALS[goal], FIGURES.index(metric)
    leaders = [survey.leaders(figure, sign) for survey in surveys]
    leaders.sort(key=lambda each: -float(each.scores[0]))
    finished = [problem.refine(each, figure, sign) for each in leaders[:_FINALISTS]]
    best = max(finished, key=lambda each: float(each.scores[0]))
    columns = problem.columns(best.points[:1], best.choice)
    return {column: columns[column][0] for column in problem.layout.columns}, float(sign * best.scores[0])


@lru_cache(maxsize=2)
def _surveyed(name: str, world: str, seed: int) -> tuple[_Problem, list[_Survey]]:
    """One survey serves all metrics."""
    from simulators.chemistries import chemistry

    problem = _Problem(chemistry(name, world=world, seed=seed))
    return problem, [problem.survey(choice) for choice in problem.choices()]


@dataclass(frozen=True)
class _Survey:
    """The lattice under one combination of categories, with all figures of merit [points, figures]."""

    choice: dict[str, str]
    points: Floats
    figures: Floats

    def leaders(self, figure: int, sign: float) -> _Leaders:
        """The best points for one figure."""
        return _Leaders.of(self.choice, self.points, sign * self.figures[:, figure])


@dataclass(frozen=True)
class _Leaders:
    """The best points found with one combination of categories, best first; scores are to be maximised."""

    choice: dict[str, str]
    points: Floats
    scores: Floats

    @classmethod
    def of(cls, choice: dict[str, str], points: Floats, scores: Floats) -> _Leaders:
        order = np.argsort(-scores, kind="stable")[:_STARTS]
        return cls(choice, points[order], scores[order])


class _Problem:
    """A chemistry's space as blocks of fractions and of numbers in [0, 1], beside its categories."""

    def __init__(self, chemistry: Chemistry) -> None:
        self.chemistry = chemistry
        self.parameters = chemistry.space["parameters"]
        self.layout = chemistry.layout(chemistry.columns)

    def choices(self) -> list[dict[str, str]]:
        """Every combination of categories."""
        categories = [each for each in self.parameters if each["type"] == "categorical"]
        names = [each["name"] for each in categories]
        return [
            dict(zip(names, values, strict=True)) for values in itertools.product(*(c["values"] for c in categories))
        ]

    def survey(self, choice: dict[str, str]) -> _Survey:
        """The whole lattice."""
        numbers = [
            parameter for parameter in self.parameters if parameter["type"] not in ("categorical", "composition")
        ]
        blocks = {id(p): _simplex(len(p["components"])) for p in self.parameters if p["type"] == "composition"}
        others = math.prod(len(block) for block in blocks.values()) * len(self.choices())
        levels = int((LARGEST / others) ** (1.0 / max(len(numbers), 1)))
        line = np.linspace(0.0, 1.0, min(max(levels, 3), MOST_LEVELS))[:, None]
        grid = _product([blocks.get(id(p), line) for p in self.parameters if p["type"] != "categorical"])
        return _Survey(choice, grid, truth(self.chemistry, self.layout, self.columns(grid, choice)))

    def refine(self, leaders: _Leaders, figure: int, sign: float) -> _Leaders:
        """Ever closer looks around the best points."""
        generator = stream("optimum", self.chemistry.name)
        for turn in range(_ROUNDS):
            near = self._neighbours(leaders.points, _SHRINK**turn / LATTICE, generator)
            scores = sign * truth(self.chemistry, self.layout, self.columns(near, leaders.choice))[:, figure]
            leaders = _Leaders.of(
                leaders.choice, np.concatenate([leaders.points, near]), np.concatenate([leaders.scores, scores])
            )
        return leaders

    def columns(self, points: Floats, choice: dict[str, str]) -> dict[str, Any]:
        """Points as columns of the space."""
        columns: dict[str, Any] = {name: [value] * len(points) for name, value in choice.items()}
        start = 0
        for parameter in self.parameters:
            if parameter["type"] == "categorical":
                continue
            width = _width(parameter)
            block = points[:, start : start + width]
            start += width
            if parameter["type"] == "composition":
                for component, column in zip(parameter["components"], block.T, strict=True):
                    columns[f"{parameter['name']}_{component}"] = column.tolist()
            else:
                columns[parameter["name"]] = _unscaled(parameter, block[:, 0]).tolist()
        return columns

    def _neighbours(self, points: Floats, radius: float, generator: np.random.Generator) -> Floats:
        near = np.repeat(points, _NEIGHBOURS, axis=0)
        # half of the neighbours differ in few coordinates, so that ridges along edges are followed
        moves = radius * generator.standard_normal(near.shape)
        moves *= generator.random(near.shape) < generator.choice([0.3, 1.0], size=(len(near), 1))
        near = np.clip(near + moves, 0.0, 1.0)
        start = 0
        for parameter in self.parameters:
            if parameter["type"] == "categorical":
                continue
            width = _width(parameter)
            if parameter["type"] == "composition":
                block = near[:, start : start + width]
                total = block.sum(axis=1, keepdims=True)
                near[:, start : start + width] = np.where(total > 0, block / np.maximum(total, 1e-12), 1.0 / width)
            start += width
        return near


def _width(parameter: Mapping[str, Any]) -> int:
    return len(parameter["components"]) if parameter["type"] == "composition" else 1


def _unscaled(parameter: Mapping[str, Any], unit: Floats) -> Floats:
    low, high = float(parameter["low"]), float(parameter["high"])
    if parameter.get("log"):
        logged: Floats = np.clip(low * (high / low) ** unit, low, high)
        return logged
    return low + (high - low) * unit


def _simplex(components: int) -> Floats:
    bars = itertools.combinations(range(LATTICE + components - 1), components - 1)
    return np.array([np.diff([-1, *bar, LATTICE + components - 1]) - 1 for bar in bars]) / LATTICE


def _product(blocks: list[Floats]) -> Floats:
    grid = blocks[0]
    for block in blocks[1:]:
        grid = np.hstack([np.repeat(grid, len(block), axis=0), np.tile(block, (len(grid), 1))])
    return grid
