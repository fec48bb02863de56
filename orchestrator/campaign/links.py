"""How campaigns go on from one another, as their logs have it. Light to import: ``status`` reads it."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.campaign.words import LINK
from orchestrator.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Links:
    """What a campaign goes on from, and what goes on from it.

    Attributes:
        after: the campaign whose results it began with; ``None`` where it began with none.
        experiments: so many of them.
        followed_by: campaigns that began with results of this one.
    """

    after: str | None = None
    experiments: int = 0
    followed_by: tuple[str, ...] = ()


def links(store: Store, name: str) -> Links:
    """The links of a campaign."""
    after, number, following = None, 0, list[str]()
    for event in store.events(name, kinds=(LINK,)):
        if "after" in event.data:
            after, number = str(event.data["after"]), len(event.data["experiments"])
        else:
            following.append(str(event.data["followed_by"]))
    return Links(after, number, tuple(dict.fromkeys(following)))
