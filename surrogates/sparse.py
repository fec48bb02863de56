"""A Gaussian process for many thousand rows: the data speak through some hundred inducing points.

FITC (Snelson & Ghahramani 2006; Quinonero-Candela & Rasmussen 2005, section 6): given the function at the inducing
points the rows are independent, each with its exact variance. Inducing points are rows, chosen one after the other
where the others leave most variance (a pivoted Cholesky factorisation). Rows are read in blocks, so that memory grows
with their number only as the data themselves do.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from surrogates.data import Data, matrix
from surrogates.errors import DataError
from surrogates.fantasies import Fantasies
from surrogates.form import FLOOR, MEAN_VARIANCE, Form
from surrogates.likelihood import Rows, Term, kernel, terms
from surrogates.paths import features
from surrogates.scaling import Scale
from surrogates.search import rows_of
from surrogates.surrogate import Belief, Covariance, NoiseField, Path
from surrogates.threads import one_thread

INDUCING: Final = 512
CANDIDATES: Final = 2048
BLOCK: Final = 4096


class SparseProcess:
    """A Gaussian process with given hyperparameters, conditioned on very many rows by way of inducing points.

    Effects of samples count as noise.

    Attributes:
        form: the terms of the covariance; no drift.
        theta: (p,) log hyperparameters.
        inducing: (m, d).
        scale: between standardised outcomes and the units of the data.
    """

    def __init__(
        self,
        form: Form,
        theta: Tensor,
        rows: Rows,
        scale: Scale,
        *,
        noise_field: NoiseField | None = None,
        notes: tuple[str, ...] = (),
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        self.form, self.theta, self.scale = form, theta, scale
        self.notes, self.extras = notes, dict(extras or {})
        self.terms: tuple[Term, ...] = terms(form, theta)
        self.signal = sum(term.signal for term in self.terms)
        self.rows = rows
        self._noise_field = noise_field
        self._noise = float(torch.exp(2.0 * theta[form.blocks["noise"]][0]))
        self._between = float(torch.exp(2.0 * theta[form.blocks["sample"]][0])) if form.samples else 0.0
        self.inducing = self._chosen(rows.columns)
        own = self.prior_covariance(self.inducing, self.inducing)
        self._root = torch.linalg.cholesky(own + 1e-6 * self.signal * torch.eye(len(own), dtype=own.dtype))
        self._start()
        self._add(rows)

    def _start(self) -> None:
        """Sums over no rows yet."""
        self._precision = torch.eye(len(self.inducing), dtype=torch.float64)
        self._pull = torch.zeros(len(self.inducing), dtype=torch.float64)

    def _chosen(self, columns: Tensor) -> Tensor:
        """(m, d) rows that together leave the least variance, chosen greedily."""
        if len(columns) > CANDIDATES:
            columns = columns[torch.linspace(0, len(columns) - 1, CANDIDATES).round().long()]
        most = min(INDUCING, len(columns))
        left = torch.full((len(columns),), self.signal + MEAN_VARIANCE, dtype=torch.float64)
        factor = torch.zeros(len(columns), most, dtype=torch.float64)
        chosen: list[int] = []
        for j in range(most):
            pivot = int(torch.argmax(left))
            if float(left[pivot]) < 1e-6 * self.signal:
                break
            chosen.append(pivot)
            row = self.prior_covariance(columns, columns[pivot : pivot + 1]).squeeze(-1)
            column = (row - factor[:, :j] @ factor[pivot, :j]) / math.sqrt(float(left[pivot]))
            factor[:, j] = column
            left = left - column.square()
            left[pivot] = 0.0
        return columns[chosen]

    def _add(self, rows: Rows) -> None:
        """Condition on more rows, a block at a time."""
        for start in range(0, len(rows), BLOCK):
            block = rows.take(torch.arange(start, min(start + BLOCK, len(rows))))
            white = self._projected(block.columns)
            left = (self.signal + MEAN_VARIANCE - white.square().sum(0)).clamp_min(0.0)
            noise = left + block.factor * self._noise + block.stated + self._between + FLOOR
            self._precision = self._precision + (white / noise) @ white.T
            self._pull = self._pull + (white / noise) @ block.outcomes
        self._factor = torch.linalg.cholesky(self._precision)
        self._weights = torch.cholesky_solve(self._pull[:, None], self._factor).squeeze(-1)

    def _projected(self, a: Tensor) -> Tensor:
        """(m, k) inverse root of the inducing points' covariance, times their covariance with ``a`` (k, d)."""
        white: Tensor = torch.linalg.solve_triangular(self._root, self.prior_covariance(self.inducing, a), upper=False)
        return white

    @property
    def noise(self) -> float:
        """One standard deviation of the noise beyond the stated one, in the units of the data."""
        return math.sqrt(self._noise + FLOOR) * self.scale.width

    @property
    def between(self) -> float:
        """One standard deviation between samples, in the units of the data."""
        return math.sqrt(self._between) * self.scale.width

    def predict(self, columns: ArrayLike, *, noise: bool = False) -> Belief:
        """Belief about the noise-free function at (m, d), or about new measurements where ``noise`` is set."""
        x = torch.from_numpy(matrix(columns, self.rows.columns.shape[-1]))
        with one_thread(), torch.no_grad():
            parts = [self._measured(x[i : i + BLOCK], noise) for i in range(0, max(len(x), 1), BLOCK)]
            mean, variance = (torch.cat(part) for part in zip(*parts, strict=True))
            return Belief(self.scale.restore(mean.numpy()), variance.sqrt().numpy() * self.scale.width)

    def _measured(self, a: Tensor, noise: bool) -> tuple[Tensor, Tensor]:
        mean, variance = self.moments(a)
        return mean, variance + self.measurement_variance(a) if noise else variance

    def measurement_variance(self, a: Tensor) -> Tensor:
        """(m,) variance of a new measurement on a new sample about the function, standardised."""
        factor = a.new_ones(len(a)) if self._noise_field is None else self._noise_field(a)
        return self._noise * factor + self._between + FLOOR

    def leave_one_out(self) -> Belief:
        """Prediction of each row from all others given the inducing points, with noise; (n,).

        A row is taken out of the sums that it is part of, by the rank-one formula of Sherman and Morrison.
        """
        with one_thread(), torch.no_grad():
            rows = self.rows
            parts = [
                self._left_out(rows.take(torch.arange(i, min(i + BLOCK, len(rows)))))
                for i in range(0, len(rows), BLOCK)
            ]
            mean, variance = (torch.cat(part) for part in zip(*parts, strict=True))
        return Belief(self.scale.restore(mean.numpy()), variance.sqrt().numpy() * self.scale.width)

    def _left_out(self, rows: Rows) -> tuple[Tensor, Tensor]:
        white = self._projected(rows.columns)
        noise = (self.signal + MEAN_VARIANCE - white.square().sum(0)).clamp_min(0.0)
        noise = noise + rows.factor * self._noise + rows.stated + self._between + FLOOR
        known = torch.linalg.solve_triangular(self._factor, white, upper=False).square().sum(0)
        mean = self._weights @ white
        share = (noise - known).clamp_min(1e-9 * noise)
        return mean - known * (rows.outcomes - mean) / share, noise + known * noise / share

    def fantasies(self, points: Tensor, samples: int, seed: int) -> Fantasies:
        """Joint samples at encoded points (b, d)."""
        return Fantasies(self, points, samples, seed)

    def path(self, samples: int, seed: int) -> Path:
        """Functions drawn from the posterior: Matheron's rule at the inducing points (Wilson et al. 2020, eq. 15)."""
        generator = torch.Generator().manual_seed(seed)
        prior = features(self, samples, generator)
        m = len(self.inducing)
        constant = math.sqrt(MEAN_VARIANCE) * torch.randn(samples, 1, dtype=torch.float64, generator=generator)
        normals = torch.randn(m, samples, dtype=torch.float64, generator=generator)
        drawn = self._weights[:, None] + torch.linalg.solve_triangular(self._factor.T, normals, upper=True)
        before = torch.linalg.solve_triangular(self._root, (prior(self.inducing) + constant).T, upper=False)
        update = drawn - before

        def draw(points: Tensor) -> Tensor:
            values: Tensor = prior(points) + constant + (self._projected(points).T @ update).T
            return self.scale.centre + self.scale.width * values

        return draw

    def extended(
        self, columns: ArrayLike, outcomes: ArrayLike, sem: ArrayLike | None = None, sample: ArrayLike | None = None
    ) -> SparseProcess:
        """With more data, the same hyperparameters and inducing points.

        Raises:
            DataError: as for a fit.
        """
        data = Data.of(columns, outcomes, sem=sem, sample=sample)
        if data.columns.shape[1] != self.rows.columns.shape[1]:
            raise DataError(f"the process has {self.rows.columns.shape[1]} columns.", field="columns")
        with one_thread(), torch.no_grad():
            plain = rows_of(data, self.scale)
            factor = plain.factor if self._noise_field is None else plain.factor * self._noise_field(plain.columns)
            order = self.rows.order.max() + 1.0 + torch.arange(len(data), dtype=torch.float64)
            added = replace(plain, factor=factor, order=order)
            new = copy.copy(self)
            new.rows = Rows(*(torch.cat([getattr(self.rows, f), getattr(added, f)]) for f in Rows.__dataclass_fields__))
            new._add(added)
        return new

    def having(self, rows: Rows) -> SparseProcess:
        """The process with the same hyperparameters and inducing points, conditioned on other rows."""
        new = copy.copy(self)
        new.rows = rows
        new._start()
        new._add(rows)
        return new

    def state(self) -> dict[str, Any]:
        """What warm-starts a later fit, as JSON values."""
        return {"theta": self.form.state(self.theta), **self.extras}

    def describe(self) -> str:
        """What the model is and why, in a sentence for people."""
        what = f"sparse Gaussian process, Matern 5/2, {len(self.inducing)} inducing points for {len(self.rows)} rows"
        return "; ".join([what, *self.notes])

    # Tensors without checks, standardised.

    def prior_covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """(m, k) covariance of the function between points, before data."""
        return kernel(self.terms, a, b) + MEAN_VARIANCE

    def whitened(self, a: Tensor) -> Tensor:
        """(2 m, k) projections of points, first those before, then those after data."""
        white = self._projected(a)
        return torch.cat([white, torch.linalg.solve_triangular(self._factor, white, upper=False)])

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean (m,) and variance (m,) of the noise-free function, standardised."""
        mean, variance, _ = self.moments_and_white(a)
        return mean, variance

    def moments_and_white(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """:meth:`moments` and :meth:`whitened` at the price of one of them."""
        white = self._projected(a)
        known = torch.linalg.solve_triangular(self._factor, white, upper=False)
        variance = self.signal + MEAN_VARIANCE - white.square().sum(0) + known.square().sum(0)
        return self._weights @ white, variance.clamp_min(1e-12), torch.cat([white, known])

    def covariance(self, a: Tensor, b: Tensor, white_a: Tensor, white_b: Tensor) -> Tensor:
        """(m, k) posterior covariance of the noise-free function; ``white_*`` are :meth:`whitened` forms."""
        m = len(self.inducing)
        return self.prior_covariance(a, b) - white_a[:m].T @ white_b[:m] + white_a[m:].T @ white_b[m:]

    def covariance_with(self, points: Tensor) -> Covariance:
        """Posterior covariances of the noise-free function at encoded points (k, d) with any others, standardised."""
        white = self.whitened(points)
        return lambda others: self.covariance(points, others, white, self.whitened(others))
