"""What makes one result better than another, and the best experiments as measured. Light to import: no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    front = np.zeros(len(utilities), dtype=bool)
    rows = np.flatnonzero(among)
    rows = rows[np.lexsort(-utilities[rows].T[::-1])]  # what beats a row comes before it
    while len(rows):
        first = utilities[rows[0]]
        front[rows[0]] = True
        rivals = utilities[rows]
        beaten = (first >= rivals).all(1) & (first > rivals).any(1)
        beaten[0] = True  # it is done with
        rows = rows[~beaten]
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
    values = {m: np.array([r.values[m].value for r in whole], dtype=np.float64) for m in metrics}
    return [whole[row] for row in _leading(values, objectives, constraints)]


def leaders(
    values: Mapping[str, Mapping[int, float]],
    objectives: Sequence[Objective],
    constraints: Sequence[OutcomeConstraint],
) -> list[int]:
    """As :func:`incumbent`, as ids.

    Args:
        values: by metric and experiment, of completed experiments whose verdict is not invalid.
        objectives: what is wanted.
        constraints: what must be kept.
    """
    metrics = [*(o.metric for o in objectives), *(c.metric for c in constraints)]
    ids = sorted(set.intersection(*(set(values[m]) for m in metrics)))
    columns = {m: np.array([values[m][id] for id in ids], dtype=np.float64) for m in metrics}
    return [ids[row] for row in _leading(columns, objectives, constraints)]


def _leading(
    values: dict[str, Floats], objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]
) -> list[int]:
    """Rows of the best, or of the front."""
    feasible = np.ones(len(values[objectives[0].metric]), dtype=bool)
    for constraint in constraints:
        feasible &= keeps(constraint, values[constraint.metric])
    utilities = np.stack([goodness(o, values[o.metric]) for o in objectives], axis=1)
    front = [int(row) for row in np.flatnonzero(non_dominated(utilities, feasible))]
    return front[:1] if len(objectives) == 1 else front
