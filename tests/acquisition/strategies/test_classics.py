"""Thompson sampling, upper confidence, the improvement family, windows, and every point once."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from acquisition import Categorical, Integer, Objective, OutcomeConstraint, SearchSpace, StrategyError
from acquisition.beliefs import fit, promising
from acquisition.criteria.believer import Believer
from acquisition.criteria.merit import Merit, best_known, draw_merit, log_excess
from acquisition.strategies import make_strategy
from acquisition.strategies.expected_improvement import MARGIN
from acquisition.strategies.many_parameters import Additive, Saas
from acquisition.strategies.model_based import Situation

from .conftest import SPACES, observe, pose

LINE = SearchSpace.from_pool(pd.DataFrame({"a": np.linspace(0.0, 1.0, 101)}))
FIELD = SearchSpace.from_pool(pd.DataFrame(np.random.default_rng(3).random((300, 2)), columns=["a", "b"]))


def at(space, rows, values, **changes):
    """A problem with the values of y at these rows of a pool."""
    points = space.to_array(space.pool.iloc[rows])
    observations = observe(space, points, y=np.array(values, dtype=float))
    return pose(space, observations=observations, taken=points, pending=points[:0], **changes)


def known_line(**changes):
    rows = [0, 20, 50, 80, 100]
    a = np.array(rows) / 100
    return at(LINE, rows, np.sin(6 * a), **changes)


def free_points(problem):
    every = problem.space.to_array(problem.space.pool)
    taken = set(problem.space.keys(problem.taken))
    return every[[key not in taken for key in problem.space.keys(every)]]


def chosen(strategy, problem, n=1):
    return np.stack([p.point for p in strategy.propose(problem, n).proposals])


# Merit


def test_the_merit_of_one_objective_is_its_utility():
    problem = replace(known_line(), objectives=(Objective("y", "minimize"),))
    beliefs = fit(problem)
    merit = draw_merit(beliefs, problem.observations.points, np.random.default_rng(0))
    utilities = torch.tensor([[-3.0], [0.0], [1.0]], dtype=torch.float64)
    values = merit(utilities)
    assert torch.equal(values.argsort(), torch.arange(3))
    ratio = (values[2] - values[1]) / (values[1] - values[0])
    assert float(ratio) == pytest.approx(1 / 3)


def test_all_weights_together_find_a_front_that_is_no_hill():
    """On a front that bends inwards a weighted sum finds its ends alone; Chebyshev functions find all of it."""
    t = torch.linspace(0, 1, 51, dtype=torch.float64)
    front = torch.stack([t**2, (1 - t) ** 2], 1)
    generator = np.random.default_rng(0)
    found = set()
    for _ in range(300):
        direction = np.abs(generator.standard_normal(2))
        merit = Merit(torch.zeros(2), torch.ones(2), torch.from_numpy(direction.min() / direction))
        found.add(int(merit(front).argmax()))
    assert len(found) > 25


def test_a_dominated_point_is_never_better():
    generator = np.random.default_rng(1)
    merit = Merit(torch.zeros(3), torch.ones(3), torch.tensor([1.0, 0.2, 0.01]))
    low = torch.from_numpy(generator.standard_normal((200, 3)))
    better = low.clone()
    better[:, 1] += 0.1  # in one objective alone
    assert (merit(better) > merit(low)).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.floats(-10, 10))
@settings(max_examples=100, deadline=None)
def test_the_log_of_the_excess_is_finite_and_rises(values, level):
    merit = torch.tensor(sorted(values), dtype=torch.float64)
    log = log_excess(merit, torch.tensor(level, dtype=torch.float64))
    assert torch.isfinite(log).all()
    apart = merit.diff() > 1e-6 * merit[1:].abs().clamp_min(1.0)
    assert (log.diff()[apart] > 0).all()
    far = merit - level > 1.0
    torch.testing.assert_close(log[far].exp(), (merit - level)[far], rtol=1e-6, atol=0)


def test_where_nothing_is_good_the_worst_is_to_be_beaten():
    merit = torch.tensor([3.0, 1.0, 2.0])
    assert best_known(merit, torch.tensor([False, True, True])) == 2
    assert best_known(merit, torch.zeros(3, dtype=torch.bool)) == 1


# Believer


def test_pending_points_shrink_the_deviation_and_leave_the_mean():
    problem = known_line()
    model = fit(problem).models["y"]
    waiting = np.array([[0.35]])
    points = torch.tensor([[0.35], [0.36], [0.9]], dtype=torch.float64)
    plain, believed = Believer(model, waiting[:0])(points), Believer(model, waiting)(points)
    torch.testing.assert_close(plain[0], believed[0])
    assert believed[1][0] < 0.01 * plain[1][0]
    assert (believed[1] <= plain[1] * (1 + 1e-9)).all()
    assert believed[1][2] > 0.5 * plain[1][2]


# Thompson


@pytest.mark.soak
def test_thompson_draws_points_as_often_as_they_are_believed_to_be_best():
    """Of three candidates, in 600 draws; against joint samples of the model."""
    space = SearchSpace.from_pool(pd.DataFrame({"a": [0.0, 0.3, 0.6, 0.75, 0.9]}))
    problem = at(space, [0, 1], [0.0, 0.3], initial=0)
    free = free_points(problem)
    beliefs = fit(problem)
    strategy, anchors = make_strategy("thompson"), problem.observations.points
    criteria = (strategy.criterion(Situation(beliefs, anchors[:0], anchors, 5, k)) for k in range(600))
    drawn = Counter(int(criterion(torch.from_numpy(free)).argmax()) for criterion in criteria)
    samples = beliefs.models["y"].fantasies(free, 4096, 0).values.argmax(1)
    for row in range(len(free)):
        expected = float((samples == row).double().mean())
        # three deviations of 600 draws, and what the features' approximation of the kernel may add
        assert drawn[row] / 600 == pytest.approx(expected, abs=3 * np.sqrt(0.25 / 600) + 0.05)


def test_a_batch_of_draws_is_varied():
    problem = at(FIELD, range(0, 60, 10), np.sin(np.arange(6.0)))
    points = chosen(make_strategy("thompson"), problem, 8)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(8, 1)]
    assert np.median(gaps) > 0.2


def test_thompson_keeps_drawn_constraints():
    a = np.linspace(0, 1, 9)
    rows = (a * 100).astype(int)
    problem = at(LINE, rows, a)
    values = {"y": a, "h": a}
    sems = {m: np.full(9, np.nan) for m in values}
    problem = replace(
        problem,
        observations=replace(problem.observations, values=values, sems=sems),
        outcome_constraints=(OutcomeConstraint("h", lower=0.05, upper=0.6),),
    )
    points = np.concatenate([chosen(make_strategy("thompson"), replace(problem, ask=k)) for k in range(1, 11)])
    assert np.median(points) == pytest.approx(0.59, abs=0.05)
    assert points.max() < 0.68
    down = replace(problem, objectives=(Objective("y", "minimize"),))
    points = np.concatenate([chosen(make_strategy("thompson"), replace(down, ask=k)) for k in range(1, 11)])
    assert np.median(points) == pytest.approx(0.06, abs=0.05)


def test_two_objectives_are_weighed_anew_for_each_proposal():
    """y rises and z falls along the line: draws for other weights lie elsewhere on the front."""
    a = np.linspace(0, 1, 6)
    problem = at(LINE, (a * 100).astype(int), a**2)
    values = {"y": a**2, "z": (1 - a) ** 2}
    problem = replace(
        problem,
        objectives=(Objective("y"), Objective("z")),
        observations=replace(problem.observations, values=values, sems={m: np.full(6, np.nan) for m in values}),
    )
    for name in ("thompson", "upper_confidence"):
        points = chosen(make_strategy(name), problem, 12)
        assert np.ptp(points) > 0.5
        assert len({round(float(p), 1) for p in points[:, 0]}) >= 4


# Upper confidence


def test_beta_weighs_uncertainty():
    problem = at(FIELD, range(0, 60, 10), [0.0, 1.0, 0.5, 0.2, 0.9, 0.1])
    model = fit(problem).models["y"]
    free = free_points(problem)
    belief = model.predict(free)
    deviations = []
    for beta in (0.0, 0.5, 1.5, 4.0, 100.0):
        point = chosen(make_strategy("upper_confidence", {"beta": beta}), problem)
        expected = free[(belief.mean + beta * belief.std).argmax()]
        np.testing.assert_array_equal(point[0], expected)
        deviations.append(float(model.predict(point).std[0]))
    assert deviations == sorted(deviations)
    assert deviations[-1] > 1.2 * deviations[0]


def test_lower_is_better_for_minimizing():
    problem = replace(known_line(), objectives=(Objective("y", "minimize"),))
    belief = fit(problem).models["y"].predict(free_points(problem))
    expected = free_points(problem)[(-belief.mean + 1.5 * belief.std).argmax()]
    np.testing.assert_array_equal(chosen(make_strategy("upper_confidence"), problem)[0], expected)


# Improvement


def test_plain_and_probable_improvement_are_the_closed_forms():
    problem = known_line()
    model = fit(problem).models["y"]
    free = free_points(problem)
    belief = model.predict(free)
    best = model.predict(promising(problem, {"y": model})).mean.max()
    z = (belief.mean - best) / belief.std
    expected = belief.std * (norm.pdf(z) + z * norm.cdf(z))
    np.testing.assert_array_equal(
        chosen(make_strategy("expected_improvement", {"kind": "plain"}), problem)[0], free[expected.argmax()]
    )
    probable = norm.logcdf((belief.mean - best - MARGIN * model.width) / belief.std)
    np.testing.assert_array_equal(
        chosen(make_strategy("expected_improvement", {"kind": "probability"}), problem)[0], free[probable.argmax()]
    )


def test_the_default_improvement_is_that_of_auto():
    problem = at(FIELD, range(0, 60, 10), [0.0, 1.0, 0.5, 0.2, 0.9, 0.1])
    noisy, greedy = (
        chosen(make_strategy("expected_improvement", {"kind": kind}), problem, 3)
        for kind in ("log_noisy", "probability")
    )
    assert not np.array_equal(noisy, greedy)
    two = {"y": problem.observations.values["y"], "z": problem.observations.points[:, 0]}
    several = replace(
        problem,
        objectives=(Objective("y"), Objective("z", "minimize")),
        observations=replace(problem.observations, values=two, sems={m: np.full(6, np.nan) for m in two}),
    )
    assert "hypervolume" in make_strategy("hypervolume").propose(several, 1).proposals[0].reason


@pytest.mark.parametrize("kind", ["plain", "probability"])
def test_a_reached_window_is_still_something_to_aim_at(kind):
    problem = replace(known_line(), objectives=(Objective("y", "target", target=(0.85, 0.95)),))
    assert problem.observations.values["y"].max() == pytest.approx(np.sin(1.2))
    points = chosen(make_strategy("expected_improvement", {"kind": kind}), problem)
    assert 0.8 < np.sin(6 * points[0, 0]) < 1.0


def test_kernels_of_many_parameters():
    for name, kernel in ((Additive, "additive"), (Saas, "saas")):
        strategy, problem = name(), pose(SPACES["pool"], 8)
        beliefs = strategy.fit(problem)
        assert beliefs.models.keys() == {"y"}
        assert strategy.kernel == kernel
        assert "improvement by a model with a" in strategy.propose(problem, 1).proposals[0].reason


# Windows


def test_many_ways_into_a_window():
    """A sine passes the window in four places: all are visited, and most proposals lie inside."""

    def truth(points):
        return np.sin(9 * points[:, 0])

    def inside(points):
        return (truth(points) >= 0.3) & (truth(points) <= 0.7)

    goal = Objective("y", "target", target=(0.3, 0.7))
    points, strategy = LINE.to_array(LINE.pool.iloc[[0, 25, 50, 75, 100]]), make_strategy("target_window")
    for ask in range(1, 19):
        problem = pose(
            LINE, observations=observe(LINE, points, y=truth(points)), taken=points, pending=points[:0], ask=ask
        )
        points = np.vstack([points, chosen(strategy, replace(problem, objectives=(goal,)))])
    every = LINE.enumerate()
    ways = np.sort(every[inside(every)][:, 0])
    ends = ways[:-1][np.diff(ways) > 0.02]
    assert len(ends) == 3
    assert {int(np.searchsorted(ends, p)) for p in points[inside(points)][:, 0]} == {0, 1, 2, 3}
    assert inside(points[9:]).mean() > 0.5


def test_windows_of_several_metrics_at_once():
    points = FIELD.to_array(FIELD.pool.iloc[::12])
    observations = observe(FIELD, points, y=points[:, 0], z=points[:, 1])
    problem = pose(
        FIELD,
        observations=observations,
        objectives=(Objective("y", "target", target=(0.6, 0.7)), Objective("z", "target", target=0.2)),
        taken=points,
        pending=points[:0],
    )
    point = chosen(make_strategy("target_window"), problem)[0]
    np.testing.assert_allclose(point, [0.65, 0.2], atol=0.12)
    with pytest.raises(StrategyError, match="is to maximize"):
        make_strategy("target_window").propose(replace(problem, objectives=(Objective("y"),)), 1)


# Every point once


def test_exhaustive_in_the_order_of_the_table():
    table = SearchSpace.from_pool(pd.DataFrame({"p": [3.0, 1.0, 2.0], "kind": ["a", "b", "a"]}))
    problem = pose(table)
    strategy = make_strategy("exhaustive", {"order": "table"})
    answer = strategy.propose(problem, 2)
    assert [p.point[0] for p in answer.proposals] == [3.0, 1.0]
    assert answer.proposals[1].reason == "point 2 of 3, in table order"
    taken = np.array([p.point for p in answer.proposals])
    assert [p.point[0] for p in strategy.propose(replace(problem, taken=taken, ask=2), 5).proposals] == [2.0]


def test_exhaustive_in_random_order_is_one_order_for_all_asks():
    space = SearchSpace([Integer("n", 1, 30), Categorical("c", ["a", "b"])])
    problem, strategy = pose(space, seed=4), make_strategy("exhaustive")
    at_once = chosen(strategy, problem, 60)
    taken = np.vstack([chosen(strategy, replace(problem, ask=1), 7), chosen(strategy, problem, 7)])[:7]
    one = chosen(strategy, replace(problem, taken=taken, ask=2), 5)
    np.testing.assert_array_equal(one, at_once[7:12])
    assert len(set(space.keys(at_once))) == 60
    assert not np.array_equal(at_once, space.enumerate())
    # measured by someone else, in another order: left out
    rest = chosen(strategy, replace(problem, taken=at_once[::2]), 60)
    np.testing.assert_array_equal(rest, at_once[1::2])


def test_exhaustive_again_where_replicates_are_wanted():
    space = SearchSpace([Integer("n", 1, 3)])
    taken = np.array([[1.0], [2.0], [3.0], [2.0]])
    points = chosen(make_strategy("exhaustive", {"order": "table"}), pose(space, taken=taken, replicates="auto"), 3)
    assert points[:, 0].tolist() == [1.0, 3.0, 2.0]


def test_what_is_not_finite_cannot_be_exhausted():
    with pytest.raises(StrategyError, match="infinitely many"):
        make_strategy("exhaustive").propose(pose(SPACES["box"]), 1)
    vast = SearchSpace([Integer(f"n{k}", 1, 1000) for k in range(3)])
    with pytest.raises(StrategyError, match="1000000000"):
        make_strategy("exhaustive").propose(pose(vast), 1)
    with pytest.raises(StrategyError, match="Orders are"):
        make_strategy("exhaustive", {"order": "best"})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("upper_confidence", {"beta": -1}),
        ("upper_confidence", {"beta": "high"}),
        ("expected_improvement", {"kind": "noisy"}),
        ("target_window", {"kind": "hit"}),
    ],
)
def test_options_that_cannot_be(name, options):
    with pytest.raises(StrategyError) as caught:
        make_strategy(name, options)
    assert caught.value.field.startswith("strategy.options.")
