"""What becomes of the experiments that an earlier process was running when it ended."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import Final

from instruments.lab import Journaling, Outcome
from orchestrator.campaign import words
from orchestrator.errors import RawSignalsError
from orchestrator.loop.context import RealClock
from orchestrator.loop.controls import controls_of
from orchestrator.loop.exposure import tell_given_up
from orchestrator.loop.journal import steps_of
from orchestrator.loop.landing import Landing
from orchestrator.loop.raw import Manifest
from orchestrator.loop.recovery import (
    WHY,
    clock_of,
    decided_meanwhile,
    left_running,
    queue_of,
    tell_inspections,
)
from orchestrator.loop.reducing import finished
from orchestrator.loop.work import Work
from orchestrator.store.changes import PutAttempt
from orchestrator.store.records import AttemptRecord, ExperimentRecord

logger = logging.getLogger(__name__)

HEEDED: Final = (words.CELL, words.CONTROL, "campaign")
"""Kinds of events that say how cells and controls stand. The log of a long campaign is not read whole."""


def classify(work: Work, landing: Landing) -> None:
    """Bring every experiment that an earlier process was running to where it belongs.

    One that goes on by itself is left alone; one whose raw signals are complete is reduced from its files and told; of
    the others see :func:`orchestrator.loop.recovery.left_running`.

    Args:
        work: what is in hand.
        landing: writes outcomes.
    """
    campaign, lab = work.campaign, work.lab
    running = [record for record in campaign.experiments() if record.state == "running"]
    if not running:
        return
    journals = isinstance(lab, Journaling) and lab.journals
    steps = steps_of(campaign.store.events(campaign.name, kinds=(words.STEP,)))
    for record in running:
        attempt = work.attempts.get(record.id)
        if work.resumes and attempt is not None and attempt.state == "running":
            continue
        found, trouble = _measured(work, record, attempt)
        if found is not None and attempt is not None:
            outcome, manifest = found
            why = f"{WHY}, but had measured all: reduced from its files"
            logger.info("experiment %d: %s", record.id, why)
            if outcome.observation is not None and outcome.observation.report and attempt.files is not None:
                work.files.report(attempt.files, outcome.observation.report)
            landing.landed(record, attempt, outcome, manifest.digest, why)
            continue
        begun = steps.get((record.id, attempt.number), []) if attempt is not None else []
        changes = left_running(
            record, attempt, begun, work.files, repeat=lab.repeat_is_safe, journals=journals, trouble=trouble
        )
        campaign.put(*changes)
        tell_inspections(work.listeners, changes)
        tell_given_up(work.listeners, changes)
        work.attempts |= {c.record.experiment: c.record for c in changes if isinstance(c, PutAttempt)}


def _measured(
    work: Work, record: ExperimentRecord, attempt: AttemptRecord | None
) -> tuple[tuple[Outcome, Manifest] | None, str]:
    """What an attempt had measured in full, if it had; else why its signals cannot be used, if there are any."""
    if work.virtual:  # a virtual result comes again, in its turn
        return None, ""
    try:
        return finished(work.lab, work.files, work.campaign.name, record, attempt), ""
    except (RawSignalsError, OSError) as problem:
        logger.warning("experiment %d: %s", record.id, problem)
        return None, str(problem)


def recover(work: Work, landing: Landing) -> str:
    """Take up what earlier processes left: attempts, cells, controls, the clock and the queue.

    Args:
        work: what is in hand; filled here.
        landing: writes outcomes.

    Returns:
        Why the campaign must halt; empty where it need not.
    """
    campaign, lab = work.campaign, work.lab
    store, name = campaign.store, campaign.name
    log = store.events(name, kinds=HEEDED)
    known = {record.id: record for record in campaign.experiments()}
    before = store.attempts(name)
    last = {a.experiment: a for a in before}
    ends = decided_meanwhile(
        known.values(), last, lambda id: store.events(name, experiment=id), repeat=lab.repeat_is_safe
    )
    if ends:
        campaign.put(*ends)
    every = store.attempts(name) if ends else before
    work.attempts = {a.experiment: a for a in every}
    if lost := work.cells.load(every, known, log):
        campaign.put(*lost)
    work.failures = Counter(a.experiment for a in every if a.state == "failed")
    work.now = clock_of(a for a in work.attempts.values() if work.resumes or a.state != "running")
    work.clock = RealClock(work.now)
    work.controls = controls_of(lab, work.hours, every, log)
    classify(work, landing)
    records = campaign.experiments()
    if waiting := [r.id for r in records if r.state == "needs_inspection"]:
        said = [f"{id} ({work.attempts[id].message})" if id in work.attempts else str(id) for id in waiting]
        return f"a person must say what became of experiment {', '.join(said)}"
    work.queue = deque(queue_of(records, work.attempts))
    work.sender.wake()
    if why := work.cells.holds:
        work.wait_for("holding", why)
    return ""
