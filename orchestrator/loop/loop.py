"""Propose, execute, learn: the loop, one step at a time, whatever engine runs its pieces."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty
from threading import Event
from typing import Final

from acquisition.stopping import StoppingRule
from instruments.lab import Equipped, Fenced, Lab
from orchestrator.campaign import Campaign
from orchestrator.campaign.campaign import unfenced
from orchestrator.campaign.linking import link
from orchestrator.campaign.made import name_of
from orchestrator.config.breakers import Breakers
from orchestrator.config.confirm import ConfirmBlock
from orchestrator.config.turns import TurnsBlock
from orchestrator.errors import OrchestratorError, StaleWrite, StoreError
from orchestrator.loop.amending import Following
from orchestrator.loop.attendance import Attendance
from orchestrator.loop.cells import Cells
from orchestrator.loop.confirming import Confirming
from orchestrator.loop.context import RealClock
from orchestrator.loop.ending import Ending, rule_of
from orchestrator.loop.engine import Engine
from orchestrator.loop.executing import Flight, Unfinished
from orchestrator.loop.holding import TTL, holding
from orchestrator.loop.keeping import Files
from orchestrator.loop.landing import Landing
from orchestrator.loop.late import LateResults
from orchestrator.loop.launching import fly, take_up
from orchestrator.loop.listener import Listener, told
from orchestrator.loop.proposing import Proposing
from orchestrator.loop.restart import recover
from orchestrator.loop.sending import Sender
from orchestrator.loop.terms import Approval, Terms
from orchestrator.loop.turns import Turns
from orchestrator.loop.watching import Watch, ended
from orchestrator.loop.work import Work
from orchestrator.store.changes import PutAttempt, PutExperiment, SetCampaignState
from orchestrator.store.records import AttemptRecord, CampaignState, ExperimentRecord

logger = logging.getLogger(__name__)

TICK: Final = 0.2
"""Real seconds between looks at what people say, while nothing ends by itself."""
MOST_TRIES: Final = 5


class Loop:
    """Runs one campaign in one laboratory.

    Args:
        campaign: proposes and learns; kept in its store.
        lab: executes.
        experiments: the budget; prior data and controls do not count.
        stop: a stopping rule, beside the budget or instead of it.
        confirm: how the best points are confirmed when the search is over; what that takes is kept from the budgets.
        batch: propose so many together; cells that are free at once may ask for more.
        approval: what a person must approve before it is started; ``None``: nothing.
        breakers: how much may go wrong before a cell is taken out of service, and before the campaign waits for a
            person; ``None``: no cell is taken out by itself.
        turns: how it shares the laboratory's devices with other campaigns of its store.
        engine: runs the pieces.
        files: where raw signals are kept: what says so, or a folder.
        cancelled: when set, the loop starts nothing more, waits for what runs, and ends ``interrupted``.
        listeners: are told what happens.

    Raises:
        CampaignError: neither a budget nor a stopping rule.
        StoppingError: a rule that may never end the campaign, or means nothing for it; confirming leaves nothing.
    """

    def __init__(
        self,
        campaign: Campaign,
        lab: Lab,
        *,
        experiments: int | None = None,
        stop: StoppingRule | None = None,
        confirm: ConfirmBlock | None = None,
        batch: int = 1,
        approval: Approval | None = None,
        breakers: Breakers | None = None,
        turns: TurnsBlock | None = None,
        engine: Engine,
        files: Files | Path,
        cancelled: Event | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.campaign, self.lab, self.engine = campaign, lab, engine
        self.cancelled = cancelled or Event()
        cells = Cells(lab.cells, breakers, listeners)
        kept = files if isinstance(files, Files) else Files(files, files / "spool", durable=not lab.repeat_is_safe)
        terms = Terms(rule_of(experiments, stop), batch, approval, breakers, turns or TurnsBlock(), confirm)
        self._work = Work(
            campaign, lab, engine, kept, self.cancelled, tuple(listeners), cells, Sender(kept, campaign.name), terms
        )
        self._ending = Ending(campaign, lab, terms.search(campaign.costs))
        campaign.budget, campaign.reserved = terms.rule.most, terms.reserved
        self._proposing = Proposing(self._work, self._ending, self._meanwhile)
        self._confirming = Confirming(self._work, self._ending, self._proposing)
        self._landing = Landing(self._work)
        self._late = LateResults(campaign, lab, kept)
        self._attendance = Attendance(lab)
        devices = lab.equipment if isinstance(lab, Equipped) else ()
        self._turns = Turns(campaign.store, campaign.name, devices, terms.turns, ttl=TTL, listeners=listeners)
        self._following = Following(self._work, self._ending, self._proposing, self._confirming, self._turns)
        self._watch = Watch(self._work, self._following)

    # The whole campaign

    def run(self) -> CampaignState:
        """Run until a stopping rule, an interruption or a failure ends it.

        Returns:
            The state in which the campaign is now.

        Raises:
            LeaseHeld: another process controls the campaign.
        """
        store, name = self.campaign.store, self.campaign.name
        with holding(store, name, self.cancelled, renew=self._turns.renew) as held, self._turns:
            self.campaign.token, self.campaign.fence = held.lease.token, held.fence.check
            if isinstance(self.lab, Fenced):
                self.lab.fence(held.fence.permits)
            try:
                return self._run()
            finally:
                self.campaign.token, self.campaign.fence = None, unfenced

    def _run(self) -> CampaignState:
        link(self.campaign.store, self.campaign.name, token=self.campaign.token)  # where the first process died before
        self.campaign.refresh()
        self.campaign.news()  # what was said before is in the state that this starts from
        self._following.follow()
        try:
            self._begin()
            state, why = self._sit()
        except BaseException as problem:
            self._fail(problem)
            raise
        finally:
            self.engine.close()
        self._work.sender.close()
        if trouble := self._attendance.make_safe():
            state, why = "halted", trouble
        self._attendance.close()
        return self._end(state, why)

    def _begin(self) -> None:
        """Take the campaign up, in whatever state it was left."""
        if self.campaign.store.campaign(self.campaign.name).state == "stopping":
            self._set_state("interrupted", "its process ended while it was stopping")
        self._set_state("running", "")

    def _end(self, state: CampaignState, why: str) -> CampaignState:
        """Write how the sitting ended; what a person said in the last moment counts."""
        for _ in range(MOST_TRIES):
            self._watch.look(at_once=True)
            now, reason = ended(self._work, state, why)
            if now == "completed" and self._work.paused:  # there is nothing left to pause
                self._set_state("running", "")
            try:
                self._set_state(now, reason)
            except StaleWrite as stale:
                logger.info("the campaign was changed while it ended: %s", stale)
            else:
                return now
        raise StaleWrite(f"campaign {self.campaign.name!r} changes faster than it can end.", field="state")

    def _sit(self) -> tuple[CampaignState, str]:
        """Go through all steps, turn after turn where other campaigns want the laboratory; how it ended, and why."""
        first = True
        while True:
            if not self._has_turn():
                break
            closed = self._attendance.open()  # a laboratory makes itself safe before anything else is done
            waiting = recover(self._work, self._landing) if first else ""
            if closed is not None:
                return closed
            if waiting:
                return "halted", waiting
            if first:
                take_up(self._work)
                self._confirming.take_up()
            first = False
            self._late.take()
            while self.step():
                pass
            self._late.take()
            if not self._work.gives_way or self._work.ends:
                break
            if self._is_over():
                break
            if trouble := self._let_go():
                return "halted", trouble
        if self._work.waits is not None:
            return self._work.waits
        if self.cancelled.is_set():
            return "interrupted", "a signal ended it" + self._landing.going_on()
        return "completed", self._ending.in_words(self._proposing.exhausted) + self._confirming.outcome()

    # Turns

    def _has_turn(self) -> bool:
        """Wait for the laboratory's devices; whether this campaign has them and should go on."""
        work = self._work

        def goes_on() -> bool:
            self._watch.look(at_once=True)
            return not work.ends

        if self._turns.alone:
            return True
        self._attendance.ours = False
        self._attendance.ours = self._turns.wait(goes_on, self._wants, self.cancelled.wait)
        work.gives_way = ""
        work.clock = RealClock(work.now)  # waiting is no time of the laboratory
        return self._attendance.ours

    def _wants(self) -> bool:
        """Whether there is anything that would be started at once."""
        return not self._work.paused and bool(self._work.queue or not self._watch.awaits_approval())

    def _is_over(self) -> bool:
        """Whether nothing is left that another turn would be for."""
        left = self._work.queue or self._watch.awaits_approval() or self._confirming.wanted
        return not left and bool(self._ending.over or self._ending.ask(self._work.now / 3600.0).reason)

    def _let_go(self) -> str:
        """Give the laboratory to another campaign, safe; says what went wrong, if anything did."""
        work = self._work
        if not work.virtual:
            work.now = work.clock.now()
        if trouble := self._attendance.make_safe():
            return trouble
        self._attendance.close()
        self._turns.give_way(work.gives_way, wants=self._wants())
        return ""

    def step(self) -> bool:
        """Start what can be started, then wait for one result and learn it, or for what people say.

        Returns:
            Whether there is more to do.
        """
        work = self._work
        self._heed()
        if work.starts:
            self._start()
        if not work.flights:
            return self._idle()
        landed = self._next()
        if landed is None:
            return self._drain() if self.cancelled.is_set() else True
        self._learn(work.flights[landed])
        del work.flights[landed]
        self._landing.write_controls()
        return True

    def _heed(self) -> None:
        """Take in what people and other campaigns want."""
        self._watch.look(at_once=True)
        self._work.gives_way = self._turns.gives_way()

    def _idle(self) -> bool:
        """Nothing runs: wait for a person's word where one is needed; whether to go on."""
        work = self._work
        if work.ends or work.gives_way:
            return False
        if work.stale or self._watch.look(at_once=True):  # a person was faster: look again at what there is
            work.stale = False
            return True
        if not (work.paused or self._watch.awaits_approval() or work.queue):
            return self._confirming.begin()
        work.gives_way = self._turns.gives_way(idle=True)
        if work.gives_way:
            return False
        self.cancelled.wait(TICK)
        self._late.take_at_times()
        return not self.cancelled.is_set()

    # Starting

    def _start(self) -> None:
        self._proposing.samples.settle()
        work, free = self._work, self._free()
        # what was interrupted takes the cell and the time that it had
        again = [r for r in work.queue if r.id in work.attempts and work.attempts[r.id].cell in free]
        for record in again:
            former = work.attempts[record.id]
            if work.virtual and former.state in ("unknown", "cancelled") and former.cell in free:
                work.queue.remove(record)
                free.remove(former.cell)
                self._launch(record, former.cell, former.clock_started)
        free = self._place(free)  # no cell waits for a model while there is something to do
        if free:
            self._proposing.fill(free, self._watch.awaits_approval())
            self._heed()  # it may have thought for long
            if work.starts:
                self._place(self._free())

    def _free(self) -> list[str]:
        """Cells in service in which nothing runs."""
        busy = {flight.attempt.cell for flight in self._work.flights.values()}
        return [cell for cell in self._work.cells.in_service if cell not in busy]

    def _place(self, free: list[str]) -> list[str]:
        """Start what waits in free cells; those for which there is nothing."""
        work = self._work
        self._proposing.samples.settle()
        for record, cell in self._proposing.placed(free):
            if work.cancelled.is_set():
                break
            work.queue.remove(record)
            self._launch(record, cell, work.time)
            free = [other for other in free if other != cell]
        return free

    def _meanwhile(self, over: Event) -> None:
        """A model thinks: whoever wants all stopped at once does not wait for it."""
        safe = False
        while not over.wait(TICK):
            try:
                self._watch.glance()
            except StoreError as problem:  # it may be away for a moment; whoever writes next finds out
                logger.warning("nobody can be heard while the model thinks: %s", problem)
            if self.cancelled.is_set() and not safe:
                self._attendance.make_safe()
                safe = True

    def _launch(self, record: ExperimentRecord, cell: str, began: float) -> None:
        work = self._work
        former = work.attempts.get(record.id)
        number = 1 if former is None else former.number + 1
        sample = record.sample or name_of(self.campaign.name, self.campaign.seed, record.id)
        files = work.files.location(self.campaign.name, record.id, number)
        attempt = AttemptRecord(
            experiment=record.id, number=number, cell=cell, sample=sample, clock_started=began, files=files
        )
        running = replace(record, state="running", updated=datetime.now(UTC))
        try:
            self.campaign.put(PutExperiment(running, record.state), PutAttempt(attempt))
        except StaleWrite as stale:  # a person has decided about it meanwhile: it is no longer ours to start
            logger.warning("experiment %d is not started: %s", record.id, stale)
            self.campaign.refresh()
            self._watch.take_experiments()
            work.stale = True
            return
        fly(work, running, attempt)
        told(work.listeners, "started", running, attempt)

    # Waiting

    def _next(self) -> int | None:
        """The experiment whose result comes next; ``None`` where there is something else to heed first.

        Under a virtual clock results come in the order of virtual time, whichever thread was first.
        """
        work = self._work
        ready: set[int] = set()
        while True:
            if self.cancelled.is_set():
                break
            try:
                ready.add(work.landed.get(timeout=TICK))
            except Empty:
                self._late.take_at_times()
                if self._watch.look():
                    break
                continue
            if not work.virtual:
                return ready.pop()
            if ready == set(work.flights):
                first = min(ready, key=work.lands_at)
                for id in ready - {first}:
                    work.landed.put(id)  # landed, but its time has not come
                return first
        for id in ready:
            work.landed.put(id)
        return None

    def _drain(self) -> bool:
        """The loop was cancelled: make the laboratory safe, wait for what runs, and keep every result that came.

        What runs should end by itself; a laboratory that does not hear of it must not go on meanwhile.
        """
        work = self._work
        self._attendance.make_safe()
        work.end_waiting()
        for id, flight in sorted(work.flights.items()):
            outcome = flight.running.result()
            if isinstance(outcome, Unfinished):
                self._landing.unfinished(flight, outcome)
            elif work.virtual:  # a virtual result comes again, in its turn
                self._landing.unfinished(flight, Unfinished("interrupted", untouched=True))
            else:
                self._landing.land(flight, outcome)
            del work.flights[id]
        self._landing.write_controls()
        return False

    # Learning

    def _learn(self, flight: Flight) -> None:
        work, id = self._work, flight.record.id
        outcome = flight.running.result()
        if isinstance(outcome, Unfinished):
            self._landing.unfinished(flight, outcome)
            return
        work.now = max(work.now, flight.attempt.clock_started + outcome.duration)
        self.engine.call("learn", f"learn from experiment {id}", lambda: self._landing.land(flight, outcome))

    # Beginning and ending

    def _set_state(self, state: CampaignState, why: str) -> None:
        now = self.campaign.store.campaign(self.campaign.name).state
        self.campaign.put(SetCampaignState(now, state, why))
        told(self._work.listeners, "state_changed", state, why)

    def _fail(self, problem: BaseException) -> None:
        """Leave the truth in the store: results that came are kept, what else ran is of unknown outcome."""
        logger.debug("the loop ends with an exception", exc_info=problem)
        self.cancelled.set()
        why = f"{type(problem).__name__}: {problem}"
        self._attendance.make_safe()  # before anything is waited for
        self._work.end_waiting()
        for flight in list(self._work.flights.values()):
            self._landing.rescue(flight, f"the loop ended: {why}")
        trouble = self._attendance.make_safe()
        self._attendance.close()
        state: CampaignState = "interrupted" if isinstance(problem, KeyboardInterrupt) else "failed"
        try:
            self._set_state("halted" if trouble else state, f"{why}; {trouble}" if trouble else why)
        except OrchestratorError as second:  # the first problem is the one to raise
            logger.error("the failure could not be written to the store: %s", second)
