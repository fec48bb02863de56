"""Trends over the injections of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.uncertain import Uncertain

HOUR = 3600.0
NEGLIGIBLE = 1e-9
"""Relative change over the time that was seen below which a slope is rounding."""


@dataclass(frozen=True, eq=False)
class Line:
    """Straight lines through the accepted injections of E experiments, by ordinary least squares; NaN below three.

    Attributes:
        slope: per hour, with the uncertainty of the points and whatever scatter goes beyond it, [E].
        intercept: at the start of the electrolysis, [E].
        falls: where the slope is negative with 95 % confidence, [E].
        rises: where it is positive with 95 % confidence, [E].
        last: hour of the last accepted injection, [E].
        covariance: of intercept and slope, from the scatter or the points' own uncertainty, the larger, [E, 2, 2].
    """

    slope: Uncertain
    intercept: Floats
    falls: Flags
    rises: Flags
    last: Floats
    covariance: Floats

    def lifetime(self, share: float = 0.8) -> tuple[Uncertain, Flags]:
        """Hours until a share of the starting value is left, [E]; where nothing falls, the hours that were seen.

        Returns:
            The time, and where it is only a lower bound.
        """
        falls = self.falls & (self.intercept > 0.0)
        slope = np.where(falls, self.slope.values, -1.0)
        life = (share - 1.0) * self.intercept / slope
        gradient = np.stack([(share - 1.0) / slope, -life / slope], -1)
        sem = np.sqrt(np.einsum("ei,eij,ej->e", gradient, self.covariance, gradient).clip(0.0))
        value = np.where(falls, life, np.where(np.isnan(self.intercept), np.nan, self.last))
        return Uncertain.systematic(value, np.where(falls, sem, 0.0), "scatter"), ~falls


def line(times: Floats, start: Floats, points: Uncertain, used: Flags) -> Line:
    """Fit lines.

    Args:
        times: of the injections, s, [E, N].
        start: of the electrolysis, s, [E].
        points: [E, N].
        used: which of them count, [E, N].
    """
    from scipy.special import stdtrit

    hours = np.where(used, (times - start[:, None]) / HOUR, 0.0)
    count = used.sum(1)
    enough = count >= 3
    centre = hours.sum(1) / np.maximum(count, 1)
    offset = np.where(used, hours - centre[:, None], 0.0)
    spread = (offset**2).sum(1)
    enough &= spread > 0.0
    weights = offset / np.where(enough, spread, 1.0)[:, None]
    values = np.where(used, points.values, 0.0)
    slope = (weights * values).sum(1)
    mean = values.sum(1) / np.maximum(count, 1)
    rest = np.where(used, values - mean[:, None] - slope[:, None] * offset, 0.0)
    variance = (rest**2).sum(1) / np.maximum(count - 2, 1)
    by_spread = 1.0 / np.where(enough, spread, 1.0)
    scatter = np.sqrt(variance * by_spread)
    nothing = np.where(enough, 0.0, np.nan)
    told = points.weighted(weights, axis=1)
    peaks = told.sources.get("peaks")
    own = np.zeros(len(slope)) if peaks is None else np.sqrt((peaks**2).sum(-1))
    beyond = np.sqrt(np.maximum(scatter**2 - own**2, 0.0))  # what the uncertainty of the points does not explain
    total = Uncertain(slope + nothing, told.sources) + Uncertain.systematic(np.zeros(len(slope)), beyond, "scatter")
    half = NEGLIGIBLE * np.abs(mean) * by_spread**0.5 + stdtrit(np.maximum(count - 2, 1).astype(float), 0.975) * scatter
    variance = np.maximum(variance, own**2 * spread)
    covariance = np.empty((len(slope), 2, 2))
    covariance[:, 0, 0] = variance * (1.0 / np.maximum(count, 1) + centre**2 * by_spread)
    covariance[:, 0, 1] = covariance[:, 1, 0] = -variance * centre * by_spread
    covariance[:, 1, 1] = variance * by_spread
    return Line(
        slope=total,
        intercept=mean - slope * centre + nothing,
        falls=enough & (slope + half < 0.0),
        rises=enough & (slope - half > 0.0),
        last=hours.max(1),
        covariance=covariance,
    )
