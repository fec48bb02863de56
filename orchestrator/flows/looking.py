"""Whether a campaign of a store wants somebody to continue it: what a worker asks before it does anything.

Prefect is not asked: a worker that was killed leaves its run "Running" for ever. The store knows who lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.campaign.words import DEPLOY
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord, CampaignState, EventRecord, Lease
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
    record = store.campaign(name)
    return decide(record, store.holder(name), store.events(name, kinds=("campaign", DEPLOY)))


def decide(record: CampaignRecord, holder: Lease | None, words: Sequence[EventRecord]) -> Look:
    """The same as a pure function.

    A campaign that has ended or waits is continued all the same where a person has deployed it since.

    Args:
        record: the campaign.
        holder: its lease, where a living process has it.
        words: events of the kinds ``campaign`` and :data:`DEPLOY`, oldest first.
    """
    state = record.state
    ended = state in CAMPAIGN_ENDED
    if holder is not None:
        return Look(False, False, f"{holder.owner} controls it")
    if (ended or state in WAITING) and not (words and words[-1].kind == DEPLOY):
        return Look(False, ended, f"it is {state}" + (f": {record.reason}" if record.reason else ""))
    return Look(True, False, f"it is {state}, and nobody controls it")
