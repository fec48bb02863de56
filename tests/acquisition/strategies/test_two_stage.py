"""Any strategy measures several conditions on a sample, and shares settings within a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Categorical, Composition, Continuous, Costs, Integer, Objective, SearchSpace
from acquisition.errors import SpaceExhaustedError, StrategyError
from acquisition.problem import Observations, OpenSample, Problem, Proposal, Proposals
from acquisition.strategies.random import Random
from acquisition.strategies.registry import make_strategy
from acquisition.strategies.two_stage import TwoStage, preparation_columns, usual_conditions

SPACE = SearchSpace(
    [
        Composition("x", ["Cu", "Ag", "Zn"], step=0.1, stage="preparation"),
        Continuous("e", -1.5, -0.5),
        Categorical("cation", ["Li", "K"]),
    ]
)
MADE = [0, 1, 2]
"""The columns that fix a sample."""


def _problem(space=SPACE, **more):
    empty = np.empty((0, len(space.columns)))
    observations = Observations(empty, {"y": np.empty(0)}, {"y": np.empty(0)}, np.empty(0))
    return Problem(space, (Objective("y"),), (), observations, empty, empty, empty, 4, 0, 1, **more)


def _open(name, used, seed=0):
    return OpenSample(name, SPACE.sample(1, np.random.default_rng(seed))[0], used)


class Gains:
    """Random points, with a gain for those on an open sample and one for others."""

    def __init__(self, on_open, on_new):
        self.on_open, self.on_new = on_open, on_new

    def propose(self, problem, n):
        gain = self.on_open if problem.open_samples else self.on_new
        return Proposals(tuple(replace(p, gain=gain) for p in Random().propose(problem, n).proposals))


def _by_sample(proposals):
    groups = {}
    for p in proposals:
        groups.setdefault(p.sample, []).append(p.point)
    return groups


def test_the_columns_of_a_sample():
    assert preparation_columns(SPACE) == ("x_Cu", "x_Ag", "x_Zn")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(1, 9), st.booleans(), st.lists(st.integers(1, 3), max_size=3), st.integers(1, 9))
def test_open_samples_come_first_and_all_points_of_a_sample_share_its_preparation(wanted, n, apart, used, ask):
    open_ = tuple(_open(f"s{i}", u, seed=i) for i, u in enumerate(used))
    problem = replace(_problem(conditions_per_sample=wanted, open_samples=open_), ask=ask)
    strategy = TwoStage(Random(), apart=apart)
    proposals = strategy.propose(problem, n).proposals
    assert len(proposals) == n
    assert SPACE.contains(np.stack([p.point for p in proposals])).all()
    groups = _by_sample(proposals)
    before = {sample.name: sample.used for sample in open_}
    for name, points in groups.items():
        assert before.get(name, 0) + len(points) <= wanted
        assert not apart or len(points) == 1
        first = next((s.point for s in open_ if s.name == name), points[0])
        assert all((point[MADE] == first[MADE]).all() for point in points)
        assert len(set(SPACE.keys(np.stack(points)))) == len(points)
    unfinished = [name for name, count in before.items() if count < wanted and len(groups.get(name, ())) == 0]
    assert not unfinished or all(name in before for name in groups)  # nothing new while old ones wait
    again = strategy.propose(problem, n).proposals
    assert all((a.point == b.point).all() and a.sample == b.sample for a, b in zip(proposals, again, strict=True))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.sampled_from([None, 1, 3]), st.sampled_from([("e",), ("cation",), ("e", "cation")]))
def test_a_batch_shares_what_is_fixed(n, wanted, fixed):
    problem = _problem(conditions_per_sample=wanted, fixed=fixed)
    points = np.stack([p.point for p in TwoStage(Random()).propose(problem, n).proposals])
    assert len(points) == n
    index = [SPACE.columns.index(name) for name in fixed]
    assert (points[:, index] == points[0, index]).all()
    assert len(set(SPACE.keys(points))) == n


def test_samples_without_a_free_condition_are_left_alone():
    space = SearchSpace([Integer("made", 0, 2, stage="preparation"), Categorical("set", ["a", "b"])])
    taken = np.array([[0.0, 0.0], [0.0, 1.0]])
    problem = replace(
        _problem(space, conditions_per_sample=5, open_samples=(OpenSample("s", taken[0], 2),)), taken=taken
    )
    proposals = TwoStage(Random()).propose(problem, 9).proposals
    assert len(proposals) == 4
    assert all(p.sample.startswith("new-") for p in proposals)
    everything = space.enumerate()
    with pytest.raises(SpaceExhaustedError):
        TwoStage(Random()).propose(replace(problem, taken=everything), 1)


@pytest.mark.parametrize(
    ("costs", "on_open", "on_new", "expected"),
    [
        (Costs(experiment=40, preparation=160), 0.1, 0.3, "s"),  # 0.1 a 40 beats 0.3 a 200
        (Costs(experiment=40, preparation=40), 0.1, 0.3, "new-1"),
        (None, 0.1, 0.3, "new-1"),
        (None, 0.3, 0.1, "s"),
    ],
)
def test_auto_takes_the_higher_gain_per_cost(costs, on_open, on_new, expected):
    problem = _problem(conditions_per_sample="auto", open_samples=(_open("s", 1),), costs=costs)
    proposal = TwoStage(Gains(on_open, on_new)).propose(problem, 1).proposals[0]
    assert proposal.sample == expected
    assert "against" in proposal.reason


class Fading:
    """Gains that differ from sample to sample and fall with what is under way; says how it was asked."""

    def __init__(self):
        self.rough = []

    def propose(self, problem, n):
        self.rough.append(problem.rough)
        name = problem.open_samples[0].name if problem.open_samples else ""
        worth = {"a": 0.9, "b": 0.5, "c": 0.1, "": 0.3}.get(name, 0.2)
        found = []
        for later, p in enumerate(Random().propose(problem, n).proposals):
            gain = worth * 0.5 ** (len(problem.pending) + later)
            found.append(replace(p, gain=gain, reason="roughly" if problem.rough else "thoroughly"))
        return Proposals(tuple(found))


@pytest.mark.parametrize("apart", [False, True])
def test_auto_thinks_again_only_of_what_would_win_and_proposes_nothing_rough(apart):
    open_ = tuple(_open(name, 1, seed=i) for i, name in enumerate("abc"))
    costs = Costs(experiment=40, preparation=40)
    problem = _problem(conditions_per_sample="auto", open_samples=open_, costs=costs)
    strategy = Fading()
    many = TwoStage(strategy, apart=apart).propose(problem, 4).proposals
    assert all(p.reason.startswith("thoroughly") for p in many)
    assert [p.sample for p in many][:2] == (["a", "b"] if apart else ["a", "a"])
    assert len(set(SPACE.keys(np.stack([p.point for p in many])))) == 4
    assert sum(not rough for rough in strategy.rough) <= 6
    assert len(strategy.rough) <= 16  # each of four proposals from scratch would take 20 and more
    (one,) = TwoStage(Fading(), apart=apart).propose(problem, 1).proposals
    np.testing.assert_array_equal(one.point, many[0].point)


def test_auto_says_nothing_of_gains_where_the_strategy_has_none():
    costs = Costs(experiment=40, preparation=160)
    assert usual_conditions(costs) == 2
    assert usual_conditions(None) == 1
    groups = _by_sample(TwoStage(Random()).propose(_problem(conditions_per_sample="auto", costs=costs), 5).proposals)
    assert sorted(len(points) for points in groups.values()) == [1, 2, 2]


def test_auto_with_cells_apart_never_puts_two_on_one_sample():
    problem = _problem(conditions_per_sample="auto", open_samples=(_open("s", 1),))
    groups = _by_sample(TwoStage(Gains(0.9, 0.1), apart=True).propose(problem, 3).proposals)
    assert {name: len(points) for name, points in groups.items()} == {"s": 1, "new-1": 1, "new-2": 1}


def test_the_initial_design_is_one_of_samples_and_of_conditions_on_each():
    problem = replace(_problem(conditions_per_sample=3), initial=9)
    answer = TwoStage(make_strategy("auto")).propose(problem, 9)
    groups = _by_sample(answer.proposals)
    assert [len(points) for points in groups.values()] == [3, 3, 3]
    for points in groups.values():
        assert np.ptp([point[3] for point in points]) > 0.3  # conditions are spread on every sample
    assert all("initial design" in p.reason for p in answer.proposals)


def test_a_design_is_carried_from_ask_to_ask_but_not_into_samples():
    strategy, problem = TwoStage(make_strategy("auto")), replace(_problem(conditions_per_sample=2), initial=8)
    first = strategy.propose(problem, 1)
    assert len(first.state["design"]) == 3  # of four samples
    point = first.proposals[0].point
    second = strategy.propose(
        replace(
            problem, ask=2, taken=point[None], pending=point[None], pending_samples=("s",), state=first.state,
            open_samples=(OpenSample("s", point, 1),),
        ),
        1,
    )  # fmt: skip
    assert second.proposals[0].sample == "s"
    assert second.state["design"] == first.state["design"]


def test_a_strategy_that_ignores_what_is_given_is_told_so():
    class Stubborn:
        def propose(self, problem, n):
            return Proposals(tuple(Proposal(p, "") for p in SPACE.sample(n, problem.generator())))

    problem = _problem(conditions_per_sample=2, open_samples=(_open("s", 1, seed=5),))
    with pytest.raises(StrategyError, match="outside the space"):
        TwoStage(Stubborn()).propose(problem, 1)


@pytest.mark.parametrize("conditions", [3, "auto"])
def test_models_are_fitted_once_for_all_samples_of_an_ask(monkeypatch, conditions):
    from acquisition import beliefs

    fits = []
    whole = beliefs._fit
    monkeypatch.setattr(beliefs, "_fit", lambda *args: fits.append(1) or whole(*args))
    points = SPACE.sample(8, np.random.default_rng(3))
    observations = Observations(points, {"y": points[:, 0]}, {"y": np.full(8, np.nan)}, np.ones(8))
    problem = replace(
        _problem(conditions_per_sample=conditions, open_samples=(OpenSample("s", points[0], 1),), costs=Costs(1, 4)),
        observations=observations,
        taken=points,
    )
    strategy = TwoStage(make_strategy("expected_improvement"))
    once = strategy.propose(problem, 4).proposals
    assert len(fits) == 1
    beliefs._last.beliefs = None
    again = strategy.propose(replace(problem, observations=replace(observations)), 4).proposals
    assert len(fits) == 2
    assert all((a.point == b.point).all() and a.sample == b.sample for a, b in zip(once, again, strict=True))
