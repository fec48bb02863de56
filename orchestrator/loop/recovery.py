"""What an earlier process left behind: attempts whose end nobody saw, and the queue as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from orchestrator.store.changes import Change, PutAttempt, PutExperiment
from orchestrator.store.records import AttemptRecord, ExperimentRecord, ExperimentState

WHY: Final = "the process ended while it ran"


def left_running(record: ExperimentRecord, attempt: AttemptRecord | None, *, repeat: bool) -> list[Change]:
    """The changes that classify an experiment which an earlier process was running.

    Args:
        record: in state ``running``.
        attempt: its last one.
        repeat: whether it may be run again unasked; otherwise a person must look.
    """
    now = datetime.now(UTC)
    state: ExperimentState = "queued" if repeat else "needs_inspection"
    changes: list[Change] = [PutExperiment(replace(record, state=state, updated=now), "running", WHY)]
    if attempt is not None and attempt.state == "running":
        changes.append(PutAttempt(replace(attempt, state="unknown", finished=now, message=WHY)))
    return changes


def queue_of(records: Iterable[ExperimentRecord], attempts: Mapping[int, AttemptRecord]) -> list[ExperimentRecord]:
    """What waits for a cell: the most urgent first, then in the order in which it came to wait.

    Args:
        records: all experiments.
        attempts: the last attempt of each that had one.
    """

    def since(record: ExperimentRecord) -> datetime:
        """Its proposal, or the failure after which it is tried again."""
        attempt = attempts.get(record.id)
        if attempt is None or attempt.state != "failed" or attempt.finished is None:
            return record.created
        return attempt.finished

    waiting = (record for record in records if record.state in ("approved", "queued"))
    return sorted(waiting, key=lambda record: (-record.priority, since(record)))
