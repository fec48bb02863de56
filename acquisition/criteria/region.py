"""A trust region's life, replayed from the observations: pure, whatever was stored or lost in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from acquisition.criteria.merit import utilities
from acquisition.encoding import Encoding
from acquisition.problem import Array, Problem

PROGRESS: Final = 1e-3
"""Less than this share of the range of all outcomes is no improvement."""

FAR: Final = 1e4
"""Log gain that a point outside the region loses; more than gains differ by."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a region changes; lengths are shares of the parameters' ranges.

    Attributes:
        start: length of a new region.
        shortest: a region that would become shorter has converged: the search starts again elsewhere.
        longest: no region becomes longer.
        successes: so many improvements in a row double the length.
        failures: so many experiments in a row without one halve it.
        design: experiments of each new region before its model is trusted.
    """

    start: float
    shortest: float
    longest: float
    successes: int
    failures: int
    design: int


@dataclass(frozen=True, slots=True)
class Region:
    """The region as it is after some observations.

    Attributes:
        first: the observation with which it began.
        length: of its sides.
        successes: improvements in a row.
        failures: experiments in a row without improvement.
        number: of the region, from 1.
        best: how good its best observation is: minus the violation of outcome constraints, then the utility.
    """

    first: int
    length: float
    successes: int = 0
    failures: int = 0
    number: int = 1
    best: tuple[float, float] = (-np.inf, -np.inf)


def replay(problem: Problem, rules: Rules) -> Region:
    """The region after all observations in the order in which they became known.

    Doubling and halving by successes and failures in a row, and starting again when the region has become too small
    (Eriksson et al., NeurIPS 32 (2019), TuRBO), experiment by experiment, so that batches and results that come late
    need no rule of their own. Keeping the outcome constraints comes first, then the objective (Eriksson & Poloczek,
    AISTATS 2021). Observations that lack a metric count neither way.
    """
    merits, violations = scored(problem)
    region = Region(0, rules.start)
    seen = merits[np.isfinite(merits)]
    least = PROGRESS * float(np.ptp(seen)) if len(seen) else 0.0
    for row, (merit, violation) in enumerate(zip(merits, violations, strict=True)):
        if not (np.isfinite(merit) and np.isfinite(violation)):
            continue
        rank = (-float(violation), float(merit))
        better = rank[0] > region.best[0] or (rank[0] == region.best[0] and rank[1] > region.best[1] + least)
        best = max(rank, region.best)
        if row - region.first < rules.design:
            region = replace(region, best=best)
            continue
        region = _counted(region, rules, better, best)
        if region.length < rules.shortest:
            region = Region(row + 1, rules.start, number=region.number + 1)
    return region


def _counted(region: Region, rules: Rules, better: bool, best: tuple[float, float]) -> Region:
    """The region after one more experiment in it."""
    successes, failures = (region.successes + 1, 0) if better else (0, region.failures + 1)
    length = region.length
    if successes >= rules.successes:
        length, successes = min(2.0 * length, rules.longest), 0
    elif failures >= rules.failures:
        length, failures = 0.5 * length, 0
    return replace(region, length=length, successes=successes, failures=failures, best=best)


def scored(problem: Problem) -> tuple[Array, Array]:
    """Utility of the one objective, and by how much outcome constraints are missed, in ranges of their metrics; (n,).

    NaN where a metric is not measured.
    """
    values = {metric: torch.from_numpy(problem.observations.values[metric]) for metric in problem.metrics}
    violation = torch.zeros(len(problem.observations), dtype=torch.float64)
    for constraint in problem.outcome_constraints:
        value = values[constraint.metric]
        known = value[torch.isfinite(value)]
        span = float(known.amax() - known.amin()) if len(known) else 0.0
        lower = -np.inf if constraint.lower is None else constraint.lower
        upper = np.inf if constraint.upper is None else constraint.upper
        missed = torch.maximum(lower - value, value - upper)
        violation = violation + torch.where(missed > 0.0, missed, 0.0 * value) / (span or 1.0)
    return utilities(problem, values)[:, 0].numpy(), violation.numpy()


class Box:
    """Whether points lie in a region about a centre: numbers and fractions within half its length of the centre's.

    Of the categories, a share as large as the length may differ from the centre's, at least one (Wan et al., ICML
    2021).
    """

    def __init__(self, encoding: Encoding, centre: Array, length: float, categories: list[int]) -> None:
        """Take a centre (c,) and the positions of the categories' columns."""
        self._encoding, self._length, self._categories = encoding, length, categories
        self._numbers = [i for i, kind in enumerate(encoding.kinds) if kind in ("continuous", "fraction")]
        self._centre = torch.from_numpy(centre[None, :])
        self._encoded = encoding(self._centre)[:, self._numbers]
        self._allowed = max(1, int(length * len(categories)))

    def beyond(self, points: Tensor) -> Tensor:
        """How far native points (m, c) lie outside, (m,); 0 inside."""
        gap = (self._encoding(points)[:, self._numbers] - self._encoded).abs() - 0.5 * self._length
        outside = gap.clamp_min(0.0).sum(1)
        if self._categories:
            columns = points[:, self._categories].detach() != self._centre[:, self._categories]
            outside = outside + (columns.sum(1) - self._allowed).clamp_min(0)
        return outside

    def penalty(self, points: Tensor) -> Tensor:
        """What a log gain loses outside, (m,): always more than gains differ by, and more the farther out."""
        outside = self.beyond(points)
        return torch.where(outside > 1e-9, FAR * (1.0 + outside), torch.zeros_like(outside))
