"""Propose, execute, learn: the loop, one step at a time, whatever engine runs its pieces."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock
from typing import Final

from acquisition.errors import SpaceExhaustedError
from acquisition.stopping import Standing, StoppingRule
from instruments.lab import Controlled, Job, Lab, Outcome, VirtualTime
from orchestrator.campaign import Campaign
from orchestrator.campaign.samples import name_of
from orchestrator.errors import OrchestratorError, StaleWrite, ValueConflict
from orchestrator.loop import raw
from orchestrator.loop.attendance import Attendance, Wait
from orchestrator.loop.context import AttemptContext, RealClock, VirtualClock
from orchestrator.loop.controls import Controls
from orchestrator.loop.ending import Ending, rule_of
from orchestrator.loop.engine import Engine
from orchestrator.loop.executing import Flight, Unfinished, execute
from orchestrator.loop.holding import holding
from orchestrator.loop.late import LateResults
from orchestrator.loop.listener import Listener, told
from orchestrator.loop.outcome import told_of
from orchestrator.loop.placing import homes, place
from orchestrator.loop.recovery import left_running, queue_of
from orchestrator.store.changes import Change, Note, PutAttempt, PutExperiment, SetCampaignState
from orchestrator.store.records import AttemptRecord, AttemptState, CampaignState, ExperimentRecord

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 3
RETRIED: Final = ("equipment", "analysis")
"""Causes of failure that say nothing about the experiment; it is tried again, at most MOST_ATTEMPTS times in all."""


class Loop:
    """Runs one campaign in one laboratory.

    Args:
        campaign: proposes and learns; kept in its store.
        lab: executes.
        experiments: the budget; prior data and controls do not count.
        stop: a stopping rule, beside the budget or instead of it.
        batch: propose so many together; cells that are free at once may ask for more.
        engine: runs the pieces.
        files: folder for raw signals.
        cancelled: when set, the loop starts nothing more, waits for what runs, and ends ``interrupted``.
        listeners: are told what happens.

    Raises:
        CampaignError: neither a budget nor a stopping rule.
        StoppingError: a rule that may never end the campaign, or means nothing for it.
    """

    def __init__(
        self,
        campaign: Campaign,
        lab: Lab,
        *,
        experiments: int | None = None,
        stop: StoppingRule | None = None,
        batch: int = 1,
        engine: Engine,
        files: Path,
        cancelled: Event | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.campaign, self.lab, self.engine = campaign, lab, engine
        self.batch = batch
        self.cancelled = cancelled or Event()
        self._files = files
        self._listeners = tuple(listeners)
        self._virtual = isinstance(lab, VirtualTime) and lab.virtual_time
        self._flights: dict[int, Flight] = {}
        self._landed: SimpleQueue[int] = SimpleQueue()
        self._queue: deque[ExperimentRecord] = deque()
        self._attempts: dict[int, AttemptRecord] = {}
        self._failures: Counter[int] = Counter()
        self._devices: dict[str, Lock] = {}
        self._exhausted = ""
        self._waits: Wait | None = None
        rule = rule_of(experiments, stop)
        self._ending = Ending(campaign, lab, rule)
        campaign.budget = rule.most
        self._now = 0.0
        self._clock = RealClock(0.0)
        self._controls: Controls | None = None
        self._late = LateResults(campaign, lab)
        self._attendance = Attendance(lab)

    # The whole campaign

    def run(self) -> CampaignState:
        """Run until a stopping rule, an interruption or a failure ends it.

        Returns:
            The state in which the campaign is now.

        Raises:
            LeaseHeld: another process controls the campaign.
        """
        store, name = self.campaign.store, self.campaign.name
        with holding(store, name, self.cancelled) as lease:
            self.campaign.token = lease.token
            try:
                return self._run()
            finally:
                self.campaign.token = None

    def _run(self) -> CampaignState:
        self.campaign.refresh()
        try:
            self._set_state("running", "")
            state, why = self._sit()
        except BaseException as problem:
            self._fail(problem)
            raise
        finally:
            self.engine.close()
        if trouble := self._attendance.make_safe():
            state, why = "halted", trouble
        self._attendance.close()
        self._set_state(state, why)
        return state

    def _sit(self) -> tuple[CampaignState, str]:
        """Go through all steps; how it ended, and why."""
        closed = self._attendance.open()  # a laboratory makes itself safe before anything else is done
        waiting = self._recover()
        if closed is not None:
            return closed
        if waiting:
            return "halted", waiting
        self._late.take()
        while self.step():
            pass
        self._late.take()
        if self._waits is not None:
            return self._waits
        if self.cancelled.is_set():
            return "interrupted", "a signal ended it"
        return "completed", self._why_done()

    def step(self) -> bool:
        """Start what can be started, then wait for one result and learn it.

        Returns:
            Whether there is more to do.
        """
        if not self.cancelled.is_set() and self._waits is None:
            self._start()
        if not self._flights:
            return False
        landed = self._next()
        if landed is None:
            return self._drain()
        self._learn(self._flights[landed])
        del self._flights[landed]
        self._write_controls()
        return True

    # Starting

    def _start(self) -> None:
        busy = {flight.attempt.cell for flight in self._flights.values()}
        free = [cell for cell in self.lab.cells if cell not in busy]
        self._fill(free)
        # what was interrupted takes the cell and the time that it had
        again = [r for r in self._queue if r.id in self._attempts and self._attempts[r.id].cell in free]
        for record in again:
            former = self._attempts[record.id]
            if self._virtual and former.state in ("unknown", "cancelled"):
                self._queue.remove(record)
                free.remove(former.cell)
                self._launch(record, former.cell, former.clock_started)
        for record, cell in self._placed(free):
            self._queue.remove(record)
            self._launch(record, cell, self._now if self._virtual else self._clock.now())

    def _fill(self, free: Sequence[str]) -> None:
        """Propose until every free cell has an experiment, or the campaign is over."""
        for _ in free:
            missing = len(free) - len(self._placed(free))
            if not missing or not self._more(missing) or self.campaign.conditions_per_sample is None:
                return

    def _more(self, missing: int) -> bool:
        """Propose for so many cells, unless the campaign is over; whether anything was."""
        shared = bool(self.campaign.fixed)
        if self._exhausted or (shared and (self._flights or self._queue)):
            return False  # a batch that shares settings ends before the next one begins
        standing = self._ending.ask(self._now / 3600.0)
        wanted = min(max(missing, self.batch), standing.room)
        if wanted < 1:
            return False
        records = self._propose(int(wanted), wanted <= missing, standing)
        if not records and not self._exhausted:
            self._ending.too_dear(standing)
        return bool(records)

    def _placed(self, free: Sequence[str]) -> list[tuple[ExperimentRecord, str]]:
        if self.campaign.conditions_per_sample is None:
            return list(zip(self._queue, free, strict=False))
        at_home = homes(self.campaign.experiments(), self._attempts)
        running = [flight.record.sample for flight in self._flights.values()]
        return place(self._queue, free, self.lab.cells, at_home, running)

    def _propose(self, n: int, apart: bool, standing: Standing) -> list[ExperimentRecord]:
        first = max((r.id for r in self.campaign.experiments()), default=0) + 1
        label = f"propose experiment {first}" if n == 1 else f"propose experiments {first} to {first + n - 1}"
        records = self.engine.call("propose", label, lambda: self._choose(n, apart, standing.purse))
        self._queue.extend(records)
        if records:
            told(self._listeners, "proposed", records)
        return records

    def _choose(self, n: int, apart: bool, purse: float) -> list[ExperimentRecord]:
        try:
            return self.campaign.propose(n, state="queued", apart=apart, purse=purse)
        except SpaceExhaustedError as nothing:
            self._exhausted = str(nothing)
            return []

    def _launch(self, record: ExperimentRecord, cell: str, began: float) -> None:
        former = self._attempts.get(record.id)
        number = 1 if former is None else former.number + 1
        sample = record.sample or name_of(self.campaign.name, self.campaign.seed, record.id)
        folder = self._files / self.campaign.name / f"{record.id:05d}" / str(number)
        attempt = AttemptRecord(
            experiment=record.id, number=number, cell=cell, sample=sample, clock_started=began, files=str(folder)
        )
        running = replace(record, state="running", updated=datetime.now(UTC))
        try:
            self.campaign.put(PutExperiment(running, record.state), PutAttempt(attempt))
        except StaleWrite as stale:  # a person has decided about it meanwhile: it is no longer ours to start
            logger.warning("experiment %d is not started: %s", record.id, stale)
            self.campaign.refresh()
            return
        self._attempts[record.id] = attempt
        context = AttemptContext(
            cell=cell,
            sample=sample,
            attempt=number,
            seed=record.seed,
            clock=VirtualClock(began) if self._virtual else self._clock,
            folder=folder,
            cancelled=self.cancelled,
            devices=self._devices,
        )
        job = Job(self.campaign.name, record.id, dict(record.asked or {}))
        label = f"execute experiment {record.id} on {cell}"
        flight = self.engine.submit("execute", label, lambda: execute(self.lab, self._controls, job, context))
        self._flights[record.id] = Flight(running, attempt, flight)
        told(self._listeners, "started", running, attempt)
        flight.add_done_callback(lambda _: self._landed.put(record.id))

    # Waiting

    def _next(self) -> int | None:
        """The experiment whose result comes next; ``None`` when the loop is to end.

        Under a virtual clock results come in the order of virtual time, whichever thread was first.
        """
        ready: set[int] = set()
        while True:
            if self.cancelled.is_set():
                return None
            try:
                ready.add(self._landed.get(timeout=0.2))
            except Empty:
                self._late.take_at_times()
                continue
            if not self._virtual:
                return ready.pop()
            if ready == set(self._flights):
                first = min(ready, key=self._lands_at)
                for id in ready - {first}:
                    self._landed.put(id)  # landed, but its time has not come
                return first

    def _lands_at(self, id: int) -> tuple[float, int]:
        flight = self._flights[id]
        try:
            outcome = flight.running.result()
            return flight.attempt.clock_started + (outcome.duration if isinstance(outcome, Outcome) else 0.0), id
        except Exception:  # noqa: BLE001  it is raised again, and dealt with, when this flight is learned from
            return flight.attempt.clock_started, id

    def _drain(self) -> bool:
        """The loop was cancelled: make the laboratory safe, wait for what runs, and keep every result that came.

        What runs should end by itself; a laboratory that does not hear of it must not go on meanwhile.
        """
        self._attendance.make_safe()
        for id, flight in sorted(self._flights.items()):
            outcome = flight.running.result()
            if isinstance(outcome, Unfinished):
                self._unfinished(flight, outcome)
            elif self._virtual:  # a virtual result comes again, in its turn
                self._unfinished(flight, Unfinished("interrupted", untouched=True))
            else:
                self._land(flight, outcome)
            del self._flights[id]
        self._write_controls()
        return False

    # Learning

    def _learn(self, flight: Flight) -> None:
        id = flight.record.id
        outcome = flight.running.result()
        if isinstance(outcome, Unfinished):
            self._unfinished(flight, outcome)
            return
        self._now = max(self._now, flight.attempt.clock_started + outcome.duration)
        self.engine.call("learn", f"learn from experiment {id}", lambda: self._land(flight, outcome))

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        """Write an outcome to the store, in one transaction with the end of its attempt."""
        digest = raw.keep(outcome, Path(flight.attempt.files or self._files))
        failure = outcome.failure
        ended = replace(
            flight.attempt,
            state="finished" if failure is None else "failed",
            finished=datetime.now(UTC),
            duration=outcome.duration,
            sample=outcome.sample or flight.attempt.sample,
            files=flight.attempt.files if digest else None,
            digest=digest,
            message="" if failure is None else f"{failure.cause}: {failure.reason}",
        )
        if failure is not None:
            self._failures[flight.record.id] += 1
        if failure is not None and failure.cause in RETRIED and self._failures[flight.record.id] < MOST_ATTEMPTS:
            logger.warning("experiment %d: %s; it is tried again", flight.record.id, ended.message)
            self._back(flight, ended, repeat=True)
            return
        result = told_of(flight.record, outcome, ended.sample)
        try:
            record = self.campaign.record(result, PutAttempt(ended), *self._given_up(flight.record, outcome))
        except ValueConflict as conflict:  # a person told a result meanwhile: theirs stands, ours is in the log
            logger.warning("experiment %d was told from elsewhere: %s", flight.record.id, conflict)
            measured = {metric: asdict(value) for metric, value in result.values.items()}
            note = Note("conflict", str(conflict), experiment=flight.record.id, data={"measured": measured})
            self.campaign.put(PutAttempt(ended), note)
            record = self.campaign.store.experiment(self.campaign.name, flight.record.id)
        if record.sample != flight.record.sample and flight.record.sample is not None:  # others waited for it too
            now = {r.id: r for r in self.campaign.experiments()}
            self._queue = deque(now[r.id] for r in self._queue)
        if self._controls is not None and ended.state == "finished":
            self._controls.landed(record.id, ended.cell)
        told(self._listeners, "learned", record, ended)

    def _write_controls(self) -> None:
        """Write what controls found, and which experiments became suspect by it."""
        if self._controls is None:
            return
        store, name = self.campaign.store, self.campaign.name
        if changes := self._controls.changes(lambda id: store.experiment(name, id)):
            self.campaign.put(*changes)

    def _given_up(self, record: ExperimentRecord, outcome: Outcome) -> list[Change]:
        """A sample that failed for its material is not used again: what waits for it is called off."""
        if outcome.failure is None or outcome.failure.cause != "material" or record.sample is None:
            return []
        lost = [r for r in self._queue if r.sample == record.sample]
        for waiting in lost:
            self._queue.remove(waiting)
        now, why = datetime.now(UTC), f"its sample failed in experiment {record.id}"
        return [PutExperiment(replace(r, state="cancelled", updated=now), r.state, why) for r in lost]

    def _unfinished(self, flight: Flight, how: Unfinished) -> None:
        """An attempt ended without a result: run it again, or ask a person where that is not safe."""
        ends, why = how.ends, how.message
        if not (ends or how.untouched or self.lab.repeat_is_safe or self.cancelled.is_set()):
            ends, why = "halted", f"a person must say what became of experiment {flight.record.id}: {why}"
        if ends and (self._waits is None or ends == "halted"):
            self._waits = ends, why
        self._requeue(flight, "cancelled", how.message, untouched=how.untouched)

    def _requeue(self, flight: Flight, state: AttemptState, message: str, *, untouched: bool = False) -> None:
        ended = replace(flight.attempt, state=state, finished=datetime.now(UTC), message=message)
        self._back(flight, ended, repeat=untouched or self.lab.repeat_is_safe)

    def _back(self, flight: Flight, ended: AttemptRecord, *, repeat: bool) -> None:
        record = replace(flight.record, state="queued" if repeat else "needs_inspection", updated=datetime.now(UTC))
        self.campaign.put(PutExperiment(record, "running", ended.message), PutAttempt(ended))
        self._attempts[record.id] = ended
        if repeat:
            self._queue.append(record)

    # Beginning and ending

    def _recover(self) -> str:
        """Classify what an earlier process left behind; says why the campaign must halt, if it must."""
        every = self.campaign.store.attempts(self.campaign.name)
        attempts: Mapping[int, AttemptRecord] = {a.experiment: a for a in every}
        self._attempts = dict(attempts)
        self._failures = Counter(a.experiment for a in every if a.state == "failed")
        times = [a.clock_started + (a.duration or 0.0) for a in attempts.values() if a.state in ("finished", "failed")]
        self._now = max(times, default=0.0)
        self._clock = RealClock(self._now)
        if isinstance(self.lab, Controlled) and self.lab.controls:
            self._controls = Controls(self.lab, lambda: (self._now if self._virtual else self._clock.now()) / 3600.0)
            self._controls.load(every, self.campaign.store.events(self.campaign.name))
        for record in self.campaign.experiments():
            if record.state == "running":
                changes = left_running(record, attempts.get(record.id), repeat=self.lab.repeat_is_safe)
                self.campaign.put(*changes)
                self._attempts |= {c.record.experiment: c.record for c in changes if isinstance(c, PutAttempt)}
        records = self.campaign.experiments()
        waiting = [r.id for r in records if r.state == "needs_inspection"]
        if waiting:
            return f"a person must say what became of experiment {', '.join(map(str, waiting))}"
        self._queue = deque(queue_of(records, self._attempts))
        return ""

    def _why_done(self) -> str:
        awaiting = sum(r.state == "awaiting_analysis" for r in self.campaign.experiments())
        late = f"; {awaiting} experiments await their analysis" if awaiting else ""
        return (self._exhausted or self._ending.why) + late

    def _set_state(self, state: CampaignState, why: str) -> None:
        now = self.campaign.store.campaign(self.campaign.name).state
        self.campaign.put(SetCampaignState(now, state, why))

    def _fail(self, problem: BaseException) -> None:
        """Leave the truth in the store: results that came are kept, what else ran is of unknown outcome."""
        logger.debug("the loop ends with an exception", exc_info=problem)
        self.cancelled.set()
        why = f"{type(problem).__name__}: {problem}"
        self._attendance.make_safe()  # before anything is waited for
        for flight in list(self._flights.values()):
            self._rescue(flight, f"the loop ended: {why}")
        trouble = self._attendance.make_safe()
        self._attendance.close()
        ended: CampaignState = "interrupted" if isinstance(problem, KeyboardInterrupt) else "failed"
        try:
            self._set_state("halted" if trouble else ended, f"{why}; {trouble}" if trouble else why)
        except OrchestratorError as second:  # the first problem is the one to raise
            logger.error("the failure could not be written to the store: %s", second)

    def _rescue(self, flight: Flight, why: str) -> None:
        """Keep the result of a flight that has one; the loop is failing, so that nothing here may raise."""
        outcome: Outcome | Unfinished | None = None
        try:
            outcome = flight.running.result()
        except BaseException as other:  # noqa: BLE001  perhaps the very reason why the loop fails
            logger.debug("a flight ended with %r", other)
        try:
            record = self.campaign.store.experiment(self.campaign.name, flight.record.id)
            if record.state != "running":
                return
            if isinstance(outcome, Outcome) and not self._virtual:
                self._land(flight, outcome)
            else:
                self._requeue(flight, "unknown", why)
        except Exception:
            logger.exception("experiment %d could not be brought to an end in the store", flight.record.id)
