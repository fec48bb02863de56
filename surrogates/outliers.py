"""Wild values, found by what the evidence gains when they are disbelieved.

Relevance pursuit (Ament et al., NeurIPS 2024) gives single rows a noise variance of their own, one after the other,
as long as the evidence grows by more than an outlier is unlikely beforehand. A row that is disbelieved is as probable
as a normal value of its own size about what the others predict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from torch import Tensor

from surrogates.data import Array
from surrogates.likelihood import Rows

LOG_ODDS: Final = math.log(1000.0)  # an outlier is expected once in a thousand values
LOG_ODDS_ROBUST: Final = math.log(50.0)  # where the user expects some
SUSPICIOUS: Final = 2.5  # standard deviations off from which a row is looked at
IGNORED: Final = 1e6  # variance of a row that is not believed; standardised
MOST: Final = 0.2  # at most this part of the rows
FAR: Final = 3.0  # spans of the others beyond which a value is absurd
LOOSE: Final = 0.12  # of the span of the others their middle half must cover
RETRY: Final = 1.3  # a row that was cleared is looked at again when the data have grown by this factor


def without(rows: Rows, wild: Tensor) -> Rows:
    """The rows, those at the indices ``wild`` no longer believed."""
    stated = rows.stated.clone()
    stated[wild] = IGNORED
    return replace(rows, stated=stated)


def suspects(residuals: Array, order: Array, wild: Sequence[float], cleared: Mapping[str, int]) -> list[int]:
    """Rows worth a trial, the wildest first.

    Args:
        residuals: (n,) leave-one-out, in standard deviations.
        order: (n,) names of the rows.
        wild: those that are disbelieved already.
        cleared: by name, the number of rows with which a trial found nothing.
    """
    n = len(residuals)
    if len(wild) + 1 > max(1.0, MOST * n) or n < 5:  # among four values none can be called wild
        return []
    ranked = np.argsort(-np.abs(residuals), kind="stable")
    found = []
    for row in ranked:
        if abs(residuals[row]) < SUSPICIOUS:
            break
        name = float(order[row])
        if name not in wild and n >= RETRY * cleared.get(repr(name), 0):
            found.append(int(row))
    return found


def absurd(value: float, others: Array) -> bool:
    """Whether a value is so far from all others that it is no result of the same kind.

    Where a few are much better than most, as in a search for catalysts, the best are far off too, and must be believed:
    so a value is only called absurd if it is several spans of the others away from them, and these do not crowd at one
    end of their span as such data do. A twentieth at either end does not count for the span.
    """
    low, first, third, high = np.quantile(others, [0.05, 0.25, 0.75, 0.95])
    beyond = max(value - high, low - value)
    return bool(third - first > LOOSE * (high - low) and beyond > FAR * (high - low))


def own_energy(residual: float) -> float:
    """Minus the log density of a disbelieved value, ``residual`` off what the others predict; standardised."""
    return math.log(max(abs(residual), 1e-12)) + 0.5 + 0.5 * math.log(2.0 * math.pi)


def gain(residual: float) -> float:
    """Log evidence that disbelief gains, at fixed hyperparameters, of a row so many standard deviations off.

    The maximum over the row's own variance (ibid., section 4): (z^2 - 1) / 2 - log z for z > 1.
    """
    z = abs(residual)
    return 0.5 * (z * z - 1.0) - math.log(z) if z > 1.0 else 0.0
