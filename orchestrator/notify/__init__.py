"""Tells people what happens in a campaign, by mail, chat or whatever else their addresses name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.notify.addresses import Address, addresses_of, known_addresses
    from orchestrator.notify.message import Message
    from orchestrator.notify.notifier import Notifier, notifier_of
    from orchestrator.notify.telling import Notifications, notifying

__all__ = [
    "Address",
    "Message",
    "Notifications",
    "Notifier",
    "addresses_of",
    "known_addresses",
    "notifier_of",
    "notifying",
]

_HOMES = {
    "addresses": ("Address", "addresses_of", "known_addresses"),
    "message": ("Message",),
    "notifier": ("Notifier", "notifier_of"),
    "telling": ("Notifications", "notifying"),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: a test message need not wait for models."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"orchestrator.notify.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
