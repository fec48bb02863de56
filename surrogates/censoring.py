"""Values of which only a bound is known, by expectation propagation.

A censored row says that its noisy value lies below (or above) a limit. Expectation propagation replaces it by the
Gaussian observation that gives the same mean and variance as the exact truncation would, all others being what they
are (Minka 2001; Rasmussen & Williams 2006, section 3.6). The likelihood is log-concave, so the damped parallel
updates converge.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from surrogates.form import FLOOR, Form
from surrogates.likelihood import Rows, covariance

SWEEPS = 60
DAMPING = 0.7
WIDEST = 1e6
"""Variance of a site that says nothing: the limit lies far beyond what is expected."""


def with_sites(form: Form, theta: Tensor, rows: Rows, censored: Tensor) -> Rows:
    """The rows with each censored one replaced by an equivalent Gaussian observation.

    Args:
        form: of the covariance.
        theta: (p,) its hyperparameters.
        rows: the limits as outcomes of the censored rows.
        censored: (n,) -1 where the truth lies below, 1 where above, else 0.
    """
    where = censored.nonzero().squeeze(-1)
    if not len(where):
        return rows
    mean, spread = _predictive(form, theta, rows, where)
    outcome, variance = _sites(mean, spread, rows.outcomes[where], -censored[where].to(torch.float64))
    outcomes, stated = rows.outcomes.clone(), rows.stated.clone()
    outcomes[where] = outcome
    stated[where] = stated[where] + variance
    return replace(rows, outcomes=outcomes, stated=stated)


def _predictive(form: Form, theta: Tensor, rows: Rows, where: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (c,) and covariance (c, c) of the noisy values of the censored rows, given all others."""
    learned = torch.exp(2.0 * theta[form.blocks["noise"]][0])
    full = covariance(form, theta, rows) + torch.diag(rows.factor * learned + rows.stated + FLOOR)
    others = torch.ones(len(rows), dtype=torch.bool)
    others[where] = False
    known = others.nonzero().squeeze(-1)
    own = full[where][:, where]
    if not len(known):
        return own.new_zeros(len(where)), own
    factor = torch.linalg.cholesky(full[known][:, known])
    white = torch.linalg.solve_triangular(factor, full[known][:, where], upper=False)
    target = torch.linalg.solve_triangular(factor, rows.outcomes[known, None], upper=False)
    return (white.T @ target).squeeze(-1), own - white.T @ white


def _sites(mean: Tensor, spread: Tensor, limit: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Outcomes and variances (c,) of the equivalent observations; ``side`` 1 where the value is below its limit."""
    precision = torch.zeros_like(mean)
    shift = torch.zeros_like(mean)  # precision times outcome
    identity = torch.eye(len(mean), dtype=mean.dtype)
    for _ in range(SWEEPS):
        # posterior covariance S - S R (I + R S R)^-1 R S with R the root of the precisions (ibid., algorithm 3.5)
        root = precision.sqrt()
        factor = torch.linalg.cholesky(identity + root[:, None] * spread * root)
        half = torch.linalg.solve_triangular(factor, root[:, None] * spread, upper=False)
        posterior = spread - half.T @ half
        centre = mean + posterior @ (shift - precision * mean)
        own = posterior.diagonal()
        cavity = 1.0 / (1.0 / own - precision).clamp_min(1e-12)
        at = cavity * (centre / own - shift)
        truncated, left = _truncated(at, cavity, limit, side)
        new_precision = (1.0 / left - 1.0 / cavity).clamp_min(1.0 / WIDEST)
        new_shift = truncated / left - at / cavity
        step = (new_precision - precision).abs().amax() / (1.0 + new_precision.abs().amax())
        precision = precision + DAMPING * (new_precision - precision)
        shift = shift + DAMPING * (new_shift - shift)
        if float(step) < 1e-6:
            break
    return shift / precision, 1.0 / precision


def _truncated(mean: Tensor, variance: Tensor, limit: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Moments of normals cut off at a limit (Johnson, Kotz & Balakrishnan 1994, eq. 13.134)."""
    std = variance.sqrt()
    z = side * (limit - mean) / std
    ratio = torch.exp(-0.5 * z.square() - 0.5 * math.log(2.0 * math.pi) - torch.special.log_ndtr(z))
    return mean - side * std * ratio, variance * (1.0 - ratio * (ratio + z)).clamp_min(1e-6)
