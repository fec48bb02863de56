"""Whole functions drawn from the posterior of a Gaussian process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from surrogates.surrogate import Path

if TYPE_CHECKING:
    from surrogates.gaussian_process import GaussianProcess

FEATURES: Final = 1024


def matheron(model: GaussianProcess, samples: int, seed: int) -> Path:
    """Posterior functions: prior functions plus the update that the data ask for (Wilson et al., ICML 2020, eq. 13).

    Prior functions are sums of cosines with frequencies of the Matern-5/2 spectrum, a multivariate t distribution
    with five degrees of freedom (Rahimi & Recht 2007; Rasmussen & Williams 2006, eq. 4.15).

    Args:
        model: the fitted process.
        samples: how many functions.
        seed: of all draws.

    Returns:
        Maps encoded points (m, d) to values (samples, m) in the units of the data, differentiable.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    d = model.columns.shape[1]
    chi = normal(FEATURES, 5).square().mean(-1)
    frequency = normal(FEATURES, d) * model.inverse_squares.sqrt() / chi.sqrt()[:, None]
    phase = 2.0 * math.pi * torch.rand(FEATURES, dtype=torch.float64, generator=generator)
    weight = normal(samples, FEATURES)
    constant = normal(samples, 1) * math.sqrt(model.mean_variance)

    def prior(points: Tensor) -> Tensor:
        wave = torch.cos(points @ frequency.T + phase) * math.sqrt(2.0 * model.signal / FEATURES)
        return weight @ wave.T + constant

    noise = model.noise_variance.sqrt() * normal(samples, len(model.columns))
    residual = model.outcomes - prior(model.columns) - noise
    update = torch.cholesky_solve(residual.T, model.cholesky)

    def draw(points: Tensor) -> Tensor:
        values = prior(points) + (model.prior_covariance(points, model.columns) @ update).T
        return model.scale.centre + model.scale.width * values

    return draw
