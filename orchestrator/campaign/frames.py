"""A campaign as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.campaign import modelling
from orchestrator.campaign.confirmation import confirmation
from orchestrator.campaign.ledger import Ledger
from orchestrator.campaign.merit import goodness, keeps, non_dominated
from orchestrator.campaign.told import ID
from orchestrator.errors import CampaignError
from orchestrator.store.records import ExperimentRecord, Value

if TYPE_CHECKING:
    from acquisition.beliefs import Models
    from orchestrator.campaign.campaign import Campaign

Floats = NDArray[np.float64]


def best(campaign: Campaign, ledger: Ledger, models: Models) -> pd.DataFrame:
    """See :meth:`Campaign.best`."""
    records = [r for r in ledger.learned() if r.state == "completed"]
    points = ledger.array(records)
    beliefs = {metric: model.predict(points) for metric, model in models.items()}
    feasible = np.ones(len(records), dtype=bool)
    for constraint in campaign.outcome_constraints:
        feasible &= keeps(constraint, beliefs[constraint.metric].mean)
    utilities = np.stack([goodness(o, beliefs[o.metric].mean) for o in campaign.objectives], axis=1)
    rows = _first_of_each(campaign, points, np.flatnonzero(feasible & non_dominated(utilities, feasible)))
    if len(campaign.objectives) == 1:
        rows = rows[:1]
    chosen = [records[row] for row in rows]
    frame = campaign.space.to_frame(points[rows]).set_index(pd.Index([r.id for r in chosen], name=ID, dtype="int64"))
    for metric, belief in beliefs.items():
        frame[f"{metric}_mean"], frame[f"{metric}_std"] = belief.mean[rows], belief.std[rows]
        frame[metric] = [r.values.get(metric, Value(None)).value for r in chosen]  # an amended metric may be younger
    frame["samples"] = [_samples(campaign, records, points, row) for row in rows]
    return _with_confirmation(campaign, frame, chosen)


def _with_confirmation(campaign: Campaign, frame: pd.DataFrame, chosen: Sequence[ExperimentRecord]) -> pd.DataFrame:
    """The best points with what fresh samples gave at them, once it is chosen which points are confirmed."""
    confirmed = confirmation(campaign.store, campaign.name)
    if confirmed is None:
        return frame
    by_key = dict(zip(_asked_keys(campaign, [point.parameters for point in confirmed]), confirmed, strict=True))
    here = [by_key.get(key) for key in _asked_keys(campaign, [r.asked or r.executed or {} for r in chosen])]
    for metric in campaign.metrics:
        seen = [None if point is None else point.metrics.get(metric) for point in here]
        frame[f"{metric}_confirmed"] = [np.nan if one is None or one.mean is None else one.mean for one in seen]
        frame[f"{metric}_confirmed_sem"] = [np.nan if one is None or one.sem is None else one.sem for one in seen]
    frame["confirmed"] = [None if point is None else point.verdict for point in here]
    return frame


def _asked_keys(campaign: Campaign, settings: Sequence[Mapping[str, Any]]) -> list[bytes]:
    if not settings:
        return []
    return campaign.space.keys(campaign.space.to_array(pd.DataFrame(list(settings))))


def _first_of_each(campaign: Campaign, points: Floats, rows: NDArray[np.intp]) -> list[int]:
    """One row of each distinct point, so that replicates are one entry."""
    seen: set[bytes] = set()
    kept = []
    for row, key in zip(rows, campaign.space.keys(points[rows]), strict=True):
        if key not in seen:
            seen.add(key)
            kept.append(int(row))
    return kept


def _samples(campaign: Campaign, records: Sequence[ExperimentRecord], points: Floats, row: int) -> int:
    keys = campaign.space.keys(points)
    same = [r for r, key in zip(records, keys, strict=True) if key == keys[row]]
    return len({r.sample if r.sample is not None else f"experiment {r.id}" for r in same})


def predicted(campaign: Campaign, ledger: Ledger, points: pd.DataFrame) -> pd.DataFrame:
    """See :meth:`Campaign.predict`."""
    if not isinstance(points, pd.DataFrame):
        raise CampaignError(f"predict takes a DataFrame, not {type(points).__name__}.", field="points")
    if not modelling.observed(ledger):
        raise modelling.unobserved(campaign, ledger, campaign.metrics[0])
    models, array = campaign.known_models(), campaign.space.to_array(points)
    result = pd.DataFrame(index=points.index)
    for metric, model in models.items():
        belief = model.predict(array)
        result[f"{metric}_mean"], result[f"{metric}_std"] = belief.mean, belief.std
    return result


def everything(campaign: Campaign, records: Sequence[ExperimentRecord]) -> pd.DataFrame:
    """See :meth:`Campaign.to_dataframe`."""
    metrics = list(dict.fromkeys([*campaign.metrics, *(m for r in records for m in r.values)]))
    rows = [_row(campaign, metrics, record) for record in records]
    index = pd.Index([r.id for r in records], name=ID, dtype="int64")
    if not rows:
        return pd.DataFrame(
            index=index, columns=list(_row(campaign, metrics, ExperimentRecord(id=1, state="proposed")))
        )
    return pd.DataFrame(rows, index=index)


def _row(campaign: Campaign, metrics: Sequence[str], r: ExperimentRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"state": r.state, "origin": r.origin}
    asked = r.asked or r.executed or {}
    for name in campaign.space.columns:
        row[name] = asked.get(name)
    for name in campaign.space.columns:
        row[f"{name}_executed"] = (r.executed or {}).get(name)
        row[f"{name}_measured"] = r.measured.get(name, np.nan)
        row[f"{name}_measured_sem"] = r.measured_sem.get(name, np.nan)
    for metric in metrics:
        value = r.values.get(metric, Value(None))
        belief = r.prediction.get(metric, {})
        row[metric] = np.nan if value.value is None else value.value
        row[f"{metric}_sem"] = np.nan if value.sem is None else value.sem
        row[f"{metric}_censored"] = value.censored
        row[f"{metric}_predicted"] = belief.get("mean", np.nan)
        row[f"{metric}_predicted_std"] = belief.get("std", np.nan)
    row |= {"sample": r.sample, "verdict": r.verdict, "verdict_reasons": "; ".join(r.verdict_reasons)}
    row["calibrations"] = "; ".join(r.calibrations)
    return row | {"failure_cause": r.failure_cause, "failure_reason": r.failure_reason, "reason": r.reason}
