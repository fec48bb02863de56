"""Find as many good ones as possible: the best share of the space, or all above a level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from acquisition.criteria.believer import Believer
from acquisition.criteria.integrated import measurement_noise
from acquisition.criteria.membership import Finds, Good, at_least, best_share
from acquisition.errors import StrategyError
from acquisition.improvement import utility
from acquisition.maximise import Staged
from acquisition.objectives import Objective
from acquisition.problem import Array, Problem
from acquisition.strategies.model_based import Criterion, ModelBased, Situation

REFERENCES: Final = 20_000
"""Larger spaces are represented by so many points."""

RIVALS: Final = 256
"""Points that the next measurements may be chosen from, the most likely ones."""

KEEP: Final = 48
"""Candidates that are looked ahead from."""

FARTHEST: Final = 20
UNKNOWN: Final = 1


class Discover(ModelBased):
    """Finds many good points, where other strategies look for the best one.

    A point is good if it belongs to the best ``share`` of the space, or reaches the ``level``. The share's bound is not
    known: it is where the expected number of points above it, measured ones included, is that share. The point chosen
    is the one that leads to the most good ones: itself, and those that the next ``horizon`` measurements would find
    with what it teaches (efficient non-myopic search, Jiang et al., ICML 2017).

    Args:
        share: of the space, above 0 and below 1.
        level: in place of a share: the metric's value from which on a point is good; a mapping for several objectives,
            whose ``reference`` stands in where it names none.
        horizon: measurements that are looked ahead, 0 for none. Without it 20, but never more than are left of a
            budget; where none is known 1, since looking far ahead up to the last experiment wastes the end.
        model: see :class:`ModelBased`.
    """

    what = "number of good ones to be found"

    def __init__(
        self,
        share: float = 0.01,
        level: float | Mapping[str, float] | None = None,
        horizon: int | None = None,
        *,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model=model)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 < share < 1.0:
            raise StrategyError("share must be above 0 and below 1.", field="strategy.options.share")
        if horizon is not None and (isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 0):
            raise StrategyError("horizon must be a whole number, 0 or more.", field="strategy.options.horizon")
        values = list(level.values()) if isinstance(level, Mapping) else [] if level is None else [level]
        nothing = level is not None and not values
        if nothing or any(
            isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in values
        ):
            raise StrategyError("level must be a finite number, or one by metric.", field="strategy.options.level")
        self.share, self.horizon = float(share), horizon
        self.level = dict(level) if isinstance(level, Mapping) else level

    def check(self, problem: Problem) -> None:
        """Several objectives need levels, and levels need objectives."""
        super().check(problem)
        names = [objective.metric for objective in problem.objectives]
        if isinstance(self.level, dict):
            strange = [name for name in self.level if name not in names]
            if strange:
                raise StrategyError(
                    f"discover has a level for {strange[0]!r}, which is no objective.",
                    field="strategy.options.level",
                    mend=f"Objectives are {', '.join(names)}.",
                )
        missing = [objective.metric for objective in problem.objectives if self._level(objective) is None]
        if missing and len(names) > 1:
            raise StrategyError(
                f"discover with several objectives needs a level of each; {missing[0]!r} has none.",
                field="strategy.options.level",
                mend="Give `level` by metric, or a `reference` with the objective; for compromises use `hypervolume`.",
            )

    def _level(self, objective: Objective) -> float | None:
        if isinstance(self.level, dict):
            return self.level.get(objective.metric, objective.reference)
        return objective.reference if self.level is None else self.level

    def _single(self, problem: Problem) -> bool:
        """Whether a share decides; a level does wherever there is one. One objective's reference is no level."""
        return len(problem.objectives) == 1 and self.level is None

    def criterion(self, situation: Situation) -> Criterion:
        """Log of the number of good points to be found, on a shortlist by probability."""
        problem, models = situation.problem, situation.beliefs.models
        points, size = self._references(problem)
        believed = {m: Believer(model, situation.waiting) for m, model in models.items()}
        moments = {m: believer(torch.from_numpy(points)) for m, believer in believed.items()}
        works = situation.beliefs.log_success(torch.from_numpy(points))
        good = self._good(problem, moments, size, works.exp())
        log = (good.log_probability(moments) + works).numpy()
        likely = self._likely(problem, log, points, situation.waiting)
        noise = measurement_noise(problem, models, likely[:64] if len(likely) else points[:64])
        success = situation.beliefs.log_success(torch.from_numpy(likely)).exp()
        finds = Finds(models, good, likely, situation.waiting, noise, self._ahead(situation), success)
        return Staged(finds.log_now, finds, KEEP)

    def _ahead(self, situation: Situation) -> int:
        """How many measurements to look ahead from this proposal of a batch."""
        left = situation.problem.remaining
        if left is None:
            return UNKNOWN if self.horizon is None else self.horizon
        return max(0, min(FARTHEST if self.horizon is None else self.horizon, left - situation.position - 1))

    def _references(self, problem: Problem) -> tuple[Array, float]:
        """Points that stand for the space, and how many they are in its own count."""
        whole = problem.space.enumerate(REFERENCES)
        if whole is not None:
            return whole, len(whole)
        return problem.space.sample(REFERENCES, np.random.default_rng([problem.seed, 0, 13])), REFERENCES

    def _good(self, problem: Problem, moments: Mapping[str, tuple[Tensor, Tensor]], size: float, works: Tensor) -> Good:
        constraints = problem.outcome_constraints
        if self._single(problem):
            return best_share(problem.objectives[0], constraints, moments, max(1.0, self.share * size), works)
        bounds = []
        for objective in problem.objectives:
            level = self._level(objective)
            assert level is not None  # noqa: S101  check() has refused it
            bounds.append(at_least(objective, float(utility(objective, torch.tensor(level, dtype=torch.float64)))))
        return Good((*bounds, *constraints))

    def _likely(self, problem: Problem, log: Array, points: Array, waiting: Array) -> Array:
        """The points that are most likely good and may still be measured, (r, c)."""
        order = np.argsort(-log, kind="stable")[: RIVALS + len(problem.taken) + len(waiting)]
        known = set(problem.space.keys(np.vstack([problem.taken, waiting])))
        free = [row for row, key in zip(order, problem.space.keys(points[order]), strict=True) if key not in known]
        chosen: Array = points[free[:RIVALS]]
        return chosen
