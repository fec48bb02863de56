"""How a campaign's definition came to be what it is: who amended what, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.campaign.words import AMENDMENT
from orchestrator.config.changes import Difference, differences
from orchestrator.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a definition that came of an amendment.

    Attributes:
        number: from 2; version 1 is the definition that the campaign began with.
        time: of the amendment.
        who: amended.
        why: in the person's words.
        changes: against the version before.
    """

    number: int
    time: datetime
    who: str
    why: str
    changes: tuple[Difference, ...]

    def plain(self) -> dict[str, Any]:
        """The same as JSON values."""
        changes = [{"field": c.field, "was": c.was, "now": c.now} for c in self.changes]
        time = self.time.astimezone(UTC).isoformat()
        return {"version": self.number, "time": time, "who": self.who, "why": self.why, "changes": changes}


def history(store: Store, name: str) -> list[Version]:
    """The amendments of a campaign, oldest first; from the log and the present definition alone."""
    events = store.events(name, kinds=(AMENDMENT,))
    found, now = [], store.campaign(name).definition
    for event in reversed(events):
        was = now | event.data["was"]
        changes = tuple(differences(was, now))
        found.append(Version(event.data["version"], event.time, event.who, event.why, changes))
        now = was
    return found[::-1]
