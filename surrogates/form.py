"""The form of a covariance: which terms it has, where their hyperparameters stand, and what is thought of these before.

All hyperparameters are logarithms, in standardised outcomes and columns of order one. The covariance of two rows is

    s0^2 M(r0) + sum_p sp^2 M(rp) + mean variance + tau^2 [same sample] + a^2 exp(-lag / time) + noise [same row]

with M the Matern-5/2 kernel, r0 a distance over all columns and rp one over the columns of one parameter (additive
forms only). Lengthscales of the full term share an unknown centre m: log l ~ N(m, SPREAD^2), m ~ N(CENTRE). The centre
is integrated out, which leaves a normal prior with correlated lengthscales.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from surrogates.data import Data

# (mean of the logarithm, its standard deviation)
CENTRE: Final = (math.log(0.6), 0.6)  # the common centre of the lengthscales
SPREAD: Final = 0.8  # of the log lengthscales around it
PART: Final = (0.0, 1.0)  # lengthscales of the terms of one parameter
SIGNAL: Final = (0.0, 0.7)  # standard deviation of the signal
NOISE: Final = (math.log(0.1), 1.0)  # standard deviation of the noise beyond the stated one
SAMPLE: Final = (math.log(0.3), 1.0)  # standard deviation between samples
DRIFT: Final = (math.log(0.3), 1.0)  # standard deviation of the drift
DRIFT_TIME: Final = (math.log(30.0), 1.0)  # rows over which it forgets
GLOBAL_SHRINKAGE: Final = 0.1  # scale of the half-Cauchy prior on tau (Eriksson & Jankowiak 2021, eq. 8)
MEAN_VARIANCE: Final = 1.0  # of the constant mean
FLOOR: Final = 1e-6  # noise variance that is always there; keeps factorisations well conditioned


@dataclass(frozen=True)
class Form:
    """Which terms a covariance has.

    Attributes:
        lengths: (d,) index of the lengthscale that each column uses in the full term.
        parts: for additive forms, the lengthscales of each parameter, as indices into those of the full term.
        saas: sparse axis-aligned prior on the lengthscales in place of the common centre.
        samples: a random effect for each sample.
        drift: the level wanders with the order of telling.
    """

    lengths: tuple[int, ...]
    parts: tuple[tuple[int, ...], ...] = ()
    saas: bool = False
    samples: bool = False
    drift: bool = False

    @classmethod
    def of(cls, data: Data, kernel: str, *, samples: bool = False, drift: bool = False) -> Form:
        """The form for data: columns of one category share a lengthscale, all others have their own."""
        known: dict[tuple[str, str], int] = {}
        lengths = []
        for j, (kind, group) in enumerate(zip(data.kinds, data.groups, strict=True)):
            key = (group, kind) if kind == "category" else (group, f"{kind} {j}")
            lengths.append(known.setdefault(key, len(known)))
        parts: tuple[tuple[int, ...], ...] = ()
        if kernel == "additive":
            names = list(dict.fromkeys(data.groups))
            members = [[lengths[j] for j, g in enumerate(data.groups) if g == name] for name in names]
            parts = tuple(tuple(sorted(set(m))) for m in members) if len(names) > 1 else ()
        return cls(tuple(lengths), parts, kernel == "saas", samples, drift)

    @cached_property
    def blocks(self) -> Mapping[str, slice]:
        """Where the hyperparameters of each kind stand."""
        sizes = {
            "lengths": self.count,
            "part_lengths": sum(map(len, self.parts)),
            "shrinkage": int(self.saas),
            "signals": 1 + len(self.parts),
            "noise": 1,
            "sample": int(self.samples),
            "drift": 2 * int(self.drift),
        }
        ends = np.cumsum(list(sizes.values()))
        return {name: slice(int(end) - size, int(end)) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    @property
    def count(self) -> int:
        """Number of lengthscales of the full term."""
        return max(self.lengths, default=-1) + 1

    @property
    def size(self) -> int:
        """Number of hyperparameters."""
        return int(self.blocks["drift"].stop)

    @cached_property
    def prior(self) -> tuple[Tensor, Tensor]:
        """Mean (p,) and precision (p, p) of the normal prior; SAAS lengthscales have none here."""
        mean = torch.zeros(self.size, dtype=torch.float64)
        precision = torch.zeros(self.size, self.size, dtype=torch.float64)
        many = len(self.parts)
        normals = {
            "part_lengths": PART,
            "signals": SIGNAL if not many else (-0.5 * math.log(1.0 + many), 1.0),
            "noise": NOISE,
            "sample": SAMPLE,
        }
        for name, (middle, spread) in normals.items():
            where = self.blocks[name]
            mean[where] = middle
            precision[where, where] = torch.eye(where.stop - where.start, dtype=torch.float64) / spread**2
        if self.drift:
            first = self.blocks["drift"].start
            for offset, (middle, spread) in enumerate((DRIFT, DRIFT_TIME)):
                mean[first + offset] = middle
                precision[first + offset, first + offset] = spread**-2
        if not self.saas:
            where = self.blocks["lengths"]
            mean[where] = CENTRE[0]
            g = self.count
            covariance = SPREAD**2 * torch.eye(g, dtype=torch.float64) + CENTRE[1] ** 2
            precision[where, where] = torch.linalg.inv(covariance) if g else covariance
        return mean, precision

    @cached_property
    def members(self) -> tuple[tuple[int, int], ...]:
        """Term and lengthscale group of each entry of ``lengths`` and ``part_lengths``; term 0 is the full one."""
        full = [(0, g) for g in range(self.count)]
        return tuple(full + [(1 + p, g) for p, part in enumerate(self.parts) for g in part])

    def state(self, theta: Tensor) -> dict[str, list[float]]:
        """Hyperparameters (p,) as JSON values by kind."""
        return {
            name: [float(v) for v in theta[where]] for name, where in self.blocks.items() if where.stop > where.start
        }

    def restored(self, state: Any) -> Tensor | None:
        """Hyperparameters (p,) from :meth:`state`, those that are new at their prior mean.

        ``None`` if the lengthscales are not those of this form: the state belongs to other columns.
        """
        if not isinstance(state, Mapping) or len(state.get("lengths", ())) != self.count:
            return None
        theta = self.start()
        for name, where in self.blocks.items():
            values = state.get(name)
            if values is not None and len(values) == where.stop - where.start and all(map(math.isfinite, values)):
                theta[where] = torch.tensor(values, dtype=torch.float64)
        return theta

    def is_whole(self, state: Any) -> bool:
        """Whether a :meth:`state` has hyperparameters of just the kinds of this form."""
        return isinstance(state, Mapping) and set(state) == {n for n, w in self.blocks.items() if w.stop > w.start}

    def start(self, shift: float = 0.0, log_noise: float = NOISE[0]) -> Tensor:
        """A place to search from, (p,): the prior's centre, lengthscales shifted, with some noise."""
        theta = self.prior[0].clone()
        if self.saas:
            theta[self.blocks["shrinkage"]] = math.log(GLOBAL_SHRINKAGE)
            theta[self.blocks["lengths"]] = -0.5 * math.log(GLOBAL_SHRINKAGE)
        theta[self.blocks["lengths"]] += shift
        theta[self.blocks["noise"]] = log_noise
        return theta


def prior_energy(form: Form, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log prior density (b,), without its constant, and its gradient (b, p), at hyperparameters (b, p)."""
    mean, precision = form.prior
    off = theta - mean
    gradient = off @ precision
    value = 0.5 * (off * gradient).sum(-1)
    if not form.saas:
        return value, gradient
    # rho = l^-2 ~ half-Cauchy(tau), tau ~ half-Cauchy(0.1), both densities in logarithms (hence the Jacobians)
    lengths, where = theta[:, form.blocks["lengths"]], form.blocks["shrinkage"].start
    log_tau = theta[:, where]
    ratio = -2.0 * lengths - log_tau[:, None]
    value = value + (torch.nn.functional.softplus(2.0 * ratio) - ratio).sum(-1)
    pull = 2.0 * torch.sigmoid(2.0 * ratio) - 1.0
    gradient[:, form.blocks["lengths"]] += -2.0 * pull
    globally = log_tau - math.log(GLOBAL_SHRINKAGE)
    value = value + torch.nn.functional.softplus(2.0 * globally) - globally
    gradient[:, where] += -pull.sum(-1) + 2.0 * torch.sigmoid(2.0 * globally) - 1.0
    return value, gradient
