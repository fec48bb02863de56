"""Finds the most probable hyperparameters, and keeps them for a while where data are many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from surrogates.data import Data, Spec
from surrogates.form import Form
from surrogates.gaussian_process import GaussianProcess
from surrogates.likelihood import LogPosterior, Rows
from surrogates.minimize import minimize
from surrogates.scaling import Scale
from surrogates.threads import one_thread

MOST_FOR_FIT: Final = 400  # hyperparameters are found on at most so many rows; predictions use all of them
MOST_FOR_SEARCH: Final = 120  # several starts are compared on at most so many rows
ALWAYS_REFIT: Final = 60  # up to so many rows hyperparameters are found anew at every fit
GROWTH: Final = 0.05  # beyond, when the number of rows has grown by this part
STARTS: Final = ((0.0, -2.3), (0.8, -1.0), (-0.7, -3.5))  # shift of the log lengthscales, log noise


def fit_exact(data: Data, spec: Spec, warm: Mapping[str, Any] | None = None) -> GaussianProcess:
    """The most probable exact process of the kind that ``spec`` asks for."""
    with one_thread(), torch.no_grad():
        scale = Scale.of(data.outcomes)
        form = Form.of(data, spec.kernel)
        rows = rows_of(data, scale)
        theta, extras = hyperparameters(form, rows, warm)
        return GaussianProcess(form, theta, rows, scale, extras=extras)


def rows_of(data: Data, scale: Scale) -> Rows:
    """Standardised rows; stated variances far beyond the data's own spread are cut off."""
    stated = torch.from_numpy((data.sem / scale.width) ** 2).clamp_max(1e8)
    inflation = torch.from_numpy(data.inflation)
    return Rows(
        torch.from_numpy(data.columns),
        torch.from_numpy(scale.standardise(data.outcomes)),
        inflation,
        stated * inflation,
        torch.from_numpy(data.sample),
        torch.from_numpy(data.order),
    )


def hyperparameters(form: Form, rows: Rows, warm: Mapping[str, Any] | None) -> tuple[Tensor, dict[str, Any]]:
    """The most probable hyperparameters (p,), and what the next fit has to know of this one.

    Beyond ``ALWAYS_REFIT`` rows those of the last search are kept until the data have grown by ``GROWTH``.
    """
    known = None if warm is None else form.restored(warm.get("theta"))
    searched = 0 if warm is None or known is None else int(warm.get("searched", 0))
    if known is not None and kept(len(rows), searched) and _same_form(form, warm):
        return known, {"searched": searched}
    return most_probable(form, rows, known), {"searched": len(rows)}


def kept(rows: int, searched: int) -> bool:
    """Whether hyperparameters found with ``searched`` rows are still good for ``rows`` of them."""
    return rows > ALWAYS_REFIT and searched <= rows <= searched * (1.0 + GROWTH)


def _same_form(form: Form, warm: Mapping[str, Any] | None) -> bool:
    blocks = {name for name, where in form.blocks.items() if where.stop > where.start}
    return warm is not None and set(warm["theta"]) == blocks


def most_probable(form: Form, rows: Rows, warm: Tensor | None = None, *, starts: int = len(STARTS)) -> Tensor:
    """Hyperparameters of highest posterior density, (p,), from several starts in one batch.

    Many rows are thinned evenly; the starts are compared on still fewer of them, and the best one is polished.
    """
    candidates = [form.start(*start) for start in STARTS[:starts]]
    if warm is not None:
        candidates = [warm, candidates[0]]
    search = thinned(rows, MOST_FOR_SEARCH)
    best = _minimised(form, search, candidates, tolerance=1e-5 if len(search) == len(rows) else 1e-3)
    if len(search) == len(rows):
        return best
    polish = [best] if warm is None else [best, warm]
    final = LogPosterior(form, thinned(rows, MOST_FOR_FIT))
    values, _ = final(torch.stack(polish))
    return _minimised(form, final.rows, [polish[int(torch.argmin(values))]], tolerance=1e-5, posterior=final)


def _minimised(
    form: Form, rows: Rows, starts: list[Tensor], *, tolerance: float, posterior: LogPosterior | None = None
) -> Tensor:
    result = minimize(posterior or LogPosterior(form, rows), torch.stack(starts), tolerance=tolerance)
    best = int(torch.argmin(result.f))
    return result.x[best] if math.isfinite(float(result.f[best])) else starts[-1]


def thinned(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly chosen in their order."""
    if len(rows) <= most:
        return rows
    return rows.take(torch.linspace(0, len(rows) - 1, most).round().long())
