"""How well the expected improvement is known while other experiments are under way."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from acquisition import Continuous, SearchSpace
from acquisition.beliefs import fit, promising
from acquisition.functions import NoisyImprovement
from acquisition.maximise import Staged
from acquisition.strategies.expected_improvement import noisy
from acquisition.strategies.model_based import Situation

from .conftest import SPACES, observe, pose

SEEDS = range(12)
WIDE = SearchSpace([Continuous(name, 0.0, 1.0) for name in "abcd"])


def situated(space, waiting, **changes):
    """Twelve noisy results, and so many experiments beside them that are pending."""
    points = space.sample(12 + waiting, np.random.default_rng(5))
    known, pending = points[:12], points[12:]
    columns = space.encoding(known)
    y = np.sin(5 * columns).sum(1) + 0.1 * np.random.default_rng(6).normal(size=12)
    problem = pose(space, observations=observe(space, known, y=y), taken=points, pending=pending, **changes)
    beliefs = fit(problem)
    return Situation(beliefs, pending, promising(problem, beliefs.models), 0, 0)


def plain(situation, samples):
    """The noisy expected improvement with so many samples."""
    problem = situation.problem
    parts = situation.beliefs.models, problem.objectives, problem.outcome_constraints, situation.known
    return NoisyImprovement(*parts, samples=samples, seed=situation.seed)


def errors(situation, criterion):
    """Root mean square error of the logarithm at candidates that are worth having, over the seeds of the samples."""
    candidates = torch.from_numpy(situation.problem.space.sample(300, np.random.default_rng(7)))
    reference = plain(replace(situation, seed=999), 8192)(candidates)
    good = candidates[reference > reference.max() - 2.0]
    truth = plain(replace(situation, seed=999), 8192)(good)
    found = torch.stack([criterion(replace(situation, seed=seed))(good) for seed in SEEDS])
    return float((found - truth).square().mean().sqrt())


def test_beside_eight_pending_experiments_the_improvement_is_known_twice_as_well_as_by_32_samples():
    situation = situated(WIDE, 8)
    assert errors(situation, noisy) < 0.6 * errors(situation, lambda s: plain(s, 32))


def test_nothing_changes_where_nothing_is_pending():
    situation = situated(WIDE, 0)
    candidates = torch.from_numpy(WIDE.sample(50, np.random.default_rng(1)))
    assert torch.equal(noisy(situation)(candidates), plain(situation, 32)(candidates))


def test_gains_that_are_compared_between_samples_take_equally_many_draws():
    situation = situated(WIDE, 3, conditions_per_sample="auto")
    candidates = torch.from_numpy(WIDE.sample(50, np.random.default_rng(1)))
    assert torch.equal(noisy(situation)(candidates), plain(situation, 32)(candidates))


@pytest.mark.parametrize(("rows", "staged"), [(60, False), (300, True)])
def test_of_a_longer_pool_few_rows_are_looked_at_with_all_samples(rows, staged):
    pool = SPACES["pool"].pool
    generator = np.random.default_rng(2)
    longer = pool if rows == 60 else pool.sample(rows, replace=True, random_state=0) + generator.random((rows, 1))
    situation = situated(SearchSpace.from_pool(longer.reset_index(drop=True)), 4)
    assert isinstance(noisy(situation), Staged) is staged
