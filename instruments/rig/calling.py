"""Talking to a rig from outside its controller: an emergency stop, and a look at the guardian."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from instruments.rig.errors import LinkLost
from instruments.rig.file import RigFile
from instruments.rig.guarding import Card, Channel, Post
from instruments.rig.halting import Halt, Halting
from instruments.rig.rig import Rig

ANSWERS_WITHIN: Final = 2.0
"""s, for a guardian's answer."""
LONGEST: Final = 60.0
"""s, for a report of making safe."""


def ask_guardian(folder: Path, rig: str, do: str, **more: Any) -> dict[str, Any] | None:
    """Ask the guardian of a rig: ``status``, or ``stop`` with a ``reason``.

    Returns:
        Its answer; ``None`` where there is no guardian that answers.
    """
    card = Card.read(Post(folder, rig).card)
    if card is None:
        return None
    try:
        channel = Channel.to(card, ANSWERS_WITHIN)
        try:
            return channel.ask({"token": card.token, "do": do, **more}, ANSWERS_WITHIN)
        finally:
            channel.close()
    except LinkLost:
        return None


def emergency_stop(file: RigFile, folder: Path, reason: str = "emergency stop", longest: float = LONGEST) -> Halt:
    """Stop a rig, whoever controls it: through its guardian; without one through its controller; else directly.

    Args:
        file: of the rig.
        folder: of the rig.
        reason: for the record.
        longest: s, to wait for the report.

    Returns:
        The halted state, with what each device confirmed; without a report where none came in time.
    """
    halting = Halting(folder, file.name)
    if ask_guardian(folder, file.name, "stop", reason=reason) is None:
        halting.write(reason, "emergency stop")  # a controller that runs sees it at once, and makes safe
        _directly(file, folder, reason)
    end = time.monotonic() + longest
    while time.monotonic() < end:
        halt = halting.read()
        if halt is not None and halt.report is not None:
            return halt
        time.sleep(0.05)
    return halting.read() or Halt("", reason, "emergency stop")


def _directly(file: RigFile, folder: Path, reason: str) -> None:
    """Make a rig safe that nobody controls."""
    rig = Rig(file, folder, guarded=False)
    if rig.hold_unstarted():
        try:
            rig.emergency_stop(reason)
        finally:
            rig.close()
