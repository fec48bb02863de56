"""Strategies that learn a map: `explore` and `level_set`, and the closed form behind both."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from acquisition import Continuous, Objective, OutcomeConstraint, SearchSpace, StrategyError
from acquisition.beliefs import Model, fit
from acquisition.criteria.integrated import Reduction, measurement_noise, references
from acquisition.strategies import make_strategy
from surrogates import GaussianProcess

from .conftest import SPACES, observe, pose

SQUARE = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])
FIELD = SearchSpace.from_pool(pd.DataFrame(np.random.default_rng(2).random((400, 2)), columns=["a", "b"]))
GRID = np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)), -1).reshape(-1, 2)


def hills(points):
    return np.sin(5 * points[:, 0]) + np.cos(4 * points[:, 1]) * points[:, 0]


def run(strategy, truth, steps, seed=0, space=FIELD, start=5):
    """Points that a strategy chooses after a common random start."""
    points, state = space.sample(start, np.random.default_rng(seed)), {}
    for ask in range(1, steps + 1):
        problem = pose(
            space,
            observations=observe(space, points, y=truth(points)),
            taken=points,
            pending=points[:0],
            seed=seed,
            ask=ask,
            state=state,
        )
        answer = strategy.propose(problem, 1)
        points, state = np.vstack([points, answer.proposals[0].point]), answer.state
    return points


def belief_after(points, truth):
    problem = pose(SQUARE, observations=observe(SQUARE, points, y=truth(points)), taken=points, pending=points[:0])
    return fit(problem).models["y"].predict(GRID)


def test_the_reduction_is_what_one_more_row_takes_away():
    """Against the variances of the process with the row appended, pending points appended before."""
    problem = pose(SPACES["mixed"], 9, waiting=2)
    encoding, observations = problem.space.encoding, problem.observations
    # one exact process: in averages over several, outcomes do matter for variances
    model = Model(encoding, GaussianProcess.fit(encoding(observations.points), observations.values["y"]))
    points = references(problem)
    noise = model.surrogate.noise**2 / model.width**2
    reduction = Reduction(model, points, problem.pending, noise)
    encode = model.encoding
    # outcomes do not matter for variances
    with_pending = model.surrogate.extended(encode(problem.pending), np.zeros(2))
    candidates = problem.space.sample(4, np.random.default_rng(5))
    found = reduction(torch.from_numpy(candidates)).numpy()
    before = with_pending.moments(torch.from_numpy(encode(points)))[1]
    for candidate, value in zip(candidates, found, strict=True):
        after = with_pending.extended(encode(candidate[None, :]), np.zeros(1)).moments(
            torch.from_numpy(encode(points))
        )[1]
        assert value == pytest.approx(float((before - after).mean()), rel=1e-3, abs=1e-9)


def test_weights_say_which_places_count():
    problem = pose(SQUARE, 8)
    model = fit(problem).models["y"]
    points = np.array([[0.1, 0.1], [0.9, 0.9]])
    at = torch.from_numpy(np.array([[0.12, 0.1], [0.88, 0.9]]))
    none = problem.pending
    first = Reduction(model, points, none, 0.01, torch.tensor([1.0, 0.0], dtype=torch.float64))(at)
    second = Reduction(model, points, none, 0.01, torch.tensor([0.0, 1.0], dtype=torch.float64))(at)
    both = Reduction(model, points, none, 0.01)(at)
    np.testing.assert_allclose((first + second) / 2, both)
    assert first[0] / second[0] > first[1] / second[1]


def test_the_reference_points_stay_the_same_over_a_campaign():
    problem = pose(SQUARE, 3)
    np.testing.assert_array_equal(references(problem), references(replace(problem, ask=9)))
    assert len(references(pose(SPACES["pool"]))) == 60


def test_the_noise_of_a_measurement_includes_what_is_stated():
    problem = pose(SQUARE, 12)
    stated = replace(problem.observations, sems={"y": np.full(12, 0.2)})
    problem = replace(problem, observations=stated)
    models = fit(problem).models
    points = references(problem)
    width = models["y"].width
    assert measurement_noise(problem, models, points)["y"] * width**2 >= 0.2**2


def test_explore_learns_the_map_better_than_chance():
    errors, left = {}, {}
    for name in ("explore", "random"):
        beliefs = [belief_after(run(make_strategy(name), hills, 12, seed), hills) for seed in range(6)]
        errors[name] = np.mean([np.sqrt(np.mean((b.mean - hills(GRID)) ** 2)) for b in beliefs])
        left[name] = np.mean([np.mean(b.std**2) for b in beliefs])
    assert errors["explore"] < 0.7 * errors["random"]
    assert left["explore"] < 0.7 * left["random"]


def test_explore_does_not_mind_what_is_good():
    """Goals upside down: the same experiments."""
    strategy = make_strategy("explore")
    problem = pose(SQUARE, 8)
    down = replace(problem, objectives=(Objective("y", "minimize"),))
    there, back = (strategy.propose(p, 2).proposals for p in (problem, down))
    np.testing.assert_array_equal([p.point for p in there], [p.point for p in back])


def test_explore_sums_the_metrics_or_takes_those_named():
    """One metric depends on a alone, one on b alone."""
    points = SQUARE.sample(14, np.random.default_rng(1))
    observations = observe(SQUARE, points, y=np.sin(9 * points[:, 0]), z=1e3 * np.sin(9 * points[:, 1]))
    problem = pose(
        SQUARE,
        observations=observations,
        objectives=(Objective("y"), Objective("z")),
        taken=points,
        pending=points[:0],
    )
    chosen = {
        metrics: make_strategy("explore", {"metrics": list(metrics)} if metrics else {}).propose(problem, 1)
        for metrics in ((), ("y",), ("z",))
    }
    places = {metrics: answer.proposals[0].point for metrics, answer in chosen.items()}
    assert not np.allclose(places[("y",)], places[("z",)])
    np.testing.assert_array_equal(
        make_strategy("explore", {"metrics": ["y", "z"]}).propose(problem, 1).proposals[0].point, places[()]
    )


@pytest.mark.parametrize("kind", ["targeted", "straddle"])
def test_level_set_concentrates_at_the_level(kind):
    level = 0.6
    border = np.abs(hills(GRID) - level)
    typical = np.median(border)
    strategy = make_strategy("level_set", {"level": level, "kind": kind})
    gaps, wrong = [], {"level_set": [], "random": []}
    for seed in range(3):
        points = run(strategy, hills, 15, seed)
        gaps.append(np.abs(hills(points[5:]) - level))
        for name, chosen in (("level_set", points), ("random", run(make_strategy("random"), hills, 15, seed))):
            mean = belief_after(chosen, hills).mean
            wrong[name].append(np.mean((mean > level) != (hills(GRID) > level)))
    assert np.median(np.concatenate(gaps)) < 0.5 * typical
    assert np.mean(wrong["level_set"]) < 0.7 * np.mean(wrong["random"])


def test_level_set_follows_another_metric_within_the_constraints():
    """The border of h runs along a = 0.5; only b below 0.5 is allowed."""
    points = SQUARE.sample(16, np.random.default_rng(0))
    problem = pose(
        SQUARE,
        observations=observe(SQUARE, points, y=points[:, 1], h=np.tanh(4 * (points[:, 0] - 0.5)), g=points[:, 1]),
        outcome_constraints=(OutcomeConstraint("h", lower=0.0), OutcomeConstraint("g", upper=0.5)),
        taken=points,
        pending=points[:0],
    )
    for kind in ("targeted", "straddle"):
        answer = make_strategy("level_set", {"level": 0.0, "metric": "h", "kind": kind}).propose(problem, 3)
        places = np.stack([p.point for p in answer.proposals])
        assert (places[:, 1] < 0.62).all()
        assert np.abs(places[:, 0] - 0.5).max() < 0.35
        assert "h crosses 0" in answer.proposals[0].reason


def test_a_level_beyond_all_outcomes_still_gives_a_proposal():
    pool = SearchSpace.from_pool(pd.DataFrame({"a": np.linspace(0, 1, 50)}))
    points = pool.to_array(pool.pool.iloc[::7])
    problem = pose(pool, observations=observe(pool, points, y=points[:, 0]), taken=points, pending=points[:0])
    for kind in ("targeted", "straddle"):
        for level in (1e6, -1e6):
            answer = make_strategy("level_set", {"level": level, "kind": kind}).propose(problem, 2)
            assert len(answer.proposals) == 2


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_outcomes_that_cannot_be_squared_have_levels_too(size):
    space = SPACES["box"]
    problem = pose(space, 3, observations=observe(space, space.sample(3, np.random.default_rng(0)), y=[0, size, -size]))
    proposal = make_strategy("level_set", {"level": 0.5}).propose(problem, 1).proposals[0]
    assert "nan" not in proposal.reason


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("explore", {"metrics": ["yy"]}, "Did you mean 'y'|Known are"),
        ("level_set", {"level": 1.0, "metric": "x"}, "neither objective nor outcome constraint"),
    ],
)
def test_metrics_that_are_not_observed(name, options, says):
    with pytest.raises(StrategyError, match=says):
        make_strategy(name, options).propose(pose(SQUARE, 6), 1)


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("explore", {"metrics": "y"}, "strategy.options.metrics"),
        ("explore", {"metrics": []}, "strategy.options.metrics"),
        ("level_set", {"level": "high"}, "strategy.options.level"),
        ("level_set", {"level": float("nan")}, "strategy.options.level"),
        ("level_set", {"level": 1, "kind": "stradle"}, "strategy.options.kind"),
        ("level_set", {}, "strategy"),
    ],
)
def test_options_that_cannot_be(name, options, field):
    with pytest.raises(StrategyError) as caught:
        make_strategy(name, options)
    assert caught.value.field == field
