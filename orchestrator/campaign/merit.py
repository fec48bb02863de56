"""What makes one result better than another, and the best experiments as measured. Light to import: no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.store.records import ExperimentRecord

Floats = NDArray[np.float64]


def goodness(objective: Objective, values: Floats) -> Floats:
    """Utilities of values, more is better: the value, its negative, or minus the distance to the target window."""
    if objective.goal == "target":
        low, high = objective.window
        return -(np.maximum(low - values, 0.0) + np.maximum(values - high, 0.0))
    return values if objective.goal == "maximize" else -values


def keeps(constraint: OutcomeConstraint, values: Floats) -> NDArray[np.bool_]:
    """Whether values keep an outcome constraint."""
    low = -np.inf if constraint.lower is None else constraint.lower
    high = np.inf if constraint.upper is None else constraint.upper
    return np.asarray((values >= low) & (values <= high))


def non_dominated(utilities: Floats, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows no other row among the given ones beats in every objective; (n, m) to (n,)."""
    if utilities.shape[1] == 1:
        best = utilities[among, 0].max() if among.any() else np.inf
        return np.asarray(among & (utilities[:, 0] >= best))
    rivals = utilities[among]
    front = np.zeros(len(utilities), dtype=bool)
    for row in np.flatnonzero(among):
        worse = (rivals >= utilities[row]).all(1) & (rivals > utilities[row]).any(1)
        front[row] = not worse.any()
    return front


def incumbent(
    records: Sequence[ExperimentRecord], objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]
) -> list[ExperimentRecord]:
    """The best valid experiment that keeps all outcome constraints as measured; with several objectives, the front.

    Noise flatters the best of many measurements; :meth:`Campaign.best` judges by the model instead.
    """
    metrics = [*(o.metric for o in objectives), *(c.metric for c in constraints)]
    whole = [
        r
        for r in records
        if r.state == "completed"
        and r.verdict != "invalid"
        and all(m in r.values and r.values[m].value is not None for m in metrics)
    ]
    if not whole:
        return []
    values = {m: np.array([r.values[m].value for r in whole], dtype=np.float64) for m in metrics}
    feasible = np.ones(len(whole), dtype=bool)
    for constraint in constraints:
        feasible &= keeps(constraint, values[constraint.metric])
    utilities = np.stack([goodness(o, values[o.metric]) for o in objectives], axis=1)
    front = [whole[row] for row in np.flatnonzero(non_dominated(utilities, feasible))]
    return front[:1] if len(objectives) == 1 else front
