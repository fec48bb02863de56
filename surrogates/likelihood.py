"""The log posterior of hyperparameters, many at once, with its analytic gradient.

The gradient of a Gaussian log marginal likelihood is one half of tr((a a^T - K^-1) dK/dtheta) with a = K^-1 y
(Rasmussen & Williams 2006, eq. 5.9). All lengthscales together cost one product of a matrix of pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from surrogates.form import FLOOR, MEAN_VARIANCE, Form, prior_energy
from surrogates.kernels import distances, matern52, matern52_and_slope, squared_differences


@dataclass(frozen=True, eq=False)
class Rows:
    """Data as the covariance sees them; standardised.

    Attributes:
        columns: (n, d).
        outcomes: (n,).
        factor: (n,) on the learned noise variance; 0 where it is part of ``stated`` already.
        stated: (n,) variances that are known.
        sample: (n,) ids; -1 for a sample of its own.
        order: (n,) when each was told.
    """

    columns: Tensor
    outcomes: Tensor
    factor: Tensor
    stated: Tensor
    sample: Tensor
    order: Tensor

    def __len__(self) -> int:
        return len(self.outcomes)

    def take(self, index: Tensor) -> Rows:
        """Some of the rows."""
        return Rows(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def same_sample(self) -> Tensor:
        """(n, n) 1 where two rows were measured on one sample, each row with itself included."""
        same = (self.sample[:, None] == self.sample) & (self.sample >= 0)[:, None]
        same.fill_diagonal_(True)
        return same.to(torch.float64)

    def lags(self) -> Tensor:
        """(n, n) rows between two tellings."""
        return (self.order[:, None] - self.order).abs()


def level(form: Form, theta: Tensor, rows: Rows) -> Tensor:
    """(n, n) covariance of rows that does not depend on columns: mean, samples, drift; of hyperparameters (p,)."""
    n = len(rows)
    total = torch.full((n, n), MEAN_VARIANCE, dtype=torch.float64)
    if form.samples:
        total += torch.exp(2.0 * theta[form.blocks["sample"]]) * rows.same_sample()
    if form.drift:
        size, time = theta[form.blocks["drift"]].exp().tolist()
        total += size**2 * torch.exp(-rows.lags() / time)
    return total


@dataclass(frozen=True, eq=False)
class Term:
    """One kernel over some columns.

    Attributes:
        index: (k,) the columns.
        inverse_squares: (k,) one over the squared lengthscales.
        signal: variance.
    """

    index: Tensor
    inverse_squares: Tensor
    signal: float


def terms(form: Form, theta: Tensor) -> tuple[Term, ...]:
    """The kernels over columns with hyperparameters (p,), the one over all columns first."""
    used: list[dict[int, float]] = [{} for _ in range(1 + len(form.parts))]
    lengths = theta[: form.blocks["part_lengths"].stop]
    for (term, group), value in zip(form.members, torch.exp(-2.0 * lengths).tolist(), strict=True):
        used[term][group] = value
    signals = torch.exp(2.0 * theta[form.blocks["signals"]]).tolist()
    made = []
    for weights, signal in zip(used, signals, strict=True):
        index = [j for j, group in enumerate(form.lengths) if group in weights]
        inverse = torch.tensor([weights[form.lengths[j]] for j in index], dtype=torch.float64)
        made.append(Term(torch.tensor(index, dtype=torch.long), inverse, signal))
    return tuple(made)


def kernel(parts: tuple[Term, ...], a: Tensor, b: Tensor) -> Tensor:
    """(n, m) sum of the kernels between points (n, d) and (m, d)."""
    if len(parts) == 1:  # all columns: no copy
        return parts[0].signal * matern52(distances(a, b, parts[0].inverse_squares))
    total = a.new_zeros(len(a), len(b))
    for part in parts:
        total = total + part.signal * matern52(distances(a[:, part.index], b[:, part.index], part.inverse_squares))
    return total


def covariance(form: Form, theta: Tensor, rows: Rows) -> Tensor:
    """(n, n) covariance of the rows without noise, with hyperparameters (p,)."""
    return kernel(terms(form, theta), rows.columns, rows.columns) + level(form, theta, rows)


class LogPosterior:
    """Minus the log posterior density of hyperparameters of a form, given rows; without constants of the prior."""

    def __init__(self, form: Form, rows: Rows) -> None:
        self.form, self.rows = form, rows
        n = len(rows)
        pairs = squared_differences(rows.columns, rows.columns).T
        owner = torch.tensor(form.lengths, dtype=torch.long)
        self._pairs = torch.zeros(form.count, n * n, dtype=torch.float64).index_add_(0, owner, pairs)
        self._same = rows.same_sample() if form.samples else None
        self._lags = rows.lags() if form.drift else None
        self._terms = torch.tensor([t for t, _ in form.members], dtype=torch.long)
        self._groups = torch.tensor([g for _, g in form.members], dtype=torch.long)

    def _weights(self, lengths: Tensor) -> Tensor:
        """(b, terms, groups) inverse squared lengthscales, 0 where a term does not use a group."""
        squares = torch.exp(-2.0 * lengths)
        if not self.form.parts:
            return squares[:, None, :]
        weights = squares.new_zeros(len(squares), 1 + len(self.form.parts), self.form.count)
        weights[:, self._terms, self._groups] = squares
        return weights

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Values (b,) and gradients (b, p) at hyperparameters (b, p).

        A member whose covariance cannot be factorised is worth infinity, with a gradient of zero.
        """
        theta = theta.detach()
        form, rows, n, b = self.form, self.rows, len(self.rows), len(theta)
        blocks = form.blocks
        weights = self._weights(theta[:, : blocks["part_lengths"].stop])
        values, slopes = matern52_and_slope(weights @ self._pairs)  # (b, terms, n * n)
        signals = torch.exp(2.0 * theta[:, blocks["signals"]])
        learned = torch.exp(2.0 * theta[:, blocks["noise"]])
        covariance = torch.bmm(signals[:, None, :], values).view(b, n, n) + MEAN_VARIANCE
        if self._same is not None:
            between = torch.exp(2.0 * theta[:, blocks["sample"], None])
            covariance += between * self._same
        if self._lags is not None:
            size, time = theta[:, blocks["drift"]].exp().unbind(1)
            wander = size.square()[:, None, None] * torch.exp(-self._lags / time[:, None, None])
            covariance += wander
        covariance.diagonal(dim1=1, dim2=2).add_(learned * rows.factor + rows.stated + FLOOR)
        cholesky, failed = torch.linalg.cholesky_ex(covariance)
        if bool(failed.any()):
            cholesky = torch.where((failed > 0)[:, None, None], torch.eye(n, dtype=cholesky.dtype), cholesky)
        inverse = torch.cholesky_inverse(cholesky)
        alpha = inverse @ rows.outcomes
        fit = 0.5 * (alpha @ rows.outcomes) + cholesky.diagonal(dim1=1, dim2=2).log().sum(-1)
        pull = inverse.sub_(alpha[:, :, None] * alpha[:, None, :]).mul_(0.5)  # d fit / d covariance

        value, gradient = prior_energy(form, theta)
        flat = pull.mT.reshape(b, 1, n * n)  # symmetric, and stored by columns
        by_square = torch.matmul(slopes.mul_(flat), self._pairs.T)  # (b, terms, groups)
        by_length = -2.0 * (by_square * weights * signals[:, :, None])[:, self._terms, self._groups]
        gradient[:, : blocks["part_lengths"].stop] += by_length
        gradient[:, blocks["signals"]] += 2.0 * signals * (values @ flat.mT).squeeze(-1)
        gradient[:, blocks["noise"]] += 2.0 * learned * (pull.diagonal(dim1=1, dim2=2) @ rows.factor)[:, None]
        if self._same is not None:
            gradient[:, blocks["sample"]] += 2.0 * (between * self._same * pull).sum((1, 2))[:, None]
        if self._lags is not None:
            weighted = wander * pull
            amount, late = weighted.sum((1, 2)), (weighted * self._lags).sum((1, 2)) / time
            gradient[:, blocks["drift"]] += torch.stack([2.0 * amount, late], 1)
        value = value + fit
        bad = (failed > 0) | ~torch.isfinite(value) | ~torch.isfinite(gradient).all(-1)
        return value.masked_fill(bad, math.inf), gradient.masked_fill(bad[:, None], 0.0)

    def hessian(self, theta: Tensor, step: float = 1e-3) -> Tensor:
        """(p, p) second derivatives at ``theta`` (p,), by central differences of analytic gradients."""
        p = self.form.size
        steps = step * torch.eye(p, dtype=torch.float64)
        _, slopes = self(torch.cat([theta + steps, theta - steps]))
        hessian = (slopes[:p] - slopes[p:]) / (2.0 * step)
        return 0.5 * (hessian + hessian.T)

    def log_evidence(self, theta: Tensor) -> float:
        """Laplace's approximation of the log marginal likelihood of the rows, at the most probable ``theta`` (p,).

        MacKay 1992. Forms with different numbers of hyperparameters can be compared.
        """
        p, constant = self.form.size, 0.5 * math.log(2.0 * math.pi)
        curvature = torch.linalg.eigvalsh(self.hessian(theta)).clamp_min(1e-2)
        value = float(self(theta[None])[0][0]) + len(self.rows) * constant
        return -value - self._prior_constant() - 0.5 * float(curvature.log().sum()) + p * constant

    def _prior_constant(self) -> float:
        """Minus the log of the prior's normalisation, which :func:`prior_energy` leaves out."""
        form, (_, precision) = self.form, self.form.prior
        kept = torch.ones(form.size, dtype=torch.bool)
        constant = 0.0
        if form.saas:
            kept[form.blocks["lengths"]] = kept[form.blocks["shrinkage"]] = False
            # rho's density in log l is (4 / pi) / (exp(-ratio) + exp(ratio)), tau's in its log has 2 / pi there
            constant = -form.count * math.log(4.0 / math.pi) - math.log(2.0 / math.pi)
        normal = precision[kept][:, kept]
        return constant - 0.5 * float(torch.logdet(normal)) + 0.5 * len(normal) * math.log(2.0 * math.pi)
