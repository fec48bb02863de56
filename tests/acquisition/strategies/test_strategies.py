"""What `auto` must do beyond what every strategy must."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Composition, Continuous, Integer, Objective, OutcomeConstraint, SearchSpace, StrategyError
from acquisition.strategies import make_strategy

from .conftest import SPACES, observe, pose


@pytest.mark.parametrize(
    "goal",
    [
        Objective("y", "maximize"),
        Objective("y", "minimize"),
        Objective("y", "target", target=(0.49, 0.51)),
    ],
)
def test_auto_finds_the_best_of_a_smooth_function(goal):
    space = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])
    strategy = make_strategy("auto")

    def truth(points):
        value = np.exp(-8 * ((points[:, 0] - 0.7) ** 2 + (points[:, 1] - 0.2) ** 2))
        return -value if goal.goal == "minimize" else value

    points, state = space.sample(4, np.random.default_rng(0)), {}
    for ask in range(1, 16):
        problem = pose(space, observations=observe(space, points, y=truth(points)), taken=points, pending=points[:0])
        answer = strategy.propose(replace(problem, objectives=(goal,), ask=ask, state=state), 1)
        points, state = np.vstack([points, answer.proposals[0].point]), answer.state
    values = truth(points)
    if goal.goal == "target":
        assert ((values >= 0.49) & (values <= 0.51)).any()
    else:
        assert np.abs(values).max() > 0.999


def test_auto_tells_what_it_expects():
    proposal = make_strategy("auto").propose(pose(SPACES["box"], 10), 1).proposals[0]
    assert proposal.prediction["y"].keys() == {"mean", "std"}
    assert "expects y" in proposal.reason


def test_auto_follows_one_design_over_several_asks():
    problem = pose(SPACES["box"], initial=6)
    strategy = make_strategy("auto")
    at_once = [p.point for p in strategy.propose(problem, 6).proposals]
    state, taken, one_by_one = {}, problem.taken, []
    for ask in range(1, 7):
        step = replace(problem, ask=ask, state=state, taken=taken, pending=taken)
        answer = strategy.propose(step, 1)
        state, taken = answer.state, np.vstack([taken, answer.proposals[0].point])
        one_by_one.append(answer.proposals[0].point)
    np.testing.assert_allclose(one_by_one, at_once)


def test_auto_does_not_wait_for_a_model_that_cannot_be():
    """A metric of which nothing is known yet: the design goes on."""
    problem = pose(SPACES["box"], 6)
    unknown = replace(problem.observations, values={"y": np.full(6, np.nan)})
    assert (
        "initial design" in make_strategy("auto").propose(replace(problem, observations=unknown), 1).proposals[0].reason
    )


def test_auto_with_two_objectives_and_a_constraint():
    space = SPACES["box"]
    points = space.sample(12, np.random.default_rng(0))
    x = space.encoding(points)
    observations = observe(space, points, a=x[:, 0], b=-x[:, 0] + x[:, 1], h=x[:, 1])
    problem = pose(
        space,
        observations=observations,
        objectives=(Objective("a", "maximize"), Objective("b", "maximize")),
        outcome_constraints=(OutcomeConstraint("h", upper=0.5),),
        taken=points,
        pending=points[:0],
    )
    proposal = make_strategy("auto").propose(problem, 1).proposals[0]
    assert proposal.prediction.keys() == {"a", "b", "h"}
    assert proposal.prediction["h"]["mean"] < 0.6


def test_objectives_all_equal_still_give_a_proposal():
    space = SPACES["mixture"]
    points = space.sample(8, np.random.default_rng(0))
    problem = pose(space, observations=observe(space, points, y=np.ones(8)), taken=points, pending=points[:0])
    assert make_strategy("auto").propose(problem, 2).proposals


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_random_is_uniform_enough_to_hit_both_halves(seed):
    problem = pose(SPACES["box"], seed=seed)
    values = [p.point[0] for p in make_strategy("random").propose(problem, 64).proposals]
    assert min(values) < 0.5 < max(values)


def test_names_options_and_plugins():
    with pytest.raises(StrategyError, match="Did you mean 'random'"):
        make_strategy("randon")
    with pytest.raises(StrategyError, match="colour"):
        make_strategy("auto", {"colour": "red"})


@pytest.mark.parametrize("seed", [0, 1])
def test_auto_leaves_where_experiments_fail(seed):
    """The function rises towards where every experiment fails: the budget is not to be spent there."""
    space = SearchSpace([Continuous("t", 0.0, 1.0)])
    failures, best = {}, {}
    for heeds in (True, False):
        points, lost, state = np.array([[0.1], [0.3], [0.5]]), np.empty((0, 1)), {}
        for ask in range(1, 13):
            problem = pose(
                space,
                observations=observe(space, points, y=points[:, 0]),
                taken=np.vstack([points, lost]),
                pending=points[:0],
                failed=lost if heeds else lost[:0],
                ask=ask,
                seed=seed,
                state=state,
            )
            answer = make_strategy("auto").propose(problem, 1)
            point, state = answer.proposals[0].point[None, :], answer.state
            if point[0, 0] < 0.6:
                points = np.vstack([points, point])
            else:
                lost = np.vstack([lost, point])
        failures[heeds], best[heeds] = len(lost), points.max()
    assert failures[True] < failures[False]
    assert best[True] > 0.57
    assert best[False] < 0.57


def test_auto_keeps_the_feasible_best_among_many_infeasible():
    """More good but infeasible points than are looked at: the best feasible one still is the one to beat."""
    from acquisition.beliefs import MOST_KNOWN, fit, promising

    space = SearchSpace([Continuous("a", 0.0, 1.0)])
    a = np.concatenate([np.linspace(0.4, 1.0, MOST_KNOWN + 40), np.linspace(0.0, 0.3, 30)])[:, None]
    problem = pose(
        space,
        observations=observe(space, a, y=a[:, 0], h=a[:, 0]),
        outcome_constraints=(OutcomeConstraint("h", upper=0.31),),
        taken=a,
        pending=a[:0],
    )
    models = fit(problem).models
    assert promising(problem, models)[0, 0] == pytest.approx(0.3)
    proposal = make_strategy("auto").propose(problem, 1).proposals[0]
    assert 0.29 < proposal.point[0] < 0.33


@pytest.mark.parametrize("replicates", ["none", "auto"])
def test_a_batch_larger_than_what_is_left(replicates):
    space = SearchSpace([Integer("n", 1, 8)])
    taken = np.arange(1.0, 6.0)[:, None]
    problem = pose(space, observations=observe(space, taken), taken=taken, pending=taken[:0], replicates=replicates)
    for initial in (1, 7, 20):
        points = [p.point[0] for p in make_strategy("auto").propose(replace(problem, initial=initial), 6).proposals]
        assert points
        assert replicates == "auto" or set(points) == {6.0, 7.0, 8.0}


def test_the_search_finds_what_is_free_beside_what_is_taken():
    """On a lattice whose best points are all taken, the next best free one is found."""
    from acquisition.maximise import best_candidate

    space = SearchSpace([Composition("x", ["a", "b", "c", "d"], step=0.01)])
    target = np.array([0.4, 0.3, 0.2, 0.1])

    def score(points):
        return -(points - torch.from_numpy(target)).square().sum(1)

    def plain(points):
        return score(torch.from_numpy(points)).numpy()

    every = space.sample(20_000, np.random.default_rng(0))
    near = np.unique(np.round(target + np.round(every - every.mean(0), 2) * 0.06, 2), axis=0)
    near = near[space.contains(near)]
    near = near[np.argsort(-plain(near))]
    taken = near[:100]
    problem = pose(space, taken=taken, pending=taken[:0])
    found = best_candidate(problem, score, taken[:5], np.random.default_rng(0))
    rivals = near[100:]
    assert plain(found[None])[0] >= plain(rivals)[:3].min() - 1e-9


def test_auto_keeps_away_from_what_is_pending():
    """A pending experiment is not merely not repeated: next to it nothing more is to be gained."""
    space = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])
    points = space.sample(10, np.random.default_rng(0))
    y = -np.square(points - [0.3, 0.6]).sum(1)
    problem = pose(space, observations=observe(space, points, y=y), taken=points, pending=points[:0])
    first = make_strategy("auto").propose(problem, 1).proposals[0].point[None, :]
    beside = replace(problem, pending=first, taken=np.vstack([points, first]))
    second = make_strategy("auto").propose(beside, 1).proposals[0].point
    unaware = make_strategy("auto").propose(replace(beside, pending=points[:0]), 1).proposals[0].point
    assert np.linalg.norm(second - first) > 2 * np.linalg.norm(unaware - first)


def test_a_long_initial_design_is_made_in_parts():
    problem = pose(SPACES["box"], initial=10**9)
    first = make_strategy("auto").propose(problem, 2)
    assert len(first.proposals) == 2
    assert 100 < len(first.state["design"]) < 1000


@pytest.mark.parametrize(("observed", "model"), [(2, False), (3, True)])
def test_no_model_is_trusted_before_half_of_the_design_is_known(observed, model):
    """Many cells have all of the design under way when the first result comes."""
    problem = pose(SPACES["box"], observed, waiting=8, initial=6)
    reason = make_strategy("auto").propose(problem, 1).proposals[0].reason
    assert ("expected improvement" in reason) is model
