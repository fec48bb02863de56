"""What people are told: one message, also where several things happened at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from orchestrator.config.notify import EVENTS, Event

MOST_SHOWN: Final = 20
"""So many things are told one by one; of more, only how many there were."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened.

    Attributes:
        event: of which kind.
        text: what happened and why, in a sentence or two.
        todo: what a person does next; empty where there is nothing to do.
        standing: lines about the campaign at that moment, such as the best so far.
        keys: what is told by this, so that nobody is told twice; one without a key is always told.
        time: when.
    """

    event: Event
    text: str
    todo: str = ""
    standing: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Message:
    """A message to one address.

    Attributes:
        campaign: its name; empty in a test.
        events: what it is about, the gravest first; empty in a test.
        title: one line.
        text: plain text of several lines.
    """

    campaign: str
    events: tuple[Event, ...]
    title: str
    text: str


def compose(campaign: str, happenings: Sequence[Happening], host: str, lost: int = 0) -> Message:
    """Put what happened into one message.

    Args:
        campaign: its name.
        happenings: at least one, in their order.
        host: the computer that runs the campaign.
        lost: how many more things happened that were not kept.
    """
    events = tuple(event for event in EVENTS if any(h.event == event for h in happenings))
    graver = sorted(happenings, key=lambda h: EVENTS.index(h.event))
    shown = graver[:MOST_SHOWN]
    lines = [f"{h.time:%Y-%m-%d %H:%M} UTC  {h.text}" for h in sorted(shown, key=lambda h: h.time)]
    if more := len(graver) - len(shown) + lost:
        lines.append(f"... and {more} more; `sabatier log {campaign}` has them.")
    todo = list(dict.fromkeys(h.todo for h in shown if h.todo))
    if todo:
        lines += ["", "To do:", *(f"  {one}" for one in todo)]
    latest = max(happenings, key=lambda h: h.time)
    lines += ["", *latest.standing, f"Host: {host}"]
    return Message(campaign, events, f"{campaign}: {', '.join(_TITLES[event] for event in events)}", "\n".join(lines))


_TITLES: Final[dict[Event, str]] = {
    "halted": "halted",
    "failed": "failed",
    "holding": "holding",
    "inspection": "an experiment needs a look",
    "breaker": "a cell is out of service",
    "approval": "waits for approval",
    "stopped": "stopped",
    "completed": "completed",
    "best": "a new best",
}
