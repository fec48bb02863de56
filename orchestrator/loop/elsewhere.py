"""Proposals that are made elsewhere: on a computer with a GPU, say, by a process that holds the campaign's brain.

The loop writes a request into the log, the brain answers with the ask itself, written under the loop's own lease. A
proposal is a function of what the store holds, so that it is the same wherever it is made. Where there is no brain, or
it does not answer, the loop proposes by itself.
"""

from __future__ import annotations

import logging
import math
import time
from threading import Event
from typing import Any, Final

from acquisition.stopping import Standing
from orchestrator.campaign import Campaign, words
from orchestrator.campaign.campaign import FirstState
from orchestrator.campaign.line import BRAIN
from orchestrator.errors import StaleWrite, StoreError
from orchestrator.store.changes import Note
from orchestrator.store.records import EventRecord, ExperimentRecord, Owner

logger = logging.getLogger(__name__)

PATIENCE: Final = 900.0
"""Seconds after which a brain that is alive is not waited for any longer."""
BETWEEN: Final = 0.2
"""Seconds between looks for an answer."""


class Elsewhere:
    """Has experiments proposed by a campaign's brain, where it has one.

    Args:
        campaign: that is run here.
        cancelled: ends the waiting.
        patience: s, so long a brain is waited for.
    """

    def __init__(self, campaign: Campaign, cancelled: Event, patience: float = PATIENCE) -> None:
        self._campaign, self._cancelled, self._patience = campaign, cancelled, patience

    def propose(self, n: int, state: FirstState, apart: bool, standing: Standing) -> list[ExperimentRecord]:
        """As :meth:`Campaign.propose`, wherever it is done."""
        campaign = self._campaign
        purse, fresh = standing.purse, standing.fresh
        if (brain := self._brain()) is None:
            return campaign.propose(n, state=state, apart=apart, purse=purse, fresh=fresh)
        number = campaign.asks + 1
        before = campaign.store.last_event(campaign.name)
        data: dict[str, Any] = {"ask": number, "n": n, "apart": apart, "token": campaign.token}
        data |= {"purse": finite(purse), "fresh": finite(fresh)}
        campaign.put(Note(words.THINK, f"ask {number} is left to {brain}", data=data))
        why = self._wait(number, before)
        if why is not None and not self._cancelled.is_set():
            logger.warning("ask %d is made here: %s", number, why)
            campaign.put(Note(words.THOUGHT, f"made by the loop itself: {why}", data={"ask": number}))
            try:
                return campaign.propose(n, state=state, apart=apart, purse=purse, fresh=fresh, ask=number)
            except StaleWrite as stale:
                logger.info("the brain was faster after all: %s", stale)
        campaign.refresh()
        return [record for record in campaign.experiments() if record.ask == number]

    def _brain(self) -> Owner | None:
        holds = (hold for hold in self._campaign.store.held(BRAIN) if hold.name == self._campaign.name)
        return next((hold.owner for hold in holds), None)

    def _wait(self, number: int, before: int) -> str | None:
        """Wait for an answer; why there is none, or ``None`` if there is one."""
        until, seen = time.monotonic() + self._patience, before
        store, name = self._campaign.store, self._campaign.name
        while not self._cancelled.wait(BETWEEN):
            try:
                if (last := store.last_event(name)) > seen:
                    answer = store.events(name, after=seen, kinds=("ask", words.THOUGHT))
                    seen = last
                    if any(event.kind == "ask" for event in answer):
                        return None
                    if refusals := [event.why for event in answer if _about(event, number)]:
                        return refusals[-1]
                if self._brain() is None:
                    return "the brain has gone"
            except StoreError as problem:  # it may be away for a moment; whoever writes next finds out
                logger.warning("the brain cannot be heard: %s", problem)
            if time.monotonic() > until:
                return f"the brain has not answered within {self._patience:g} s"
        return "the campaign ends"


def _about(event: EventRecord, number: int) -> bool:
    return event.kind == words.THOUGHT and event.data.get("ask") == number


def finite(bound: float) -> float | None:
    """A bound as JSON knows it: ``None`` where there is none."""
    return None if math.isinf(bound) else bound
