"""The variance that is left over a whole space, and what one more measurement takes from it: in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from acquisition.beliefs import Model, Models
from acquisition.improvement import TINY
from acquisition.maximise import Staged
from acquisition.problem import Array, Problem

REFERENCES: Final = 256
"""So many points stand for the space."""

FEW: Final = 48
"""So many of them tell which candidates deserve all."""

KEEP: Final = 64
"""So many candidates do."""


def references(problem: Problem) -> Array:
    """Points that stand for the space, the same for all asks of a campaign; (r, c).

    Finite spaces of up to 256 points are taken whole, others by uniform draws.
    """
    every = problem.space.enumerate(REFERENCES)
    if every is not None:
        return every
    return problem.space.sample(REFERENCES, np.random.default_rng([problem.seed, 0, 11]))


class Reduction:
    """How much a measurement anywhere reduces the variance of one metric, averaged over the reference points.

    For a Gaussian process the posterior variance does not depend on the outcome, so nothing need be imagined: the
    variance at r falls by ``cov(r, x)^2 / (var(x) + noise)`` (Cohn et al., J. Artif. Intell. Res. 4, 129 (1996);
    Sacks et al., Stat. Sci. 4, 409 (1989)).
    """

    def __init__(
        self, model: Model, points: Array, waiting: Array, noise: float, weights: Tensor | None = None
    ) -> None:
        """Condition on what waits.

        Args:
            model: of the metric.
            points: (r, c) reference points.
            waiting: (k, c) points that count as measured, k from 0.
            noise: variance of one measurement, standardised.
            weights: (r,) how much each reference point counts; all alike where left out.
        """
        self._model, self._noise, self._count = model, noise, len(points)
        self._weights = torch.full((self._count,), 1.0 / self._count, dtype=torch.float64)
        if weights is not None:
            self._weights = weights / weights.sum().clamp_min(TINY)
        self._covariance = model.covariance_with(np.vstack([points, waiting]))
        if len(waiting):
            cross = self._covariance(torch.from_numpy(waiting))
            among = cross[self._count :]
            lowest = noise + 1e-8 * float(among.diagonal().mean())
            self._factor = torch.linalg.cholesky(among + lowest * torch.eye(len(among), dtype=among.dtype))
            self._white = torch.linalg.solve_triangular(self._factor, cross[: self._count].T, upper=False)

    def __call__(self, candidates: Tensor) -> Tensor:
        """Reduction of the standardised variance by one measurement at native candidates (m, c); (m,), positive."""
        covariance = self._covariance(candidates)
        at_references, with_waiting = covariance[: self._count], covariance[self._count :]
        _, std = self._model.moments(candidates)
        variance = (std / self._model.width).square()
        if len(with_waiting):
            white = torch.linalg.solve_triangular(self._factor, with_waiting, upper=False)
            at_references = at_references - self._white.T @ white
            variance = (variance - white.square().sum(0)).clamp_min(0.0)
        return (self._weights @ at_references.square()) / (variance + self._noise).clamp_min(1e-12)


def log_reduction(
    models: Models, points: Array, waiting: Array, noise: Mapping[str, float], weights: Tensor | None = None
) -> Staged:
    """Log of the reduction, summed over models; candidates are sorted out by a part of the reference points.

    Args:
        models: by metric, those that count.
        points: (r, c) reference points.
        waiting: (k, c) points that count as measured.
        noise: by metric, variance of one measurement, standardised.
        weights: (r,) how much each reference point counts.
    """
    few = slice(None, None, max(1, len(points) // FEW))

    def score(part: slice) -> Callable[[Tensor], Tensor]:
        some = None if weights is None else weights[part]
        reductions = [Reduction(model, points[part], waiting, noise[m], some) for m, model in models.items()]

        def log_sum(candidates: Tensor) -> Tensor:
            total: Tensor = torch.stack([reduction(candidates) for reduction in reductions]).sum(0)
            return total.clamp_min(TINY).log()

        return log_sum

    return Staged(score(few), score(slice(None)), KEEP)


def measurement_noise(problem: Problem, models: Models, points: Array) -> Mapping[str, float]:
    """Variance of one measurement by metric, standardised: learned at points (r, c), and typical stated one."""
    variances = {}
    for metric, model in models.items():
        whole = model.predict(points, noise=True).std / model.width
        function = model.predict(points).std / model.width
        sems = problem.observations.sems[metric] / model.width
        stated = float(np.median(sems[np.isfinite(sems)])) if np.isfinite(sems).any() else 0.0
        learned = float(np.median(np.maximum(np.square(whole) - np.square(function), 0.0)))
        variances[metric] = learned + stated**2
    return variances
