"""Names in a rig file: a device, or one attribute of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Place:
    """A device, or one attribute of it, such as a contact of a relay.

    Attributes:
        device: its name.
        attribute: of the device; empty for the device as a whole.
    """

    device: str
    attribute: str = ""

    @classmethod
    def of(cls, text: str) -> Place:
        """From ``device`` or ``device/attribute``."""
        device, _, attribute = text.partition("/")
        return cls(device, attribute)

    def __str__(self) -> str:
        return f"{self.device}/{self.attribute}" if self.attribute else self.device


def near(name: str, known: Iterable[str]) -> str:
    """What was perhaps meant, as a sentence."""
    names = sorted(known)
    found = get_close_matches(name, names, n=1)
    return f"Did you mean {found[0]!r}?" if found else f"Known: {', '.join(names) or 'none'}."
