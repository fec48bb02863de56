"""The trust region: it shrinks, grows and starts again as stated, purely from what was observed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import (
    Categorical,
    Composition,
    Continuous,
    Objective,
    OutcomeConstraint,
    SearchSpace,
    StrategyError,
)
from acquisition.criteria.region import Box, Rules, replay
from acquisition.strategies import make_strategy
from acquisition.strategies.trust_region import MOST_MODELLED, TrustRegion

from .conftest import SPACES, observe, pose

SQUARE = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])
RULES = Rules(start=0.8, shortest=0.1, longest=1.6, successes=3, failures=4, design=2)


def history(values, **others):
    """A problem whose observations came with these values, in this order."""
    points = SQUARE.sample(len(values), np.random.default_rng(0))
    observations = observe(SQUARE, points, y=np.array(values, dtype=float), **others)
    return pose(SQUARE, observations=observations, taken=points, pending=points[:0])


def after(values, rules=RULES):
    return replay(history(values), rules)


def test_a_new_region_has_its_design_first():
    assert after([]).length == 0.8
    region = after([5.0, 1.0])
    assert (region.length, region.successes, region.failures, region.best) == (0.8, 0, 0, (0.0, 5.0))


def test_failures_in_a_row_halve_the_length():
    assert after([5.0, 1, 2, 3, 4]).length == 0.8
    region = after([5.0, 1, 2, 3, 4, 3])
    assert (region.length, region.failures) == (0.4, 0)


def test_an_improvement_ends_a_row_of_failures():
    region = after([5.0, 1, 2, 3, 4, 6, 3])
    assert (region.length, region.failures, region.successes) == (0.8, 1, 0)


def test_improvements_in_a_row_double_the_length_up_to_the_longest():
    assert after([1.0, 0, 2, 3, 4]).length == 1.6
    assert after([1.0, 0, 2, 3, 4, 5, 6, 7]).length == 1.6


def test_what_is_hardly_better_is_no_improvement():
    assert after([0.0, 100.0, 100.01, 100.02, 100.03, 100.04]).length == 0.4


def test_a_region_that_is_too_small_starts_again():
    falling = [5.0, 4.9] + [1.0] * 12  # 0.8, 0.4, 0.2, 0.1
    assert after(falling).length == pytest.approx(0.1)
    again = after([*falling, 1.0, 1.0, 1.0, 1.0])
    assert (again.number, again.first, again.length, again.best[1]) == (2, 18, 0.8, -np.inf)
    # the old region's best is no measure for the new one
    assert after([*falling, 1.0, 1.0, 1.0, 1.0, 0.5, 0.6, 0.7, 0.8, 0.9]).length == 1.6


def test_goals_constraints_and_missing_values():
    minimize = replace(history([5.0, 1.0, 2.0, 3.0]), objectives=(Objective("y", "minimize"),))
    assert replay(minimize, RULES).best == (0.0, -1.0)
    target = replace(history([5.0, 1.0, 2.0, 3.0]), objectives=(Objective("y", "target", target=2.2),))
    assert replay(target, RULES).best[1] == pytest.approx(-0.2)
    # what keeps the constraint is better than whatever does not, and less of a violation better than more
    bound = (OutcomeConstraint("h", upper=0.0),)
    kept = replace(history([5.0, 1.0, 2.0, 3.0], h=[1.0, 0.5, -1.0, 0.0]), outcome_constraints=bound)
    assert replay(kept, RULES).best == (0.0, 3.0)
    broken = replace(history([5.0, 1.0, 2.0, 3.0], h=[2.0, 0.5, 1.0, 1.5]), outcome_constraints=bound)
    assert replay(broken, RULES).best == (-0.5 / 1.5, 1.0)
    partial = history([5.0, 1.0, np.nan, np.nan, np.nan, np.nan, np.nan, 4.0])
    assert replay(partial, RULES).failures == 1


@given(st.lists(st.floats(-10, 10), max_size=60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_the_region_is_always_within_its_lengths_and_depends_on_the_past_alone(values, cut):
    region = after(values)
    assert RULES.shortest <= region.length <= RULES.longest
    assert region.first <= len(values)
    assert 0 <= region.successes < RULES.successes
    assert 0 <= region.failures < RULES.failures
    assert after(values[:cut]).first <= region.first


def test_the_box_takes_numbers_fractions_and_few_categories():
    space = SearchSpace(
        [
            Continuous("rate", 1.0, 100.0, log=True),
            Composition("x", ["Cu", "Ag", "Zn"]),
            *(Categorical(name, ["p", "q", "r"]) for name in ("i", "j", "k", "l")),
        ]
    )
    centre = np.array([10.0, 0.5, 0.5, 0.0, 0, 0, 0, 0])
    box = Box(space.encoding, centre, 0.5, [4, 5, 6, 7])

    def beyond(**changes):
        point = centre.copy()
        for name, value in changes.items():
            point[space.columns.index(name)] = value
        return float(box.beyond(torch.from_numpy(point[None, :])))

    assert beyond() == 0
    assert beyond(rate=10 * 100**0.24) == 0
    assert beyond(rate=10 * 100**0.3) == pytest.approx(0.05)
    assert beyond(x_Cu=0.3, x_Zn=0.2) == 0
    assert beyond(x_Cu=0.0, x_Zn=0.5) == pytest.approx(0.5)
    assert beyond(i=1, j=2) == 0  # half of four categories
    assert beyond(i=1, j=2, k=1) == 1


def climb(strategy, truth, space, steps, start=6):
    points, state, lengths, regions = space.sample(start, np.random.default_rng(0)), {}, [], []
    for ask in range(1, steps + 1):
        problem = pose(
            space,
            observations=observe(space, points, y=truth(points)),
            taken=points,
            pending=points[:0],
            initial=start,
            ask=ask,
            state=state,
        )
        answer = strategy.propose(problem, 1)
        lengths.append(answer.state["region"]["length"])
        regions.append(answer.state["region"]["number"])
        points, state = np.vstack([points, answer.proposals[0].point]), answer.state
    return points, lengths, regions


@pytest.mark.parametrize("inside", ["improvement", "thompson"])
def test_proposals_keep_to_the_region(inside):
    def truth(points):
        return -np.abs(points - [0.7, 0.2]).sum(1)

    strategy = make_strategy("trust_region", {"inside": inside, "length": 0.2, "failures": 2, "shortest": 0.01})
    points, lengths, _ = climb(strategy, truth, SQUARE, 9)
    for k, length in enumerate(lengths):  # the centre is the best by the model, one of those measured
        steps = np.abs(points[: 6 + k] - points[6 + k]).max(1)
        assert steps.min() <= 0.5 * length + 1e-9
    assert min(lengths) < 0.2
    assert truth(points).max() > -0.1


def test_a_converged_region_starts_again_with_a_design():
    space = SearchSpace([Continuous("a", 0.0, 1.0)])
    strategy = make_strategy("trust_region", {"length": 0.2, "shortest": 0.1, "failures": 2})
    points, _, regions = climb(strategy, lambda p: -np.abs(p[:, 0] - 0.5), space, 18)
    assert regions[-1] > 1
    first = regions.index(2)
    restart = points[6 + first : 12 + first, 0]
    assert np.ptp(restart) > 0.5
    problem = pose(
        space,
        observations=observe(space, points[: 6 + first], y=-np.abs(points[: 6 + first, 0] - 0.5)),
        taken=points[: 6 + first],
        pending=points[:0],
        initial=6,
    )
    batch = strategy.propose(problem, 3).proposals
    assert all("initial design" in p.reason for p in batch)


def test_the_region_does_not_depend_on_what_was_stored():
    problem = history([5.0, 4.0, 3.0, 2.0, 4.5, 1.0, 2.0, 3.0])
    strategy = make_strategy("trust_region", {"failures": 2})
    plain = strategy.propose(problem, 1)
    odd = replace(problem, state={"region": {"number": 7, "length": 0.01, "first": 6}})
    assert strategy.propose(odd, 1).state["region"] == plain.state["region"]
    np.testing.assert_array_equal(strategy.propose(odd, 1).proposals[0].point, plain.proposals[0].point)


def test_a_pool_without_rows_in_the_region_gives_the_nearest():
    pool = SearchSpace.from_pool(pd.DataFrame({"a": [0.0, 0.01, 0.5, 1.0, 0.95, 0.9]}))
    points = np.array([[0.0], [0.01], [0.5], [1.0]])
    problem = pose(
        pool,
        observations=observe(pool, points, y=[1.0, 0.9, 0.5, 0.0]),
        taken=points,
        pending=points[:0],
    )
    answer = make_strategy("trust_region", {"length": 0.05}).propose(problem, 1)
    assert answer.proposals[0].point[0] == 0.9


def test_many_observations_are_thinned_to_the_near_ones(monkeypatch):
    from acquisition.strategies import model_based

    fitted = []
    whole = model_based.fit
    monkeypatch.setattr(model_based, "fit", lambda p, options: fitted.append(p.observations) or whole(p, options))
    points = SQUARE.sample(MOST_MODELLED + 200, np.random.default_rng(0))
    y = -np.abs(points - 0.5).sum(1)
    y[::3] = np.nan
    problem = pose(SQUARE, observations=observe(SQUARE, points, y=y), taken=points, pending=points[:0])
    answer = make_strategy("trust_region", {"failures": 1000}).propose(problem, 1)
    assert answer.proposals
    newest, near = fitted  # the one says what was a success, the other what to do next
    np.testing.assert_array_equal(newest.points, points[-MOST_MODELLED:])
    assert len(near) == MOST_MODELLED
    assert np.isfinite(near.values["y"]).all()
    best = points[np.nanargmax(y)]
    left = np.linalg.norm(points[np.isfinite(y)] - best, axis=1)
    np.testing.assert_allclose(
        np.sort(np.linalg.norm(near.points - best, axis=1)), np.sort(left)[:MOST_MODELLED], rtol=1e-12
    )


def test_lucky_values_are_no_successes(monkeypatch):
    from acquisition.strategies import model_based

    rng = np.random.default_rng(0)
    points = np.repeat(SQUARE.sample(4, rng), 10, axis=0)[rng.permutation(40)]
    y = points.sum(1) + 0.5 * rng.normal(size=40)
    y[-3:] = y.max() + np.array([0.1, 0.2, 0.3])  # three records in a row, at points that are known to be no better
    problem = pose(SQUARE, observations=observe(SQUARE, points, y=y), taken=points, pending=points[:0], initial=30)
    strategy = TrustRegion(failures=20, model={"inference": "map"})
    rules = Rules(0.8, 2.0**-7, 1.6, 3, 20, 30)
    assert replay(problem, rules).length == 1.6
    assert strategy.region(problem).length == 0.8
    fits, whole = [], model_based.fit
    monkeypatch.setattr(model_based, "fit", lambda p, options: fits.append(whole(p, options)) or fits[-1])
    strategy.propose(problem, 1)
    assert fits[0].models["y"] is fits[1].models["y"]  # judged and proposed by one and the same model


def test_the_number_of_failures_follows_the_parameters():
    assert TrustRegion().region(history([5.0, 4.0, 3.0, 2.0, *[1.0] * 4])).length == 0.4
    wide = SearchSpace([Continuous(f"p{k}", 0.0, 1.0) for k in range(7)])
    points = wide.sample(11, np.random.default_rng(0))
    problem = pose(wide, observations=observe(wide, points, y=-np.arange(11.0)), taken=points, pending=points[:0])
    assert TrustRegion().region(problem).length == 0.4
    assert (
        TrustRegion().region(replace(problem, observations=observe(wide, points[:10], y=-np.arange(10.0)))).length
        == 0.8
    )


@pytest.mark.parametrize(
    "options",
    [{"length": 2.0}, {"shortest": 0.0}, {"length": 0.1, "shortest": 0.2}, {"successes": 0}, {"failures": 0},
     {"inside": "ucb"}],
)  # fmt: skip
def test_options_that_cannot_be(options):
    with pytest.raises(StrategyError):
        make_strategy("trust_region", options)


def test_several_objectives_are_for_another_strategy():
    problem = pose(SPACES["pool"], 8, objectives=(Objective("y"), Objective("z")))
    for name in ("trust_region", "expected_improvement"):
        with pytest.raises(StrategyError, match="Use hypervolume"):
            make_strategy(name).propose(problem, 1)
    with pytest.raises(StrategyError, match="Use expected_improvement"):
        make_strategy("hypervolume").propose(pose(SPACES["pool"], 8), 1)
