"""Measuring again: where noise makes it pay, and never where it tells nothing."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from acquisition import Integer, Objective, SearchSpace
from acquisition.beliefs import Beliefs, Model
from acquisition.criteria.again import _knowledge_gradient, worth_again
from acquisition.strategies import make_strategy
from acquisition.strategies.model_based import Situation
from surrogates import GaussianProcess

from .conftest import SPACES, observe, pose

SETTINGS = SearchSpace([Integer("n", 0, 20)])
PAIR = SearchSpace.from_pool(pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "kind": ["p", "q", "r", "s"]}))


def run(noise, asks, name="auto", seed=0):
    """How often each setting was measured, by a strategy that may measure again."""
    generator = np.random.default_rng(seed)

    def measure(points):
        return np.sin(points[:, 0] / 5) + noise * generator.standard_normal(len(points))

    points = SETTINGS.enumerate()[::4]
    values, state, asked = measure(points), {}, []
    for ask in range(1, asks + 1):
        problem = pose(
            SETTINGS,
            observations=observe(SETTINGS, points, y=values),
            taken=points,
            pending=points[:0],
            replicates="auto",
            ask=ask,
            seed=seed,
            state=state,
        )
        answer = make_strategy(name).propose(problem, 1)
        new = answer.proposals[0].point[None, :]
        asked.append(float(new[0, 0]))
        points, values, state = np.vstack([points, new]), np.concatenate([values, measure(new)]), answer.state
    return asked, Counter(points[:, 0].tolist())


@pytest.mark.parametrize("name", ["auto", "upper_confidence", "thompson", "trust_region"])
def test_noise_makes_it_pay(name):
    """The best settings are measured again, not just any."""
    asked, counts = run(1.0, 20, name)
    repeated = [setting for setting, times in counts.items() if times > 1]
    assert repeated
    assert len(set(asked)) < len(asked)


@pytest.mark.parametrize("name", ["auto", "upper_confidence", "thompson", "trust_region"])
def test_without_noise_nothing_is_measured_again(name):
    _, counts = run(0.0, 12, name)
    assert max(counts.values()) == 1


def situation(values, points, sem=0.3, waiting=0):
    problem = pose(PAIR, observations=observe(PAIR, points, y=values), taken=points, pending=points[:0])
    stated = replace(problem.observations, sems={"y": np.full(len(points), sem)})
    problem = replace(problem, observations=stated)
    # one exact process: averages over several have no closed form to compare with
    process = GaussianProcess.fit(PAIR.encoding(points), values, sem=stated.sems["y"])
    beliefs = Beliefs(problem, {"y": Model(PAIR.encoding, process)})
    return Situation(beliefs, points[:waiting], points, 0, 0)


def test_the_worth_is_that_of_simulated_measurements():
    points = PAIR.enumerate()[[0, 1, 2, 0, 1]]
    here = situation(np.array([1.0, 1.1, 0.2, 0.9, 1.2]), points)
    model = here.beliefs.models["y"]
    places = PAIR.enumerate()
    worth = _knowledge_gradient(here, places)
    generator = np.random.default_rng(0)
    before = model.predict(places).mean.max()
    sem = 0.3
    for row, place in enumerate(places):
        belief = model.predict(place[None, :])
        noise = np.hypot(model.surrogate.noise, sem)
        outcomes = belief.mean + np.hypot(belief.std, noise) * generator.standard_normal(400)
        after = [
            model.surrogate.extended(model.encoding(place[None, :]), [y], [sem]).predict(model.encoding(places)).mean
            for y in outcomes
        ]
        gains = np.max(after, axis=1) - before
        assert worth[row] * model.width == pytest.approx(gains.mean(), abs=4 * gains.std() / 20 + 1e-9)


def test_a_close_race_is_worth_repeating_and_a_decided_one_is_not():
    points = PAIR.enumerate()[:3]
    new = PAIR.enumerate()[3]
    close = situation(np.array([1.0, 1.02, -3.0]), points, sem=0.5)
    worth = _knowledge_gradient(close, points)
    assert min(worth[:2]) > 3 * worth[2]
    exact = situation(np.array([1.0, 1.02, -3.0]), points, sem=1e-6)
    assert worth_again(exact, new) is None


def test_what_is_being_measured_again_is_worth_less_a_second_time():
    points = PAIR.enumerate()[:3]
    values = np.array([1.0, 1.02, -3.0])
    alone = _knowledge_gradient(situation(values, points, sem=0.5), points)
    beside = _knowledge_gradient(situation(values, points, sem=0.5, waiting=1), points)
    assert beside[0] < alone[0]


def test_a_space_that_is_used_up_is_measured_again_where_that_tells_most():
    points = np.vstack([PAIR.enumerate(), PAIR.enumerate()[:1]])
    values = np.array([1.0, 1.05, -2.0, -2.5, 1.0])
    problem = pose(
        PAIR,
        observations=observe(PAIR, points, y=values),
        taken=points,
        pending=points[:0],
        replicates="auto",
    )
    sems = {"y": np.full(5, 0.5)}
    problem = replace(problem, observations=replace(problem.observations, sems=sems))
    for name in ("auto", "upper_confidence", "expected_improvement"):
        again = make_strategy(name).propose(problem, 1).proposals[0].point[0]
        assert again == 1.0  # the rival that was measured once


def test_several_objectives_go_on_to_new_points():
    points = SPACES["pool"].enumerate()[:8]
    problem = pose(
        SPACES["pool"],
        observations=observe(SPACES["pool"], points, y=points[:, 0], z=points[:, 1]),
        objectives=(Objective("y"), Objective("z")),
        taken=points,
        pending=points[:0],
        replicates="auto",
    )
    keys = set(SPACES["pool"].keys(points))
    for proposal in make_strategy("upper_confidence").propose(problem, 4).proposals:
        assert SPACES["pool"].keys(proposal.point[None, :])[0] not in keys
