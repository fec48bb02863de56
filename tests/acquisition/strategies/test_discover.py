"""Finding many good ones: what counts as good, what a measurement helps to find, and that it finds more than others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from acquisition import Continuous, Objective, OutcomeConstraint, SearchSpace, StrategyError
from acquisition.beliefs import Model
from acquisition.criteria.membership import Finds, Good, at_least, best_share
from acquisition.strategies import make_strategy
from acquisition.strategies.discover import Discover
from orchestrator import Campaign
from surrogates.gaussian_process import GaussianProcess

LINE = SearchSpace([Continuous("a", 0.0, 1.0)])


def _moments(mean, std):
    return {"y": (torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))}


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("number", [1.0, 3.5, 40.0])
def test_the_expected_number_above_the_bound_is_what_was_asked(goal, number):
    generator = np.random.default_rng(0)
    moments = _moments(generator.normal(size=300), generator.uniform(0.05, 0.5, 300))
    good = best_share(Objective("y", goal), (), moments, number)
    assert float(good.log_probability(moments).exp().sum()) == pytest.approx(number, rel=1e-6)


def test_a_window_widens_until_it_holds_the_share():
    moments = _moments(np.linspace(-1.0, 1.0, 201), np.full(201, 1e-4))
    good = best_share(Objective("y", "target", target=(0.1, 0.2)), (), moments, 41.0)
    (bound,) = good.bounds
    assert bound.upper - bound.lower == pytest.approx(0.41, abs=0.02)
    assert 0.5 * (bound.upper + bound.lower) == pytest.approx(0.15)


def test_where_constraints_leave_fewer_than_the_share_all_that_keep_them_are_good():
    moments = _moments(np.linspace(0.0, 1.0, 101), np.full(101, 1e-4))
    bound = OutcomeConstraint("y", upper=0.0495)
    good = best_share(Objective("y", "maximize"), (bound,), moments, 50.0)
    assert float(good.log_probability(moments).exp().sum()) == pytest.approx(5.0, abs=1e-3)


def _model(n=6, noise=0.05):
    generator = np.random.default_rng(3)
    x = generator.random((n, 1))
    y = np.sin(7.0 * x[:, 0]) + noise * generator.normal(size=n)
    return Model(LINE.encoding, GaussianProcess.fit(x, y))


def test_finds_agree_with_brute_force():
    """The expectation over outcomes, by refitting the posterior to each of many drawn outcomes."""
    model, horizon, noise = _model(), 3, 0.02
    rest = np.linspace(0.0, 1.0, 25)[:, None]
    good = Good((at_least(Objective("y"), 0.8),))
    candidates = np.array([[0.35], [0.9], [0.5]])
    with torch.no_grad():
        finds = Finds({"y": model}, good, rest, rest[:0], {"y": noise}, horizon)
        mine = finds(torch.from_numpy(candidates)).exp().numpy()
        scale = model.surrogate.scale
        for value, candidate in zip(mine, candidates, strict=True):
            whole = np.vstack([candidate[None], rest])
            covariance = model.covariance_with(whole)(torch.from_numpy(whole)).numpy()
            mean = (model.predict(whole).mean - scale.centre) / scale.width
            gain = covariance[:, 0] / (covariance[0, 0] + noise)
            level = (0.8 - scale.centre) / scale.width
            total = []
            for z in np.random.default_rng(0).normal(size=4000):
                outcome = mean[0] + np.sqrt(covariance[0, 0] + noise) * z
                after = mean + gain * (outcome - mean[0])
                spread = np.sqrt(np.maximum(np.diag(covariance) - gain * covariance[:, 0], 1e-12))
                probability = 1.0 - _cdf((level - after) / spread)
                total.append(np.sort(probability[1:])[::-1][:horizon].sum())
            before = 1.0 - _cdf((level - mean) / np.sqrt(np.diag(covariance)))
            now = before[0] + np.mean(total) - np.sort(before[1:])[::-1][:horizon].sum()
            assert value == pytest.approx(now, abs=0.03)


def _cdf(z):
    return torch.special.ndtr(torch.from_numpy(np.asarray(z))).numpy()


def test_without_a_horizon_it_is_the_probability():
    model, good = _model(), Good((at_least(Objective("y"), 0.8),))
    rest = np.linspace(0.0, 1.0, 9)[:, None]
    at = torch.from_numpy(rest)
    with torch.no_grad():
        finds = Finds({"y": model}, good, rest, rest[:0], {"y": 0.01}, 0)
        torch.testing.assert_close(finds(at), good.log_probability({"y": model.moments(at)}))


def test_a_point_is_not_found_twice():
    """Where nothing else is left, to measure the best point now leaves nothing for later."""
    model, good = _model(), Good((at_least(Objective("y"), 0.8),))
    best = np.array([[0.25]])
    at = torch.from_numpy(best)
    with torch.no_grad():
        alone = Finds({"y": model}, good, best, best[:0], {"y": 1e-3}, 1)
        assert float(alone.log_now(at).exp()) > 0.1
        assert float(alone(at).exp()) < 1e-9


def test_what_is_pending_teaches_nothing_new():
    model, good = _model(), Good((at_least(Objective("y"), 0.9),))
    rest = np.linspace(0.0, 1.0, 51)[:, None]
    at = torch.from_numpy(rest)

    def learnt(finds):
        return finds(at).exp() - finds.log_now(at).exp()

    with torch.no_grad():
        alone = learnt(Finds({"y": model}, good, rest, rest[:0], {"y": 1e-3}, 4))
        best = int(alone.argmax())
        after = learnt(Finds({"y": model}, good, rest, rest[[best]], {"y": 1e-3}, 4))
    assert float(after[best]) < 0.2 * float(alone[best])


def _islands(seed):
    """A table with three islands of good rows, of 400."""
    generator = np.random.default_rng(seed)
    x = generator.random((400, 2))
    centres = generator.random((3, 2))
    y = np.exp(-np.square(x[:, None] - centres).sum(2) / 0.01).max(1) + 0.02 * generator.normal(size=400)
    return pd.DataFrame(x, columns=["a", "b"]), y


def _found(strategy, seed, budget=45):
    table, y = _islands(seed)
    space = SearchSpace.from_pool(table)
    campaign = Campaign(space, [Objective("y")], strategy=strategy, seed=seed)
    for _ in range(budget):
        row = campaign.ask(1)
        index = int(np.flatnonzero((table == row[["a", "b"]].to_numpy()[0]).all(axis=1))[0])
        campaign.tell(row.assign(y=y[index]))
    values = campaign.to_dataframe()["y"]
    return int((values >= np.sort(y)[-20]).sum())


def test_it_finds_more_good_ones_than_a_search_for_the_best():
    mine = [_found(Discover(share=0.05), seed) for seed in range(3)]
    others = [_found("expected_improvement", seed) for seed in range(3)]
    assert sum(mine) > sum(others)
    assert min(mine) >= 12  # of 20; 45 draws at random find 2


def test_a_budget_that_ends_is_used_to_the_end():
    """With one experiment left nothing is learnt for later: the most probable one is taken."""
    table, y = _islands(1)
    space = SearchSpace.from_pool(table)
    strategy = Discover(share=0.05)
    campaign = Campaign(space, [Objective("y")], strategy=strategy, seed=1)
    campaign.tell(table.iloc[:25].assign(y=y[:25]))
    problem = campaign.problem()
    last = strategy.propose(replace(problem, remaining=1), 1).proposals[0]
    greedy = Discover(share=0.05, horizon=0).propose(problem, 1).proposals[0]
    np.testing.assert_array_equal(last.point, greedy.point)


def test_levels_are_bounds_on_every_objective():
    generator = np.random.default_rng(0)
    points = LINE.sample(30, generator)
    table = LINE.to_frame(points).assign(y=points[:, 0], z=1.0 - points[:, 0])
    objectives = [Objective("y", "maximize"), Objective("z", "maximize")]
    campaign = Campaign(LINE, objectives, strategy=Discover(level={"y": 0.4, "z": 0.45}), seed=0)
    campaign.tell(table)
    assert 0.38 < campaign.ask(1)["a"].iloc[0] < 0.57


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1}, "share"),
        ({"share": True}, "share"),
        ({"level": float("nan")}, "level"),
        ({"level": {"y": "high"}}, "level"),
        ({"level": {}}, "level"),
        ({"horizon": -1}, "horizon"),
        ({"horizon": 2.5}, "horizon"),
    ],
)
def test_options_that_cannot_be_are_refused(options, field):
    with pytest.raises(StrategyError, match=field):
        make_strategy("discover", options)


def test_several_objectives_need_levels():
    objectives = [Objective("y"), Objective("z")]
    campaign = Campaign(LINE, objectives, strategy="discover", seed=0, initial=2)
    with pytest.raises(StrategyError, match="level of each"):
        campaign.ask(1)
    with pytest.raises(StrategyError, match="no objective"):
        Campaign(LINE, objectives, strategy=Discover(level={"w": 1.0}), seed=0).ask(1)
