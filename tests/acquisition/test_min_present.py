"""Components that are absent, or present with a least fraction at least."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from acquisition import Composition, Continuous, InfeasibleSpaceError, LinearConstraint, SearchSpace, SpaceError
from acquisition.feasibility import Program
from acquisition.sampling import Wandering

ELEMENTS = ["A", "B", "C", "D", "E", "F"]


def rng(seed=0):
    return np.random.default_rng(seed)


def polytope(parameters, *constraints):
    (group,) = SearchSpace(parameters, constraints)._domain.groups
    return group.sampler.polytope


@st.composite
def gapped(draw):
    m = draw(st.integers(2, 6))
    names = ELEMENTS[:m]
    small = st.sampled_from([0.05, 0.1, 0.22, 0.3, 0.5])
    least = draw(small | st.dictionaries(st.sampled_from(names), small))
    bounds = draw(
        st.dictionaries(
            st.sampled_from(names), st.sampled_from([(0, 0.5), (0.1, 0.6), (0.1, 1.0), (0.0, 0.0), (0, 0.9)])
        )
    )
    most, step = draw(st.none() | st.integers(1, m)), draw(st.sampled_from([None, None, 0.1, 0.05, 0.02]))
    try:
        composition = Composition("x", names, max_components=most, step=step, bounds=bounds, min_present=least)
        SearchSpace([composition])
    except SpaceError:
        assume(False)
    return composition


def feasible_supports(composition):
    """Sets of present components whose bounds can sum to one, by looking at all of them."""
    limits = {c: (composition.least(c), composition.limits(c)[1]) for c in composition.components}
    forced = {c for c in composition.components if composition.limits(c)[0] > 0}
    for k in range(1, (composition.max_components or len(limits)) + 1):
        for support in combinations(composition.components, k):
            low, high = (sum(limits[c][side] for c in support) for side in (0, 1))
            usable = all(limits[c][1] > 0 and limits[c][1] >= limits[c][0] - 1e-9 for c in support)
            if forced <= set(support) and usable and low <= 1 + 1e-9 and high >= 1 - 1e-9:
                yield support


@given(gapped(), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_holds_for_any_of_them(composition, constrained, seed):
    free = SearchSpace([composition, Continuous("p", 0, 1)])
    constraints = []
    if constrained:
        anchor = free.sample(1, rng(seed))[0]
        weights = dict(zip(free.columns, [1.0, -2.0, 0.5, 1.0, 1.0, 1.0, 1.0], strict=False))
        value = sum(w * a for w, a in zip(weights.values(), anchor, strict=True))
        constraints = [LinearConstraint(weights, lower=value - 0.02)]
    space = SearchSpace([composition, Continuous("p", 0, 1)], constraints)
    x = space.sample(200, rng(seed))
    assert space.contains(x).all(), space.violations(x)
    assert np.abs(x[:, :-1].sum(axis=1) - 1).max() < 1e-12
    for scale in (1.0, 0.1, 0.001):
        x = space.perturb(x, scale, rng(seed))
        assert space.contains(x, 1e-7).all(), space.violations(x, 1e-7)
    supports = {tuple(np.array(composition.components)[row > 0]) for row in x[:, :-1]}
    if composition.step is None:
        assert supports <= set(feasible_supports(composition))
    design = space.design(5, rng(seed))
    assert space.contains(design).all()


@given(gapped())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_grids_are_listed_whole(composition):
    assume(composition.step in (0.1, 0.05))
    assume(len(composition.components) <= 4)
    space = SearchSpace([composition])
    units = round(1 / composition.step)
    everything = SearchSpace([Composition("x", composition.components, step=composition.step)]).enumerate()
    inside = everything[space.contains(everything)]
    assert {tuple(row) for row in np.rint(space.enumerate() * units)} == {tuple(row) for row in np.rint(inside * units)}
    assert space.size == len(inside)


@pytest.mark.parametrize("most", [None, 3])
def test_draws_are_uniform_on_each_set_and_sets_weigh_their_volume(most):
    least = 0.15
    space = SearchSpace([Composition("x", ELEMENTS[:4], min_present=least, max_components=most)])
    x = space.sample(20_000, rng())
    counts = (x > 0).sum(axis=1)
    weights = np.array(
        [
            math.comb(4, k) * max(1 - k * least, 0) ** (k - 1) / math.factorial(k - 1) * least ** (4 - k)
            for k in range(1, (most or 4) + 1)
        ]
    )
    expected = weights / weights.sum() * len(x)
    observed = np.bincount(counts, minlength=len(weights) + 1)[1:]
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    three = x[counts == 3]
    scaled = (three[three > 0].reshape(-1, 3) - least) / (1 - 3 * least)
    for i in range(3):
        assert stats.kstest(scaled[:, i], stats.beta(1, 2).cdf).pvalue > 1e-3


def test_a_small_least_fraction_changes_little():
    plain = SearchSpace([Composition("x", ELEMENTS[:4])]).sample(4000, rng())
    gapped = SearchSpace([Composition("x", ELEMENTS[:4], min_present=1e-3)]).sample(4000, rng(1))
    for i in range(4):
        assert stats.ks_2samp(plain[:, i], gapped[:, i]).pvalue > 1e-3


def test_least_fractions_of_single_components():
    composition = Composition("x", ELEMENTS[:3], min_present={"A": 0.3, "B": 0.1}, bounds={"B": (0, 0.8)})
    x = SearchSpace([composition]).sample(40_000, rng())
    supports = {}
    for row in x > 0:
        supports[tuple(row)] = supports.get(tuple(row), 0) + 1
    # areas and lengths by hand: a >= 0.3, 0.1 <= b <= 0.8; b may reach 0.7 beside a, and 0.8 beside c
    area = 0.6**2 / 2
    volumes = {
        (True, True, True): area,
        (True, True, False): 0.3 * (0.9 - 0.3),
        (True, False, True): 0.3 * 0.7,
        (False, True, True): 0.3 * 0.7,
        (True, False, False): 0.3**2,
        (False, False, True): 0.3**2,
    }
    assert set(supports) == set(volumes)
    expected = np.array(list(volumes.values())) / sum(volumes.values()) * len(x)
    assert stats.chisquare([supports[s] for s in volumes], expected).pvalue > 1e-3


@pytest.mark.parametrize(
    ("options", "constraint"),
    [
        ({"min_present": 0.12}, LinearConstraint({"x_A": 1, "x_B": 1, "x_C": -1}, lower=0.2)),
        ({"min_present": 0.12, "max_components": 3}, LinearConstraint({"x_A": 1, "x_B": -1}, lower=0.0)),
        ({"min_present": {"A": 0.2, "D": 0.1}}, LinearConstraint({"x_A": 1, "x_B": 2}, lower=0.5)),
        ({"min_present": 0.1, "bounds": {"A": (0.05, 0.7)}}, LinearConstraint({"x_A": 1, "x_B": 2}, upper=0.9)),
    ],
)
def test_chains_draw_what_rejection_draws(options, constraint):
    parameters = [Composition("x", ELEMENTS[:4], **options)]
    shape = polytope(parameters, constraint)
    chains = Wandering(shape, Program(shape).corners(3, rng())).sample(4000, rng(1))
    native = shape.native(40_000, rng(2))
    exact = native[shape.rows.holds(native)][:8000]
    supports, codes = np.unique(np.concatenate([chains > 0, exact > 0]), axis=0, return_inverse=True)
    table = np.array([np.bincount(part, minlength=len(supports)) for part in np.split(codes, [len(chains)])])
    table = table[:, table.sum(axis=0) >= 10]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    for i in range(4):
        assert stats.ks_2samp(chains[:, i], exact[:, i]).pvalue > 1e-3


def test_a_programme_finds_present_components_that_fit():
    shape = polytope(
        [Composition("x", ELEMENTS, min_present=0.3)],
        LinearConstraint({"x_A": 1, "x_B": 1}, lower=0.62),
        LinearConstraint({"x_C": 1}, lower=0.1),
    )
    point = Program(shape).point()
    assert (point[:2] > 0.29).all() or point[:2].max() > 0.6
    assert point[2] >= 0.3 - 1e-9
    x = SearchSpace(
        [Composition("x", ELEMENTS, min_present=0.3)],
        [LinearConstraint({"x_A": 1, "x_B": 1}, lower=0.62), LinearConstraint({"x_C": 1}, lower=0.1)],
    ).sample(500, rng())
    assert ((x == 0) | (x >= 0.3 - 1e-9)).all()


def test_optimisers_keep_what_is_present_present():
    space = SearchSpace([Composition("x", ELEMENTS[:3], min_present=0.2)])
    box = space.polyhedron()
    assert np.array_equal(box.least, [0.2] * 3)
    low, high = box.around(np.array([[0.6, 0.4, 0.0]]))
    assert np.array_equal(low, [[0.2, 0.2, 0.0]])
    assert np.array_equal(high, [[1.0, 1.0, 0.0]])


def test_only_points_without_volume_are_drawn_too():
    halves = SearchSpace([Composition("x", ELEMENTS[:3], min_present=0.5, bounds=dict.fromkeys("ABC", (0, 0.7)))])
    x = halves.sample(100, rng())
    assert np.allclose(np.sort(x, axis=1), [0, 0.5, 0.5])
    assert len({tuple(row > 0) for row in x}) == 3
    assert halves.contains(x).all()


def test_what_cannot_be():
    with pytest.raises(InfeasibleSpaceError, match="no choice of present components"):
        SearchSpace([Composition("x", ELEMENTS[:3], min_present=0.4, bounds=dict.fromkeys("ABC", (0, 0.45)))])
    with pytest.raises(SpaceError, match=r"C may be 0\.1 at most, but 0\.2 at least"):
        Composition("x", ELEMENTS[:3], min_present=0.2, bounds={"C": (0, 0.1)})
    with pytest.raises(SpaceError, match="min_present for 'Z'"):
        Composition("x", ELEMENTS[:3], min_present={"Z": 0.1})
    with pytest.raises(SpaceError, match=r"min_present is 1\.5"):
        Composition("x", ELEMENTS[:3], min_present=1.5)
    with pytest.raises(InfeasibleSpaceError, match="grid"):
        SearchSpace([Composition("x", ELEMENTS[:2], min_present=0.6, step=0.5, bounds=dict.fromkeys("AB", (0, 0.9)))])
    with pytest.raises(InfeasibleSpaceError, match=r"lower bounds sum to 1\.2"):
        Composition("x", ELEMENTS[:3], min_present=0.4, bounds=dict.fromkeys("ABC", (0.1, 1.0)))
    space = SearchSpace([Composition("x", ELEMENTS[:3], min_present=0.2)])
    (text,) = space.violations(np.array([[0.9, 0.1, 0.0]]))
    assert text == "x_B is 0.1, neither absent nor 0.2 or more"


def test_where_all_choices_are_single_points_nothing_absent_comes_in():
    parts = {"A": 0.05, "B": 0.5, "C": 0.5}
    mixed = Composition("x", list(parts), bounds=dict.fromkeys(parts, (0.0, 0.5)), min_present=parts)
    space = SearchSpace([mixed, Continuous("p", 0.0, 1.0)])
    drawn = space.sample(200, np.random.default_rng(0))
    assert space.contains(drawn).all()
    assert set(map(tuple, np.round(drawn[:, :3], 12))) == {(0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)}
