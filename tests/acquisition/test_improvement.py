"""Expected improvement against botorch, against quadrature, and far out in the tails."""

import mpmath
import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import _log_ei_helper
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Continuous, Objective, OutcomeConstraint, SearchSpace
from acquisition.beliefs import Model
from acquisition.functions import NoisyImprovement
from acquisition.improvement import feasible, log_gain, log_h, log_probability, utility
from surrogates import GaussianProcess


def _t(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_log_h_equals_botorch():
    z = torch.linspace(-30.0, 10.0, 401, dtype=torch.float64)
    torch.testing.assert_close(log_h(z), _log_ei_helper(z), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("z", [-1e6, -1e4, -999.0, -50.0, -1.0001, -0.9999, 0.0, 3.0])
def test_log_h_against_arbitrary_precision(z):
    with mpmath.workdps(60):
        exact = mpmath.log(mpmath.npdf(z) + mpmath.mpf(z) * mpmath.ncdf(z))
    assert float(log_h(_t(z))) == pytest.approx(float(exact), rel=1e-7)


@pytest.mark.parametrize(
    "objective",
    [
        Objective("y", "maximize"),
        Objective("y", "minimize"),
        Objective("y", "target", target=0.3),
        Objective("y", "target", target=(-0.2, 0.5)),
    ],
)
@pytest.mark.parametrize(
    ("mean", "std", "distance"), [(0.1, 0.4, 0.3), (1.0, 0.5, 0.2), (-2.0, 1.0, 1.5), (0.2, 0.05, 1.0)]
)
def test_gain_against_quadrature(objective, mean, std, distance):
    level = -distance
    grid = torch.linspace(mean - 9 * std, mean + 9 * std, 200_001, dtype=torch.float64)
    density = torch.exp(-0.5 * ((grid - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    exact = torch.trapezoid((utility(objective, grid) - level).clamp_min(0.0) * density, grid)
    got = log_gain(objective, _t(mean), _t(std), _t(level)).exp()
    assert float(got) == pytest.approx(float(exact), rel=1e-4, abs=1e-9)


@given(
    st.floats(-9, 1).map(lambda e: 10.0**e),
    st.floats(-4, 4),
    st.floats(-2.5, 1).map(lambda e: 10.0**e),
    st.sampled_from([0.0, 0.3, 2.0]),
)
@settings(max_examples=200, deadline=None)
def test_gain_of_a_target_against_arbitrary_precision(distance, mean, std, width):
    """Also where distance and uncertainty differ by orders of magnitude."""
    low, high = 1.0, 1.0 + width
    with mpmath.workdps(300):
        m, s, d = mpmath.mpf(mean), mpmath.mpf(std), mpmath.mpf(distance)

        def h(edge):
            z = (m - edge) / s
            return s * (mpmath.npdf(z) + z * mpmath.ncdf(z))

        exact = h(low - d) - h(mpmath.mpf(low)) - h(mpmath.mpf(high)) + h(high + d)
        logarithm = float(mpmath.log(exact)) if exact > 0 else -np.inf
    objective = Objective("y", "target", target=(low, high))
    got = float(log_gain(objective, _t(mean), _t(std), _t(-distance)))
    if logarithm > -500:  # beyond, the oracle runs out of digits
        assert got == pytest.approx(logarithm, abs=2e-3, rel=2e-3)
    else:
        assert got < -450


def test_nothing_is_gained_where_the_target_is_reached():
    objective = Objective("y", "target", target=(1.0, 2.0))
    assert torch.isneginf(log_gain(objective, _t(1.5, 5.0), _t(0.1, 2.0), _t(0.0))).all()


def test_gain_of_a_target_ranks_points_far_from_the_window():
    objective = Objective("y", "target", target=(0.0, 1.0))
    gain = log_gain(objective, _t(5.0, 10.0, 20.0, -10.0, -20.0), _t(0.1), _t(-0.5))
    assert torch.isfinite(gain).all()
    assert (gain[:2] > gain[1:3]).all()
    assert gain[3] > gain[4]


@pytest.mark.parametrize(("lower", "upper"), [(0.2, None), (None, 0.3), (-0.1, 0.4)])
@pytest.mark.parametrize("mean", [-1.0, 0.0, 0.3, 2.0])
def test_probability_of_a_constraint(lower, upper, mean):
    constraint = OutcomeConstraint("y", lower=lower, upper=upper)
    with mpmath.workdps(40):
        high = 1 if upper is None else mpmath.ncdf((mpmath.mpf(upper) - mean) / 0.2)
        low = 0 if lower is None else mpmath.ncdf((mpmath.mpf(lower) - mean) / 0.2)
        exact = float(mpmath.log(high - low))
    assert float(log_probability(constraint, _t(mean), _t(0.2))) == pytest.approx(exact, rel=1e-6, abs=1e-9)
    inside = (lower is None or mean >= lower) and (upper is None or mean <= upper)
    assert bool(feasible(constraint, _t(mean))) == inside


def _data(n=12, noise=0.0):
    x = np.random.default_rng(0).random((n, 2))
    y = np.sin(4 * x[:, 0]) + x[:, 1] + noise * np.random.default_rng(1).normal(size=n)
    return x, y


def _improvement(x, y, objectives=(Objective("y", "maximize"),), constraints=(), **others):
    encoding = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)]).encoding
    fits = {"y": GaussianProcess.fit(x, y)} | {m: GaussianProcess.fit(x, v) for m, v in others.items()}
    models = {metric: Model(encoding, fit) for metric, fit in fits.items()}
    with torch.no_grad():
        return models, NoisyImprovement(models, objectives, constraints, x, samples=256, seed=0)


def test_without_noise_it_is_expected_improvement():
    x, y = _data()
    models, function = _improvement(x, y)
    at = torch.tensor(np.random.default_rng(4).random((50, 2)))
    belief = models["y"].predict(at.numpy())
    z = torch.tensor((belief.mean - y.max()) / belief.std)
    plain = torch.log(torch.tensor(belief.std)) + _log_ei_helper(z)
    near = plain > plain.max() - 6
    torch.testing.assert_close(function(at)[near], plain[near], atol=0.35, rtol=0.05)
    assert int(function(at).argmax()) == int(plain.argmax())


def test_a_pending_point_is_not_worth_asking_again():
    x, y = _data()
    models, _ = _improvement(x, y)
    at = torch.tensor(np.random.default_rng(4).random((200, 2)))
    with torch.no_grad():
        plain = NoisyImprovement(models, (Objective("y"),), (), x, samples=64, seed=0)(at)
        best = at[int(plain.argmax())]
        known = np.vstack([x, best])
        pending = NoisyImprovement(models, (Objective("y"),), (), known, samples=64, seed=0)(at)
    assert pending[int(plain.argmax())] < plain.max() - 2


def test_an_outcome_constraint_moves_the_choice():
    x, y = _data(20)
    _, free = _improvement(x, y)
    _, bound = _improvement(x, y, constraints=(OutcomeConstraint("h", upper=0.3),), h=x[:, 0])
    at = torch.tensor(np.random.default_rng(4).random((400, 2)))
    assert float(at[int(free(at).argmax()), 0]) > 0.33
    assert float(at[int(bound(at).argmax()), 0]) < 0.35


def test_hypervolume_gain_against_samples():
    x, y = _data()
    objectives = (Objective("y", "maximize", reference=-1.0), Objective("z", "minimize", reference=1.5))
    z = x[:, 0] ** 2 + 0.5 * x[:, 1]
    models, function = _improvement(x, y, objectives, z=z)
    at = np.random.default_rng(9).random((6, 2))
    first, second = models["y"].predict(at), models["z"].predict(at)
    rng = np.random.default_rng(0)

    def volume(points):
        grid_a, grid_b = np.meshgrid(np.linspace(-1.0, 2.5, 351), np.linspace(0.0, 1.5, 151))
        dominated = np.zeros(grid_a.shape, dtype=bool)
        for a, b in points:
            dominated |= (grid_a <= a) & (grid_b >= b)
        return dominated.mean() * 3.5 * 1.5

    known = list(zip(y, z, strict=True))
    base = volume(known)
    for i in range(6):
        draws = zip(
            rng.normal(first.mean[i], first.std[i], 150), rng.normal(second.mean[i], second.std[i], 150), strict=True
        )
        exact = np.mean([volume([*known, draw]) - base for draw in draws])
        assert float(function(torch.tensor(at[[i]])).exp()) == pytest.approx(exact, rel=0.35, abs=0.01)


def test_many_levels_of_a_window_at_once_are_those_of_each_alone():
    window = Objective("y", "target", target=(0.4, 0.45))
    mean = torch.linspace(-1.0, 2.0, 7, dtype=torch.float64)[None, :, None]
    std = torch.tensor([1e-3, 0.05, 0.3, 1e-4, 0.1, 2.0, 0.01], dtype=torch.float64)[None, :, None]
    levels = -torch.tensor([[0.0, 1e-9, 0.01, 0.3], [0.2, 0.0, 1e-6, 5.0]], dtype=torch.float64)[:, None, :]
    together = log_gain(window, mean, std, levels)
    assert together.shape == (2, 7, 4)
    for i in range(2):
        for k in range(4):
            alone = log_gain(window, mean[0, :, 0], std[0, :, 0], levels[i, 0, k])
            torch.testing.assert_close(together[i, :, k], alone, rtol=1e-12, atol=0.0)
