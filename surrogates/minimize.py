"""Batched L-BFGS: many small, independent minimisations in one pass of tensor operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Function: TypeAlias = Callable[[Tensor], Tensor | tuple[Tensor, Tensor]]
"""Points (b, p) to values (b,), or to values and gradients (b, p); gradients that are not given are differentiated."""

Indexed: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""As a function, of points (k, p) and the positions (k,) of their members in the batch."""

ARMIJO = 1e-4
HALVINGS = 12


@dataclass(frozen=True, slots=True)
class Minimum:
    """Result of :func:`minimize`: points ``x`` (b, p), values ``f`` (b,), and the number of iterations used."""

    x: Tensor
    f: Tensor
    iterations: int


def minimize(
    function: Function,
    start: Tensor,
    *,
    iterations: int = 80,
    history: int = 10,
    tolerance: float = 1e-5,
) -> Minimum:
    """Minimise a batch of independent smooth functions, all of one kind; see :func:`minimize_each`."""
    return _minimize(lambda points, _: function(points), start, iterations, history, tolerance)


def minimize_each(
    function: Indexed,
    start: Tensor,
    *,
    iterations: int = 80,
    history: int = 10,
    tolerance: float = 1e-5,
) -> Minimum:
    """Minimise a batch of independent smooth functions.

    L-BFGS with a backtracking Armijo line search (Nocedal & Wright, Numerical Optimization, 2006, algorithms 3.1 and
    7.4), every member of the batch with its own step and curvature pairs. Pairs without positive curvature are skipped.

    Args:
        function: maps points (k, p), and the positions (k,) of their members, to values (k,); a value that is not
            finite marks a point as out of bounds. It is only asked for members that still move.
        start: (b, p) with finite values.
        iterations: at most so many.
        history: curvature pairs that are kept.
        tolerance: stops when no member can expect a relative gain above it, from step or gradient.

    Returns:
        The best point of each member; never worse than its start.
    """
    return _minimize(function, start, iterations, history, tolerance)


def _minimize(
    function: Callable[[Tensor, Tensor], Tensor | tuple[Tensor, Tensor]],
    start: Tensor,
    iterations: int,
    history: int,
    tolerance: float,
) -> Minimum:
    x = start.detach().clone()
    f, g = _value_and_gradient(function, x, torch.arange(len(x)))
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    active = torch.ones_like(f, dtype=torch.bool)
    used = 0
    while used < iterations and bool(active.any()):
        used += 1
        direction = _direction(g, pairs)
        slope = (direction * g).sum(-1)
        uphill = slope >= 0
        direction = torch.where(uphill.unsqueeze(-1), -g, direction)
        slope = torch.where(uphill, -(g * g).sum(-1), slope)
        if not pairs:  # no curvature known yet: a first step of length one
            scale = direction.norm(dim=-1, keepdim=True).clamp_min(1.0)
            direction, slope = direction / scale, slope / scale.squeeze(-1)
        x_new, f_new, g_new, moved = _search(function, x, f, g, direction, slope, active)
        s, y = x_new - x, g_new - g
        sy = (s * y).sum(-1)
        good = moved & (sy > 1e-10 * s.norm(dim=-1) * y.norm(dim=-1)) & (sy > 0)
        rho = torch.where(good, 1.0 / torch.where(good, sy, torch.ones_like(sy)), torch.zeros_like(sy))
        pairs = [*pairs[-(history - 1) :], (s, y, rho)]
        gain = f - f_new
        x, f, g = x_new, f_new, g_new
        active = active & moved & (gain > tolerance * (1 + f.abs())) & (g.abs().amax(-1) > tolerance)
    return Minimum(x, f, used)


def _value_and_gradient(
    function: Callable[[Tensor, Tensor], Tensor | tuple[Tensor, Tensor]], x: Tensor, who: Tensor
) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        at = x.detach().requires_grad_(True)
        answer = function(at, who)
        if isinstance(answer, tuple):
            f, g = answer
        else:
            f = answer
            (g,) = torch.autograd.grad(f.sum(), at)
    f, g = f.detach(), g.detach()
    bad = ~torch.isfinite(f) | ~torch.isfinite(g).all(-1)
    return torch.where(bad, torch.full_like(f, torch.inf), f), torch.where(bad.unsqueeze(-1), torch.zeros_like(g), g)


def _direction(g: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The two-loop recursion; pairs with rho = 0 drop out for their member."""
    q = g.clone()
    alphas = []
    for s, y, rho in reversed(pairs):
        alpha = rho * (s * q).sum(-1)
        q = q - alpha.unsqueeze(-1) * y
        alphas.append(alpha)
    gamma = torch.ones_like(g[..., 0])
    for s, y, rho in pairs:  # the newest usable pair of each member scales the first guess of the Hessian
        yy = (y * y).sum(-1)
        gamma = torch.where(rho > 0, (s * y).sum(-1) / yy.clamp_min(1e-300), gamma)
    q = q * gamma.unsqueeze(-1)
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        beta = rho * (y * q).sum(-1)
        q = q + (alpha - beta).unsqueeze(-1) * s
    return -q


def _search(
    function: Callable[[Tensor, Tensor], Tensor | tuple[Tensor, Tensor]],
    x: Tensor,
    f: Tensor,
    g: Tensor,
    direction: Tensor,
    slope: Tensor,
    active: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Backtrack each member until it descends enough; members that cannot stay where they are."""
    step = torch.ones_like(f)
    x_new, f_new, g_new = x.clone(), f.clone(), g.clone()
    waiting = active.clone()
    for _ in range(HALVINGS):
        who = waiting.nonzero().squeeze(-1)
        trial = x[who] + step[who].unsqueeze(-1) * direction[who]
        f_trial, g_trial = _value_and_gradient(function, trial, who)
        accept = f_trial <= f[who] + ARMIJO * step[who] * slope[who]
        took = who[accept]
        x_new[took], f_new[took], g_new[took] = trial[accept], f_trial[accept], g_trial[accept]
        waiting[took] = False
        if not bool(waiting.any()):
            break
        step = torch.where(waiting, step / 2.5, step)
    return x_new, f_new, g_new, active & ~waiting
