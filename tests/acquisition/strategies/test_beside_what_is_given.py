"""Experiments executed beside what is given, or outside the space, are learned from but never proposed."""

from dataclasses import replace

import numpy as np
import pytest

from acquisition import Continuous, ExpressionConstraint, SearchSpace
from acquisition.beliefs import fit
from acquisition.criteria.again import worth_again
from acquisition.maximise import best_candidate
from acquisition.strategies import make_strategy
from acquisition.strategies.model_based import Situation
from acquisition.strategies.two_stage import TwoStage

from .conftest import SPACES, observe, pose

DISC = SearchSpace(
    [Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)],
    constraints=[ExpressionConstraint("(a - 0.5) ** 2 + (b - 0.5) ** 2", upper=0.04)],
)


def test_a_search_never_ends_at_an_anchor_outside():
    held = DISC.given(np.array([0.6, 0.5]), ["a"])
    problem = replace(pose(DISC, 8), space=held)
    anchors = np.array([[0.5, 0.4], [0.9, 0.9]])  # beside the given setting, and outside the space
    point = best_candidate(problem, lambda x: -(x[:, 0] - 0.5).abs(), anchors, np.random.default_rng(0))
    assert held.contains(point[None, :]).all()


@pytest.mark.parametrize("name", ["auto", "upper_confidence"])
def test_what_is_measured_again_has_the_settings_of_its_batch(name):
    space = SPACES["constrained"]
    points = np.repeat(space.sample(4, np.random.default_rng(1)), 4, axis=0)
    values = 5 * points[:, 0] + np.random.default_rng(2).normal(0, 1.0, len(points))  # so noisy that repeats pay
    known = observe(space, points, y=values)
    problem = pose(space, observations=known, taken=points, pending=points[:0], replicates="auto", fixed=("a",))
    batch = [p.point for p in TwoStage(make_strategy(name)).propose(problem, 4).proposals]
    assert np.ptp([point[0] for point in batch]) <= 1e-6
    assert space.contains(np.array(batch)).all()


def test_what_was_executed_outside_is_not_measured_again():
    problem = pose(SPACES["constrained"], 6)
    outside = np.array([[0.9, 0.9], [0.7, 0.8]])
    situation = Situation(fit(problem), problem.pending, outside, seed=0, position=0)
    assert worth_again(situation, None) is None
