"""Pause, continue and stop a campaign, whichever process runs it."""

from __future__ import annotations

import time
from typing import Final

from orchestrator.campaign import words
from orchestrator.errors import CampaignError
from orchestrator.steering.saying import say, too_late
from orchestrator.store.changes import Change, Note, SetCampaignState
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignState
from orchestrator.store.states import CAMPAIGN_ENDED

BETWEEN: Final = 0.1
"""Seconds between looks at whether a campaign has stopped."""
STOPPABLE: Final[tuple[CampaignState, ...]] = ("running", "paused", "holding", "halted", "interrupted", "created")


def pause(store: Store, name: str, *, who: str, why: str = "") -> str:
    """Let what runs end, and start nothing more. The process stays, with its laboratory.

    Returns:
        What happened, as a sentence.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: it does not run.
    """
    state = store.campaign(name).state
    if state == "paused":
        return f"campaign {name} is paused already."
    if state != "running":
        raise too_late(store, name, "be paused")
    say(store, name, [SetCampaignState("running", "paused", why or f"paused by {who}")], who=who, doing="be paused")
    if store.holder(name) is None:
        return f"campaign {name} is paused; no process runs it."
    return f"campaign {name} is paused: what runs ends, nothing more is started."


def go_on(store: Store, name: str, *, who: str, why: str = "") -> str:
    """Let a paused campaign go on.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: it is not paused, or no process runs it and it was not handed to workers.
    """
    state, holder = store.campaign(name).state, store.holder(name)
    if holder is None and state not in CAMPAIGN_ENDED and store.events(name, kinds=(words.DEPLOY,)):
        say(store, name, [Note(words.DEPLOY, why or f"continued by {who}")], who=who, doing="be continued")
        return f"campaign {name} goes on when a worker looks at it."
    if holder is None:
        raise CampaignError(
            f"campaign {name!r} is {state}, and no process runs it.",
            field="name",
            mend=f"Run `sabatier resume {name}`, or let a worker run it with `sabatier deploy {name}`.",
        )
    if state == "running":
        return f"campaign {name} runs already."
    if state != "paused":
        raise too_late(store, name, "be continued")
    say(store, name, [SetCampaignState("paused", "running", why)], who=who, doing="be continued")
    return f"campaign {name} goes on."


def stop(store: Store, name: str, *, now: bool = False, who: str, why: str = "") -> str:
    """End a campaign: what runs goes to its end, or with ``now`` is cancelled and the laboratory made safe.

    It can be resumed later by a person's word.

    Returns:
        What happened, as a sentence.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: it has ended.
    """
    state, reason = store.campaign(name).state, why or f"stopped by {who}"
    if state in CAMPAIGN_ENDED:
        return f"campaign {name} is {state} already."
    alone = store.holder(name) is None
    changes: list[Change] = []
    if alone:
        changes.append(SetCampaignState((*STOPPABLE, "stopping"), "stopped", reason))
    elif state != "stopping":
        changes.append(SetCampaignState(STOPPABLE, "stopping", reason))
    if now and not alone:
        changes.append(Note(words.STOP_NOW, reason))
    if not changes:
        return f"campaign {name} is stopping already; `--now` does not wait for what runs."
    say(store, name, changes, who=who, doing="be stopped")
    if alone:
        return f"campaign {name} is stopped; no process ran it."
    if now:
        return f"campaign {name} stops at once: what runs is cancelled and the laboratory made safe."
    return f"campaign {name} stops when what runs has ended."


def stopped(store: Store, name: str, patience: float) -> str:
    """Wait until a campaign that was stopped at once has ended.

    Args:
        store: where the campaign is.
        name: of the campaign.
        patience: s, so long it is waited for.

    Returns:
        What happened, as a sentence.

    Raises:
        CampaignError: nobody confirms that the laboratory is safe: a person must look.
    """
    until = time.monotonic() + patience
    while (state := store.campaign(name).state) == "stopping" and time.monotonic() < until:
        if store.holder(name) is None and store.campaign(name).state == "stopping":
            break
        time.sleep(BETWEEN)
    if state == "stopped":
        return f"campaign {name} is stopped: what ran was cancelled, and its laboratory was made safe."
    what = store.campaign(name).reason if state == "halted" else "nobody has confirmed that its laboratory is safe"
    raise CampaignError(
        f"campaign {name!r} is {state}: {what.rstrip('.')}.",
        field="name",
        mend="Look at the laboratory; `sabatier rig stop RIG.yaml` makes a rig safe, whoever controls it.",
    )
