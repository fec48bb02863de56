"""Exact Gaussian-process regression that answers in the units of its data and does not die on degenerate data.

Covariance: a Matern-5/2 kernel with one lengthscale a column, plus a constant (the uncertain mean), plus noise. The
hyperparameters are those of highest posterior density under weakly informative priors: lengthscales are shrunk towards
a common centre that is learned with them, so that many columns and few data do not overfit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from surrogates.errors import DataError
from surrogates.kernels import distances, matern52, squared_differences
from surrogates.minimize import minimize
from surrogates.paths import matheron
from surrogates.scaling import Scale
from surrogates.surrogate import Belief, Path
from surrogates.threads import one_thread

if TYPE_CHECKING:
    from surrogates.fantasies import Fantasies

Array = NDArray[np.float64]

# Priors, in standardised outcomes and columns of order one. Log-normal: (mean of the log, its standard deviation).
CENTRE: Final = (math.log(0.6), 0.6)  # the common centre of the lengthscales
SPREAD: Final = 0.8  # of the log lengthscales around it
SIGNAL: Final = (0.0, 0.7)  # standard deviation of the signal
NOISE: Final = (math.log(0.1), 1.0)  # standard deviation of the noise beyond the stated one
MEAN_VARIANCE: Final = 1.0  # of the constant mean
FLOOR: Final = 1e-6  # noise variance that is always there; keeps factorisations well conditioned
MOST_FOR_FIT: Final = 400  # hyperparameters are found on at most so many rows; predictions use all of them
MANY: Final = 200  # from so many rows on, a warm start is trusted alone


class GaussianProcess:
    """A fitted Gaussian process over numeric columns. Build it with :meth:`fit`."""

    def __init__(self, columns: Tensor, outcomes: Tensor, variance: Tensor, scale: Scale, theta: Tensor) -> None:
        self.columns = columns
        self.scale = scale
        self.theta = theta
        d = columns.shape[-1]
        self.inverse_squares = torch.exp(-2.0 * theta[:d])
        self.signal = float(torch.exp(2.0 * theta[d + 1]))
        self.mean_variance = MEAN_VARIANCE
        self._noise = float(torch.exp(2.0 * theta[d + 2]))
        covariance = self.prior_covariance(columns, columns)
        self.noise_variance = variance[0] * self._noise + variance[1] + FLOOR
        self.cholesky = _safe_cholesky(covariance, self.noise_variance)
        self.outcomes = outcomes
        self._alpha = torch.cholesky_solve(outcomes.unsqueeze(-1), self.cholesky).squeeze(-1)

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
        """Fit to data.

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
        x, y, relative, inflate = _checked(columns, outcomes, sem, inflation)
        scale = Scale.of(y)
        stated = np.minimum((relative / scale.width) ** 2, 1e8) * inflate
        with one_thread(), torch.no_grad():
            x_t = torch.from_numpy(x)
            y_t = torch.from_numpy(scale.standardise(y))
            variance = torch.stack([torch.from_numpy(inflate), torch.from_numpy(stated)])
            theta = _most_probable(x_t, y_t, variance, _warm_theta(warm, x.shape[1]))
            return cls(x_t, y_t, variance, scale, theta)

    @property
    def lengthscales(self) -> Array:
        """(d,) in units of the columns: long ones belong to columns that matter little."""
        return np.asarray(self.inverse_squares.rsqrt().numpy())

    @property
    def noise(self) -> float:
        """One standard deviation of the noise beyond the stated one, in the units of the data."""
        return math.sqrt(self._noise + FLOOR) * self.scale.width

    def state(self) -> dict[str, Any]:
        """The hyperparameters as plain numbers, to warm-start a later fit."""
        return {"theta": [float(value) for value in self.theta]}

    def predict(self, columns: ArrayLike, *, noise: bool = False) -> Belief:
        """Mean and standard deviation of the noise-free function, or of a new measurement where ``noise`` is set.

        Args:
            columns: (m, d).
            noise: add the learned noise.
        """
        x = torch.from_numpy(_matrix(columns, self.columns.shape[-1]))
        with one_thread(), torch.no_grad():
            mean, variance = self.moments(x)
            if noise:
                variance = variance + self._noise + FLOOR
            return Belief(self.scale.restore(mean.numpy()), variance.sqrt().numpy() * self.scale.width)

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
        """Functions drawn from the posterior by Matheron's rule on random Fourier features.

        Wilson et al., ICML 2020, eq. 13; features of the Matern-5/2 kernel are cosines whose frequencies follow a
        multivariate t distribution with five degrees of freedom.
        """
        return matheron(self, samples, seed)

    def describe(self) -> str:
        """What the model is, in a sentence."""
        return "Gaussian process, Matern 5/2 with one lengthscale a column"

    # What acquisition functions need: tensors without checks, in the standardised outcomes of `scale`.

    def prior_covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, m) covariance before data, standardised."""
        return self.signal * matern52(distances(a, b, self.inverse_squares)) + MEAN_VARIANCE

    def whitened(self, a: Tensor) -> Tensor:
        """(n, m): the data's inverse Cholesky factor times their covariance with ``a`` (m, d)."""
        white: Tensor = torch.linalg.solve_triangular(
            self.cholesky, self.prior_covariance(self.columns, a), upper=False
        )
        return white

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean (m,) and variance (m,) of the noise-free function, standardised."""
        covariance = self.prior_covariance(self.columns, a)
        mean = covariance.T @ self._alpha
        white = torch.linalg.solve_triangular(self.cholesky, covariance, upper=False)
        variance = (self.signal + MEAN_VARIANCE - white.square().sum(0)).clamp_min(1e-12)
        return mean, variance

    def covariance(self, a: Tensor, b: Tensor, white_a: Tensor, white_b: Tensor) -> Tensor:
        """(m, k) posterior covariance of the noise-free function, standardised.

        ``white_*`` are the points' :meth:`whitened` forms.
        """
        return self.prior_covariance(a, b) - white_a.T @ white_b


def _most_probable(x: Tensor, y: Tensor, variance: Tensor, warm: Tensor | None) -> Tensor:
    """Hyperparameters of highest posterior density, from several starts in one batch; (d + 3,)."""
    if len(y) > MOST_FOR_FIT:
        chosen = torch.linspace(0, len(y) - 1, MOST_FOR_FIT).round().long()
        x, y, variance = x[chosen], y[chosen], variance[:, chosen]
    d = x.shape[1]
    pairs = squared_differences(x, x).T.contiguous()
    starts = [_start(d, shift, noise) for shift, noise in ((0.0, -2.3), (0.8, -1.0), (-0.7, -3.5))]
    if warm is not None:
        starts = [warm] if len(y) > MANY else [warm, starts[0]]
    result = minimize(lambda theta: _negative_log_posterior(theta, pairs, y, variance), torch.stack(starts))
    best = int(torch.argmin(result.f))
    return result.x[best] if math.isfinite(float(result.f[best])) else starts[-1]


def _start(d: int, shift: float, log_noise: float) -> Tensor:
    centre = CENTRE[0] + shift
    return torch.tensor([centre] * (d + 1) + [SIGNAL[0], log_noise], dtype=torch.float64)


def _negative_log_posterior(theta: Tensor, pairs: Tensor, y: Tensor, variance: Tensor) -> Tensor:
    """(b,) for hyperparameters (b, d + 3): log lengthscales, their centre, log signal, log noise.

    Args:
        theta: (b, d + 3).
        pairs: (d, n * n) squared differences.
        y: (n,) standardised outcomes.
        variance: (2, n): factors on the learned noise variance, and stated variances.
    """
    n, d = len(y), pairs.shape[0]
    log_length, centre, log_signal, log_noise = theta[:, :d], theta[:, d], theta[:, d + 1], theta[:, d + 2]
    scaled = (torch.exp(-2.0 * log_length) @ pairs).reshape(-1, n, n)
    covariance = torch.exp(2.0 * log_signal)[:, None, None] * matern52(scaled) + MEAN_VARIANCE
    noise = torch.exp(2.0 * log_noise)[:, None] * variance[0] + variance[1] + FLOOR
    cholesky, failed = torch.linalg.cholesky_ex(covariance + torch.diag_embed(noise))
    white = torch.linalg.solve_triangular(cholesky, y[:, None].expand(len(theta), n, 1), upper=False).squeeze(-1)
    likelihood = 0.5 * white.square().sum(-1) + cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    prior = (
        ((log_length - centre[:, None]) / SPREAD).square().sum(-1)
        + ((centre - CENTRE[0]) / CENTRE[1]).square()
        + ((log_signal - SIGNAL[0]) / SIGNAL[1]).square()
        + ((log_noise - NOISE[0]) / NOISE[1]).square()
    )
    return torch.where(failed > 0, torch.full_like(likelihood, torch.nan), likelihood + 0.5 * prior)


def _safe_cholesky(covariance: Tensor, noise: Tensor) -> Tensor:
    """Cholesky factor of a covariance plus noise, with more noise where rounding has made it indefinite."""
    extra = 0.0
    for _ in range(8):
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(covariance + torch.diag(noise + extra))
        if not int(failed):
            return factor
        extra = max(extra * 10.0, FLOOR * float(covariance.diagonal().mean()))
    raise DataError("the covariance of the data cannot be factorised.", mend="Look for outcomes of absurd size.")


def _warm_theta(warm: Mapping[str, Any] | None, d: int) -> Tensor | None:
    """The warm start as a tensor, unless it belongs to other columns."""
    theta: Sequence[float] | None = None if warm is None else warm.get("theta")
    if theta is None or len(theta) != d + 3 or not all(math.isfinite(value) for value in theta):
        return None
    return torch.tensor(theta, dtype=torch.float64)


def _matrix(columns: ArrayLike, d: int | None = None) -> Array:
    x = np.array(columns, dtype=np.float64)
    if x.ndim != 2 or (d is not None and x.shape[1] != d):
        raise DataError(f"columns must be a matrix{'' if d is None else f' with {d} columns'}, not of shape {x.shape}.")
    if not np.isfinite(x).all():
        raise DataError("columns must be finite.", field="columns")
    return x


def _checked(
    columns: ArrayLike, outcomes: ArrayLike, sem: ArrayLike | None, inflation: ArrayLike | None
) -> tuple[Array, Array, Array, Array]:
    x = _matrix(columns)
    y = np.array(outcomes, dtype=np.float64)
    if y.shape != (len(x),):
        raise DataError(f"{len(x)} rows of columns, but outcomes of shape {y.shape}.", field="outcomes")
    if not len(y):
        raise DataError("there are no data to fit.", field="outcomes")
    if not np.isfinite(y).all():
        raise DataError("outcomes must be finite.", field="outcomes", mend="Leave out what is not measured yet.")
    relative = np.zeros(len(y)) if sem is None else np.nan_to_num(np.array(sem, dtype=np.float64), nan=0.0)
    inflate = np.ones(len(y)) if inflation is None else np.array(inflation, dtype=np.float64)
    if relative.shape != y.shape or not (np.isfinite(relative).all() and (relative >= 0).all()):
        raise DataError("sem must be one finite, non-negative number a row, or NaN.", field="sem")
    if inflate.shape != y.shape or not (np.isfinite(inflate).all() and (inflate >= 1).all()):
        raise DataError("inflation must be one finite factor of 1 or more a row.", field="inflation")
    return x, y, relative, inflate
