"""How good outcomes are, as one number: a single objective, or several weighed at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from acquisition.beliefs import Beliefs
from acquisition.functions import NOTHING
from acquisition.hypervolume import reference_point
from acquisition.improvement import feasible, log_probability, utility
from acquisition.objectives import OutcomeConstraint
from acquisition.problem import Array, Problem

AUGMENTED: Final = 0.05
"""Share of the plain sum in a Chebyshev scalarisation: keeps weakly dominated points from drawing level."""

SOFTNESS: Final = 0.05
"""Excesses and slacks are smoothed over this share of the outcomes' typical differences."""


@dataclass(frozen=True, eq=False)
class Merit:
    """Maps utilities (..., objectives) to numbers (...), more is better, of order one.

    One objective: its utility in units of typical differences. Several: the augmented Chebyshev function
    ``min_k w_k z_k + 0.05 sum_k w_k z_k`` of what exceeds the reference, in units of the front's range, with weights
    drawn for each proposal anew. The optima of all weights are the whole front, whatever its shape (Knowles, IEEE
    Trans. Evol. Comput. 10, 50 (2006)); the weights are those whose average is the hypervolume (Zhang & Golovin, ICML
    2020).

    Attributes:
        reference: (objectives,) utilities that count as zero.
        span: (objectives,) utilities above them that count as one.
        weights: (objectives,) at most 1.
    """

    reference: Tensor
    span: Tensor
    weights: Tensor

    def __call__(self, utilities: Tensor) -> Tensor:
        """Merit of utilities (..., objectives)."""
        weighed = self.weights * (utilities - self.reference) / self.span
        return weighed.amin(-1) + AUGMENTED * weighed.sum(-1)


def draw_merit(beliefs: Beliefs, anchors: Array, generator: np.random.Generator) -> Merit:
    """The merit for one proposal, scaled by what the models expect at anchors (a, c), a at least 1."""
    problem = beliefs.problem
    points = torch.from_numpy(anchors)
    means = {metric: model.moments(points)[0] for metric, model in beliefs.models.items()}
    expected = utilities(problem, means)
    widths = torch.tensor([beliefs.models[o.metric].width for o in problem.objectives], dtype=torch.float64)
    count = len(problem.objectives)
    if count == 1:
        return Merit(expected.amax(0), widths, torch.ones(1, dtype=torch.float64))
    reference = reference_point(expected[None], within(problem, means)[None], problem.objectives)
    span = torch.maximum(expected.amax(0) - reference, 0.1 * widths)
    direction = np.maximum(np.abs(generator.standard_normal(count)), 1e-3)
    return Merit(reference, span, torch.from_numpy(direction.min() / direction))


def utilities(problem: Problem, values: Mapping[str, Tensor]) -> Tensor:
    """Utilities (..., objectives) of values (...) by metric."""
    return torch.stack([utility(o, values[o.metric]) for o in problem.objectives], -1)


def within(problem: Problem, values: Mapping[str, Tensor]) -> Tensor:
    """Whether values (...) by metric keep all outcome constraints, (...)."""
    good = torch.ones_like(values[problem.objectives[0].metric], dtype=torch.bool)
    for constraint in problem.outcome_constraints:
        good &= feasible(constraint, values[constraint.metric])
    return good


def best_known(merit: Tensor, good: Tensor) -> Tensor:
    """The highest merit (b,) among good ones; where none is, the lowest of all, so that any may gain."""
    return torch.where(good, merit, merit.amin()).amax()


def log_excess(merit: Tensor, level: Tensor) -> Tensor:
    """Log of the positive part of ``merit - level``, smoothed to stay finite and strictly rising.

    Its maximum is that of the merit; as a logarithm of a gain it can be weighed with probabilities and costs.
    """
    scaled = (merit - level) / SOFTNESS
    # softplus is exp(z) far below zero, its logarithm z
    log: Tensor = torch.where(scaled < -30.0, scaled, torch.nn.functional.softplus(scaled.clamp_min(-30.0)).log())
    return log + float(np.log(SOFTNESS))


def log_kept(constraints: Sequence[OutcomeConstraint], moments: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor | float:
    """Log of the probability that outcomes with these moments (m,) by metric keep the constraints; finite."""
    total: Tensor | float = 0.0
    for constraint in constraints:
        log = log_probability(constraint, *moments[constraint.metric])
        total = total + torch.nan_to_num(log, nan=NOTHING, neginf=NOTHING).clamp_min(NOTHING)
    return total
