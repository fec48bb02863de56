"""An average over processes with different, likely hyperparameters: the Bayesian treatment where data are few."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from surrogates.fantasies import Fantasies
from surrogates.gaussian_process import GaussianProcess
from surrogates.scaling import Scale
from surrogates.surrogate import Array, Belief, Covariance, Path


class Mixture:
    """Equally likely Gaussian processes over the same data.

    Its moments are those of the mixture. Joint samples and paths are shared out among the members, so that averages
    over them are averages over hyperparameters too.
    """

    def __init__(self, members: Sequence[GaussianProcess], best: GaussianProcess) -> None:
        """Take the members, and the process of the most probable hyperparameters, which warm-starts later fits."""
        self.members, self.best = tuple(members), best

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
        return _mixed([member.predict(columns, noise=noise) for member in self.members])

    def leave_one_out(self) -> Belief:
        """Prediction of each row from all others, with noise and unchanged hyperparameters; (n,)."""
        return _mixed([member.leave_one_out() for member in self.members])

    def moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean (m,) and variance (m,) of the noise-free function, standardised, differentiable."""
        means, variances = zip(*(member.moments(a) for member in self.members), strict=True)
        stacked = torch.stack(means)
        return stacked.mean(0), torch.stack(variances).mean(0) + stacked.var(0, unbiased=False)

    def measurement_variance(self, a: Tensor) -> Tensor:
        """(m,) variance of a new measurement on a new sample about the function, standardised."""
        return torch.stack([member.measurement_variance(a) for member in self.members]).mean(0)

    def covariance_with(self, points: Tensor) -> Covariance:
        """Posterior covariances of the noise-free function at encoded points (k, d) with any others, standardised."""
        parts = [member.covariance_with(points) for member in self.members]
        here = torch.stack([member.moments(points)[0] for member in self.members])
        here = here - here.mean(0)

        def covariance(others: Tensor) -> Tensor:
            there = torch.stack([member.moments(others)[0] for member in self.members])
            between = here.T @ (there - there.mean(0)) / len(self.members)
            return torch.stack([part(others) for part in parts]).mean(0) + between

        return covariance

    def fantasies(self, points: Tensor, samples: int, seed: int) -> MixedFantasies:
        """Joint samples at encoded points (b, d), shared out among the members."""
        return MixedFantasies(self, points, samples, seed)

    def path(self, samples: int, seed: int) -> Path:
        """Whole functions drawn from the posterior, shared out among the members."""
        shares = self.shares(samples, seed)
        paths = [self.members[i].path(count, seed + 1 + i) for i, count in shares]
        return lambda points: torch.cat([path(points) for path in paths])

    def shares(self, samples: int, seed: int) -> list[tuple[int, int]]:
        """Members and their number of samples; where these are fewer than members, another few with each seed."""
        count = len(self.members)
        order = np.random.default_rng(seed).permutation(count)
        each, more = divmod(samples, count)
        numbers = [each + (position < more) for position in range(count)]
        return [(int(i), number) for i, number in zip(order, numbers, strict=True) if number]

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


class MixedFantasies:
    """Joint samples, some from each member of a mixture.

    Attributes:
        values: (samples, b), in the units of the data.
    """

    def __init__(self, mixture: Mixture, points: Tensor, samples: int, seed: int) -> None:
        self._counts = [count for _, count in mixture.shares(samples, seed)]
        self._parts: list[Fantasies] = [
            mixture.members[i].fantasies(points, count, seed + 1 + i) for i, count in mixture.shares(samples, seed)
        ]
        self.values = torch.cat([part.values for part in self._parts])

    def given(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (samples, m) and standard deviation (samples, m) at candidates (m, d), given each sample."""
        means, stds = zip(*(part.given(candidates) for part in self._parts), strict=True)
        spread = [std.expand(count, -1) for std, count in zip(stds, self._counts, strict=True)]
        return torch.cat(means), torch.cat(spread)


def _mixed(beliefs: Sequence[Belief]) -> Belief:
    means: Array = np.stack([b.mean for b in beliefs])
    variances: Array = np.stack([b.std for b in beliefs]) ** 2
    return Belief(means.mean(0), np.sqrt(variances.mean(0) + means.var(0)))
