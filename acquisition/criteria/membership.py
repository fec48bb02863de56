"""How likely points are among the good ones, and how many good ones a measurement helps to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from acquisition.beliefs import Models
from acquisition.criteria.believer import Believer
from acquisition.functions import NOTHING
from acquisition.improvement import TINY, log_probability
from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Array

Moments = Mapping[str, tuple[Tensor, Tensor]]

NODES: Final = 5
"""Gauss-Hermite nodes for the outcome of one metric."""

JOINT: Final = 16
"""Quasi-random draws for the outcomes of several metrics."""

BISECTIONS: Final = 40


@dataclass(frozen=True)
class Good:
    """What counts as good: every one of some metrics lies within its bounds.

    Attributes:
        bounds: by metric; a metric may have several.
    """

    bounds: tuple[OutcomeConstraint, ...]

    def log_probability(self, moments: Moments) -> Tensor:
        """Log of the probability, of moments (...) by metric; finite."""
        total = torch.zeros((), dtype=torch.float64)
        for bound in self.bounds:
            log = log_probability(bound, *moments[bound.metric])
            total = total + torch.nan_to_num(log, nan=NOTHING, neginf=NOTHING).clamp_min(NOTHING)
        return total


def at_least(objective: Objective, utility: float) -> OutcomeConstraint:
    """The bound that a utility sets to its metric; of a target window, minus the distance that is allowed."""
    if objective.goal == "maximize":
        return OutcomeConstraint(objective.metric, lower=utility)
    if objective.goal == "minimize":
        return OutcomeConstraint(objective.metric, upper=-utility)
    low, high = objective.window
    return OutcomeConstraint(objective.metric, lower=low - max(-utility, 0.0), upper=high + max(-utility, 0.0))


def best_share(
    objective: Objective,
    constraints: Sequence[OutcomeConstraint],
    moments: Moments,
    number: float,
    works: Tensor | float = 1.0,
) -> Good:
    """The bound on the objective above which so many of the points with these moments (n,) are expected.

    Solved by bisection, since the expected number falls as the bound rises. Where constraints leave fewer points than
    that, all that keep them are good. ``works`` (n,) are the probabilities that experiments work there: what does not
    work is not good.
    """
    mean, std = moments[objective.metric]
    away = 6.0 * float(std.amax())
    if objective.goal == "target":
        middle = 0.5 * sum(objective.window)
        worst, best = -float((mean - middle).abs().amax()) - away, 0.0
    else:
        signed = mean if objective.goal == "maximize" else -mean
        worst, best = float(signed.amin()) - away, float(signed.amax()) + away
    for _ in range(BISECTIONS):
        middle = 0.5 * (worst + best)
        good = Good((at_least(objective, middle), *constraints))
        if float((good.log_probability(moments).exp() * works).sum()) > number:
            worst = middle
        else:
            best = middle
    return Good((at_least(objective, worst), *constraints))


class Finds:
    """How many good points a measurement helps to find: itself, and those that the next few would then be.

    Efficient non-myopic search (Jiang et al., ICML 2017, eq. 8): the probability that the point is good, plus, averaged
    over its possible outcomes, the summed probabilities of the points that would afterwards be the ``horizon`` most
    likely ones, less what that sum is now. A horizon of zero leaves the probability alone. Here outcomes are numbers,
    and the update of a Gaussian process by one of them is a closed form.
    """

    def __init__(
        self,
        models: Models,
        good: Good,
        rest: Array,
        waiting: Array,
        noise: Mapping[str, float],
        horizon: int,
        works: Tensor | float = 1.0,
    ) -> None:
        """Prepare for candidates.

        Args:
            models: by metric.
            good: what is sought.
            rest: (r, c) points that may be chosen afterwards; the most likely ones suffice.
            waiting: (k, c) points under way; they count as measured, at what is expected.
            noise: variance of one measurement by metric, standardised.
            horizon: number of measurements afterwards.
            works: (r,) probabilities that experiments work at the rest.
        """
        self._works = torch.as_tensor(works, dtype=torch.float64).expand(len(rest))
        self._models = {bound.metric: models[bound.metric] for bound in good.bounds}
        self._good, self._noise = good, noise
        self._rest = torch.from_numpy(rest)
        self._horizon = min(horizon, len(rest))
        self._whole = np.vstack([rest, waiting])
        self._count = len(rest)
        self._covariance = {m: model.covariance_with(self._whole) for m, model in self._models.items()}
        self._factor = {m: self._pending(m, waiting) for m in self._models} if len(waiting) else {}
        self._believed = {m: Believer(model, waiting) for m, model in self._models.items()}
        self._moments = {m: believed(self._rest) for m, believed in self._believed.items()}
        now = good.log_probability(self._moments).exp() * self._works
        self._now = float(now.topk(self._horizon).values.sum()) if self._horizon else 0.0
        self._nodes, self._weights = _nodes(len(self._models))

    def _pending(self, metric: str, waiting: Array) -> Tensor:
        among = self._covariance[metric](torch.from_numpy(waiting))[self._count :]
        lowest = self._noise[metric] + 1e-8 * float(among.diagonal().mean())
        factor: Tensor = torch.linalg.cholesky(among + lowest * torch.eye(len(among), dtype=among.dtype))
        return factor

    def log_now(self, candidates: Tensor) -> Tensor:
        """Log of the probability that native candidates (m, c) are good; (m,)."""
        return self._good.log_probability({m: believed(candidates) for m, believed in self._believed.items()})

    def __call__(self, candidates: Tensor) -> Tensor:
        """Log of the number of finds at native candidates (m, c); (m,), finite."""
        now = self.log_now(candidates)
        if not self._horizon:
            return now
        after: dict[str, tuple[Tensor, Tensor]] = {}
        for index, metric in enumerate(self._models):
            after[metric] = self._updated(metric, candidates, self._nodes[:, index])
        probability = self._good.log_probability(after).exp() * self._works[:, None]  # (nodes, r, m)
        same = (candidates[None, :, :] == self._rest[:, None, :]).all(-1)
        left = torch.where(same, 0.0, probability).topk(self._horizon, dim=1).values.sum(1)
        later = (self._weights[:, None] * left).sum(0) - self._now
        finds: Tensor = (now.exp() + later).clamp_min(TINY).log()
        return finds

    def _updated(self, metric: str, candidates: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (nodes, r, m) and deviation (r, m) at the rest, once each candidate's outcome is known."""
        model = self._models[metric]
        covariance = self._covariance[metric](candidates)
        cross = covariance[: self._count]
        _, std = model.moments(candidates)
        variance = (std / model.width).square()
        if self._factor:
            factor = self._factor[metric]
            white = torch.linalg.solve_triangular(factor, covariance[self._count :], upper=False)
            behind = self._covariance[metric](torch.from_numpy(self._whole[self._count :]))[: self._count]
            cross = cross - torch.linalg.solve_triangular(factor, behind.T, upper=False).T @ white
            variance = (variance - white.square().sum(0)).clamp_min(0.0)
        shift = cross / (variance + self._noise[metric]).clamp_min(1e-12).sqrt()
        mean, spread = self._moments[metric]
        left = ((spread / model.width).square()[:, None] - shift.square()).clamp_min(1e-12).sqrt()
        moved = mean[None, :, None] + model.width * shift[None] * nodes[:, None, None]
        return moved, model.width * left


def _nodes(metrics: int) -> tuple[Tensor, Tensor]:
    """Standard normal outcomes (nodes, metrics) and their weights (nodes,)."""
    if metrics == 1:
        x, w = np.polynomial.hermite_e.hermegauss(NODES)
        return torch.from_numpy(x[:, None]), torch.from_numpy(w / w.sum())
    sobol = torch.quasirandom.SobolEngine(metrics, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    uniform = sobol.draw(JOINT, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    return torch.special.ndtri(uniform), torch.full((JOINT,), 1.0 / JOINT, dtype=torch.float64)
