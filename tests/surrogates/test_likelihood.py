"""The log posterior of hyperparameters: against gpytorch, against differences, against integration."""

import math

import gpytorch
import numpy as np
import pytest
import torch

from surrogates.data import Data
from surrogates.form import CENTRE, FLOOR, GLOBAL_SHRINKAGE, MEAN_VARIANCE, SPREAD, Form, prior_energy
from surrogates.likelihood import LogPosterior
from surrogates.scaling import Scale
from surrogates.search import most_probable, rows_of

FORMS = {
    "matern": {},
    "additive": {"kernel": "additive"},
    "saas": {"kernel": "saas"},
    "samples": {"samples": True},
    "drift": {"drift": True},
    "all": {"kernel": "additive", "samples": True, "drift": True},
}


def _data(n: int = 14, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    x = np.hstack([rng.random((n, 3)), np.eye(3)[rng.integers(0, 3, n)] * math.sqrt(0.5)])
    kinds = ["fraction", "root_fraction", "continuous", "category", "category", "category"]
    groups = ["x_Cu", "x_Cu", "potential", "cation", "cation", "cation"]
    y = np.sin(4 * x[:, 0]) + x[:, 2] + 0.2 * rng.normal(size=n)
    return Data.of(
        x,
        y,
        sem=rng.random(n) * 0.1,
        inflation=1 + rng.random(n),
        sample=rng.integers(-1, 3, n),
        kinds=kinds,
        groups=groups,
    )


def _posterior(name: str) -> LogPosterior:
    data = _data()
    options = {"kernel": "matern"} | FORMS[name]
    form = Form.of(data, options.pop("kernel"), **options)
    return LogPosterior(form, rows_of(data, Scale.of(data.outcomes)))


@pytest.mark.parametrize("name", FORMS)
def test_gradient_is_that_of_differences(name):
    posterior = _posterior(name)
    p = posterior.form.size
    theta = posterior.form.start() + 0.3 * torch.randn(
        p, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    steps = 1e-5 * torch.eye(p, dtype=torch.float64)
    values, _ = posterior(torch.cat([theta + steps, theta - steps]))
    _, gradient = posterior(theta[None])
    torch.testing.assert_close(gradient[0], (values[:p] - values[p:]) / 2e-5, rtol=1e-5, atol=1e-6)


def test_a_category_has_one_lengthscale_and_parameters_are_told_apart():
    form = Form.of(_data(), "additive")
    assert form.lengths == (0, 1, 2, 3, 3, 3)
    assert form.parts == ((0, 1), (2,), (3,))
    assert form.size == 4 + 4 + 4 + 1


def test_likelihood_is_that_of_gpytorch():
    posterior = _posterior("matern")
    form, rows = posterior.form, posterior.rows
    theta = form.start(0.2, -1.5)
    kernel = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=6).double()
    kernel.lengthscale = theta[list(form.lengths)].exp()
    noise = (2 * theta[form.blocks["noise"]]).exp() * rows.factor + rows.stated + FLOOR
    with torch.no_grad():
        covariance = kernel(rows.columns).to_dense() + MEAN_VARIANCE + torch.diag(noise)
        normal = torch.distributions.MultivariateNormal(torch.zeros(len(rows)).double(), covariance)
        expected = -normal.log_prob(rows.outcomes) - 0.5 * len(rows) * math.log(2 * math.pi)
    value, _ = posterior(theta[None])
    assert float(value - prior_energy(form, theta[None])[0]) == pytest.approx(float(expected), rel=1e-9)


def test_the_common_centre_is_integrated_out():
    """At its best value for given lengthscales the centre contributes what the correlated prior does."""
    form = Form.of(Data.of(np.random.default_rng(0).random((5, 4)), np.arange(5.0)), "matern")
    lengths = torch.tensor([0.1, -0.7, 1.2, 0.4], dtype=torch.float64)
    theta = form.start()
    at_mean, _ = prior_energy(form, theta[None])
    theta[:4] = lengths
    centre = torch.linspace(-3, 3, 60_001, dtype=torch.float64)[:, None]
    energy = 0.5 * (((lengths - centre) / SPREAD).square().sum(1) + ((centre[:, 0] - CENTRE[0]) / CENTRE[1]).square())
    assert float(prior_energy(form, theta[None])[0] - at_mean) == pytest.approx(float(energy.min()), abs=1e-6)


def test_saas_prior_is_a_half_cauchy_in_logarithms():
    form = Form((0,), saas=True)
    theta = form.start()
    tau, length = 0.03, torch.linspace(-1, 3, 9, dtype=torch.float64)
    theta = theta.repeat(9, 1)
    theta[:, 0], theta[:, form.blocks["shrinkage"].start] = length, math.log(tau)
    rho = torch.exp(-2 * length)
    density = 2 / (math.pi * tau * (1 + (rho / tau) ** 2)) * 2 * rho
    of_tau = 2 / (math.pi * GLOBAL_SHRINKAGE * (1 + (tau / GLOBAL_SHRINKAGE) ** 2)) * tau
    expected = -(density * of_tau).log()
    energy = prior_energy(form, theta)[0]
    # up to a constant, which the evidence adds
    torch.testing.assert_close(energy - energy[0], expected - expected[0])


def test_evidence_is_the_integral_over_hyperparameters():
    """Two hyperparameters, by brute force on a grid: one column less than that has no lengthscale."""
    rng = np.random.default_rng(0)
    data = Data.of(np.zeros((25, 0)), rng.normal(size=25))
    form, rows = Form.of(data, "matern"), rows_of(data, Scale.of(data.outcomes))
    posterior = LogPosterior(form, rows)
    theta = most_probable(form, rows)
    grid = torch.linspace(-5, 3, 161, dtype=torch.float64)
    a, b = torch.meshgrid(grid, grid, indexing="ij")
    values, _ = posterior(torch.stack([a.flatten(), b.flatten()], 1))
    _, precision = form.prior
    constant = 0.5 * float(torch.logdet(precision)) - math.log(2 * math.pi) - 0.5 * 25 * math.log(2 * math.pi)
    expected = float(torch.logsumexp(-values, 0)) + 2 * math.log(8 / 160) + constant
    assert posterior.log_evidence(theta) == pytest.approx(expected, abs=0.15)


def test_members_that_cannot_be_factorised_do_not_disturb_others():
    posterior = _posterior("matern")
    good = posterior.form.start()
    bad = good.clone()
    bad[0] = math.nan
    values, gradients = posterior(torch.stack([bad, good]))
    assert values[0] == math.inf
    assert not gradients[0].any()
    torch.testing.assert_close(values[1:], posterior(good[None])[0])
