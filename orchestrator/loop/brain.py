"""Proposes for a campaign that runs elsewhere; see :mod:`orchestrator.loop.elsewhere`."""

from __future__ import annotations

import logging
import math
import time
from threading import Event

from acquisition.errors import AcquisitionError
from orchestrator.campaign import Campaign, words
from orchestrator.campaign.defining import arguments, definition_of
from orchestrator.campaign.line import BRAIN
from orchestrator.errors import LeaseLost, OrchestratorError, StaleWrite, StoreError
from orchestrator.loop.devices import BEAT, TTL, renewed
from orchestrator.loop.elsewhere import BETWEEN
from orchestrator.loop.terms import Terms
from orchestrator.store.changes import Note
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignState, EventRecord, Owner
from orchestrator.store.states import CAMPAIGN_ENDED

logger = logging.getLogger(__name__)


class Brain:
    """Answers the requests of one campaign.

    Args:
        store: where the campaign is kept.
        name: of the campaign.
        cancelled: ends it, after the proposal that is being made.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: it was made in Python, so that nothing else can rebuild it.
    """

    def __init__(self, store: Store, name: str, cancelled: Event) -> None:
        self._store, self._name, self._cancelled = store, name, cancelled
        definition = definition_of(store, name)
        self._campaign = Campaign(
            **arguments(definition),
            seed=definition.file.seed,
            name=name,
            store=store,
            definition=store.campaign(name).definition,
        )
        self._campaign.who = "brain"

    def serve(self, *, ttl: float = TTL, every: float = BEAT) -> CampaignState:
        """Answer until the campaign has ended, or this is cancelled; the campaign's state then.

        Args:
            ttl: s, how long the lease lasts unless it is renewed.
            every: s, between renewals.

        Raises:
            LeaseHeld: another process is the campaign's brain.
        """
        store, name = self._store, self._name
        seen = store.last_event(name)  # requests are made only from when the lease is there
        hold = store.hold(BRAIN, name, Owner.current(), ttl)
        lost = Event()
        try:
            with renewed(lambda: store.keep(hold, ttl), lost, f"the brain of campaign {name}", every):
                while not lost.is_set() and not self._cancelled.wait(BETWEEN):
                    try:
                        seen, ended = self._look(seen)
                    except StoreError as problem:  # it may be away for a moment
                        logger.warning("the store cannot be read: %s", problem)
                        continue
                    if ended:
                        break
        finally:
            store.drop(hold)
        return store.campaign(name).state

    def _look(self, seen: int) -> tuple[int, bool]:
        """Answer what was asked since an event; the last event by now, and whether the campaign has ended."""
        store, name = self._store, self._name
        last = store.last_event(name)
        if last == seen:
            return seen, False
        said = store.events(name, after=seen, kinds=("campaign", words.THINK))
        requests = [event for event in said if event.kind == words.THINK]
        if requests:
            self._answer(requests[-1])
        ended = any(event.kind == "campaign" for event in said) and store.campaign(name).state in CAMPAIGN_ENDED
        return max(last, said[-1].sequence) if said else last, ended

    def _answer(self, request: EventRecord) -> None:
        campaign, data = self._campaign, request.data
        number, began = int(data["ask"]), time.monotonic()
        purse, fresh = (math.inf if data[key] is None else float(data[key]) for key in ("purse", "fresh"))
        campaign.token = None
        campaign.refresh()
        if campaign.asks + 1 != number:
            return  # an old request, which the loop has answered itself
        campaign.token = int(data["token"])
        try:
            terms = Terms.of(definition_of(self._store, self._name).file)
            campaign.budget, campaign.reserved = terms.rule.most, terms.reserved
            n, apart = int(data["n"]), bool(data["apart"])
            records = campaign.propose(n, state=terms.first_state, apart=apart, purse=purse, fresh=fresh, ask=number)
        except (StaleWrite, LeaseLost) as late:
            logger.info("ask %d is not wanted any more: %s", number, late)
        except (AcquisitionError, OrchestratorError, MemoryError, RuntimeError) as problem:
            logger.exception("ask %d could not be made", number)
            self._refuse(number, f"{type(problem).__name__}: {problem}")
        else:
            if not records:
                self._refuse(number, "nothing of it can be paid")
            logger.info("ask %d took %.1f s", number, time.monotonic() - began)
        finally:
            campaign.token = None
            campaign.news()

    def _refuse(self, number: int, why: str) -> None:
        """Tell the loop to make an ask itself."""
        note = Note(words.THOUGHT, why, data={"ask": number})
        try:
            self._store.apply(self._name, [note], who=self._campaign.who)
        except StoreError as problem:  # the loop's patience ends, too
            logger.warning("the loop could not be told that ask %d failed: %s", number, problem)
