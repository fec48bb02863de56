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
    # The excess is a trapezoid over the metric: it rises from low - distance to low and falls from high to
    # high + distance, a sum of four ramps.
    low, high = objective.window
    distance = -level
    ramps = [
        torch.exp(log_h((mean - edge) / std))
        for edge in (low - distance, torch.full_like(distance, low), torch.full_like(distance, high), high + distance)
    ]
    inside = std * (ramps[0] - ramps[1] - ramps[2] + ramps[3])
    # far outside the ramps cancel to nothing; there one slope of the trapezoid is all that can be reached
    side = std.log() + torch.minimum(log_h((mean - low + distance) / std), log_h((high + distance - mean) / std))
    return torch.where(inside > 1e-9 * std, inside.clamp_min(TINY).log(), side)


def log_probability(constraint: OutcomeConstraint, mean: Tensor, std: Tensor) -> Tensor:
    """Log of the probability that a normal outcome keeps the bounds."""
    upper = torch.full_like(mean, torch.inf) if constraint.upper is None else (constraint.upper - mean) / std
    lower = torch.full_like(mean, -torch.inf) if constraint.lower is None else (constraint.lower - mean) / std
    flip = lower > 0  # the interval above the mean: work in the mirrored tail, which keeps its digits
    upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    log_upper: Tensor = torch.special.log_ndtr(upper)
    ratio = torch.exp(torch.special.log_ndtr(lower) - log_upper).clamp(0.0, 1.0)
    return log_upper + torch.log1p(-ratio.clamp_max(1.0 - 1e-15))


def feasible(constraint: OutcomeConstraint, values: Tensor) -> Tensor:
    """Whether values keep the bounds."""
    good = torch.ones_like(values, dtype=torch.bool)
    if constraint.lower is not None:
        good &= values >= constraint.lower
    if constraint.upper is not None:
        good &= values <= constraint.upper
    return good
