"""Joint samples of what is uncertain at some points, and everything else given these samples.

With samples at all measured and pending points, an acquisition function of a noisy problem is the average over the
samples of its closed noise-free form (Letham et al., Bayesian Analysis 14, 495 (2019)).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from surrogates.surrogate import Normal

MOST_SOBOL_COLUMNS = 21201  # the limit of torch's direction numbers


class Fantasies:
    """Samples of a Gaussian process at a set of points.

    Attributes:
        values: (samples, b) sampled noise-free values, in the units of the data.
    """

    def __init__(self, model: Normal, points: Tensor, samples: int, seed: int) -> None:
        """Draw samples.

        Args:
            model: the fitted process.
            points: (b, d), b at least 1.
            samples: how many; a power of two balances the quasi-random normals best.
            seed: of the scrambled Sobol points.
        """
        self._model, self._points = model, points
        mean, _, self._white = model.moments_and_white(points)
        covariance = model.covariance(points, points, self._white, self._white)
        self._cholesky = _cholesky(covariance)
        white_noise = normals(samples, len(points), seed)
        self.values = model.scale.centre + model.scale.width * (mean + white_noise @ self._cholesky.T)
        # weights that turn covariances with the points into shifts of the mean
        self._shifts = torch.linalg.solve_triangular(self._cholesky.T, white_noise.T, upper=True)

    def given(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (samples, m) and standard deviation (m,) at candidates (m, d), given each sample.

        Both are in the units of the data.
        """
        mean, variance, white = self._model.moments_and_white(candidates)
        cross = self._model.covariance(self._points, candidates, self._white, white)
        known = torch.linalg.solve_triangular(self._cholesky, cross, upper=False).square().sum(0)
        left = (variance - known).clamp_min(1e-10 * variance)
        scale = self._model.scale
        return scale.centre + scale.width * (mean + self._shifts.T @ cross), scale.width * left.sqrt()


def _cholesky(covariance: Tensor) -> Tensor:
    unit = torch.eye(len(covariance), dtype=covariance.dtype) * covariance.diagonal().mean().clamp_min(1e-300)
    jitter = 1e-8
    while True:  # ends: with a jitter of many times its mean diagonal any covariance is positive definite
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(covariance + jitter * unit)
        if not int(failed):
            return factor
        jitter *= 10.0


def normals(samples: int, columns: int, seed: int) -> Tensor:
    """(samples, columns) scrambled Sobol points through the normal quantile."""
    if columns > MOST_SOBOL_COLUMNS:
        return torch.randn(samples, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    uniform: Tensor = torch.quasirandom.SobolEngine(columns, scramble=True, seed=seed).draw(  # type: ignore[no-untyped-call]
        samples, dtype=torch.float64
    )
    return math.sqrt(2.0) * torch.erfinv((2.0 * uniform - 1.0).clamp(-1 + 1e-12, 1 - 1e-12))
