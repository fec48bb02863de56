"""Who is told of what happens in a campaign. Names only: the addresses hold secrets, and are kept elsewhere."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field

from orchestrator.config.block import Block
from orchestrator.config.hints import listed, unknown
from orchestrator.errors import InputError

Event: TypeAlias = Literal[
    "halted", "failed", "holding", "inspection", "breaker", "approval", "stopped", "completed", "best"
]
"""What messages are about, the gravest first."""

EVENTS: Final[tuple[Event, ...]] = get_args(Event)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_RESERVED = "file"  # SABATIER_NOTIFY_FILE names the file of addresses


def check_name(name: object) -> str:
    """Return the name of an address.

    Raises:
        InputError: it cannot be one. What was given is not repeated: it may be an address with its secret.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and name.lower() != _RESERVED:
        return name
    raise InputError(
        "this cannot name an address.",
        mend="Write a name of letters, digits, - and _, such as oncall; its address has no place in this file, "
        "see `sabatier notify`.",
    )


def _names(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise InputError("must be a list of names of addresses.", mend="Write `to: [oncall]`.")
    checked = [check_name(name) for name in names]
    again = next((name for name in checked if checked.count(name) > 1), None)
    if again is not None:
        raise InputError(f"{again!r} is there twice.", mend="Keep one of the two.")
    return tuple(checked)


def _events(value: Any) -> Any:
    events = [value] if isinstance(value, str) else value
    if not isinstance(events, list | tuple) or not events:
        raise InputError("must be a list of events.", mend=f"Known: {listed(EVENTS)}.")
    for event in events:
        if event not in EVENTS:
            raise InputError(unknown("event", event, EVENTS))
    return tuple(events)


class Notify(Block):
    """Who is told of what."""

    to: Annotated[tuple[str, ...], BeforeValidator(_names)]
    """Names of addresses; `sabatier notify` shows those that this computer knows."""

    on: Annotated[tuple[Event, ...], BeforeValidator(_events)] = EVENTS
    """What they are told of; without it, of everything."""

    best_every: float = Field(default=15.0, ge=0, allow_inf_nan=False)
    """Minutes that lie at least between two messages about nothing but a new best."""
