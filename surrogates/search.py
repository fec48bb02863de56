"""Finds the most probable hyperparameters, and says when to look for them again."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

from surrogates.data import OWN_SAMPLE, Data
from surrogates.form import Form
from surrogates.likelihood import LogPosterior, Rows
from surrogates.minimize import minimize
from surrogates.scaling import Scale

MOST_FOR_FIT: Final = 400  # hyperparameters are found on at most so many rows; predictions use all of them
MOST_FOR_SEARCH: Final = 120  # several starts, and several forms, are compared on at most so many rows
ALWAYS_REFIT: Final = 60  # up to so many rows hyperparameters are found anew at every fit
GROWTH: Final = 0.05  # beyond, when the number of rows has grown by this part
WIDEST: Final = 1e4  # standard deviations of the outcomes; a result that is less certain says nothing
STARTS: Final = ((0.0, -2.3), (0.8, -1.0), (-0.7, -3.5))  # shift of the log lengthscales, log noise


def rows_of(data: Data, scale: Scale) -> Rows:
    """Standardised rows; stated variances far beyond the data's own spread are cut off."""
    most = WIDEST * scale.width  # where that is tiny, a quotient would be too large for a number
    stated = torch.from_numpy(np.minimum(data.sem, most) / scale.width).square()
    inflation = torch.from_numpy(data.inflation)
    return Rows(
        torch.from_numpy(data.columns),
        torch.from_numpy(scale.standardise(data.outcomes)),
        inflation,
        stated * inflation,
        torch.from_numpy(data.sample),
        torch.from_numpy(data.order),
    )


def kept(rows: int, searched: int) -> bool:
    """Whether hyperparameters found with ``searched`` rows are still good for ``rows`` of them."""
    return rows > ALWAYS_REFIT and searched <= rows <= searched * (1.0 + GROWTH)


def most_probable(form: Form, rows: Rows, warm: Tensor | None = None, *, alone: bool = False) -> Tensor:
    """Hyperparameters of highest posterior density, (p,), from several starts in one batch.

    Many rows are thinned evenly; the starts are compared on still fewer of them, and the best one is polished.

    Args:
        form: of the covariance.
        rows: the data.
        warm: a good place to start from, if one is known.
        alone: start from nowhere else.
    """
    final = LogPosterior(form, thinned(rows, MOST_FOR_FIT))
    if warm is not None and alone:
        return _minimised(final, [warm])
    starts = [form.start(*start) for start in STARTS] if warm is None else [warm, form.start(*STARTS[0])]
    if len(rows) <= MOST_FOR_SEARCH:
        return _minimised(final, starts)
    best = _minimised(LogPosterior(form, thinned(rows, MOST_FOR_SEARCH)), starts, tolerance=1e-3)
    polish = [best] if warm is None else [best, warm]
    values, _ = final(torch.stack(polish))
    return _minimised(final, [polish[int(torch.argmin(values))]])


def _minimised(posterior: LogPosterior, starts: list[Tensor], *, tolerance: float = 1e-5) -> Tensor:
    result = minimize(posterior, torch.stack(starts), tolerance=tolerance)
    best = int(torch.argmin(result.f))
    return result.x[best] if math.isfinite(float(result.f[best])) else starts[-1]


def thinned(rows: Rows, most: int) -> Rows:
    """About so many of the rows at most, evenly chosen in their order.

    Samples that were measured repeatedly are kept whole or left out: their effect shows in nothing else.
    """
    n = len(rows)
    if n <= most:
        return rows
    alone = rows.sample == OWN_SAMPLE
    unit = torch.where(alone, rows.sample.max() + 1 + torch.arange(n), rows.sample)
    _, unit = torch.unique(unit, return_inverse=True)
    first = torch.full((int(unit.max()) + 1,), n).scatter_reduce(0, unit, torch.arange(n), "amin")
    units = first.argsort()  # in the order in which they were told
    kept = units[torch.linspace(0, len(units) - 1, max(1, most * len(units) // n)).round().long()]
    return rows.take(torch.isin(unit, kept).nonzero().squeeze(-1))


def evidence(form: Form, theta: Tensor, rows: Rows) -> float:
    """Log marginal likelihood, see :meth:`LogPosterior.log_evidence`; of many rows that of a part of them."""
    return LogPosterior(form, thinned(rows, MOST_FOR_SEARCH)).log_evidence(theta)


def energy(form: Form, theta: Tensor, rows: Rows) -> float:
    """Minus the log posterior density of ``theta`` (p,), without constants of the prior."""
    return float(LogPosterior(form, rows)(theta[None])[0][0])
