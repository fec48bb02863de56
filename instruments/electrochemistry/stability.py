"""How figures of merit change with time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.electrochemistry.uncertain import Floats
from instruments.errors import SignalError


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line by ordinary least squares.

    Attributes:
        slope: per unit of time.
        intercept: at time zero.
        covariance: of (intercept, slope), from the scatter around the line.
        points: number of points.
    """

    slope: float
    intercept: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    points: int

    @property
    def slope_sem(self) -> float:
        """Standard uncertainty of the slope."""
        return float(np.sqrt(self.covariance[1][1]))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the slope, by Student's t."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2.0, self.points - 2)) * self.slope_sem
        return self.slope - half, self.slope + half

    @property
    def falls(self) -> bool:
        """Whether the line falls, with 95 % confidence."""
        return self.interval()[1] < 0.0

    def lifetime(self, share: float = 0.8) -> float:
        """Time at which a share of the starting value is left on the line; infinite where it does not fall."""
        return (share - 1.0) * self.intercept / self.slope if self.slope < 0.0 < self.intercept else float("inf")

    def lifetime_sem(self, share: float = 0.8) -> float:
        """Standard uncertainty of the lifetime, to first order; infinite where the line does not fall."""
        life = self.lifetime(share)
        if not np.isfinite(life):
            return float("inf")
        gradient = np.array([(share - 1.0) / self.slope, -life / self.slope])
        return float(np.sqrt(gradient @ np.array(self.covariance) @ gradient))


def trend(time: Floats, values: Floats) -> Trend:
    """Fit a straight line.

    Raises:
        SignalError: fewer than three points, or all at one time.
    """
    count = len(time)
    if count < 3 or np.ptp(time) == 0.0:
        raise SignalError("a trend needs at least three points at different times.", field="time")
    centre = time.mean()
    spread = float(((time - centre) ** 2).sum())
    slope = float(((time - centre) * values).sum() / spread)
    intercept = float(values.mean() - slope * centre)
    variance = float(((values - intercept - slope * time) ** 2).sum()) / (count - 2)
    covariance = (
        (variance * (1.0 / count + centre**2 / spread), -variance * centre / spread),
        (-variance * centre / spread, variance / spread),
    )
    return Trend(slope, intercept, covariance, count)


def retention(values: Floats) -> float:
    """Last value over first."""
    return float(values[-1] / values[0])


def time_average(time: Floats, values: Floats) -> float:
    """Over the whole time, by trapezoids: what a product tank would hold, not the best point."""
    return float(np.trapezoid(values, time) / (time[-1] - time[0]))
