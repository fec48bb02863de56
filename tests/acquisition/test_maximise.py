"""The search for the best candidate: whole tables, large ones in part, shortlists, and the polish along gradients."""

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
    Integer,
    LinearConstraint,
    Objective,
    SearchSpace,
    maximise,
)
from acquisition.design import usual_initial
from acquisition.maximise import Staged, best_candidate
from acquisition.polish import polished
from acquisition.problem import Observations, Problem


def _problem(space, taken=None, observed=0):
    points = space.sample(max(observed, 1), np.random.default_rng(1))[:observed]
    nothing = np.empty((0, len(space.columns)))
    return Problem(
        space=space,
        objectives=(Objective("y"),),
        outcome_constraints=(),
        observations=Observations(
            points, {"y": np.zeros(observed)}, {"y": np.full(observed, np.nan)}, np.ones(observed)
        ),
        pending=nothing,
        failed=nothing,
        taken=nothing if taken is None else taken,
        initial=4,
        seed=0,
        ask=1,
    )


def _hill(target, weights=1.0):
    target, weights = torch.as_tensor(target, dtype=torch.float64), torch.as_tensor(weights, dtype=torch.float64)
    return lambda points: -(weights * (points - target).square()).sum(1)


BOX = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", -2.0, 3.0)])
MIXTURE = SearchSpace([Composition("x", ["Cu", "Ag", "Zn", "Al"], max_components=3)])
TIED = SearchSpace(
    [Composition("x", ["Cu", "Ag", "Zn"]), Continuous("p", 0.0, 1.0), Categorical("c", ["u", "v"]), Integer("n", 1, 9)],
    constraints=[LinearConstraint({"x_Cu": 1.0, "p": 1.0}, upper=0.9)],
)


@pytest.mark.parametrize(
    ("space", "target", "best"),
    [
        (BOX, [0.3137, 1.234], [0.3137, 1.234]),
        (BOX, [0.5, 7.0], [0.5, 3.0]),  # the top lies outside: a bound is the best
        (MIXTURE, [0.31, 0.27, 0.42, 0.0], [0.31, 0.27, 0.42, 0.0]),
        (TIED, [0.6, 0.1, 0.3, 0.7, 1.0, 4.0], [0.44, 0.18, 0.38, 0.46, 1.0, 4.0]),
    ],
    ids=["inside", "at a bound", "mixture", "constraint"],
)
def test_the_search_ends_at_the_optimum(space, target, best):
    """With a sum and a constraint the optimum is the projection onto both, worked out by hand."""
    found = best_candidate(
        _problem(space), _hill(target), space.sample(0, np.random.default_rng(0)), np.random.default_rng(0)
    )
    np.testing.assert_allclose(found, best, atol=2e-3)
    assert space.contains(found[None])[0]


@given(seed=st.integers(0, 2**31), which=st.sampled_from(["box", "mixture", "tied"]))
@settings(max_examples=40, deadline=None)
def test_polished_points_are_inside_and_not_worse(seed, which):
    space = {"box": BOX, "mixture": MIXTURE, "tied": TIED}[which]
    generator = np.random.default_rng(seed)
    points = space.sample(5, generator)
    score = _hill(space.sample(1, generator)[0], generator.uniform(0.1, 10.0, len(space.columns)))
    with torch.no_grad():
        moved = polished(space, score, points)
        before, after = score(torch.from_numpy(points)), score(torch.from_numpy(moved))
    assert space.contains(moved).all()
    assert (after >= before - 1e-12).all()
    kinds = np.array([c in ("c", "n") for c in space.columns])
    np.testing.assert_array_equal(moved[:, kinds], points[:, kinds])
    fractions = np.array([c.startswith("x_") for c in space.columns])
    assert not ((moved[:, fractions] > 0) & (points[:, fractions] == 0)).any()  # one may be pressed out, none comes in


def test_a_pool_of_which_only_a_part_is_searched_still_gives_a_very_good_row(monkeypatch):
    monkeypatch.setattr(maximise, "PAIRS", 1.0)  # so that the least part is searched
    monkeypatch.setattr(maximise, "MOST_LISTED", 2000)
    table = pd.DataFrame(np.random.default_rng(0).random((60_000, 2)), columns=["a", "b"])
    space = SearchSpace.from_pool(table)
    score = _hill([0.512, 0.337])
    taken = space.array[np.argsort(-score(torch.tensor(space.array)).numpy())[:3]]
    problem = _problem(space, taken, observed=5)
    found = best_candidate(problem, score, taken[:2], np.random.default_rng(0))
    assert space.contains(found[None])[0]
    assert not (np.abs(taken - found) < 1e-12).all(axis=1).any()
    better = (score(torch.tensor(space.array)) > score(torch.from_numpy(found[None]))).sum()
    assert int(better) < 60  # of 60,000 rows


def test_a_shortlist_is_judged_by_the_exact_score():
    table = pd.DataFrame({"a": np.linspace(0.0, 1.0, 500)})
    space = SearchSpace.from_pool(table)
    asked = []

    def exact(points):
        asked.append(len(points))
        return -(points[:, 0] - 0.55).abs()

    staged = Staged(_hill([0.5]), exact, keep=100)
    found = best_candidate(_problem(space), staged, space.array[:0], np.random.default_rng(0))
    assert found[0] == pytest.approx(0.55, abs=2e-3)
    assert sum(asked) == 100


def test_both_stages_of_a_score_are_weighed():
    staged = Staged(_hill([0.5]), _hill([0.6])).weighed(lambda points: 10.0 * points[:, 0])
    at = torch.tensor([[0.2]], dtype=torch.float64)
    assert float(staged.cheap(at)) == pytest.approx(2.0 - 0.09)
    assert float(staged(at)) == pytest.approx(2.0 - 0.16)


def test_replicates_may_be_chosen_again_and_others_not():
    space = SearchSpace([Integer("n", 1, 5)])
    problem = _problem(space, np.array([[3.0]]))
    score = _hill([3.2])
    assert best_candidate(problem, score, np.empty((0, 1)), np.random.default_rng(0))[0] == 4.0
    again = replace(problem, replicates="auto")
    assert best_candidate(again, score, np.empty((0, 1)), np.random.default_rng(0))[0] == 3.0


@pytest.mark.parametrize(
    ("space", "conditions", "number"),
    [
        (SearchSpace([Continuous("a", 0.0, 1.0)]), None, 4),
        (SearchSpace([Continuous(f"c{i}", 0.0, 1.0) for i in range(7)]), None, 7),
        (SearchSpace([Composition("x", [f"m{i}" for i in range(20)])]), None, 10),
        (
            SearchSpace(
                [Composition("x", ["a", "b", "c", "d", "e", "f"], stage="preparation"), Continuous("p", 0.0, 1.0)]
            ),
            3,
            15,
        ),
        (SearchSpace.from_pool(pd.DataFrame({"a": np.arange(30.0)})), None, 10),
    ],
    ids=["few", "one each", "many", "samples", "pool"],
)
def test_the_usual_number_of_initial_experiments(space, conditions, number):
    assert usual_initial(space, conditions) == number
