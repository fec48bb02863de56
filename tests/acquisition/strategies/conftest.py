"""Spaces, problems and all strategies with what each of them needs."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from acquisition import (
    Categorical,
    Composition,
    Continuous,
    Discrete,
    Integer,
    LinearConstraint,
    Objective,
    SearchSpace,
)
from acquisition.problem import Observations, Problem, Strategy
from acquisition.strategies import make_strategy

SPACES = {
    "box": SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 1e-3, 10.0, log=True)]),
    "mixture": SearchSpace([Composition("x", ["Cu", "Ag", "Zn", "Al", "Sn"], max_components=3)]),
    "steps": SearchSpace(
        [Composition("x", ["Cu", "Ag", "Zn"], step=0.05), Integer("n", 1, 5)],
        constraints=[LinearConstraint({"x_Cu": 1.0}, lower=0.2)],
    ),
    "mixed": SearchSpace(
        [
            Continuous("potential", -1.5, -0.5),
            Categorical("cation", ["Li", "Na", "K"]),
            Discrete("temperature", [10.0, 25.0, 40.0]),
        ]
    ),
    "constrained": SearchSpace(
        [Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)],
        constraints=[LinearConstraint({"a": 1.0, "b": 1.0}, upper=0.8)],
    ),
    "pool": SearchSpace.from_pool(
        pd.DataFrame(np.random.default_rng(0).dirichlet(np.ones(4), 60), columns=[f"x_{e}" for e in "abcd"])
    ),
}


def observe(space, points, **values):
    """Noise-free observations of points, by default of the distance from the first point."""
    columns = space.encoding(points)
    values = values or {"y": -np.square(columns - columns[:1]).sum(1)}
    n = len(points)
    return Observations(
        points=points,
        values={m: np.asarray(v, dtype=float) for m, v in values.items()},
        sems={m: np.full(n, np.nan) for m in values},
        inflation=np.ones(n),
    )


def pose(space, observed=0, waiting=0, seed=0, **changes):
    """A problem with one objective, y, that is to be maximized."""
    points = space.sample(observed + waiting + 1, np.random.default_rng(seed))[1:]
    known, pending = points[:observed], points[observed:]
    problem = Problem(
        space=space,
        objectives=(Objective("y", "maximize"),),
        outcome_constraints=(),
        observations=observe(space, known)
        if observed
        else Observations(known, {"y": np.empty(0)}, {"y": np.empty(0)}, np.empty(0)),
        pending=pending,
        failed=points[:0],
        taken=points,
        initial=4,
        seed=seed,
        ask=1,
    )
    return replace(problem, **changes)


@dataclass(frozen=True)
class Case:
    """A strategy, its options, and the problems that it takes."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    needs: str = "one"  # or "two" objectives, or a "target"
    finite: bool = False
    learns: bool = True

    def make(self) -> Strategy:
        return make_strategy(self.name, self.options)

    def suits(self, space: SearchSpace) -> bool:
        return space.size is not None or not self.finite

    def problem(self, space, observed=0, waiting=0, **changes) -> Problem:
        """One that the strategy takes: the second objective, z, falls where the first one rises."""
        problem = pose(space, observed, waiting, **changes)
        return self.adapted(problem)

    def adapted(self, problem, scale=1.0):
        """The problem with the objectives that the strategy needs, its outcomes times the scale."""
        observations = problem.observations
        columns = problem.space.encoding(observations.points)
        values = {m: v * scale for m, v in observations.values.items()}
        objectives = problem.objectives
        if self.needs == "target":
            objectives = (Objective("y", "target", target=(-0.3 * scale, -0.2 * scale)),)
        if self.needs == "two":
            objectives = (*objectives, Objective("z", "minimize"))
            values["z"] = scale * columns[:, 0] if len(columns) else np.empty(0)
        sems = {m: np.full(len(observations), np.nan) for m in values}
        return replace(problem, objectives=objectives, observations=replace(observations, values=values, sems=sems))


CASES = {
    "auto": Case("auto"),
    "discover": Case("discover"),
    "random": Case("random", learns=False),
    "space_filling": Case("space_filling", learns=False),
    "exhaustive": Case("exhaustive", finite=True, learns=False),
    "exhaustive-table": Case("exhaustive", {"order": "table"}, finite=True, learns=False),
    "expected_improvement": Case("expected_improvement"),
    "plain": Case("expected_improvement", {"kind": "plain"}),
    "probability": Case("expected_improvement", {"kind": "probability"}),
    "hypervolume": Case("hypervolume", needs="two"),
    "thompson": Case("thompson"),
    "thompson-two": Case("thompson", needs="two"),
    "upper_confidence": Case("upper_confidence"),
    "upper_confidence-two": Case("upper_confidence", {"beta": 2}, needs="two"),
    "trust_region": Case("trust_region"),
    "trust_region-thompson": Case("trust_region", {"inside": "thompson"}),
    "additive": Case("additive"),
    "saas": Case("saas"),
    "explore": Case("explore"),
    "explore-two": Case("explore", needs="two"),
    "level_set": Case("level_set", {"level": -0.3}),
    "straddle": Case("level_set", {"level": -0.3, "kind": "straddle"}),
    "target_window": Case("target_window", needs="target"),
    "target_window-distance": Case("target_window", {"kind": "distance"}, needs="target"),
}


QUICK = ("auto", "discover", "random", "space_filling", "exhaustive", "hypervolume", "thompson", "level_set")
"""Those that every run of the tests goes through; the others share most of their code with them, and are for soak."""


def _params(names):
    return [pytest.param(CASES[n], id=n, marks=[] if n in QUICK else [pytest.mark.soak]) for n in names]


@pytest.fixture(params=_params(CASES))
def case(request) -> Case:
    return request.param


@pytest.fixture(params=_params(n for n, c in CASES.items() if c.learns))
def learner(request) -> Case:
    """A strategy that learns from outcomes."""
    return request.param
