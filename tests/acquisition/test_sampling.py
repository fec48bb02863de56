"""Constrained sets: uniform draws by whatever sampler serves them, checked against lists and brute force."""

import time

import numpy as np
import pytest
from scipy import stats

from acquisition import (
    Composition,
    Continuous,
    Discrete,
    InfeasibleSpaceError,
    Integer,
    LinearConstraint,
    SearchSpace,
    SpaceError,
)
from acquisition.feasibility import Program, conflict
from acquisition.sampling import Listed, Rejection, Wandering, sampler

ELEMENTS = ["A", "B", "C", "D", "E"]


def rng(seed=0):
    return np.random.default_rng(seed)


def polytope(parameters, *constraints):
    """The set of a space whose parameters are all tied together."""
    (group,) = SearchSpace(parameters, constraints)._domain.groups
    return group.sampler.polytope


def wandered(polytope, n=1024):
    return Wandering(polytope, Program(polytope).corners(3, rng())).sample(n, rng(1))


def same_law(x, y):
    """No coordinate and no pair sum tells the two samples apart, nor do the faces on which they lie."""
    for i in range(x.shape[1]):
        assert stats.ks_2samp(x[:, i], y[:, i]).pvalue > 1e-3, i
        for j in range(i):
            assert stats.ks_2samp(x[:, i] + x[:, j], y[:, i] + y[:, j]).pvalue > 2e-4, (i, j)
    supports, codes = np.unique(np.concatenate([x > 0, y > 0]), axis=0, return_inverse=True)
    if len(supports) > 1:
        table = [np.bincount(part, minlength=len(supports)) for part in (codes[: len(x)], codes[len(x) :])]
        table = np.array(table)[:, np.sum(table, axis=0) >= 10]
        assert stats.chi2_contingency(table).pvalue > 1e-3


CASES = {
    "face": ([Composition("x", ELEMENTS)], [LinearConstraint({"x_A": 1, "x_B": 1}, lower=0.6)]),
    "few present": (
        [Composition("x", ELEMENTS, max_components=3)],
        [LinearConstraint({"x_A": 1, "x_B": 2, "x_C": 0.5}, lower=0.5, upper=0.9)],
    ),
    "bounds": (
        [Composition("x", ELEMENTS, max_components=3, bounds={"A": (0.1, 0.5), "C": (0, 0.4)})],
        [LinearConstraint({"x_B": 1, "x_C": -1}, lower=0)],
    ),
    "two present": (
        [Composition("x", ELEMENTS, max_components=2)],
        [LinearConstraint({"x_A": 1, "x_B": -2}, upper=0.1)],
    ),
    "mixed": (
        [Composition("x", ELEMENTS[:3]), Continuous("p", -1, 1), Integer("n", 0, 6), Discrete("T", [1, 2, 4])],
        [LinearConstraint({"x_A": 1, "p": 0.5, "n": 0.2, "T": 0.1}, lower=0.9, upper=1.4)],
    ),
    "logarithms": (
        [Continuous("r", 0.01, 1, log=True), Continuous("p", 0, 1), Integer("n", 1, 20, log=True)],
        [LinearConstraint({"r": 1, "p": 1, "n": 0.1}, upper=0.9)],
    ),
    "one weighted": (
        [Composition("x", ELEMENTS, max_components=4, bounds={"E": (0.05, 1)})],
        [LinearConstraint({"x_A": 0.3, "x_B": 0.7, "x_C": 0.5, "x_D": 0.1}, lower=0.4, upper=0.43)],
    ),
    "wedge": (
        [Continuous("a", 0, 1), Continuous("b", 0, 1000), Continuous("c", 0, 1)],
        [LinearConstraint({"a": 1, "b": -0.001}, lower=0), LinearConstraint({"b": 0.001, "c": -1}, lower=0)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_chains_draw_what_rejection_draws(case):
    parameters, constraints = CASES[case]
    shape = polytope(parameters, *constraints)
    same_law(wandered(shape), Rejection(shape, 0.05).sample(4000, rng(2)))


LISTS = {
    "grid": (
        [Composition("x", ELEMENTS, max_components=3, step=0.125)],
        [LinearConstraint({"x_A": 1, "x_B": 2}, lower=0.6)],
    ),
    "grid with bounds": (
        [Composition("x", ELEMENTS[:4], max_components=3, step=0.1, bounds={"A": (0.2, 0.6), "D": (0, 0.3)})],
        [LinearConstraint({"x_A": 1, "x_D": -1}, upper=0.4)],
    ),
    "single": (
        [Composition("x", ELEMENTS[:4], max_components=2, step=0.25)],
        [LinearConstraint({"x_A": 1, "x_B": 1}, upper=0.8)],
    ),
    "whole numbers": (
        [Integer("a", 0, 12), Integer("b", 0, 12), Integer("c", 0, 12)],
        [LinearConstraint({"a": 2, "b": 3, "c": 4}, lower=30, upper=30)],
    ),
    "grid and numbers": (
        [Composition("x", ELEMENTS[:3], step=0.25), Integer("n", 0, 8), Discrete("T", [1, 3, 5])],
        [LinearConstraint({"x_A": 4, "n": 1, "T": 1}, lower=5, upper=8)],
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_chains_draw_every_point_of_a_grid_alike(case):
    parameters, constraints = LISTS[case]
    shape = polytope(parameters, *constraints)
    listed = Listed(shape)
    known = {tuple(point) for point in np.round(listed.points(), 9)}
    draws = np.round(wandered(shape, 12 * listed.size), 9)
    values, counts = np.unique(draws, axis=0, return_counts=True)
    assert {tuple(point) for point in values} == known
    assert stats.chisquare(counts).pvalue > 1e-3


def test_equalities_hold_and_stay_uniform():
    """x_A + x_B = 0.5 leaves two independent halves, each uniform."""
    shape = polytope([Composition("x", ELEMENTS[:4])], LinearConstraint({"x_A": 1, "x_B": 1}, lower=0.5, upper=0.5))
    x = sampler(shape).sample(1024, rng())
    assert np.allclose(x[:, :2].sum(axis=1), 0.5, atol=1e-9)
    assert stats.kstest(x[:, 0], stats.uniform(0, 0.5).cdf).pvalue > 1e-3
    assert stats.kstest(x[:, 2], stats.uniform(0, 0.5).cdf).pvalue > 1e-3


def test_equalities_among_few_present_components():
    """A weighted mean that is fixed: chains agree with rejection from a thin slab."""
    parameters = [Composition("x", ELEMENTS, max_components=3)]
    weights = {"x_A": 0.3, "x_B": 0.7, "x_C": 0.5, "x_D": 0.1, "x_E": 0.35}
    exact = SearchSpace(parameters, [LinearConstraint(weights, lower=0.4, upper=0.4)]).sample(1024, rng())
    assert np.allclose(exact @ list(weights.values()), 0.4, atol=1e-9)
    slab = polytope(parameters, LinearConstraint(weights, lower=0.398, upper=0.402))
    same_law(exact, Rejection(slab, 0.01).sample(3000, rng(2)))


def test_equalities_between_whole_numbers_and_reals():
    shape = polytope(
        [Integer("n", 0, 4), Continuous("p", 0, 1), Continuous("q", 0, 1)],
        LinearConstraint({"n": 0.25, "p": 1, "q": 1}, lower=1, upper=1),
    )
    x = sampler(shape).sample(1024, rng())
    lengths = np.minimum(1, 1 - 0.25 * np.arange(5))
    counts = np.bincount(x[:, 0].astype(int), minlength=5)
    assert counts[4] == 0
    assert stats.chisquare(counts[:4], 1024 * lengths[:4] / lengths[:4].sum()).pvalue > 1e-3


def test_the_sampler_fits_the_set():
    wide = polytope([Composition("x", ELEMENTS)], LinearConstraint({"x_A": 1, "x_B": 1}, upper=0.5))
    thin = polytope([Composition("x", ELEMENTS)], LinearConstraint({"x_A": 1, "x_B": 1}, lower=0.5, upper=0.501))
    small = polytope([Composition("x", ELEMENTS, step=0.1)], LinearConstraint({"x_A": 1, "x_B": 1}, upper=0.5))
    assert isinstance(sampler(wide), Rejection)
    assert isinstance(sampler(thin), Wandering)
    assert isinstance(sampler(small), Listed)


@pytest.mark.parametrize("step", [None, 0.01])
def test_twenty_components_four_present_with_constraints_take_seconds_at_most(step):
    names = [f"e{i}" for i in range(20)]
    parameters = [
        Composition("x", names, max_components=4, step=step, bounds={"e0": (0.05, 0.4)}),
        Continuous("p", 0, 1),
    ]
    constraints = [
        LinearConstraint({"x_e1": 1.0, "x_e2": 1.0, "p": 0.1}, lower=0.6, upper=0.65),
        LinearConstraint({"x_e3": 1.0, "x_e4": -1.0}, lower=0.05),
    ]
    started = time.process_time()
    space = SearchSpace(parameters, constraints)
    x = space.sample(1000, rng())
    assert time.process_time() - started < 4
    assert space.contains(x).all()
    assert space.contains(space.design(20, rng())).all()


def test_draws_depend_on_their_generator_alone():
    space = SearchSpace(*CASES["few present"])
    first = space.sample(10, rng(5))
    space.sample(100, rng(6))
    assert np.array_equal(SearchSpace(*CASES["few present"]).sample(10, rng(5)), first)
    assert space.sample(0, rng()).shape == (0, 5)


def test_conflicts_are_irreducible():
    def feasible(numbers):
        return not {2, 5} <= set(numbers)

    assert conflict([1, 2, 3, 5, 8], feasible) == [2, 5]


def test_what_the_solver_cannot_decide_is_no_infeasible_space(monkeypatch):
    """Only the solver's own word counts as a proof that nothing is feasible."""
    monkeypatch.setattr("acquisition.feasibility._INFEASIBLE", 99)
    with pytest.raises(SpaceError, match="could not be decided") as caught:
        SearchSpace([Composition("x", ELEMENTS)], [LinearConstraint({"x_A": 1, "x_B": 1, "x_C": -1}, lower=1.5)])
    assert not isinstance(caught.value, InfeasibleSpaceError)


def test_programmes_find_far_apart_points():
    parameters, constraints = CASES["mixed"]
    shape = polytope(parameters, *constraints)
    corners = Program(shape).corners(16, rng())
    assert shape.rows.holds(corners, 1e-7).all()
    assert len(np.unique(np.round(corners, 6), axis=0)) > 6
    assert set(corners[:, 5]) <= {1.0, 2.0, 4.0}
