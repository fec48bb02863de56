"""Filling free cells: what the queue gives them, and what is proposed for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any

from acquisition.errors import SpaceExhaustedError
from acquisition.stopping import Standing
from orchestrator.loop.elsewhere import Elsewhere
from orchestrator.loop.ending import Ending
from orchestrator.loop.listener import told
from orchestrator.loop.placing import homes, place
from orchestrator.loop.samples import Samples
from orchestrator.loop.work import Work
from orchestrator.store.records import ExperimentRecord, ExperimentState


class Proposing:
    """Proposes for one loop.

    Args:
        work: what is in hand.
        ending: whether the campaign is over.
        meanwhile: called with an event while a model thinks, in the loop's thread; returns when the event is set.
    """

    def __init__(self, work: Work, ending: Ending, meanwhile: Callable[[Event], None]) -> None:
        self._work, self._ending, self._meanwhile = work, ending, meanwhile
        self.samples = Samples(work, ending)
        self._elsewhere = Elsewhere(work.campaign, work.cancelled)
        self.exhausted = ""
        """Why a finite space has nothing left, once it has not."""

    def fill(self, free: Sequence[str], waiting: int) -> None:
        """Propose until every free cell has an experiment, or the campaign is over.

        Args:
            free: cells without an experiment.
            waiting: proposals that wait for a person's approval: so many cells are spoken for.
        """
        for _ in free:
            missing = len(free) - len(self.placed(free)) - waiting
            if missing < 1 or not self._more(missing) or self._work.campaign.conditions_per_sample is None:
                return

    def placed(self, free: Sequence[str]) -> list[tuple[ExperimentRecord, str]]:
        """Which waiting experiment goes to which free cell."""
        work = self._work
        waiting = self._together()
        if work.campaign.conditions_per_sample is None:
            return list(zip(waiting, free, strict=False))
        at_home = homes(work.campaign.experiments(), work.attempts)
        running = [flight.record.sample for flight in work.flights.values()]
        return place(waiting, free, work.cells.in_service, at_home, running)

    def _together(self) -> Sequence[ExperimentRecord]:
        """What waits and may run beside what runs: where settings are shared by all cells, those that have the same."""
        work, fixed = self._work, self._work.campaign.fixed
        if not fixed or not work.queue:
            return list(work.queue)
        lead = next((flight.record for flight in work.flights.values()), work.queue[0])
        return [r for r in work.queue if all((r.asked or {}).get(c) == (lead.asked or {}).get(c) for c in fixed)]

    def _more(self, missing: int) -> bool:
        """Propose for so many cells, unless the campaign is over; whether anything was."""
        work = self._work
        shared = bool(work.campaign.fixed)
        if self._ending.over or self.exhausted or (shared and (work.flights or work.queue)):
            return False  # a batch that shares settings ends before the next one begins
        standing = self._ending.ask(work.now / 3600.0)
        alone = work.campaign.conditions_per_sample is None  # each experiment needs a sample of its own
        wanted = min(max(missing, work.terms.batch), standing.room, standing.fresh if alone else math.inf)
        if wanted < 1:
            return False
        records = self._propose(int(wanted), wanted <= missing, standing)
        if not records and not self.exhausted:
            self._ending.too_dear(standing)
        return any(record.state == "queued" for record in records)

    def _propose(self, n: int, apart: bool, standing: Standing) -> list[ExperimentRecord]:
        work = self._work
        first = work.campaign.next_id
        label = f"propose experiment {first}" if n == 1 else f"propose experiments {first} to {first + n - 1}"
        records = self.think(label, lambda: self._choose(n, apart, standing))
        work.queue.extend(record for record in records if record.state == "queued")
        if records:
            told(work.listeners, "proposed", records)
        return records

    def think(self, label: str, choose: Callable[[], list[ExperimentRecord]]) -> list[ExperimentRecord]:
        """What a model chooses. Where time is real, that is done in another thread: it may take a minute."""
        if self._work.virtual:
            return self._work.engine.call("propose", label, choose)
        over = Event()
        asked = self._work.engine.submit("propose", label, choose)
        asked.add_done_callback(lambda _: over.set())
        try:
            self._meanwhile(over)
        finally:
            over.wait()  # what it writes, it writes under this loop's lease
        return asked.result()

    def state(self, settings: Mapping[str, Any]) -> ExperimentState:
        """Of a new experiment: whether it waits for a person's approval."""
        return self._work.terms.first_state(settings)

    def _choose(self, n: int, apart: bool, standing: Standing) -> list[ExperimentRecord]:
        try:
            return self._elsewhere.propose(n, self.state, apart, standing)
        except SpaceExhaustedError as nothing:
            self.exhausted = str(nothing)
            return []
