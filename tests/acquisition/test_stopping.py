"""Stopping rules: budgets, what models say, and their combinations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from acquisition import Continuous, Objective, OutcomeConstraint, SearchSpace
from acquisition.beliefs import fit
from acquisition.costs import Costs
from acquisition.errors import StoppingError
from acquisition.problem import Observations, Problem
from acquisition.stopping import (
    AllOf,
    AnyOf,
    CostBudget,
    ExpectedGain,
    Experiments,
    Hours,
    Plateau,
    Progress,
    RegretBound,
    Reserve,
    Target,
)
from acquisition.stopping.progress import check_rule

SPACE = SearchSpace([Continuous("a", 0.0, 1.0)])


def _problem(points=(), values=(), *, objectives=(Objective("y"),), constraints=(), **more):
    points = np.array(points, dtype=float).reshape(-1, 1)
    values = values if isinstance(values, dict) else {"y": values}
    values = {m: np.array(v, dtype=float) for m, v in values.items()}
    empty = np.empty((0, 1))
    sems = {m: np.full(len(points), np.nan) for m in values}
    observations = Observations(points, values, sems, np.ones(len(points)))
    return Problem(SPACE, tuple(objectives), tuple(constraints), observations, empty, empty, points, 4, 0, 9, **more)


def _progress(problem=None, **more):
    problem = problem or _problem(costs=Costs(unit="min"))
    fitted = []

    def models():
        if not len(problem.observations):
            return None
        if not fitted:
            fitted.append(fit(problem).models)
        return fitted[0]

    more = {"ages": np.arange(len(problem.observations))[::-1], "told": len(problem.observations), **more}
    return Progress(problem, models, **more)


LEAVES = st.one_of(
    st.builds(Experiments, st.integers(1, 30)),
    st.builds(Hours, st.floats(0.1, 30)),
    st.builds(CostBudget, st.floats(0.1, 30)),
    st.builds(ExpectedGain, st.floats(0.01, 1), st.integers(1, 4)),
)
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3)),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)
STATES = st.builds(
    _progress,
    experiments=st.integers(0, 40),
    hours=st.floats(0, 40),
    cost=st.floats(0, 40),
    next_cost=st.floats(0.5, 5),
    gains=st.lists(st.none() | st.floats(0, 1), max_size=6).map(tuple),
)


@given(st.lists(RULES, min_size=1, max_size=3), STATES)
def test_any_and_all_are_what_they_say(rules, progress):
    met = [rule.standing(progress).met for rule in rules]
    assert AnyOf(rules).standing(progress).met == any(met)
    assert AllOf(rules).standing(progress).met == all(met)


@given(RULES, STATES)
def test_a_rule_is_met_where_it_leaves_no_room_and_then_says_why(rule, progress):
    standing = rule.standing(progress)
    assert standing.met == (standing.room <= 0)
    assert standing.met == bool(standing.reason)
    assert standing == rule.standing(progress)
    assert standing.plain()["met"] == standing.met


@given(RULES)
def test_what_is_bounded_ends_once_everything_is_spent(rule):
    spent = _progress(experiments=10**6, hours=1e6, cost=1e6)
    if rule.bounds():
        assert rule.standing(spent).met
    if rule.bounds(instant=True):
        assert rule.standing(replace(spent, hours=0.0)).met


@given(RULES, STATES)
def test_no_campaign_exceeds_the_most_experiments(rule, progress):
    if rule.most is not None:
        assert rule.standing(replace(progress, experiments=rule.most)).met
        assert rule.standing(progress).room <= max(rule.most - progress.experiments, 0)


@given(RULES, RULES)
def test_operators_combine(one, other):
    assert one | other == AnyOf((one, other))
    assert one & other == AllOf((one, other))


@pytest.mark.parametrize(
    ("rule", "bounded"),
    [
        (Experiments(3), True),
        (CostBudget(3.0), True),
        (Hours(1.0), True),
        (Plateau(5), False),
        (Plateau(5) | Experiments(9), True),
        (Plateau(5) & Experiments(9), False),
        (Experiments(9) & CostBudget(4.0), True),
        (Experiments(60) | (Plateau(15) & ExpectedGain(0.01)), True),
    ],
)
def test_a_campaign_must_end(rule, bounded):
    problem = _problem(costs=Costs())
    if bounded:
        check_rule(rule, problem)
    else:
        with pytest.raises(StoppingError, match="nothing is sure to end"):
            check_rule(rule, problem)


def test_a_finite_space_ends_every_campaign_unless_replicates_are_wanted():
    from acquisition import Integer

    problem = replace(_problem(), space=SearchSpace([Integer("a", 0, 9)]))
    check_rule(Plateau(5), problem)
    with pytest.raises(StoppingError):
        check_rule(Plateau(5), replace(problem, replicates="auto"))


def test_hours_end_nothing_where_experiments_take_no_time():
    check_rule(Hours(2.0), _problem())
    with pytest.raises(StoppingError, match="Add `experiments`, `cost` or `catalyst_mass`"):
        check_rule(Hours(2.0), _problem(), instant=True)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Experiments(0), "experiments"),
        (lambda: Hours(0.0), "hours"),
        (lambda: CostBudget(-1.0), "cost"),
        (Target, "at_least"),
        (lambda: Target(at_least=2.0, at_most=1.0), "at_least"),
        (lambda: Target(at_least=1.0, probability=1.0), "probability"),
        (lambda: ExpectedGain(0.0), "below"),
        (lambda: ExpectedGain(0.1, patience=0), "patience"),
        (RegretBound, "below"),
        (lambda: RegretBound(below=1.0, below_noise=1.0), "below"),
        (lambda: Plateau(0), "experiments"),
        (lambda: AnyOf(()), "any"),
        (lambda: AllOf((3,)), "all"),
    ],
)
def test_rules_that_cannot_be(make, field):
    with pytest.raises(StoppingError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (CostBudget(3.0), "nothing is known of costs"),
        (Target(at_least=1.0, metric="z"), "no objective"),
        (Experiments(3) | Target(at_least=1.0, metric="z"), "no objective"),
    ],
)
def test_rules_that_mean_nothing_for_a_campaign(rule, words):
    with pytest.raises(StoppingError, match=words):
        check_rule(rule, _problem())


def test_some_rules_need_to_know_which_objective():
    two = _problem(values={"y": [], "z": []}, objectives=(Objective("y"), Objective("z", "minimize")))
    with pytest.raises(StoppingError, match="must say its metric"):
        check_rule(Experiments(3) | Target(at_least=1.0), two)
    with pytest.raises(StoppingError, match="single objective"):
        check_rule(Experiments(3) | RegretBound(below=1.0), two)


def test_a_budget_of_cost_is_never_overdrawn():
    progress = _progress(cost=7.0, next_cost=2.0)
    assert CostBudget(10.0).standing(progress).room == 1
    assert CostBudget(10.0).standing(progress).purse == pytest.approx(3.0)
    assert CostBudget(8.9).standing(progress).met
    assert (Experiments(99) | CostBudget(10.0)).standing(progress).purse == pytest.approx(3.0)
    assert (Hours(9.0) & CostBudget(10.0)).standing(progress).purse == np.inf  # cost alone does not end it


def test_the_expected_gain_must_be_small_several_times_in_a_row():
    rule = ExpectedGain(0.1, patience=2)
    assert not rule.standing(_progress(gains=(0.05,))).met
    assert not rule.standing(_progress(gains=(0.05, None, 0.05))).met
    assert not rule.standing(_progress(gains=(0.05, 0.3, 0.05))).met
    assert rule.standing(_progress(gains=(0.3, 0.05, 0.05))).met
    assert rule.standing(_progress(gains=(0.3, 0.05, 0.02))).now == 0.05


def test_no_rule_about_models_is_met_without_data():
    progress = _progress()
    for rule in (
        Target(at_least=-9.0),
        RegretBound(below=9e9),
        RegretBound(below_noise=9e9),
        Plateau(1),
        ExpectedGain(9.0),
    ):
        standing = rule.standing(progress)
        assert (standing.met, standing.now) == (False, None)


X = np.linspace(0.0, 1.0, 21)
SMOOTH = _problem(X, np.sin(3 * X))


def test_the_target_is_judged_by_the_model():
    progress = _progress(SMOOTH)
    assert Target(at_least=0.95).standing(progress).met
    assert not Target(at_least=1.05).standing(progress).met
    assert Target(at_most=0.05).standing(progress).met
    assert Target(at_least=0.4, at_most=0.6).standing(progress).met
    belief = progress.models()["y"].predict(SMOOTH.observations.points)
    expected = norm.sf(1.0, belief.mean, belief.std).max()
    assert Target(at_least=1.0).standing(progress).now == pytest.approx(expected)


def test_one_lucky_value_reaches_no_target():
    generator = np.random.default_rng(0)
    values = generator.normal(0.0, 1.0, len(X))
    values[7] = 4.0
    assert not Target(at_least=3.0).standing(_progress(_problem(X, values))).met


def test_a_target_counts_where_the_outcome_constraints_are_kept():
    both = {"y": np.sin(3 * X), "z": X}
    kept = _problem(X, both, constraints=(OutcomeConstraint("z", upper=0.9),))
    broken = _problem(X, both, constraints=(OutcomeConstraint("z", upper=0.2),))
    assert Target(at_least=0.95).standing(_progress(kept)).met
    assert not Target(at_least=0.95).standing(_progress(broken)).met


def test_a_plateau_counts_experiments_since_the_best():
    y = np.minimum(X, 0.5)  # nothing improves after the eleventh
    progress = _progress(_problem(X, y))
    assert not Plateau(20, by=0.01).standing(progress).met
    assert Plateau(5, by=0.01).standing(progress).met
    assert not Plateau(5, by=0.01).standing(_progress(_problem(X, X))).met
    assert Plateau(5, by=0.01).standing(_progress(_problem(X, -X, objectives=(Objective("y", "maximize"),)))).met
    rising = _progress(_problem(X, X, objectives=(Objective("y", "target", target=(0.2, 0.4)),)))
    assert Plateau(5, by=0.01).standing(rising).met


def test_a_plateau_of_several_objectives_is_one_of_their_hypervolume():
    objectives = (Objective("y", reference=0.0), Objective("z", "minimize", reference=2.0))
    grows = _problem(X, {"y": X, "z": X}, objectives=objectives)
    stays = _problem(X, {"y": -X + 1, "z": X}, objectives=objectives)
    assert not Plateau(5, by=0.01).standing(_progress(grows)).met
    assert Plateau(5, by=0.01).standing(_progress(stays)).met


def test_failed_experiments_count_for_a_plateau():
    progress = _progress(_problem(X, X), ages=np.arange(len(X))[::-1] + 6, told=len(X) + 6)
    assert Plateau(6, by=0.0).standing(progress).met
    assert not Plateau(7, by=0.0).standing(progress).met


def test_the_regret_bound_holds_and_shrinks():
    """The bound exceeds the true regret, and falls as the function becomes known."""
    bounds = []
    for n in (5, 9, 21):
        x = np.linspace(0.0, 0.4, n)  # the maximum, 1 at 0.52, is not among them
        progress = _progress(_problem(x, np.sin(3 * x)))
        standing = RegretBound(below=1e-4).standing(progress)
        assert standing.now >= 1.0 - np.sin(1.2) - 1e-6
        bounds.append(standing.now)
    known = RegretBound(below=0.05).standing(_progress(SMOOTH))
    assert known.met
    assert known.now < min(bounds)


def test_the_regret_bound_may_be_in_units_of_the_noise():
    generator = np.random.default_rng(1)
    x = np.tile(X, 4)
    progress = _progress(_problem(x, np.sin(3 * x) + generator.normal(0, 0.2, len(x))))
    standing = RegretBound(below_noise=5.0).standing(progress)
    assert standing.limit == pytest.approx(5 * progress.models()["y"].surrogate.noise)
    assert standing.met


def test_the_regret_bound_minds_outcome_constraints():
    both = {"y": X, "z": X}
    progress = _progress(_problem(X, both, constraints=(OutcomeConstraint("z", upper=0.5),)))
    assert RegretBound(below=0.2).standing(progress).now < 0.2


# A reserve

BUDGETS = st.recursive(
    st.one_of(
        st.builds(Experiments, st.integers(10, 30)),
        st.builds(Hours, st.floats(1, 30)),
        st.builds(CostBudget, st.floats(10, 30)),
        st.builds(ExpectedGain, st.floats(0.01, 1), st.integers(1, 4)),
    ),
    lambda inner: st.one_of(
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3)),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)
RESERVES = st.builds(Reserve, st.integers(0, 9), st.floats(0, 9))


@given(BUDGETS, RESERVES, STATES, st.floats(0, 5), st.integers(1, 8))
def test_a_search_with_a_reserve_ends_no_later_and_leaves_it(rule, reserve, progress, lasts, cells):
    progress = replace(progress, lasts=lasts, cells=cells)
    whole, search = rule.standing(progress), rule.reserving(reserve).standing(progress)
    assert search.met or not whole.met
    assert search.room <= whole.room
    assert search.purse <= whole.purse
    for all_, kept in zip(whole.leaves(), search.leaves(), strict=True):
        assert kept.left == pytest.approx(all_.left) if all_.left is not None else kept.left is None
        if all_.rule == "experiments":
            assert kept.room + reserve.experiments <= max(all_.left, reserve.experiments)
        if all_.rule == "cost":
            assert kept.purse + reserve.cost <= max(all_.left, reserve.cost) + 1e-7  # sums are rounded


@given(BUDGETS, RESERVES, RESERVES)
def test_a_reserve_takes_the_place_of_another(rule, first, second):
    assert rule.reserving(first).reserving(second) == rule.reserving(second)
    assert rule.reserving(first).reserving(Reserve()) == rule
    assert rule.reserving(Reserve()) == rule


def test_what_is_reserved_is_not_searched_with():
    rule = Experiments(40).reserving(Reserve(9))
    assert rule == Experiments(40, reserved=9)
    assert rule.most == 31
    now = rule.standing(_progress(experiments=30))
    assert (now.met, now.room, now.left) == (False, 1, 10)
    now = rule.standing(_progress(experiments=31))
    assert (now.met, now.room, now.left) == (True, 0, 9)
    assert now.reason == "the budget of 40 experiments less 9 to confirm the best is used"
    now = CostBudget(900.0).reserving(Reserve(cost=300.0)).standing(_progress(cost=550.0, next_cost=100.0))
    assert now.met
    assert now.reason == "what is left of a cost of 900 min less 300 to confirm the best pays no further experiment"


def test_time_is_reserved_as_experiments_took_so_far():
    rule = Hours(24.0).reserving(Reserve(9))
    assert rule.needs_durations
    assert not Hours(24.0).needs_durations
    assert not rule.standing(_progress(hours=23.9)).met  # nothing is known yet
    known = {"lasts": 1.5, "cells": 4}  # three rounds
    assert not rule.standing(_progress(hours=19.4, **known)).met
    now = rule.standing(_progress(hours=19.5, **known))
    assert now.met
    assert now.reason == "19.5 of 24 hours are over, the rest is kept to confirm the best"
    assert now.left == 4.5
    assert not rule.standing(_progress(hours=11.9, lasts=10.0)).met  # the search has half of it at least
    assert rule.standing(_progress(hours=12.0, lasts=10.0)).met


@pytest.mark.parametrize("rule", [Experiments(9), CostBudget(90.0), Experiments(40) | CostBudget(90.0)])
def test_a_reserve_must_leave_something(rule):
    with pytest.raises(StoppingError, match="nothing is left for the search"):
        rule.reserving(Reserve(9, 90.0))
