"""What people say of samples: out of use, or back."""

from __future__ import annotations

from difflib import get_close_matches

from orchestrator.campaign import words
from orchestrator.campaign.history import History
from orchestrator.campaign.made import WAITING, made
from orchestrator.errors import InputError
from orchestrator.store.changes import Note
from orchestrator.store.protocol import Store


def put(store: Store, name: str, sample: str, *, usable: bool, who: str, why: str = "") -> str:
    """Take a sample out of use, or put it back: its allowed life then begins anew.

    What waits for a sample that is out gets a fresh one, or is called off, before the loop starts anything more.

    Args:
        store: where the campaign is.
        name: of the campaign.
        sample: its name.
        usable: whether it may be used from now on.
        who: says so.
        why: for the log.

    Returns:
        What happened, as a sentence.

    Raises:
        UnknownCampaign: there is none of this name.
        InputError: the campaign has no such sample.
    """
    campaign, history, records = store.campaign(name), History.of(store, name), store.experiments(name)
    known = made(records, history, name, campaign.seed) | set(history.out)
    if sample not in known:
        near = get_close_matches(sample, known, n=3) or sorted(known)[:3]
        mend = f"It has {', '.join(near)}{', ...' if len(known) > len(near) else ''}." if near else None
        raise InputError(f"{sample!r} is no sample of campaign {name!r}.", field="SAMPLE", mend=mend)
    reason = history.out.get(sample)
    if usable == (reason is None) and not (usable and history.life(sample)):
        return f"sample {sample} is {'in' if usable else 'out of'} use already" + (f": {reason}." if reason else ".")
    data = {"sample": sample, "usable": usable}
    store.apply(name, [Note(words.SAMPLE, why or f"{who} says so", data=data)], who=who)
    waiting = sum(record.sample == sample and record.state in WAITING for record in records)
    rest = f"; {waiting} experiments that wait for it get a fresh one" if waiting and not usable else ""
    before = f" It had been given up: {reason}." if usable and reason else ""
    return f"sample {sample} is {'in' if usable else 'out of'} use for campaign {name}{rest}.{before}"
