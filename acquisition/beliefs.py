"""What the models believe about a problem: one surrogate a metric, and where experiments are likely to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acquisition.encoding import Encoding
from acquisition.improvement import feasible, log_probability, utility
from acquisition.problem import Array, Problem
from surrogates.gaussian_process import GaussianProcess
from surrogates.surrogate import Belief, Covariance, Draws, Path, Surrogate

MOST_KNOWN = 128
"""The best value so far is sampled among so many of the most promising measured points."""


@dataclass(frozen=True, eq=False)
class Model:
    """A surrogate with the encoding of its inputs: it takes points in the native form of the space.

    Attributes:
        encoding: native points to columns.
        surrogate: fitted to these columns.
    """

    encoding: Encoding
    surrogate: Surrogate

    @property
    def width(self) -> float:
        """Size of typical differences between outcomes, in their unit."""
        return self.surrogate.scale.width

    def predict(self, points: Array, *, noise: bool = False) -> Belief:
        """Belief about native points (m, c), see :meth:`surrogates.surrogate.Surrogate.predict`."""
        return self.surrogate.predict(self.encoding(points), noise=noise)

    def moments(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (m,) of the noise-free function at native points, in units of the data."""
        mean, variance = self.surrogate.moments(self.encoding(points))
        scale = self.surrogate.scale
        return scale.centre + scale.width * mean, scale.width * variance.sqrt()

    def fantasies(self, points: Array, samples: int, seed: int) -> Fantasy:
        """Joint samples at native points (b, c)."""
        columns = torch.from_numpy(self.encoding(points))
        return Fantasy(self.encoding, self.surrogate.fantasies(columns, samples, seed))

    def path(self, samples: int, seed: int) -> Path:
        """Functions drawn from the posterior, of native points."""
        path = self.surrogate.path(samples, seed)
        return lambda points: path(self.encoding(points))

    def covariance_with(self, points: Array) -> Covariance:
        """Posterior covariance of the noise-free function at native points (k, c) with others; standardised."""
        covariance = self.surrogate.covariance_with(torch.from_numpy(self.encoding(points)))
        return lambda others: covariance(self.encoding(others))


@dataclass(frozen=True, eq=False)
class Fantasy:
    """Joint samples with the encoding of their model; see :class:`surrogates.surrogate.Draws`."""

    encoding: Encoding
    draws: Draws

    @property
    def values(self) -> Tensor:
        """(samples, b), in the units of the data."""
        return self.draws.values

    def given(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (samples, m) and standard deviation at native points (m, c), given each sample."""
        return self.draws.given(self.encoding(points))


Models: TypeAlias = Mapping[str, Model]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed about a problem.

    Attributes:
        problem: as given.
        models: by metric.
        works: model of 1 (worked) and 0 (failed); ``None`` where nothing failed.
        options: how the surrogates were made.
    """

    problem: Problem
    models: Models
    works: Model | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def log_success(self, points: Tensor) -> Tensor:
        """Log of the probability that an experiment works, (m,); never minus infinity, so that nothing is forbidden.

        A Gaussian process over 1 (worked) and 0 (failed), read as a probit.
        """
        if self.works is None:
            return points.new_zeros(len(points))
        mean, std = self.works.moments(points)
        log: Tensor = torch.special.log_ndtr((mean - 0.5) / std)
        return log

    def state(self) -> dict[str, Any]:
        """What warm-starts the fits of the next ask."""
        return {metric: model.surrogate.state() for metric, model in self.models.items()}


def fit(problem: Problem, options: Mapping[str, Any] | None = None) -> Beliefs:
    """Fit a surrogate to each metric, from the rows where it was measured, and one to where experiments failed."""
    warm: Mapping[str, Any] = problem.state.get("models") or {}
    observations, encoding = problem.observations, problem.space.encoding
    columns = encoding(observations.points)
    models = {}
    for metric in problem.metrics:
        values = observations.values[metric]
        rows = np.isfinite(values)
        surrogate = GaussianProcess.fit(
            columns[rows],
            values[rows],
            sem=observations.sems[metric][rows],
            inflation=observations.inflation[rows],
            warm=warm.get(metric),
        )
        models[metric] = Model(encoding, surrogate)
    return Beliefs(problem, models, _success(problem), options or {})


def _success(problem: Problem) -> Model | None:
    if not len(problem.failed):
        return None
    worked = problem.observations.points
    labels = np.concatenate([np.ones(len(worked)), np.zeros(len(problem.failed))])
    encoding = problem.space.encoding
    return Model(encoding, GaussianProcess.fit(encoding(np.vstack([worked, problem.failed])), labels))


def promising(problem: Problem, models: Models, most: int = MOST_KNOWN) -> Array:
    """Measured points that the best value so far may be at, the best by the model first; (k, c), k at most ``most``.

    Always kept are those that the model's means put on the front of the feasible ones (evenly thinned, if it is very
    long); the rest are the most optimistic about utility and feasibility.
    """
    points = problem.observations.points
    beliefs = {m: model.predict(points) for m, model in models.items()}
    mean = {m: torch.from_numpy(b.mean) for m, b in beliefs.items()}
    std = {m: torch.from_numpy(b.std) for m, b in beliefs.items()}
    utilities = torch.stack([utility(o, mean[o.metric]) / models[o.metric].width for o in problem.objectives], 1)
    hope = utilities + torch.stack([std[o.metric] / models[o.metric].width for o in problem.objectives], 1)
    possible = torch.zeros(len(points), dtype=torch.float64)
    good = torch.ones(len(points), dtype=torch.bool)
    for constraint in problem.outcome_constraints:
        good &= feasible(constraint, mean[constraint.metric])
        possible += log_probability(constraint, mean[constraint.metric], std[constraint.metric])
    order = torch.argsort(-(hope.sum(1) + possible), stable=True).numpy()
    front = _front(utilities.numpy(), good.numpy(), most)
    return points[list(dict.fromkeys([*front, *order]))[:most]]


def _front(utilities: Array, good: NDArray[np.bool_], most: int) -> Sequence[int]:
    """Rows of the non-dominated good points, best first along the first objective, at most half of ``most``."""
    rows = np.flatnonzero(good)
    rivals = utilities[rows]
    kept = [
        int(row) for row in rows if not ((rivals >= utilities[row]).all(1) & (rivals > utilities[row]).any(1)).any()
    ]
    kept.sort(key=lambda row: -utilities[row, 0])
    if len(kept) > most // 2:
        kept = [kept[i] for i in np.unique(np.linspace(0, len(kept) - 1, most // 2).round().astype(int))]
    return kept
