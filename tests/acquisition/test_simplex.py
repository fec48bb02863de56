"""Compositions are drawn uniformly: against known laws, brute force and exact counts."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from acquisition.errors import InfeasibleSpaceError
from acquisition.simplex import LatticeSimplex, SolidSimplex


def rng(seed=0):
    return np.random.default_rng(seed)


def rejected(low, high, most, n, seed=1):
    """Brute force: Dirichlet over random supports of exactly ``most`` components, kept where within bounds."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    generator, kept, m = rng(seed), [], len(low)
    while sum(map(len, kept)) < n:
        trials = generator.standard_exponential((200_000, m))
        rank = generator.random(trials.shape).argsort(axis=1).argsort(axis=1)
        trials[rank >= most] = 0
        trials /= trials.sum(axis=1, keepdims=True)
        fits = ((trials >= low) & (trials <= high)).all(axis=1)
        kept.append(trials[fits])
    return np.concatenate(kept)[:n]


def brute_lattice(low, high, most, units):
    spans = [
        range(math.ceil(a * units - 1e-9), math.floor(b * units + 1e-9) + 1) for a, b in zip(low, high, strict=True)
    ]
    return {p for p in itertools.product(*spans) if sum(p) == units and sum(u > 0 for u in p) <= most}


class TestSolid:
    @pytest.mark.parametrize("m", [2, 3, 6])
    def test_unconstrained_marginals_are_beta(self, m):
        x = SolidSimplex(np.zeros(m), np.ones(m), m).sample(4000, rng())
        for column in x.T:
            assert stats.kstest(column, stats.beta(1, m - 1).cdf).pvalue > 1e-3

    def test_supports_are_equally_likely(self):
        x = SolidSimplex(np.zeros(5), np.ones(5), 3).sample(20_000, rng())
        assert ((x > 0).sum(axis=1) == 3).all()
        counts = np.unique(x > 0, axis=0, return_counts=True)[1]
        assert len(counts) == 10
        assert stats.chisquare(counts).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("low", "high", "most"),
        [
            ([0, 0, 0], [0.5, 0.7, 1], 3),
            ([0, 0, 0, 0], [0.4, 0.4, 0.4, 0.4], 4),
            ([0.1, 0, 0, 0], [0.6, 0.3, 0.5, 1], 3),
            ([0, 0, 0, 0], [0.3, 0.8, 0.55, 1], 2),
            ([0.2, 0.1, 0, 0, 0], [0.5, 0.4, 0.2, 0.3, 0.6], 4),
            ([0, 0, 0, 0, 0], [0.35, 0.45, 0.25, 0.4, 1], 4),
            ([0.3, 0, 0], [0.6, 0.7, 0.7], 2),
            ([0, 0, 0, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.3, 0.3], 6),
        ],
    )
    def test_agrees_with_brute_force(self, low, high, most):
        x = SolidSimplex(np.array(low, float), np.array(high, float), most).sample(6000, rng())
        y = rejected(low, high, most, 6000)
        for a, b in zip(x.T, y.T, strict=True):
            assert stats.ks_2samp(a, b).pvalue > 1e-3
        supports = sorted(set(map(tuple, x > 0)) | set(map(tuple, y > 0)))
        table = [[(part == support).all(axis=1).sum() for support in supports] for part in (x > 0, y > 0)]
        if len(supports) > 1:
            assert stats.chi2_contingency(table).pvalue > 1e-3

    def test_equal_components_are_treated_equally_whatever_their_order(self):
        x = SolidSimplex(np.zeros(8), np.full(8, 0.35), 4).sample(8000, rng())
        assert stats.chisquare((x > 0).sum(axis=0)).pvalue > 1e-3
        assert np.ptp(x.mean(axis=0)) < 0.012

    def test_far_tails_keep_their_shape(self):
        """Caps that sum to 1.002: a volume of 1e-47 of the box, known by reflection (a small simplex)."""
        x = SolidSimplex(np.zeros(20), np.full(20, 0.0501), 20).sample(3000, rng())
        short = (0.0501 - x) / 0.002
        for column in short.T[::5]:
            assert stats.kstest(column, stats.beta(1, 19).cdf).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("low", "high", "most", "point"),
        [
            ([0.4, 0.6], [0.5, 1], 2, [0.4, 0.6]),
            ([0, 0.2, 0], [0.5, 0.3, 0.2], 3, [0.5, 0.3, 0.2]),
            ([0, 0], [1, 1], 1, None),
            ([0, 0, 0, 0], [0.5, 0.5, 0.5, 0.5], 2, None),
            ([0, 0, 0], [0.5, 0.5, 0.3], 2, [0.5, 0.5, 0]),
        ],
    )
    def test_degenerate_sets(self, low, high, most, point):
        x = SolidSimplex(np.array(low, float), np.array(high, float), most).sample(2000, rng())
        assert np.allclose(x.sum(axis=1), 1, atol=1e-12)
        if point:
            assert np.allclose(x, point)
        else:
            counts = np.unique(x, axis=0, return_counts=True)[1]
            assert len(counts) == math.comb(len(low), most)
            assert stats.chisquare(counts).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("low", "high", "most"),
        [
            ([0.6, 0.5], [1, 1], 2),
            ([0, 0, 0], [0.3, 0.3, 0.3], 3),
            ([0, 0, 0], [0.4, 0.4, 0.4], 2),
            ([0.1, 0.1], [1, 1], 1),
        ],
    )
    def test_impossible(self, low, high, most):
        with pytest.raises(InfeasibleSpaceError):
            SolidSimplex(np.array(low), np.array(high, float), most)


class TestLattice:
    @pytest.mark.parametrize(
        ("low", "high", "most", "units"),
        [
            ([0, 0, 0], [1, 1, 1], 3, 10),
            ([0, 0, 0, 0], [1, 1, 1, 1], 2, 8),
            ([0.1, 0, 0, 0], [0.55, 0.3, 1, 0.25], 3, 10),
            ([0.25, 0.2, 0], [0.5, 0.4, 0.5], 3, 12),
            ([0, 0], [1, 1], 1, 5),
        ],
    )
    def test_counts_lists_and_draws_every_composition_alike(self, low, high, most, units):
        simplex = LatticeSimplex(np.array(low, float), np.array(high, float), most, units)
        known = brute_lattice(low, high, most, units)
        listed = np.rint(simplex.points() * units).astype(int)
        assert simplex.count == len(listed) == len(known)
        assert set(map(tuple, listed.tolist())) == known
        draws = np.rint(simplex.sample(200 * len(known), rng()) * units).astype(int)
        values, counts = np.unique(draws, axis=0, return_counts=True)
        assert set(map(tuple, values.tolist())) == known
        if len(known) > 1:
            assert stats.chisquare(counts).pvalue > 1e-3

    def test_huge_counts_are_exact(self):
        simplex = LatticeSimplex(np.zeros(20), np.ones(20), 20, 100)
        assert simplex.count == math.comb(119, 19)
        x = simplex.sample(4000, rng())
        assert np.ptp(x.mean(axis=0)) < 0.01
        assert np.isclose(x.var(axis=0).mean(), 0.05 * 0.95 / 21 * (1 + 0.2), rtol=0.1)

    def test_a_step_that_misses_the_bounds(self):
        with pytest.raises(InfeasibleSpaceError):
            LatticeSimplex(np.array([0.11, 0.0]), np.array([0.19, 1.0]), 2, 10)


@st.composite
def bounds(draw):
    m = draw(st.integers(2, 7))
    low = draw(st.lists(st.sampled_from([0.0, 0.0, 0.05, 0.1]), min_size=m, max_size=m))
    high = draw(st.lists(st.sampled_from([1.0, 1.0, 0.2, 0.35, 0.6]), min_size=m, max_size=m))
    return np.array(low), np.array(high), draw(st.integers(1, m))


@given(bounds(), st.sampled_from([None, 10, 20, 37]), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_draws_keep_within_everything(case, units, seed):
    low, high, most = case
    try:
        simplex = SolidSimplex(low, high, most) if units is None else LatticeSimplex(low, high, most, units)
    except InfeasibleSpaceError:
        return
    x = simplex.sample(50, rng(seed))
    assert np.abs(x.sum(axis=1) - 1).max() < 1e-12
    assert (x >= low - 1e-9).all()
    assert (x <= high + 1e-9).all()
    assert ((x > 0).sum(axis=1) <= most).all()


@pytest.mark.parametrize("units", [None, 100])
@pytest.mark.parametrize("caps", [1.0, 0.5, 0.3])
def test_twenty_components_are_fast(units, caps):
    low, high = np.zeros(20), np.linspace(caps, 1.0, 20)
    low[3] = 0.1
    started = time.perf_counter()
    simplex = SolidSimplex(low, high, 4) if units is None else LatticeSimplex(low, high, 4, units)
    x = simplex.sample(1000, rng())
    assert time.perf_counter() - started < 1.0
    assert ((x > 0).sum(axis=1) <= 4).all()
