"""Keeps experiments away from samples that are not to be used again, and gives them fresh ones.

A sample whose allowed life is over is given up before anything else is started on it. What waits for a sample that was
given up gets a fresh one of the same preparation, one for all that waited for it, or is called off where what is left
of the budgets does not do for another. All that follows from the store alone: a process that dies in between leaves it
to the next.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from acquisition.stopping import Standing
from instruments.lab import Failure, Outcome
from orchestrator.campaign import words
from orchestrator.campaign.lives import over
from orchestrator.campaign.made import fresh_name, name_of, still_open
from orchestrator.errors import StaleWrite
from orchestrator.loop.ending import Ending
from orchestrator.loop.exposure import tell_given_up
from orchestrator.loop.outcome import told_of
from orchestrator.loop.recovery import queue_of
from orchestrator.loop.work import Work
from orchestrator.store.changes import Note, PutExperiment
from orchestrator.store.records import ExperimentRecord

logger = logging.getLogger(__name__)

MOST_TRIES: Final = 5


class Samples:
    """The samples of one loop.

    Args:
        work: what is in hand.
        ending: says what is left of the budgets.
    """

    def __init__(self, work: Work, ending: Ending) -> None:
        self._work, self._ending = work, ending

    def settle(self) -> None:
        """Before anything is started: give up what is over, and give fresh samples to what waits for it.

        Raises:
            StaleWrite: people change what waits faster than it can be written.
        """
        for _ in range(MOST_TRIES):
            self._give_up()
            try:
                while homeless := next(self._homeless(), None):
                    self._house(*homeless)
            except StaleWrite as stale:
                logger.warning("a person was faster: %s", stale)
                self._read_queue()
            else:
                return
        raise StaleWrite(f"the experiments of {self._work.campaign.name!r} change too fast.", field="state")

    def _give_up(self) -> None:
        """Give up samples whose allowed life is over; those that an experiment runs on when it has ended."""
        work, campaign = self._work, self._work.campaign
        limits, history = campaign.sample_limits, campaign.history
        if limits is None or not limits.ages:
            return
        wanted = {self._sample(r) for r in work.queue}
        wanted |= set(still_open(campaign.experiments(), campaign.conditions_per_sample, history, limits))
        busy = {flight.attempt.sample for flight in work.flights.values()}
        wall = None if work.virtual else datetime.now(UTC)
        notes = [
            Note(words.SAMPLE, why, data={"sample": sample, "usable": False})
            for sample in sorted(wanted - busy - set(history.out))
            if (why := over(limits, history.life(sample), work.time, wall))
        ]
        if notes:
            campaign.put(*notes)
            tell_given_up(work.listeners, notes)

    def _house(self, sample: str, waiting: list[ExperimentRecord], why: str) -> None:
        """Give experiments that wait for a sample which they cannot have a fresh one, or call them off."""
        standing = self._ending.ask(self._work.now / 3600.0)
        costs = self._work.campaign.costs
        price = 0.0 if costs is None else costs.preparation
        if standing.fresh < 1 or price > standing.purse:
            self._call_off(sample, waiting, why, standing)
        else:
            self._on_a_fresh_one(sample, waiting, why, price)

    def _homeless(self) -> Iterator[tuple[str, list[ExperimentRecord], str]]:
        """Samples with the experiments that wait for them and cannot have them, and why not."""
        campaign = self._work.campaign
        out, limits = campaign.history.out, campaign.sample_limits
        most = None if limits is None else limits.uses
        if not out and most is None:
            return
        groups: dict[str, list[ExperimentRecord]] = {}
        for record in self._work.queue:
            groups.setdefault(self._sample(record), []).append(record)
        for sample, waiting in groups.items():
            if sample in out:
                yield sample, waiting, out[sample]
            elif most is not None:
                used = {attempt.experiment for attempt in campaign.history.life(sample)}
                more = [record for record in waiting if record.id not in used]
                if len(used) + len(more) > most:
                    yield sample, more[max(most - len(used), 0) :], f"it may be used {most} times"

    def _on_a_fresh_one(self, sample: str, waiting: list[ExperimentRecord], why: str, price: float) -> None:
        work, campaign, now = self._work, self._work.campaign, datetime.now(UTC)
        taken = campaign.history.samples | {r.sample for r in campaign.experiments()}
        fresh = fresh_name(campaign.name, campaign.seed, waiting[0].id, taken)
        text = f"a fresh sample, {fresh}, instead of {sample}: {why}"
        moved: list[PutExperiment] = []
        for record in waiting:
            cost = record.cost if record.cost is None or moved else record.cost + price  # the first one pays for it
            new = replace(record, sample=fresh, cost=cost, updated=now)
            moved.append(PutExperiment(new, record.state, text, record))
        campaign.put(*moved)
        new_ones = {change.record.id: change.record for change in moved}
        work.queue = deque(new_ones.get(record.id, record) for record in work.queue)
        logger.warning("%s: %s", ", ".join(f"experiment {r.id}" for r in waiting), text)

    def _call_off(self, sample: str, waiting: list[ExperimentRecord], why: str, standing: Standing) -> None:
        """What was tried already has failed, and counts; the rest is as if it had not been proposed."""
        work, now = self._work, datetime.now(UTC)
        what = "catalyst" if standing.fresh < 1 else "the budget of costs"
        text = f"sample {sample} is not used again ({why}), and what is left of {what} makes no other"
        failed = {id for id, attempt in work.attempts.items() if attempt.state == "failed"}
        tried = [record for record in waiting if record.id in failed]
        off = [
            PutExperiment(replace(record, state="cancelled", updated=now), record.state, text, record)
            for record in waiting
            if record not in tried
        ]
        if off:
            work.campaign.put(*off)
        for record in tried:
            attempt = work.attempts[record.id]
            outcome = Outcome(failure=Failure("equipment", f"{attempt.message}; {text}"))
            work.campaign.record(told_of(record, outcome, attempt.sample), why=text)
        gone = {record.id for record in waiting}
        work.queue = deque(record for record in work.queue if record.id not in gone)
        logger.warning("%s called off: %s", ", ".join(f"experiment {id}" for id in sorted(gone)), text)

    def _read_queue(self) -> None:
        work = self._work
        work.campaign.refresh()
        work.queue = deque(queue_of(work.campaign.experiments(), work.attempts))

    def _sample(self, record: ExperimentRecord) -> str:
        campaign = self._work.campaign
        return record.sample or name_of(campaign.name, campaign.seed, record.id)
