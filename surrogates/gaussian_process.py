"""Exact Gaussian-process regression that answers in the units of its data and does not die on degenerate data."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from surrogates.data import OWN_SAMPLE, PLAIN, Array, Data, matrix
from surrogates.errors import DataError
from surrogates.form import FLOOR, MEAN_VARIANCE, Form
from surrogates.likelihood import Rows, kernel, level, terms
from surrogates.paths import matheron
from surrogates.scaling import Scale
from surrogates.search import rows_of
from surrogates.surrogate import Belief, Covariance, NoiseField, Path
from surrogates.threads import one_thread

if TYPE_CHECKING:
    from surrogates.fantasies import Fantasies


MOST_COVARIANCES: Final = 4_000_000
"""Numbers of a covariance that are in memory at one time where many points are predicted."""


class GaussianProcess:
    """A Gaussian process with given hyperparameters, conditioned on rows.

    Its function is free of noise and of the effects of samples, and, where the level drifts, that of now: just after
    the last row. :func:`surrogates.fit` finds the hyperparameters.

    Attributes:
        form: the terms of the covariance.
        theta: (p,) log hyperparameters, laid out as the form says.
        rows: the data, standardised.
        scale: between standardised outcomes and the units of the data.
        notes: what was found out about the data, in words.
        extras: what else warm-starts a later fit, beside the hyperparameters.
        noise_field: how the learned noise differs from place to place; ``None`` if it does not.
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
        self.form, self.theta, self.rows, self.scale = form, theta, rows, scale
        self.notes, self.extras = notes, dict(extras or {})
        self.noise_field = noise_field
        self.terms = terms(form, theta)
        self.signal = sum(term.signal for term in self.terms)
        self._noise = float(torch.exp(2.0 * theta[form.blocks["noise"]][0]))
        self._between = float(torch.exp(2.0 * theta[form.blocks["sample"]][0])) if form.samples else 0.0
        covariance = kernel(self.terms, rows.columns, rows.columns) + self.level_covariance()
        self.noise_variance = rows.factor * self._noise + rows.stated + FLOOR
        self.cholesky, self.noise_variance = _safe_cholesky(covariance, self.noise_variance)
        self._alpha = torch.cholesky_solve(rows.outcomes.unsqueeze(-1), self.cholesky).squeeze(-1)
        self._level, self._own_level = self._new_level()

    @classmethod
    def fit(
        cls,
        columns: ArrayLike,
        outcomes: ArrayLike,
        *,
        sem: ArrayLike | None = None,
        inflation: ArrayLike | None = None,
        warm: Mapping[str, Any] | None = None,
    ) -> GaussianProcess:
        """The most probable process with one lengthscale a column, and nothing else.

        Args:
            columns: (n, d) model inputs of order one.
            outcomes: (n,) in their own units.
            sem: (n,) one standard uncertainty of each outcome, in the same unit; NaN or ``None`` where not assessed.
                Scatter beyond it is learned.
            inflation: (n,) factors, 1 or more, on the whole noise variance of doubtful rows.
            warm: the :meth:`state` of an earlier fit, as one more place to start from.

        Raises:
            DataError: shapes that do not fit together, values that are not finite, or no row at all.
        """
        from surrogates.fitting import fit_exact

        return fit_exact(Data.of(columns, outcomes, sem=sem, inflation=inflation), PLAIN, warm)

    @property
    def columns(self) -> Tensor:
        """(n, d) inputs of the data."""
        return self.rows.columns

    @property
    def outcomes(self) -> Tensor:
        """(n,) standardised."""
        return self.rows.outcomes

    @property
    def lengthscales(self) -> Array:
        """(d,) of the full term, in units of the columns: long ones belong to columns that matter little."""
        lengths: Array = torch.exp(self.theta[list(self.form.lengths)]).numpy()
        return lengths

    @property
    def noise(self) -> float:
        """One standard deviation of the noise beyond the stated one, in the units of the data."""
        return math.sqrt(self._noise + FLOOR) * self.scale.width

    @property
    def between(self) -> float:
        """One standard deviation between samples, in the units of the data; 0 without such an effect."""
        return math.sqrt(self._between) * self.scale.width

    def state(self) -> dict[str, Any]:
        """The hyperparameters as plain numbers by kind, and what else warm-starts a later fit."""
        return {"theta": self.form.state(self.theta), **self.extras}

    def predict(self, columns: ArrayLike, *, noise: bool = False) -> Belief:
        """Mean and standard deviation of the noise-free function, or of a new measurement where ``noise`` is set.

        Args:
            columns: (m, d).
            noise: add the learned noise, and the effect of a new sample.
        """
        x = torch.from_numpy(matrix(columns, self.columns.shape[-1]))
        return predicted(self, x, len(self.rows), noise)

    def measurement_variance(self, a: Tensor) -> Tensor:
        """(m,) variance of a new measurement on a new sample about the function, standardised."""
        learned = a.new_full((len(a),), self._noise)
        if self.noise_field is not None:
            learned = learned * self.noise_field(a)
        return learned + self._between + FLOOR

    def leave_one_out(self) -> Belief:
        """Prediction of each row from all others, with noise and unchanged hyperparameters.

        Rasmussen & Williams 2006, eqs. 5.12; (n,).
        """
        with one_thread(), torch.no_grad():
            inverse = torch.cholesky_inverse(self.cholesky)
            variance = 1.0 / inverse.diagonal()
            mean = self.outcomes - self._alpha * variance
        return Belief(self.scale.restore(mean.numpy()), variance.sqrt().numpy() * self.scale.width)

    def fantasies(self, points: Tensor, samples: int, seed: int) -> Fantasies:
        """Joint samples at encoded points (b, d)."""
        from surrogates.fantasies import Fantasies

        return Fantasies(self, points, samples, seed)

    def path(self, samples: int, seed: int) -> Path:
        """Functions drawn from the posterior, see :func:`surrogates.paths.matheron`."""
        return matheron(self, samples, seed)

    def covariance_with(self, points: Tensor) -> Covariance:
        """Posterior covariances of the noise-free function at encoded points (k, d) with any others, standardised."""
        white = self.whitened(points)
        return lambda others: self.covariance(points, others, white, self.whitened(others))

    def describe(self) -> str:
        """What the model is, in a sentence."""
        form = self.form
        kernel = "Matern 5/2 with one lengthscale a column"
        if form.parts:
            kernel = f"Matern 5/2, a sum over {len(form.parts)} parameters and all together"
        elif form.saas:
            kernel = "Matern 5/2 with a sparse prior on the lengthscales"
        more = [" + an effect of each sample"] * form.samples + [" + drift"] * form.drift
        return "; ".join(["Gaussian process, " + kernel + "".join(more), *self.notes])

    # Views and extensions: cheap relatives of a fitted process.

    def having(self, theta: Tensor) -> GaussianProcess:
        """The process over the same rows with other hyperparameters (p,)."""
        return GaussianProcess(
            self.form,
            theta,
            self.rows,
            self.scale,
            noise_field=self.noise_field,
            notes=self.notes,
            extras=self.extras,
        )

    def sample_effect(self, sample: int) -> tuple[float, float]:
        """Mean and standard deviation of what sample ``sample`` adds to its measurements, in the units of the data."""
        member = (self.rows.sample == sample).to(torch.float64) * self._between
        with one_thread(), torch.no_grad():
            white = torch.linalg.solve_triangular(self.cholesky, member[:, None], upper=False).squeeze(-1)
            variance = self._between - float(white.square().sum())
            return float(member @ self._alpha) * self.scale.width, math.sqrt(max(variance, 0.0)) * self.scale.width

    def on_sample(self, sample: int) -> GaussianProcess:
        """The same process, its function that of measurements on one known sample, the sample's effect included."""
        view = copy.copy(self)
        member = (self.rows.sample == sample) & (self.rows.sample != OWN_SAMPLE)
        view._level = self._level + self._between * member.to(torch.float64)
        view._own_level = self._own_level + self._between
        view._between = 0.0  # the effect belongs to the function now: a new measurement adds noise only
        return view

    def extended(
        self, columns: ArrayLike, outcomes: ArrayLike, sem: ArrayLike | None = None, sample: ArrayLike | None = None
    ) -> GaussianProcess:
        """The process with more data and the same hyperparameters: a few rows appended to the Cholesky factor.

        Args:
            columns: (k, d).
            outcomes: (k,), in the units of the data.
            sem: (k,) stated uncertainties.
            sample: (k,) ids; their own if left out.

        Raises:
            DataError: as for a fit.
        """
        with one_thread(), torch.no_grad():
            return self._appended(Data.of(columns, outcomes, sem=sem, sample=sample))

    def _appended(self, data: Data) -> GaussianProcess:
        k, old = len(data), self.rows
        if data.columns.shape[1] != old.columns.shape[1]:
            raise DataError(f"the process has {old.columns.shape[1]} columns.", field="columns")
        x = torch.from_numpy(data.columns)
        plain = rows_of(data, self.scale)
        added = replace(
            plain,
            factor=plain.factor if self.noise_field is None else plain.factor * self.noise_field(x),
            order=old.order.max() + 1.0 + torch.arange(k, dtype=torch.float64),
        )
        rows = Rows(*(torch.cat([getattr(old, f), getattr(added, f)]) for f in Rows.__dataclass_fields__))
        new = copy.copy(self)
        new.rows = rows
        levels = new.level_covariance()
        n = len(old)
        cross = kernel(self.terms, old.columns, x) + levels[:n, n:]
        corner = kernel(self.terms, x, x) + levels[n:, n:]
        noise = added.factor * self._noise + added.stated + FLOOR
        white = torch.linalg.solve_triangular(self.cholesky, cross, upper=False)
        lower, noise = _safe_cholesky(corner - white.T @ white, noise)
        new.cholesky = torch.cat([torch.cat([self.cholesky, cross.new_zeros(n, k)], 1), torch.cat([white.T, lower], 1)])
        new.noise_variance = torch.cat([self.noise_variance, noise])
        new._alpha = torch.cholesky_solve(rows.outcomes.unsqueeze(-1), new.cholesky).squeeze(-1)
        new._level, new._own_level = new._new_level()
        return new

    # What acquisition functions need: tensors without checks, in the standardised outcomes of `scale`.

    def prior_covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """(m, k) covariance of the function between new points, before data."""
        return kernel(self.terms, a, b) + self._own_level

    def data_covariance(self, a: Tensor) -> Tensor:
        """(n, m) covariance of the data with the function at new points, before data."""
        return kernel(self.terms, self.columns, a) + self._level[:, None]

    def whitened(self, a: Tensor) -> Tensor:
        """(n, m): the data's inverse Cholesky factor times their covariance with ``a`` (m, d)."""
        white: Tensor = torch.linalg.solve_triangular(self.cholesky, self.data_covariance(a), upper=False)
        return white

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean (m,) and variance (m,) of the noise-free function, standardised."""
        mean, variance, _ = self.moments_and_white(a)
        return mean, variance

    def moments_and_white(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """:meth:`moments` and :meth:`whitened` at the price of one of them."""
        covariance = self.data_covariance(a)
        white: Tensor = torch.linalg.solve_triangular(self.cholesky, covariance, upper=False)
        variance = (self.signal + self._own_level - white.square().sum(0)).clamp_min(1e-12)
        return covariance.T @ self._alpha, variance, white

    def covariance(self, a: Tensor, b: Tensor, white_a: Tensor, white_b: Tensor) -> Tensor:
        """(m, k) posterior covariance of the noise-free function, standardised.

        ``white_*`` are the points' :meth:`whitened` forms.
        """
        return self.prior_covariance(a, b) - white_a.T @ white_b

    def level_covariance(self) -> Tensor:
        """(n, n) covariance of the data that does not depend on columns: mean, samples, drift."""
        return level(self.form, self.theta, self.rows)

    def _new_level(self) -> tuple[Tensor, float]:
        """The same between data and new points on new samples just after the last row, (n,), and among new points."""
        constant = torch.full((len(self.rows),), MEAN_VARIANCE, dtype=torch.float64)
        if not self.form.drift:
            return constant, MEAN_VARIANCE
        size, time = self.theta[self.form.blocks["drift"]].exp().tolist()
        lag = self.rows.order.max() + 1.0 - self.rows.order
        return constant + size**2 * torch.exp(-lag / time), MEAN_VARIANCE + size**2

    @property
    def weights(self) -> Tensor:
        """(n,) of the data's covariances in the posterior mean."""
        return self._alpha

    @property
    def new_level(self) -> tuple[Tensor, float]:
        """Covariance of level with the data (n,), and variance of the level, of the function at new points."""
        return self._level, self._own_level


class _Predicting(Protocol):
    @property
    def scale(self) -> Scale: ...

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]: ...

    def measurement_variance(self, a: Tensor) -> Tensor: ...


def predicted(model: _Predicting, x: Tensor, rows: int, noise: bool) -> Belief:
    """Belief at points (m, d), in blocks: so many that their covariances with ``rows`` data stay small in memory."""
    with one_thread(), torch.no_grad():
        means, variances = [], []
        for block in torch.split(x, max(1, MOST_COVARIANCES // rows)):
            mean, variance = model.moments(block)
            means.append(mean)
            variances.append(variance + model.measurement_variance(block) if noise else variance)
        mean, variance = torch.cat(means), torch.cat(variances)
        return Belief(model.scale.restore(mean.numpy()), variance.sqrt().numpy() * model.scale.width)


def _safe_cholesky(covariance: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factor of a covariance plus noise, with more noise where rounding has made it indefinite."""
    extra = 0.0
    for _ in range(8):
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(covariance + torch.diag(noise + extra))
        if not int(failed):
            return factor, noise + extra
        extra = max(extra * 10.0, FLOOR * float(covariance.diagonal().mean()))
    raise DataError("the covariance of the data cannot be factorised.", mend="Look for outcomes of absurd size.")
