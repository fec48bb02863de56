"""Who says something, and what to tell somebody who came too late."""

from __future__ import annotations

import getpass
from datetime import UTC

from orchestrator.errors import CampaignError, IllegalTransition, StaleWrite
from orchestrator.store.changes import Change
from orchestrator.store.protocol import Store
from orchestrator.store.records import EventRecord


def account() -> str:
    """The name of this account's user, for the log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in containers
        return "unknown"


def say(store: Store, name: str, changes: list[Change], *, who: str, doing: str, experiment: int | None = None) -> None:
    """Write what a person does, all or nothing.

    Args:
        store: where the campaign is.
        name: of the campaign.
        changes: what is done.
        who: the person.
        doing: what was wanted, as in "be approved".
        experiment: that it is about; ``None``: the campaign.

    Raises:
        CampaignError: somebody was faster, or the state does not allow it; says who changed it, when and why.
    """
    try:
        store.apply(name, changes, who=who)
    except (StaleWrite, IllegalTransition) as problem:
        raise too_late(store, name, doing, experiment) from problem


def too_late(store: Store, name: str, doing: str, experiment: int | None = None) -> CampaignError:
    """The error for something that cannot be done in the present state."""
    if experiment is None:
        what, state = f"campaign {name!r}", str(store.campaign(name).state)
    else:
        what, state = f"experiment {experiment}", store.experiment(name, experiment).state
    last = last_change(store, name, experiment)
    since = "" if last is None else f" since {last.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC by {last.who}"
    reason = "" if last is None or not last.why else f" ({last.why})"
    return CampaignError(
        f"{what} is {state}{since}{reason}, and cannot {doing}.",
        field="name" if experiment is None else "experiment",
        mend=f"See `sabatier status {name}` and `sabatier log {name}`.",
    )


def last_change(store: Store, name: str, experiment: int | None = None) -> EventRecord | None:
    """The event that brought a campaign, or one of its experiments, into its present state."""
    kind = "campaign" if experiment is None else "experiment"
    events = [e for e in store.events(name, kinds=(kind,), experiment=experiment) if e.before != e.after]
    return events[-1] if events else None
