"""What an earlier process left behind: attempts whose end nobody saw, and the queue as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from orchestrator.campaign import words
from orchestrator.loop.context import JOURNAL
from orchestrator.loop.exposure import given_up
from orchestrator.loop.journal import REPEATABLE, Step
from orchestrator.loop.keeping import Files
from orchestrator.loop.listener import Listener, told
from orchestrator.loop.reducing import complete
from orchestrator.store.changes import Change, PutAttempt, PutExperiment
from orchestrator.store.records import AttemptRecord, AttemptState, EventRecord, ExperimentRecord, ExperimentState

WHY: Final = "the process ended while it ran"


def left_running(
    record: ExperimentRecord,
    attempt: AttemptRecord | None,
    begun: Sequence[Step],
    files: Files,
    *,
    repeat: bool,
    journals: bool = False,
    trouble: str = "",
) -> list[Change]:
    """The changes that classify an experiment which an earlier process was running.

    It is queued again where it never started, or where repeating is safe. Otherwise nobody knows what became of it,
    and a person must look.

    Args:
        record: in state ``running``.
        attempt: its last one.
        begun: the steps of that attempt that the journal has.
        files: where its raw signals are kept.
        repeat: whether it may be run again unasked.
        journals: whether the laboratory journals all that touches matter, so that an empty journal proves something.
        trouble: why its raw signals, which are there, cannot be used now.
    """
    now = datetime.now(UTC)
    never = not trouble and journals and attempt is not None and never_started(attempt, begun, files)
    why = f"{WHY}; nothing had begun that must not be repeated" if never else WHY
    if not (never or repeat) and attempt is not None:
        why = f"{WHY}, on {attempt.cell or 'an unnamed cell'}, sample {attempt.sample or 'unknown'}; {_known(begun)}"
        if trouble:
            why += f"; its raw signals cannot be used: {trouble}"
        elif complete(files, attempt) is not None:
            why += f"; its raw signals are complete in {attempt.files}"
    state: ExperimentState = "queued" if never or repeat else "needs_inspection"
    changes: list[Change] = [PutExperiment(replace(record, state=state, updated=now), "running", why)]
    if attempt is not None and attempt.state == "running":
        ended: AttemptState = "cancelled" if never else "unknown"
        changes.append(PutAttempt(replace(attempt, state=ended, finished=now, message=why)))
        if not (never or repeat):
            changes += given_up(attempt, f"{WHY}; {_known(begun)}")
    return changes


def tell_inspections(listeners: Iterable[Listener], changes: Iterable[Change]) -> None:
    """Tell the listeners which experiments need a person's look by these changes, and why."""
    for change in changes:
        if isinstance(change, PutExperiment) and change.record.state == "needs_inspection":
            text = f"experiment {change.record.id} needs a person's look: {change.why or 'its outcome is unknown'}"
            told(listeners, "noticed", words.INSPECTION, text)


def never_started(attempt: AttemptRecord, begun: Sequence[Step], files: Files) -> bool:
    """Whether an attempt did nothing that must not be repeated: its journal says so, and its folder has no signal."""
    if any(step.kind != REPEATABLE for step in begun):
        return False
    folder = files.local(attempt.files) if attempt.files else None
    return folder is None or not folder.is_dir() or {path.name for path in folder.iterdir()} <= {JOURNAL}


def _known(begun: Sequence[Step]) -> str:
    return f"the last step that it began: {begun[-1]}" if begun else "its journal has no step"


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


def decided(
    record: ExperimentRecord, attempt: AttemptRecord, when: datetime, message: str, *, duration: float | None = None
) -> AttemptRecord:
    """The end of an attempt whose experiment a person has decided about: its result is told, or it is called off.

    Args:
        record: the experiment as it is by now.
        attempt: still running.
        when: a person has said so.
        message: for people.
        duration: by the laboratory's clock, in s; by default what has passed on the wall.
    """
    passed = max((when - attempt.started).total_seconds(), 0.0) if duration is None else duration
    state: AttemptState = "cancelled" if record.state == "cancelled" else "finished"
    kept = attempt.files if attempt.digest else None
    return replace(attempt, state=state, finished=when, duration=passed, files=kept, message=message)


def decided_meanwhile(
    records: Iterable[ExperimentRecord],
    attempts: Mapping[int, AttemptRecord],
    history: Callable[[int], Iterable[EventRecord]],
    *,
    repeat: bool,
) -> list[Change]:
    """The ends of attempts whose experiments people have decided about while no process ran the campaign.

    The sample of one that was called off is given up, where it may have begun.

    Args:
        records: all experiments.
        attempts: the last attempt of each that had one.
        history: gives the events of an experiment.
        repeat: whether experiments may be repeated unasked.
    """
    found = ((r, attempts[r.id]) for r in records if r.state != "running" and r.id in attempts)
    why = "a person decided about it while no process ran the campaign"
    changes: list[Change] = []
    for record, attempt in found:
        if attempt.state == "running":
            left = [e.time for e in history(record.id) if e.kind == "experiment" and e.before == "running"]
            changes.append(PutAttempt(decided(record, attempt, left[-1] if left else record.updated, why)))
            if record.state == "cancelled" and not repeat:
                changes += given_up(attempt, f"it was called off while it ran: {why}")
    return changes


def clock_of(attempts: Iterable[AttemptRecord]) -> float:
    """By a laboratory's clock, in s, up to when something is known to have gone on in it.

    What still runs has gone on until now.
    """
    now = datetime.now(UTC)

    def until(attempt: AttemptRecord) -> float:
        passed = (now - attempt.started).total_seconds() if attempt.state == "running" else attempt.duration or 0.0
        return attempt.clock_started + max(passed, 0.0)

    return max((until(a) for a in attempts if a.state in ("running", "finished", "failed")), default=0.0)
