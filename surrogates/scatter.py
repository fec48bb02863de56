"""Noise that differs from place to place, learned from how far off each row is.

The logarithm of a squared standardised residual is that of its noise variance plus a variate of known mean and
variance, log chi^2_1; a second Gaussian process smooths it (Kersting et al. 2007, with leave-one-out residuals in
place of sampled ones, and Harvey 1976 for the moments).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from surrogates.form import Form
from surrogates.gaussian_process import GaussianProcess
from surrogates.likelihood import Rows
from surrogates.outliers import IGNORED
from surrogates.scaling import Scale
from surrogates.search import most_probable, thinned
from surrogates.surrogate import NoiseField

LOG_CHI2_MEAN: Final = -1.2703628454614782
LOG_CHI2_VARIANCE: Final = math.pi**2 / 2.0
FEWEST: Final = 30
"""Fewer rows cannot tell noise that varies from chance."""
MOST: Final = 400
"""More rows are not needed to tell how the noise varies."""


def noise_field(model: GaussianProcess, rows: Rows) -> tuple[NoiseField, Rows, Rows]:
    """How the noise variance differs from place to place.

    Args:
        model: with the same noise everywhere.
        rows: its rows, wild ones disbelieved.

    Returns:
        Factors at any points; the rows with them; and the rows with factors that each are predicted from all other
        rows, by which the evidence for uneven noise may be judged.
    """
    left = model.leave_one_out()
    residual = torch.from_numpy((model.scale.restore(rows.outcomes.numpy()) - left.mean) / left.std)
    form = Form(model.form.lengths)
    logs = residual.square().clamp_min(1e-3).log() - LOG_CHI2_MEAN
    nothing = torch.zeros_like(logs)
    silent = (rows.stated >= IGNORED).to(logs) * IGNORED  # rows that are not believed say nothing about noise
    told = Rows(rows.columns, logs, nothing, silent + LOG_CHI2_VARIANCE, rows.sample, rows.order)
    told = thinned(told, MOST)
    smooth = GaussianProcess(form, most_probable(form, told), told, Scale(0.0, 1.0))
    others = (
        torch.from_numpy(smooth.leave_one_out().mean) if len(told) == len(rows) else smooth.moments(rows.columns)[0]
    )
    level = float(others.mean())

    def factor(points: Tensor) -> Tensor:
        return torch.exp(smooth.moments(points)[0] - level)

    here = replace(rows, factor=rows.factor * factor(rows.columns))
    return factor, here, replace(rows, factor=rows.factor * torch.exp(others - level))
