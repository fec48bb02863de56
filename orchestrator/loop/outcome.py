"""What a laboratory answers, in the form in which a campaign takes results."""

from __future__ import annotations

from instruments.lab import Outcome
from orchestrator.campaign.told import Told
from orchestrator.errors import CampaignError
from orchestrator.store.records import ExperimentRecord, Value


def told_of(record: ExperimentRecord, outcome: Outcome, sample: str | None) -> Told:
    """An outcome in the form in which a campaign takes results."""
    if outcome.failure is not None:
        return Told(
            row=0,
            id=record.id,
            sample=sample,
            status="failed",
            failure_cause=outcome.failure.cause,
            failure_reason=outcome.failure.reason,
        )
    seen = outcome.observation
    if seen is None:
        return Told(row=0, id=record.id, sample=sample)  # to come
    for metric in outcome.awaiting:
        if metric in seen.figures:
            raise CampaignError(f"experiment {record.id}: {metric} is both told and awaited.", field=metric)
    return Told(
        row=0,
        id=record.id,
        executed=dict(seen.executed),
        measured=dict(seen.measured),
        measured_sem=dict(seen.measured_sem),
        values={m: Value(f.value, f.sem, f.censored) for m, f in seen.figures.items()},
        sample=sample,
        verdict=seen.verdict.name,
        verdict_reasons=seen.verdict.reasons,
        calibrations=seen.calibrations,
        reduced=True,
    )
