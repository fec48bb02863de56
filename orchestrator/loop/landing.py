"""What comes of an execution, written to the store in one transaction with the end of its attempt."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Final

from instruments.lab import Outcome
from orchestrator.errors import TellError
from orchestrator.loop.cells import EQUIPMENT
from orchestrator.loop.executing import Flight, Unfinished
from orchestrator.loop.exposure import Exposure, tell_given_up
from orchestrator.loop.listener import told
from orchestrator.loop.outcome import told_of
from orchestrator.loop.recovery import decided, tell_inspections
from orchestrator.loop.work import Work
from orchestrator.store.changes import Change, Note, PutAttempt, PutExperiment
from orchestrator.store.records import AttemptRecord, AttemptState, ExperimentRecord, ExperimentState

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 3
"""So often an experiment is tried whose equipment or analysis fails, beside what a cell is to blame for."""


class Landing:
    """Brings executions to their end in the store.

    Args:
        work: what is in hand.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._exposure = Exposure(work)

    def land(self, flight: Flight, outcome: Outcome) -> None:
        """Write an outcome."""
        used = {**flight.context.used, **outcome.used}
        self.landed(flight.record, flight.attempt, replace(outcome, used=used), self._kept(flight, outcome))

    def _kept(self, flight: Flight, outcome: Outcome) -> str | None:
        """The hash of an outcome's raw signals, which are files before anything is recorded of them."""
        context, seen = flight.context, outcome.observation
        if outcome.measurement is not None and not any(kept is outcome.measurement for kept, _ in context.kept):
            context.keep(outcome.measurement)
        if context.manifest is None:
            return None
        if seen is not None and seen.report:
            context.keeper.report(context.location, seen.report)
        return context.manifest.digest

    def landed(
        self, of: ExperimentRecord, attempt: AttemptRecord, outcome: Outcome, digest: str | None, why: str = ""
    ) -> None:
        """Write an outcome whose raw signals are files already.

        Args:
            of: the experiment, running.
            attempt: its last one.
            outcome: of that attempt.
            digest: content hash of its raw signals; ``None`` where it has none.
            why: for the log.
        """
        work, id = self._work, of.id
        ended = _ended(attempt, outcome, digest)
        spent = self._exposure.failed(ended, outcome)
        if outcome.failure is not None:
            work.failures[id] += 1
            lost = work.cells.ended(ended, None)
            tries = work.failures[id] - work.cells.blamed(id)
            if outcome.failure.cause in EQUIPMENT and tries < MOST_ATTEMPTS:
                logger.warning("experiment %d: %s; it is tried again", id, ended.message)
                self._back(of, ended, *lost, *spent, repeat=True)
                self._hold()
                return
            if lost:
                work.campaign.put(*lost)
        record = self._recorded(of, outcome, ended, spent, why)
        if record.sample != of.sample and of.sample is not None:  # others waited for it too
            now = {r.id: r for r in work.campaign.experiments()}
            work.queue = deque(now[r.id] for r in work.queue)
        self._learned(record, ended)

    def _recorded(
        self, of: ExperimentRecord, outcome: Outcome, ended: AttemptRecord, spent: Sequence[Change], why: str
    ) -> ExperimentRecord:
        """The experiment with its result. Where a person told one meanwhile, theirs stands, ours is in the log."""
        campaign, id = self._work.campaign, of.id
        result = told_of(of, outcome, ended.sample)
        try:
            record = campaign.record(result, PutAttempt(ended), *self._given_up(of, outcome), *spent, why=why)
        except TellError as conflict:
            logger.warning("experiment %d was told or called off elsewhere: %s", id, conflict)
            measured = {metric: asdict(value) for metric, value in result.values.items()}
            note = Note("conflict", str(conflict), experiment=id, data={"measured": measured})
            campaign.put(PutAttempt(ended), note, *spent)
            record = campaign.store.experiment(campaign.name, id)
        tell_given_up(self._work.listeners, spent)
        return record

    def _learned(self, record: ExperimentRecord, ended: AttemptRecord) -> None:
        work = self._work
        work.attempts[record.id] = ended
        if ended.state == "finished" and (lost := work.cells.ended(ended, record)):
            work.campaign.put(*lost)
        self._hold()
        if work.controls is not None and ended.state == "finished":
            work.controls.landed(record.id, ended.cell)
        told(work.listeners, "learned", record, ended)
        work.send(record.id)

    def _hold(self) -> None:
        """Let the campaign wait for a person where too many cells are out of service."""
        if why := self._work.cells.holds:
            self._work.wait_for("holding", why)

    def write_controls(self) -> None:
        """Write what controls found, and which experiments became suspect by it."""
        campaign, controls = self._work.campaign, self._work.controls
        if controls is None:
            return
        if changes := controls.changes(lambda id: campaign.store.experiment(campaign.name, id)):
            campaign.put(*changes)

    def _given_up(self, record: ExperimentRecord, outcome: Outcome) -> list[Change]:
        """A sample that failed for its material is not used again: what waits for it is called off."""
        work = self._work
        if outcome.failure is None or outcome.failure.cause != "material" or record.sample is None:
            return []
        lost = [r for r in work.queue if r.sample == record.sample]
        for waiting in lost:
            work.queue.remove(waiting)
        now, why = datetime.now(UTC), f"its sample failed in experiment {record.id}"
        return [PutExperiment(replace(r, state="cancelled", updated=now), r.state, why) for r in lost]

    def unfinished(self, flight: Flight, how: Unfinished) -> None:
        """An attempt ended without a result: run it again, or ask a person where that is not safe."""
        work = self._work
        if how.told or (work.resumes and self._state_of(flight) != "running"):
            self._told_elsewhere(flight, how)
            return
        if work.cancelled.is_set() and self._goes_on(flight):
            return
        if how.ends:
            work.wait_for(how.ends, how.message)
        elif not (how.untouched or work.lab.repeat_is_safe or work.cancelled.is_set()):
            work.wait_for("halted", f"a person must say what became of experiment {flight.record.id}: {how.message}")
        self.requeue(flight, "cancelled", how)

    def _state_of(self, flight: Flight) -> ExperimentState:
        campaign = self._work.campaign
        return campaign.store.experiment(campaign.name, flight.record.id).state

    def _goes_on(self, flight: Flight) -> bool:
        """Whether an attempt goes on while no process runs: it stays as it is, and the next process waits for it.

        Not where a person wants everything ended at once.
        """
        work = self._work
        return work.resumes and not work.stop_now and self._state_of(flight) == "running"

    def going_on(self) -> str:
        """What goes on while no process runs, as the end of a sentence; empty where nothing does."""
        work = self._work
        ids = [str(r.id) for r in work.campaign.experiments() if r.state == "running"]
        if not (work.resumes and ids):
            return ""
        return f"; experiment {ids[0]} goes on" if len(ids) == 1 else f"; experiments {', '.join(ids)} go on"

    def _told_elsewhere(self, flight: Flight, how: Unfinished) -> None:
        """A person told the result of what ran, or called it off: only its attempt is to be ended."""
        work = self._work
        record = work.campaign.store.experiment(work.campaign.name, flight.record.id)
        kept = replace(flight.attempt, digest=_digest_of(flight))
        virtual = work.time - flight.attempt.clock_started if work.virtual else None
        ended = decided(record, kept, datetime.now(UTC), how.message, duration=virtual)
        spent = self._exposure.unfinished(ended, how) if ended.state == "cancelled" else []
        work.campaign.put(PutAttempt(ended), *spent)
        tell_given_up(work.listeners, spent)
        work.now = max(work.now, ended.clock_started + (ended.duration or 0.0))
        if ended.state == "finished":
            self._learned(record, ended)
        else:
            work.attempts[record.id] = ended

    def requeue(self, flight: Flight, state: AttemptState, how: Unfinished) -> None:
        """End an attempt that has no result; the experiment waits again where that is safe, else for a person."""
        kept = replace(flight.attempt, digest=_digest_of(flight))
        ended = replace(kept, state=state, finished=datetime.now(UTC), message=how.message)
        spent = self._exposure.unfinished(ended, how)
        self._back(flight.record, ended, *spent, repeat=how.untouched or self._work.lab.repeat_is_safe)

    def _back(self, of: ExperimentRecord, ended: AttemptRecord, *notes: Change, repeat: bool) -> None:
        work = self._work
        now = work.campaign.store.experiment(work.campaign.name, of.id)
        work.attempts[of.id] = ended
        if now.state != "running":  # a person has decided about it meanwhile
            work.campaign.put(PutAttempt(ended), *notes)
            tell_given_up(work.listeners, notes)
            return
        record = replace(now, state="queued" if repeat else "needs_inspection", updated=datetime.now(UTC))
        back = PutExperiment(record, "running", ended.message)
        work.campaign.put(back, PutAttempt(ended), *notes)
        tell_inspections(work.listeners, (back,))
        tell_given_up(work.listeners, notes)
        if repeat:
            work.queue.append(record)

    def _unkept(self, flight: Flight, outcome: Outcome, why: str) -> str:
        """Write an outcome; says why its experiment must be looked at where that cannot be done, as on a full disk."""
        try:
            self.land(flight, outcome)
        except Exception as problem:
            logger.exception("the result of experiment %d cannot be kept", flight.record.id)
            return f"{why}; its result ({_figures(outcome)}) could not be kept: {problem}"
        return ""

    def rescue(self, flight: Flight, why: str) -> None:
        """Keep the result of a flight that has one; the loop is failing, so that nothing here may raise."""
        work = self._work
        outcome: Outcome | Unfinished | None = None
        try:
            outcome = flight.running.result()
        except BaseException as other:  # noqa: BLE001  perhaps the very reason why the loop fails
            logger.debug("a flight ended with %r", other)
        try:
            record = work.campaign.store.experiment(work.campaign.name, flight.record.id)
            if record.state != "running":
                return
            if isinstance(outcome, Outcome) and not work.virtual:
                why = self._unkept(flight, outcome, why)
            elif self._goes_on(flight):
                why = ""
            if why:
                self.requeue(flight, "unknown", Unfinished(why))
        except Exception:
            logger.exception("experiment %d could not be brought to an end in the store", flight.record.id)


def _figures(outcome: Outcome) -> str:
    """What was found, for a person who may have to tell it."""
    figures = {} if outcome.observation is None else outcome.observation.figures
    return ", ".join(f"{metric} {figure.value:.6g}" for metric, figure in figures.items()) or "no figures"


def _digest_of(flight: Flight) -> str | None:
    """The hash of what an attempt without an outcome had measured in full."""
    manifest = flight.context.manifest
    return None if manifest is None else manifest.digest


def _with_files(attempt: AttemptRecord, digest: str | None) -> AttemptRecord:
    """An attempt with the hash of its raw signals; one that has none has no place of them either."""
    return replace(attempt, files=attempt.files if digest else None, digest=digest)


def _ended(attempt: AttemptRecord, outcome: Outcome, digest: str | None) -> AttemptRecord:
    failure = outcome.failure
    return replace(
        _with_files(attempt, digest),
        state="finished" if failure is None else "failed",
        finished=datetime.now(UTC),
        duration=outcome.duration,
        sample=outcome.sample or attempt.sample,
        used={device: (use.seconds, use.waited) for device, use in outcome.used.items()},
        message="" if failure is None else f"{failure.cause}: {failure.reason}",
    )
