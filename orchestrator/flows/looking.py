"""Whether a campaign of a store wants somebody to continue it: what a worker asks before it does anything.

Prefect is not asked: a worker that was killed leaves its run "Running" for ever. The store knows who lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.campaign.line import BRAIN
from orchestrator.campaign.words import DEPLOY
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord, CampaignState, EventRecord
from orchestrator.store.states import CAMPAIGN_ENDED

WAITING: Final[frozenset[CampaignState]] = frozenset({"holding", "halted", "paused", "stopping"})
"""States that only a person's word ends where no process controls the campaign."""


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to do for a campaign.

    Attributes:
        goes_on: nobody controls it, and it is to be continued.
        ended: it has come to its end; there is nothing to look at any more.
        why: for people.
    """

    goes_on: bool
    ended: bool
    why: str


def look(store: Store, name: str) -> Look:
    """Whether a campaign is to be continued by whoever asks.

    Raises:
        UnknownCampaign: the store has none of this name.
    """
    lease = store.holder(name)
    return _decided(store, name, None if lease is None else f"{lease.owner} controls it")


def look_for_brain(store: Store, name: str) -> Look:
    """Whether whoever asks is to propose for a campaign.

    Raises:
        UnknownCampaign: the store has none of this name.
    """
    owner = next((hold.owner for hold in store.held(BRAIN) if hold.name == name), None)
    return _decided(store, name, None if owner is None else f"{owner} proposes for it")


def _decided(store: Store, name: str, taken: str | None) -> Look:
    return decide(store.campaign(name), taken, store.events(name, kinds=("campaign", DEPLOY)))


def decide(record: CampaignRecord, taken: str | None, words: Sequence[EventRecord]) -> Look:
    """The same as a pure function.

    A campaign that has ended or waits is continued all the same where a person has deployed it since.

    Args:
        record: the campaign.
        taken: which living process does already what is asked about, in words.
        words: events of the kinds ``campaign`` and :data:`DEPLOY`, oldest first.
    """
    state = record.state
    ended = state in CAMPAIGN_ENDED
    if taken is not None:
        return Look(False, False, taken)
    if (ended or state in WAITING) and not (words and words[-1].kind == DEPLOY):
        return Look(False, ended, f"it is {state}" + (f": {record.reason}" if record.reason else ""))
    return Look(True, False, f"it is {state}, and nobody controls it")
