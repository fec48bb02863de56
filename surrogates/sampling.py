"""Draws of likely hyperparameters: Hamiltonian Monte Carlo in one batch, in coordinates in which it is easy.

The posterior is expanded about its mode; in the coordinates q of theta = mode + H^(-1/2) q it is nearly a standard
normal, so that a few steps of a few leaps from normal draws suffice (Neal 2011, section 4.1, on scaling by the
covariance; MacKay 1992 for the expansion).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from surrogates.likelihood import LogPosterior

STEPS: Final = 6
LEAPS: Final = 4
LEAP: Final = 0.45
LEAST_CURVATURE: Final = 0.3
"""Directions that the data say nothing about are those of the prior, at least so curved; a saddle is none."""


def draws(posterior: LogPosterior, mode: Tensor, count: int, seed: int) -> Tensor:
    """Hyperparameters (count, p) that are distributed as the posterior, nearly.

    Args:
        posterior: to be drawn from.
        mode: (p,) its most probable hyperparameters.
        count: how many chains; the end of each is one draw.
        seed: of all random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    curvature, axes = torch.linalg.eigh(posterior.hessian(mode))
    transform = axes * curvature.clamp_min(LEAST_CURVATURE).rsqrt()

    def evaluate(q: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = posterior(mode + q @ transform.T)
        return value, gradient @ transform

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    q = 0.7 * normal(count, len(mode))
    value, gradient = evaluate(q)
    lost = ~torch.isfinite(value)
    q[lost] = 0.0
    value, gradient = evaluate(q)
    for _ in range(STEPS):
        momentum = normal(*q.shape)
        leap = LEAP * (0.7 + 0.6 * torch.rand(count, 1, dtype=torch.float64, generator=generator))
        at, speed, slope = q, momentum - 0.5 * leap * gradient, gradient
        for index in range(LEAPS):
            at = at + leap * speed
            new_value, slope = evaluate(at)
            speed = speed - (leap if index < LEAPS - 1 else 0.5 * leap) * slope
        before = value + 0.5 * momentum.square().sum(-1)
        after = new_value + 0.5 * speed.square().sum(-1)
        chance = torch.rand(count, dtype=torch.float64, generator=generator).log()
        accept = (chance < before - after) & torch.isfinite(after)
        q = torch.where(accept[:, None], at, q)
        value = torch.where(accept, new_value, value)
        gradient = torch.where(accept[:, None], slope, gradient)
    drawn: Tensor = mode + q @ transform.T
    return drawn
