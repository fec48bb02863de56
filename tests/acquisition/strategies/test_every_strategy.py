"""What every strategy must do, whatever the space and whatever comes in."""

import time
import warnings
from dataclasses import replace
from importlib.metadata import entry_points

import numpy as np
import pandas as pd
import pytest

from acquisition import Categorical, Integer, Objective, OutcomeConstraint, SearchSpace, SpaceExhaustedError
from acquisition.problem import Strategy
from acquisition.strategies.registry import GROUP

from .conftest import CASES, SPACES, observe, pose

FAST = {name: SPACES[name] for name in ("steps", "pool")}
"""Spaces that are listed, not searched."""


def test_all_strategies_are_here():
    own = {entry.name for entry in entry_points(group=GROUP) if entry.value.startswith("acquisition.")}
    assert own == {case.name for case in CASES.values()}


@pytest.fixture(params=SPACES.values(), ids=SPACES)
def space(request, case):
    if not case.suits(request.param):
        pytest.skip("the strategy lists finite spaces only")
    return request.param


def points_of(answer):
    return np.stack([p.point for p in answer.proposals])


def check(problem, answer, n):
    """Proposals are n, different, new, inside and with reasons; what they predict is finite."""
    space, points = problem.space, points_of(answer)
    assert len(points) == n
    assert space.contains(points).all()
    keys = space.keys(points)
    assert len(set(keys)) == n
    assert not set(keys) & set(space.keys(problem.taken))
    for proposal in answer.proposals:
        assert proposal.reason
        assert "nan" not in proposal.reason
        for belief in proposal.prediction.values():
            assert np.isfinite(belief["mean"])
            assert belief["std"] > 0


def test_a_strategy_is_one(case):
    assert isinstance(case.make(), Strategy)


def test_proposals_are_new_different_and_inside(case, space):
    problem = case.problem(space, 12, waiting=2)
    check(problem, case.make().propose(problem, 2), 2)


@pytest.mark.parametrize("space", FAST.values(), ids=FAST)
@pytest.mark.parametrize("observed", [0, 1, 3])
def test_few_observations(case, space, observed):
    """None, one, and fewer than the design asks for; and one where the design is over."""
    problem = case.problem(space, observed, waiting=1)
    check(problem, case.make().propose(problem, 4), 4)
    check(problem, case.make().propose(replace(problem, initial=0), 2), 2)


@pytest.mark.parametrize("space", FAST.values(), ids=FAST)
def test_batches_and_pending_experiments(case, space):
    problem = case.problem(space, 10, waiting=4)
    check(problem, case.make().propose(problem, 5), 5)


@pytest.mark.parametrize("space", FAST.values(), ids=FAST)
def test_a_proposal_is_a_pure_function_of_the_problem(case, space):
    problem = case.problem(space, 8)
    strategy = case.make()
    np.random.seed(1)
    first = strategy.propose(problem, 2)
    np.random.seed(2)
    strategy.propose(replace(problem, seed=3), 1)  # what was asked between does not count
    for again in (strategy.propose(problem, 2), case.make().propose(problem, 2)):
        np.testing.assert_array_equal(points_of(first), points_of(again))
        assert first.state == again.state


def test_another_seed_gives_other_experiments(case):
    if case.name == "exhaustive":
        space, others = SPACES["steps"], [{"seed": 7}]
        if case.options:
            pytest.skip("the order of a table has no seed")
    else:
        space, others = SPACES["box"], [{"seed": 7}, {"ask": 2}]
    problem = case.problem(space)
    first = points_of(case.make().propose(problem, 1))
    for other in others:
        assert not np.array_equal(first, points_of(case.make().propose(replace(problem, **other), 1)))


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace([Integer("n", 1, 4), Categorical("c", ["a", "b"])]),
        SearchSpace.from_pool(pd.DataFrame({"p": [1.0, 2.0, 3.0, 2.0], "kind": ["a", "b", "a", "b"]})),
    ],
    ids=["grid", "pool"],
)
def test_a_finite_space_is_used_up_and_then_says_so(case, space):
    strategy = case.make()
    taken, state = np.empty((0, len(space.columns))), {}
    for ask in range(1, space.size + 1):
        observations = observe(space, taken) if len(taken) else pose(space).observations
        problem = case.problem(
            space, observations=observations, taken=taken, pending=taken[:0], ask=ask, state=state, initial=2
        )
        answer = strategy.propose(problem, 1)
        taken, state = np.vstack([taken, answer.proposals[0].point]), answer.state
    assert len(set(space.keys(taken))) == space.size
    problem = case.adapted(replace(pose(space), taken=taken, observations=observe(space, taken), pending=taken[:0]))
    with pytest.raises(SpaceExhaustedError, match="each of the"):
        strategy.propose(problem, 1)
    assert strategy.propose(replace(problem, replicates="auto"), 1).proposals


def test_fewer_than_asked_only_where_fewer_are_left(case):
    space = SearchSpace([Integer("n", 1, 8)])
    taken = np.arange(1.0, 6.0)[:, None]
    problem = case.problem(space, observations=observe(space, taken), taken=taken, pending=taken[:0])
    assert set(points_of(case.make().propose(problem, 6))[:, 0]) == {6.0, 7.0, 8.0}


@pytest.mark.parametrize("value", [0.0, -0.25, 3.0])
def test_outcomes_all_equal(learner, value):
    problem = learner.problem(SPACES["pool"], 8, waiting=1)
    values = {m: np.full(8, value) for m in problem.observations.values}
    problem = replace(problem, observations=replace(problem.observations, values=values))
    check(problem, learner.make().propose(problem, 3), 3)


@pytest.mark.parametrize("power", [-40, 40])
def test_units_do_not_matter(learner, power):
    """Outcomes in other units, by a power of two: the same experiments."""
    problem = pose(SPACES["pool"], 12, waiting=2)
    plain = points_of(learner.make().propose(learner.adapted(problem), 3))
    scaled = learner.make()
    if learner.name == "level_set":
        scaled.level *= 2.0**power
    np.testing.assert_array_equal(points_of(scaled.propose(learner.adapted(problem, 2.0**power), 3)), plain)


def test_results_that_are_not_there_yet(learner):
    """Half of the rows lack one metric, half another."""
    problem = learner.problem(SPACES["pool"], 12)
    problem = replace(problem, outcome_constraints=(OutcomeConstraint("h", upper=0.3),))
    values = {**problem.observations.values, "h": problem.observations.points[:, 0]}
    for place, (metric, known) in enumerate(values.items()):
        missing = np.arange(12) % len(values) == place
        values[metric] = np.where(missing, np.nan, known)
    sems = {m: np.full(12, np.nan) for m in values}
    problem = replace(problem, observations=replace(problem.observations, values=values, sems=sems))
    check(problem, learner.make().propose(problem, 3), 3)


def test_a_metric_of_which_nothing_is_known(learner):
    problem = learner.problem(SPACES["pool"], 6)
    values = {m: np.full(6, np.nan) for m in problem.observations.values}
    answer = learner.make().propose(replace(problem, observations=replace(problem.observations, values=values)), 2)
    check(problem, answer, 2)
    assert "initial design" in answer.proposals[0].reason


def test_constraints_that_nobody_meets(learner):
    problem = learner.problem(SPACES["pool"], 12)
    values = {**problem.observations.values, "h": problem.observations.points[:, 0]}
    sems = {m: np.full(12, np.nan) for m in values}
    problem = replace(
        problem,
        outcome_constraints=(OutcomeConstraint("h", lower=50.0, upper=51.0),),
        observations=replace(problem.observations, values=values, sems=sems),
    )
    answer = learner.make().propose(problem, 3)
    check(problem, answer, 3)
    assert answer.proposals[0].prediction.keys() == set(values)


def test_failures_are_heeded(learner):
    """Where all failed, the strategy does not go on; where it worked, it does."""
    space = SearchSpace([Integer("n", 1, 200)])
    worked, failed = np.arange(1.0, 100.0, 20)[:, None], np.arange(120.0, 200.0, 4)[:, None]
    problem = learner.adapted(
        pose(
            space,
            observations=observe(space, worked, y=-0.3 + worked[:, 0] / 1000),
            failed=failed,
            taken=np.vstack([worked, failed]),
            pending=failed[:0],
        )
    )
    answer = learner.make().propose(problem, 2)
    check(problem, answer, 2)
    assert points_of(answer).max() < 125


@pytest.mark.parametrize(
    "goal", [Objective("y", "minimize"), Objective("y", "target", target=(-0.6, -0.5)), Objective("y", reference=-1.0)]
)
def test_goals(learner, goal):
    problem = learner.problem(SPACES["pool"], 12)
    if learner.needs == "target" and goal.goal != "target":
        pytest.skip("the strategy refuses other goals, see its own test")
    objectives = (goal, *problem.objectives[1:])
    check(problem, learner.make().propose(replace(problem, objectives=objectives), 2), 2)


def test_five_hundred_observations_are_no_burden(learner):
    space = SPACES["steps"]
    every = space.enumerate()
    taken = every[np.random.default_rng(0).permutation(len(every))[:500]]
    problem = learner.adapted(pose(space, observations=observe(space, taken), taken=taken, pending=taken[:0]))
    strategy = learner.make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # botorch scripts functions when first imported
        state = strategy.propose(problem, 1).state  # the first fit, from nothing
    begun = time.perf_counter()
    check(problem, strategy.propose(replace(problem, state=state, ask=2), 1), 1)
    assert time.perf_counter() - begun < 10  # a fraction of a second on an idle machine
