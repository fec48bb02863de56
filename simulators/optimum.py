"""Where a chemistry is best, by brute force: a lattice over its whole space, then closer looks at the best points."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from simulators._schema import nearest
from simulators.batch import Floats, truth
from simulators.errors import ChemistryError
from simulators.worlds import stream

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry

LATTICE: Final = 10
"""Steps of a fraction between 0 and 1 on the lattice."""
LEVELS: Final = 21
"""Values of a number between its bounds on the lattice."""
_STARTS, _NEIGHBOURS, _ROUNDS, _SHRINK, _FINALISTS = 24, 64, 24, 0.7, 3


def optimum(chemistry: Chemistry, metric: str, goal: str) -> dict[str, Any]:
    """The best point of a chemistry's space; see :meth:`Chemistry.optimum`."""
    from simulators.chemistries import FIGURES

    if metric not in FIGURES:
        raise ChemistryError(f"there is no metric {metric!r} here.", field="metric", mend=nearest(metric, FIGURES))
    if goal not in {"maximize", "minimize"}:
        raise ChemistryError(f"the goal is {goal!r}.", field="goal", mend="Use maximize or minimize.")
    parameters, value = _search(chemistry.name, chemistry.world.name, chemistry.world.seed, metric, goal)
    return {"parameters": dict(parameters), "value": value}


@lru_cache(maxsize=256)
def _search(name: str, world: str, seed: int, metric: str, goal: str) -> tuple[Mapping[str, Any], float]:
    from simulators.chemistries import chemistry

    problem = _Problem(chemistry(name, world=world, seed=seed), metric, 1.0 if goal == "maximize" else -1.0)
    surveyed = sorted((problem.survey(choice) for choice in problem.choices()), key=lambda each: -each.scores[0])
    finished = [problem.refine(survey) for survey in surveyed[:_FINALISTS]]
    best = max(finished, key=lambda each: each.scores[0])
    columns = problem.columns(best.points[:1], best.choice)
    return {column: columns[column][0] for column in problem.layout.columns}, float(problem.sign * best.scores[0])


@dataclass(frozen=True)
class _Survey:
    """The best points found with one combination of categories, best first; scores are to be maximised."""

    choice: dict[str, str]
    points: Floats
    scores: Floats


class _Problem:
    """A chemistry's space as blocks of fractions and of numbers in [0, 1], beside its categories."""

    def __init__(self, chemistry: Chemistry, metric: str, sign: float) -> None:
        from simulators.chemistries import FIGURES

        self.chemistry = chemistry
        self.sign = sign
        self.figure = FIGURES.index(metric)
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
        """The best points of the lattice."""
        grid = _product([_lattice(parameter) for parameter in self.parameters if parameter["type"] != "categorical"])
        return _Survey(choice, *_leaders(grid, self._scores(grid, choice)))

    def refine(self, survey: _Survey) -> _Survey:
        """Ever closer looks around the best points."""
        generator = stream("optimum", self.chemistry.name)
        points, scores = survey.points, survey.scores
        for turn in range(_ROUNDS):
            near = self._neighbours(points, _SHRINK**turn / LATTICE, generator)
            found = np.concatenate([scores, self._scores(near, survey.choice)])
            points, scores = _leaders(np.concatenate([points, near]), found)
        return _Survey(survey.choice, points, scores)

    def _scores(self, points: Floats, choice: dict[str, str]) -> Floats:
        values = truth(self.chemistry, self.layout, self.columns(points, choice))
        scores: Floats = self.sign * values[:, self.figure]
        return scores

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


def _lattice(parameter: Mapping[str, Any]) -> Floats:
    if parameter["type"] != "composition":
        return np.linspace(0.0, 1.0, LEVELS)[:, None]
    bars = itertools.combinations(range(LATTICE + len(parameter["components"]) - 1), len(parameter["components"]) - 1)
    rows = [np.diff([-1, *bar, LATTICE + len(parameter["components"]) - 1]) - 1 for bar in bars]
    return np.array(rows) / LATTICE


def _product(blocks: list[Floats]) -> Floats:
    grid = blocks[0]
    for block in blocks[1:]:
        grid = np.hstack([np.repeat(grid, len(block), axis=0), np.tile(block, (len(grid), 1))])
    return grid


def _leaders(points: Floats, scores: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-scores, kind="stable")[:_STARTS]
    return points[order], scores[order]
