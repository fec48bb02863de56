"""An average over processes with different, likely hyperparameters: the Bayesian treatment where data are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from surrogates.data import matrix
from surrogates.gaussian_process import GaussianProcess, predicted
from surrogates.scaling import Scale
from surrogates.stack import Stack, StackFantasies
from surrogates.surrogate import Array, Belief, Covariance, Path


class Mixture:
    """Equally likely Gaussian processes over the same data.

    Its moments are those of the mixture. Joint samples and paths are shared out among the members, so that averages
    over them are averages over hyperparameters too.
    """

    def __init__(self, members: Sequence[GaussianProcess], best: GaussianProcess) -> None:
        """Take the members, and the process of the most probable hyperparameters, which warm-starts later fits."""
        self.members, self.best = tuple(members), best
        self._stack = Stack(self.members)

    @property
    def scale(self) -> Scale:
        """Between standardised outcomes and the units of the data."""
        return self.best.scale

    @property
    def noise(self) -> float:
        """One standard deviation of the noise beyond the stated one, in the units of the data."""
        return math.sqrt(sum(m.noise**2 for m in self.members) / len(self.members))

    @property
    def between(self) -> float:
        """One standard deviation between samples, in the units of the data."""
        return math.sqrt(sum(m.between**2 for m in self.members) / len(self.members))

    def predict(self, columns: ArrayLike, *, noise: bool = False) -> Belief:
        """Belief about the noise-free function at (m, d), or about new measurements where ``noise`` is set."""
        x = torch.from_numpy(matrix(columns, self.best.columns.shape[-1]))
        return predicted(self, x, len(self.best.rows) * len(self.members), noise)

    def leave_one_out(self) -> Belief:
        """Prediction of each row from all others, with noise and unchanged hyperparameters; (n,)."""
        return _mixed([member.leave_one_out() for member in self.members])

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean (m,) and variance (m,) of the noise-free function, standardised, differentiable."""
        means, variances = self._stack.moments(a)
        mean = means.mean(0)
        return mean, variances.mean(0) + (means - mean).square().mean(0)

    def measurement_variance(self, a: Tensor) -> Tensor:
        """(m,) variance of a new measurement on a new sample about the function, standardised."""
        return torch.stack([member.measurement_variance(a) for member in self.members]).mean(0)

    def covariance_with(self, points: Tensor) -> Covariance:
        """Posterior covariances of the noise-free function at encoded points (k, d) with any others, standardised."""
        here, _, white = self._stack.moments_and_white(points)
        here = here - here.mean(0)

        def covariance(others: Tensor) -> Tensor:
            there, _, white_there = self._stack.moments_and_white(others)
            between = here.T @ (there - there.mean(0)) / len(self.members)
            return self._stack.covariance(points, others, white, white_there).mean(0) + between

        return covariance

    def fantasies(self, points: Tensor, samples: int, seed: int) -> StackFantasies:
        """Joint samples at encoded points (b, d), shared out among the members."""
        return StackFantasies(self._stack, points, samples, seed)

    def path(self, samples: int, seed: int) -> Path:
        """Whole functions drawn from the posterior, shared out among the members."""
        count = len(self.members)
        order = np.random.default_rng(seed).permutation(count)
        paths = [
            self.members[int(i)].path(share, seed + 1 + int(i))
            for position, i in enumerate(order)
            if (share := samples // count + (position < samples % count))
        ]
        return lambda points: torch.cat([path(points) for path in paths])

    def sample_effect(self, sample: int) -> tuple[float, float]:
        """Mean and standard deviation of what a sample adds to its measurements, in the units of the data."""
        effects = np.array([member.sample_effect(sample) for member in self.members])
        mean = effects[:, 0].mean()
        return float(mean), float(np.sqrt((effects[:, 1] ** 2 + effects[:, 0] ** 2).mean() - mean**2))

    def on_sample(self, sample: int) -> Mixture:
        """The same, of measurements on one known sample."""
        return Mixture([member.on_sample(sample) for member in self.members], self.best.on_sample(sample))

    def extended(
        self, columns: ArrayLike, outcomes: ArrayLike, sem: ArrayLike | None = None, sample: ArrayLike | None = None
    ) -> Mixture:
        """With more data and the same hyperparameters, see :meth:`GaussianProcess.extended`."""
        members = [member.extended(columns, outcomes, sem, sample) for member in self.members]
        return Mixture(members, self.best.extended(columns, outcomes, sem, sample))

    def state(self) -> dict[str, Any]:
        """What warm-starts a later fit, as JSON values."""
        return self.best.state()

    def describe(self) -> str:
        """What the model is and why, in a sentence for people."""
        return f"average over {len(self.members)} likely sets of hyperparameters; {self.best.describe()}"


def _mixed(beliefs: Sequence[Belief]) -> Belief:
    means: Array = np.stack([b.mean for b in beliefs])
    variances: Array = np.stack([b.std for b in beliefs]) ** 2
    return Belief(means.mean(0), np.sqrt(variances.mean(0) + means.var(0)))
