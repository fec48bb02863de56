"""Talking to a rig from outside its controller: an emergency stop, and a look at the guardian."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Final

from instruments.rig.errors import LinkLost
from instruments.rig.file import RigFile
from instruments.rig.guarding import Card, Channel, Post
from instruments.rig.halting import Halt, Halting
from instruments.rig.rig import Rig
from instruments.rig.safety import SafetyReport

logger = logging.getLogger(__name__)

ANSWERS_WITHIN: Final = 2.0
"""s, for a guardian's answer."""
LONGEST: Final = 60.0
"""s, for a report of making safe."""
UNWRITTEN: Final = "; the halted state could NOT be written, so that nothing keeps the rig from being started"


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
    before = halting.read()
    guarded = ask_guardian(folder, file.name, "stop", reason=reason) is not None
    unwritten = "" if guarded else _written(halting, reason)  # a controller that runs sees it at once, and makes safe
    began = asked = time.monotonic()
    while time.monotonic() < began + longest:
        if guarded and time.monotonic() >= asked + ANSWERS_WITHIN:
            asked = time.monotonic()
            if ask_guardian(folder, file.name, "status") is None and halting.read() is None:
                guarded, unwritten = False, _written(halting, reason)  # they have gone, and could write nothing
        if not guarded and (report := _directly(file, folder, reason)) is not None:
            return _told(halting, f"{reason}{unwritten}", report)
        halt = halting.read()
        if halt is not None and halt.report is not None and (guarded or before is None or halt.report != before.report):
            return halt
        time.sleep(0.05)
    return halting.read() or Halt("", f"{reason}{unwritten or UNWRITTEN}", "emergency stop")


def _written(halting: Halting, reason: str) -> str:
    """Halt the rig; what to add to the reason where that cannot be written down. Making safe does not wait for it."""
    try:
        halting.write(reason, "emergency stop")
    except OSError as problem:
        logger.critical("the halted state could not be written: %s", problem)
        return f"{UNWRITTEN} ({problem})"
    return ""


def _told(halting: Halting, reason: str, report: SafetyReport) -> Halt:
    """The halted state; where it could not be written, what would stand there."""
    halt = halting.read()
    if halt is not None and halt.report is not None:
        return halt
    return Halt(report.time, reason, "emergency stop", report.to_json())


def _directly(file: RigFile, folder: Path, reason: str) -> SafetyReport | None:
    """Make a rig safe that nobody controls; ``None`` where another process has it, which may end any time."""
    rig = Rig(file, folder, guarded=False)
    if not rig.hold_unstarted():
        return None
    try:
        return rig.emergency_stop(reason)
    finally:
        rig.close()
