"""Whole functions drawn from the posterior of a Gaussian process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

import torch
from torch import Tensor

from surrogates.likelihood import Term
from surrogates.surrogate import Path

if TYPE_CHECKING:
    from surrogates.gaussian_process import GaussianProcess

FEATURES: Final = 1024


class _Termed(Protocol):
    terms: tuple[Term, ...]


def features(model: _Termed, samples: int, generator: torch.Generator) -> Path:
    """Prior functions of the terms over columns: sums of waves, (m, d) to (samples, m), standardised.

    A cosine and a sine of each frequency make the variance right at every point. The frequencies follow the Matern-5/2
    spectrum, a multivariate t distribution with five degrees of freedom (Rahimi & Recht 2007; Rasmussen & Williams
    2006, eq. 4.15).
    """
    waves = []
    for term in model.terms:
        count = max(64, FEATURES // len(model.terms)) // 2
        chi = _normal(generator, count, 5).square().mean(-1)
        frequency = _normal(generator, count, len(term.index)) * term.inverse_squares.sqrt() / chi.sqrt()[:, None]
        weight = _normal(generator, samples, 2 * count) * math.sqrt(term.signal / count)
        waves.append((term.index, frequency, weight))

    def prior(points: Tensor) -> Tensor:
        total = points.new_zeros(samples, len(points))
        for index, frequency, weight in waves:
            angle = points[:, index] @ frequency.T
            total = total + weight @ torch.cat([torch.cos(angle), torch.sin(angle)], 1).T
        return total

    return prior


def matheron(model: GaussianProcess, samples: int, seed: int) -> Path:
    """Posterior functions: prior functions plus the update that the data ask for (Wilson et al., ICML 2020, eq. 13).

    Args:
        model: the fitted process.
        samples: how many functions.
        seed: of all draws.

    Returns:
        Maps encoded points (m, d) to values (samples, m) in the units of the data, differentiable.
    """
    generator = torch.Generator().manual_seed(seed)
    prior = features(model, samples, generator)
    at_rows, at_new = _levels(model, samples, generator)
    noise = model.noise_variance.sqrt() * _normal(generator, samples, len(model.rows))
    residual = model.outcomes - prior(model.columns) - at_rows - noise
    update = torch.cholesky_solve(residual.T, model.cholesky)

    def draw(points: Tensor) -> Tensor:
        values = prior(points) + at_new + (model.data_covariance(points).T @ update).T
        return model.scale.centre + model.scale.width * values

    return draw


def _levels(model: GaussianProcess, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Joint prior draws of what no column changes: at the rows (samples, n), at new points (samples, 1)."""
    level, own = model.new_level
    if not (model.form.samples or model.form.drift):
        constant = math.sqrt(own) * _normal(generator, samples, 1)
        return constant, constant
    rows = model.level_covariance()
    new = rows.new_full((1, 1), own)
    joint = torch.cat([torch.cat([rows, level[:, None]], 1), torch.cat([level[None, :], new], 1)])
    joint.diagonal().add_(1e-9)  # rows of one sample, or of one moment, share all of their level
    draws = _normal(generator, samples, len(joint)) @ torch.linalg.cholesky(joint).T
    return draws[:, :-1], draws[:, -1:]


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator)
