"""Processes over the same rows with different hyperparameters, evaluated in one pass of batched tensor operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surrogates.fantasies import normals
from surrogates.kernels import matern52

if TYPE_CHECKING:
    from surrogates.gaussian_process import GaussianProcess


class Stack:
    """What acquisition functions need of s processes of one form; tensors without checks, standardised.

    Each method is that of :class:`surrogates.gaussian_process.GaussianProcess` with a leading dimension s.
    """

    def __init__(self, members: Sequence[GaussianProcess]) -> None:
        """Take over the factors of the members."""
        first = members[0]
        self.columns, self.scale = first.columns, first.scale
        self._terms = [
            (
                term.index,
                torch.stack([member.terms[t].inverse_squares.sqrt() for member in members])[:, None, :],
                torch.tensor([member.terms[t].signal for member in members], dtype=torch.float64)[:, None, None],
            )
            for t, term in enumerate(first.terms)
        ]
        self._variance = torch.tensor([m.signal + m.new_level[1] for m in members], dtype=torch.float64)[:, None]
        self._level = torch.stack([member.new_level[0] for member in members])
        self._own_level = torch.tensor([m.new_level[1] for m in members], dtype=torch.float64)[:, None, None]
        self._cholesky = torch.stack([member.cholesky for member in members])
        self._alpha = torch.stack([member.weights for member in members])

    def __len__(self) -> int:
        return len(self._cholesky)

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        total: Tensor | None = None
        for index, weight, signal in self._terms:
            wa, wb = a[:, index] * weight, b[:, index] * weight  # (s, n, k)
            middle = wb.mean(1, keepdim=True)
            wa, wb = wa - middle, wb - middle
            squares = wa.square().sum(-1)[:, :, None] + wb.square().sum(-1)[:, None, :] - 2.0 * wa @ wb.mT
            part = signal * matern52(squares.clamp_min(0.0))
            total = part if total is None else total + part
        assert total is not None  # noqa: S101  every form has a full term
        return total

    def data_covariance(self, a: Tensor) -> Tensor:
        """(s, n, m) covariance of the data with the function at new points, before data."""
        return self._kernel(self.columns, a) + self._level[:, :, None]

    def whitened(self, a: Tensor) -> Tensor:
        """(s, n, m): the inverse Cholesky factors times the data's covariance with ``a`` (m, d)."""
        white: Tensor = torch.linalg.solve_triangular(self._cholesky, self.data_covariance(a), upper=False)
        return white

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior means (s, m) and variances (s, m)."""
        mean, variance, _ = self.moments_and_white(a)
        return mean, variance

    def moments_and_white(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """:meth:`moments` and :meth:`whitened` together, for the price of one."""
        covariance = self.data_covariance(a)
        mean = (covariance.mT @ self._alpha[:, :, None]).squeeze(-1)
        white = torch.linalg.solve_triangular(self._cholesky, covariance, upper=False)
        return mean, (self._variance - white.square().sum(1)).clamp_min(1e-12), white

    def covariance(self, a: Tensor, b: Tensor, white_a: Tensor, white_b: Tensor) -> Tensor:
        """(s, m, k) posterior covariances of the function, from :meth:`whitened` forms."""
        return self._kernel(a, b) + self._own_level - white_a.mT @ white_b


class StackFantasies:
    """Joint samples at some points, shared out evenly among the processes of a stack.

    Attributes:
        values: (samples, b), in the units of the data.
    """

    def __init__(self, stack: Stack, points: Tensor, samples: int, seed: int) -> None:
        self._stack, self._points, self._samples = stack, points, samples
        self._each = math.ceil(samples / len(stack))
        mean, _, self._white = stack.moments_and_white(points)
        covariance = stack.covariance(points, points, self._white, self._white)
        self._cholesky = _factors(covariance)
        # consecutive Sobol points are balanced, every s-th of them are not
        white_noise = normals(self._each * len(stack), len(points), seed).view(len(stack), self._each, -1)
        self.values = self._told(mean[:, None, :] + white_noise @ self._cholesky.mT)
        # weights that turn covariances with the points into shifts of the mean
        self._shifts = torch.linalg.solve_triangular(self._cholesky.mT, white_noise.mT, upper=True)

    def _told(self, values: Tensor) -> Tensor:
        """(s, each, m) standardised to (samples, m) in the units of the data, processes by turns."""
        scale = self._stack.scale
        flat = values.transpose(0, 1).reshape(-1, values.shape[-1])[: self._samples]
        return scale.centre + scale.width * flat

    def given(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (samples, m) and standard deviation (samples, m) at candidates (m, d), given each sample."""
        mean, variance, white = self._stack.moments_and_white(candidates)
        cross = self._stack.covariance(self._points, candidates, self._white, white)  # (s, b, m)
        known = torch.linalg.solve_triangular(self._cholesky, cross, upper=False).square().sum(1)
        std = (variance - known).clamp_min(1e-10 * variance).sqrt()
        shifted = mean[:, None, :] + self._shifts.mT @ cross
        spread = std[:, None, :].expand_as(shifted).transpose(0, 1).reshape(-1, std.shape[-1])[: self._samples]
        return self._told(shifted), self._stack.scale.width * spread


def _factors(covariance: Tensor) -> Tensor:
    """Cholesky factors (s, b, b), each with as much jitter as the worst of them needs."""
    size = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-300)[:, None, None]
    unit = torch.eye(covariance.shape[-1], dtype=covariance.dtype) * size
    jitter = 1e-8
    while True:  # ends: with a jitter of many times its mean diagonal any covariance is positive definite
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(covariance + jitter * unit)
        if not bool(failed.any()):
            return factor
        jitter *= 10.0
