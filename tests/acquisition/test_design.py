"""Designs fill the space: different points, spread out, around what is there, alike for all components."""

import time

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import qmc

from acquisition import Categorical, Composition, Continuous, Discrete, Integer, LinearConstraint, SearchSpace


def rng(seed=0):
    return np.random.default_rng(seed)


def box(dimension):
    return SearchSpace([Continuous(f"p{i}", 0, 1) for i in range(dimension)])


@pytest.mark.parametrize("dimension", [2, 4])
def test_like_sobol_in_a_box(dimension):
    space, ours, sobol = box(dimension), [], []
    for seed in range(5):
        for kept, x in (
            (ours, space.design(16, rng(seed))),
            (sobol, qmc.Sobol(dimension, seed=seed).random(16)),
        ):
            gaps = cdist(rng(99).random((4000, dimension)), x).min(axis=1)
            kept.append((qmc.discrepancy(x, method="CD"), gaps.mean(), gaps.max()))
    assert (np.mean(ours, axis=0) < np.mean(sobol, axis=0) * [1.25, 1.0, 1.15]).all()


def test_far_better_than_chance_on_compositions():
    space = SearchSpace([Composition("x", list("ABCDEF"), max_components=4, step=0.1)])
    everything = space.enumerate()
    ours = [cdist(everything, space.design(20, rng(seed))).min(axis=1) for seed in range(4)]
    chance = [cdist(everything, space.sample(20, rng(seed))).min(axis=1) for seed in range(4)]
    assert np.mean(ours) < 0.95 * np.mean(chance)
    assert np.max(ours, axis=1).mean() < 0.9 * np.max(chance, axis=1).mean()


def test_components_take_part_alike():
    space = SearchSpace([Composition("x", list("ABCDE"), max_components=3)])
    designs = np.concatenate([space.design(12, rng(seed)) for seed in range(12)])
    assert np.ptp(designs.mean(axis=0)) < 0.04
    assert np.ptp((designs > 0).mean(axis=0)) < 0.15


def test_categories_take_turns():
    space = SearchSpace([Categorical("c", ["a", "b", "d", "e"]), Continuous("p", 0, 1)])
    assert (np.bincount(space.design(8, rng())[:, 0].astype(int)) == 2).all()


def test_existing_points_are_kept_away_from():
    space = box(1)
    existing = np.linspace(0, 0.5, 6)[:, None]
    assert (space.design(5, rng(), existing) > 0.5).sum() >= 4


class TestFewPoints:
    space = SearchSpace([Integer("n", 1, 3), Discrete("T", [25, 40])])

    def test_all_of_them(self):
        x = self.space.design(6, rng())
        assert set(self.space.keys(x)) == set(self.space.keys(self.space.enumerate()))

    def test_the_ones_that_are_left(self):
        points = self.space.enumerate()
        x = self.space.design(2, rng(), existing=points[:4])
        assert set(self.space.keys(x)) == set(self.space.keys(points[4:]))

    def test_repeats_only_when_nothing_is_left(self):
        x = self.space.design(15, rng(), existing=self.space.enumerate()[:1])
        assert len(x) == 15
        counts = np.unique(x, axis=0, return_counts=True)[1]
        assert len(counts) == 6
        assert counts.max() - counts.min() <= 1

    def test_constrained_to_one(self):
        space = SearchSpace(
            [Composition("x", ["A", "B"]), Integer("n", 1, 9)],
            [LinearConstraint({"x_A": 1.0}, lower=1.0), LinearConstraint({"n": 1.0}, upper=1)],
        )
        assert np.array_equal(space.design(3, rng()), np.tile([1.0, 0.0, 1.0], (3, 1)))


def test_none_wanted():
    assert box(2).design(0, rng()).shape == (0, 2)


def test_large_designs():
    space = box(3)
    x = space.design(700, rng())
    assert len(set(space.keys(x))) == 700


def test_speed():
    space = SearchSpace([Composition("x", [f"e{i}" for i in range(20)], max_components=4), Continuous("p", 0, 1)])
    space.design(20, rng())
    started = time.process_time()
    space.design(20, rng())
    assert time.process_time() - started < 0.5


def test_one_point_after_another_stays_even():
    x = np.empty((0, 2))
    for seed in range(150):
        x = np.concatenate([x, box(2).design(1, rng(seed), existing=x)])
    chance = [qmc.discrepancy(rng(seed).random((150, 2)), method="CD") for seed in range(9)]
    assert qmc.discrepancy(x, method="CD") < 0.4 * np.median(chance)


def test_the_last_points_of_a_finite_space_are_found():
    space = SearchSpace([Integer("i", 0, 59), Integer("j", 0, 59)])  # more than are drawn at a time
    everything = space.enumerate()[rng(3).permutation(3600)]
    left = space.design(7, rng(4), existing=everything[:-7])
    assert set(map(tuple, left)) == set(map(tuple, everything[-7:]))
