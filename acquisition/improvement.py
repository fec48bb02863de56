"""Expected improvement in closed form, averaged over samples of what is not certain.

Measurements are noisy and experiments are pending, so the best value so far is itself uncertain. For each joint sample
of the noise-free values at all measured and pending points, the improvement of a candidate has a closed form; the
average over samples is the noisy expected improvement (Letham et al., Bayesian Analysis 14, 495 (2019)). Everything is
kept as a logarithm, which does not vanish far from the data (Ament et al., NeurIPS 36 (2023), eqs. 8-14).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from acquisition.objectives import Objective, OutcomeConstraint

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
TINY = 1e-300


def log_h(z: Tensor) -> Tensor:
    """Logarithm of ``h(z) = phi(z) + z Phi(z)``, the expected positive part of a unit normal with mean z."""
    near = z.clamp_min(-1.0)
    phi = torch.exp(-0.5 * near.square() - LOG_SQRT_2PI)
    direct = torch.log(phi + near * torch.special.ndtr(near))
    u = (-z).clamp(1.0, 1e4)
    # phi(z) (1 - u sqrt(pi/2) erfcx(u/sqrt 2)); the bracket tends to 1/u^2 and loses all digits beyond 1e4
    bracket = (1.0 - u * SQRT_HALF_PI * torch.special.erfcx(u / math.sqrt(2.0))).clamp_min(TINY)
    far = (-z).clamp_min(1.0)
    tail = -0.5 * far.square() - LOG_SQRT_2PI + torch.where(far > 1e4, -2.0 * far.log(), bracket.log())
    return torch.where(z > -1.0, direct, tail)


def utility(objective: Objective, values: Tensor) -> Tensor:
    """How good values of the metric are, more is better: the value, its negative, or minus the distance to a window."""
    if objective.goal == "maximize":
        return values
    if objective.goal == "minimize":
        return -values
    low, high = objective.window
    return -((low - values).clamp_min(0.0) + (values - high).clamp_min(0.0))


def log_gain(objective: Objective, mean: Tensor, std: Tensor, level: Tensor) -> Tensor:
    """Log of the expected excess of the utility over a level.

    Args:
        objective: says what is good.
        mean: of the metric, any shape.
        std: of the metric, broadcastable.
        level: in units of the utility, broadcastable.
    """
    if objective.goal != "target":
        sign = 1.0 if objective.goal == "maximize" else -1.0
        return std.log() + log_h((sign * mean - level) / std)
    low, high = objective.window
    return _log_window_gain(low, high, mean, std, -level)


def _log_window_gain(low: float, high: float, mean: Tensor, std: Tensor, distance: Tensor) -> Tensor:
    """Log of the expected excess over being ``distance`` outside a window; minus infinity for no distance.

    The excess is a trapezoid over the metric: it rises from low - distance to low and falls from high to
    high + distance, a sum of four ramps. Far from the window they cancel, so they are subtracted as logarithms, on the
    side where the smaller two matter least; a short distance is a step of that height.
    """
    short = distance < 1e-4 * std
    half = 0.5 * (high - low)
    left = -(mean - 0.5 * (low + high)).abs()  # the window is symmetric: mirror the mean to its left
    far = torch.where(short, std, distance)
    # of the four ramps two do not depend on the distance: they are the same for all levels
    rise = _log_difference(log_h((left + half + far) / std), log_h((left + half) / std))
    fall = _log_difference(log_h((left - half) / std), log_h((left - half - far) / std))
    ramps = std.log() + _log_difference(rise, fall)
    height = distance.clamp_min(TINY).log()
    if bool((short & (distance > 0.0)).any()):
        wide = half + 0.5 * distance.clamp_min(TINY)
        step = height + _log_interval((-wide - left) / std, (wide - left) / std)
        ramps = torch.where(short, step, ramps)
    gain = torch.minimum(ramps, height)
    return torch.where(distance > 0.0, gain, torch.full_like(gain, -torch.inf))


def _log_difference(larger: Tensor, smaller: Tensor) -> Tensor:
    """Log of the difference of two numbers, of which the logarithms are given."""
    return larger + torch.log1p(-torch.exp(smaller - larger).clamp_max(1.0 - 1e-15))


def _log_interval(lower: Tensor, upper: Tensor) -> Tensor:
    """Log of the probability that a unit normal lies between two bounds."""
    flip = lower > 0  # both above the mean: work in the mirrored tail, which keeps its digits
    upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    log_upper: Tensor = torch.special.log_ndtr(upper)
    return _log_difference(log_upper, torch.special.log_ndtr(lower))


def log_probability(constraint: OutcomeConstraint, mean: Tensor, std: Tensor) -> Tensor:
    """Log of the probability that a normal outcome keeps the bounds."""
    upper = torch.full_like(mean, torch.inf) if constraint.upper is None else (constraint.upper - mean) / std
    lower = torch.full_like(mean, -torch.inf) if constraint.lower is None else (constraint.lower - mean) / std
    return _log_interval(lower, upper)


def feasible(constraint: OutcomeConstraint, values: Tensor) -> Tensor:
    """Whether values keep the bounds."""
    good = torch.ones_like(values, dtype=torch.bool)
    if constraint.lower is not None:
        good &= values >= constraint.lower
    if constraint.upper is not None:
        good &= values <= constraint.upper
    return good
