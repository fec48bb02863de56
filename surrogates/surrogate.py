"""What every surrogate can do: the protocol that acquisition functions rely on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from surrogates.scaling import Scale

Array: TypeAlias = NDArray[np.float64]
Path: TypeAlias = Callable[[Tensor], Tensor]
"""Joint draws of the noise-free function: encoded points (m, d) to values (samples, m), differentiable."""
Covariance: TypeAlias = Callable[[Tensor], Tensor]
"""Posterior covariances of fixed points with encoded points (m, d): (k, m), standardised, differentiable."""
NoiseField: TypeAlias = Callable[[Tensor], Tensor]
"""Encoded points (m, d) to factors (m,) on the learned noise variance."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What a model expects: ``mean`` and ``std`` (one standard deviation), both (m,), in the units of the data."""

    mean: Array
    std: Array


class Draws(Protocol):
    """Joint samples of the noise-free function at some points, and everything else given them.

    Attributes:
        values: (samples, b), in the units of the data.
    """

    values: Tensor

    def given(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (samples, m), and standard deviation (m,) or (samples, m), at candidates (m, d) given each sample.

        In the units of the data, differentiable.
        """
        ...


class Normal(Protocol):
    """What joint samples are made of: a function whose values are jointly normal; tensors, standardised."""

    scale: Scale

    def whitened(self, a: Tensor) -> Tensor:
        """Points (m, d) in the form in which covariances are products."""
        ...

    def moments_and_white(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (m,) and variance (m,), and the points' whitened form."""
        ...

    def covariance(self, a: Tensor, b: Tensor, white_a: Tensor, white_b: Tensor) -> Tensor:
        """(m, k) covariance, given the whitened forms."""
        ...


@runtime_checkable
class Surrogate(Protocol):
    """A fitted model of one metric."""

    @property
    def scale(self) -> Scale:
        """Between standardised outcomes and the units of the data."""
        ...

    @property
    def noise(self) -> float:
        """One standard deviation of the noise beyond the stated one, in the units of the data."""
        ...

    def predict(self, columns: ArrayLike, *, noise: bool = False) -> Belief:
        """Belief about the noise-free function at (m, d), or about new measurements where ``noise`` is set."""
        ...

    def leave_one_out(self) -> Belief:
        """Prediction of each row from all others, with noise and unchanged hyperparameters; (n,)."""
        ...

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean (m,) and variance (m,) of the noise-free function, standardised, differentiable."""
        ...

    def fantasies(self, points: Tensor, samples: int, seed: int) -> Draws:
        """Joint samples at encoded points (b, d), b at least 1."""
        ...

    def path(self, samples: int, seed: int) -> Path:
        """Whole functions drawn from the posterior."""
        ...

    def covariance_with(self, points: Tensor) -> Covariance:
        """Posterior covariance of the noise-free function at encoded points (k, d) with any others."""
        ...

    def state(self) -> dict[str, Any]:
        """What warm-starts a later fit, as JSON values."""
        ...

    def describe(self) -> str:
        """What the model is and why, in a sentence for people."""
        ...
