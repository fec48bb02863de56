"""Covariance functions of squared distances, and these distances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SQRT5 = math.sqrt(5.0)


def squared_differences(a: Tensor, b: Tensor) -> Tensor:
    """Per-column squared differences of two sets of points.

    Args:
        a: (n, d).
        b: (m, d).

    Returns:
        (n * m, d): one row a pair, so that scaled squared distances are one matrix-vector product.
    """
    return (a.unsqueeze(1) - b.unsqueeze(0)).square().reshape(len(a) * len(b), a.shape[-1])


def matern52(scaled: Tensor) -> Tensor:
    """Matern covariance with nu = 5/2 and unit variance (Rasmussen & Williams 2006, eq. 4.17).

    Args:
        scaled: squared distances in units of the lengthscales, any shape.
    """
    # the square root has no derivative at zero, where the covariance is flat
    r = scaled.clamp_min(1e-20)
    if scaled.requires_grad:
        r = SQRT5 * r.sqrt()
        return (1.0 + r + r.square() / 3.0) * torch.exp(-r)
    r = r.sqrt_().mul_(SQRT5)  # in place: large matrices are limited by memory, not by arithmetic
    fall = torch.exp(-r)
    return r.square().div_(3.0).add_(r).add_(1.0).mul_(fall)


def matern52_and_slope(scaled: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`matern52` and its derivative with respect to the squared distance, -5/6 (1 + r) exp(-r).

    Args:
        scaled: as there; no gradient is kept.
    """
    r = scaled.clamp_min(1e-20).sqrt_().mul_(SQRT5)
    fall = torch.exp(-r)
    slope = (r + 1.0).mul_(fall)
    value = r.square_().mul_(fall).div_(3.0).add_(slope)
    return value, slope.mul_(-5.0 / 6.0)


def distances(a: Tensor, b: Tensor, inverse_squares: Tensor) -> Tensor:
    """Squared distances in units of the lengthscales, without the pairs' differences in memory.

    Args:
        a: (n, d).
        b: (m, d).
        inverse_squares: (d,), one over the squared lengthscales.

    Returns:
        (n, m), never negative.
    """
    weight = inverse_squares.sqrt()
    wa, wb = a * weight, b * weight
    middle = wb.mean(0, keepdim=True)  # distances of far-off points lose digits otherwise
    wa, wb = wa - middle, wb - middle
    squares = wa.square().sum(-1, keepdim=True) + wb.square().sum(-1) - 2.0 * wa @ wb.T
    return squares.clamp_min(0.0)
