"""What people say to a running loop by way of the store: pause, continue, stop, approve, edit, add, tell."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Final

from orchestrator.campaign import words
from orchestrator.loop.amending import Following
from orchestrator.loop.listener import told
from orchestrator.loop.recovery import queue_of
from orchestrator.loop.work import Work
from orchestrator.store.records import CampaignState, EventRecord

logger = logging.getLogger(__name__)

BETWEEN: Final = 0.2
"""Real seconds between looks while nothing else happens."""


class Watch:
    """Heeds what others write about a campaign.

    Args:
        work: what is in hand.
        following: lets the loop follow another definition.
    """

    def __init__(self, work: Work, following: Following) -> None:
        self._work, self._following = work, following
        self._looked = 0.0
        self._glanced = 0

    def look(self, *, at_once: bool = False) -> bool:
        """Take in what others have written.

        Args:
            at_once: also where that was looked at just now.

        Returns:
            Whether there was anything that the loop must heed.
        """
        if not at_once and time.monotonic() - self._looked < BETWEEN:
            return False
        self._looked = time.monotonic()
        self._glanced = max(self._glanced, self._work.campaign.seen)
        news = [event for event in self._work.campaign.news() if event.kind not in ("lease", words.STEP)]
        if any(event.kind == words.AMENDMENT for event in news):
            self._following.follow()
        if any(event.kind == "campaign" for event in news):
            self.heed_state()
        if any(event.kind == "experiment" for event in news):
            self.take_experiments()
        for event in news:
            self._hear(event)
        return bool(news)

    def glance(self) -> None:
        """Heed whoever wants everything stopped at once, while the loop has no time for anything else."""
        campaign = self._work.campaign
        last = campaign.store.last_event(campaign.name)
        if last > self._glanced:
            for event in campaign.store.events(campaign.name, after=self._glanced, kinds=(words.STOP_NOW,)):
                self._hear(event)
        self._glanced = last

    def heed_state(self) -> None:
        """Follow the state that the store has the campaign in."""
        work = self._work
        record = work.campaign.store.campaign(work.campaign.name)
        work.paused = record.state == "paused"
        if record.state == "stopping" and work.stops is None:
            work.stops = record.reason or "a person stopped it"
        told(work.listeners, "state_changed", record.state, record.reason)

    def _hear(self, event: EventRecord) -> None:
        work = self._work
        work.cells.hear(event)
        if event.kind == words.CELL and (why := work.cells.holds):
            work.wait_for("holding", why)
        if event.kind == words.STOP_NOW and not work.stop_now:
            logger.warning("stopped at once by %s: %s", event.who, event.why)
            work.stops = event.why or f"{event.who} stopped it at once"
            work.stop_now = True
            work.cancelled.set()

    def take_experiments(self) -> None:
        """Queue and flights as the store has them now."""
        work = self._work
        records = {record.id: record for record in work.campaign.experiments()}
        for id, flight in work.flights.items():
            if records[id].state != "running":
                flight.context.told.set()
                flight.context.over.set()
        work.queue = deque(queue_of(records.values(), work.attempts))

    def awaits_approval(self) -> int:
        """How many proposals wait for a person's word; without approval, what is ``proposed`` was asked in Python."""
        if self._work.terms.approval is None:
            return 0
        return sum(record.state == "proposed" for record in self._work.campaign.experiments())


def ended(work: Work, state: CampaignState, why: str) -> tuple[CampaignState, str]:
    """How a sitting ends, given what people wanted of it.

    Args:
        work: what was in hand.
        state: in which it would end by itself.
        why: the same in words.
    """
    if work.stops is not None and state != "halted":
        return "stopped", work.stops
    if work.paused and state == "interrupted":
        return "paused", "paused; its process has ended"
    return state, why
