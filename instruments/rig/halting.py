"""The halted state of a rig: a file in its folder, which fences every process off until a person resets the rig."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, Final

from instruments.rig.errors import RigHalted
from instruments.rig.safety import SafetyReport

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Halt:
    """Why a rig is halted.

    Attributes:
        time: since when, ISO 8601 in UTC.
        reason: in words.
        source: who found it: an interlock, the guardian, a person.
        report: what came of making safe, as JSON values; ``None`` while that goes on.
        also: what was found later, each a reason and its source.
    """

    time: str
    reason: str
    source: str
    report: Mapping[str, Any] | None = None
    also: tuple[tuple[str, str], ...] = ()

    @property
    def sources(self) -> frozenset[str]:
        """Everyone who found something."""
        return frozenset({self.source, *(source for _, source in self.also)})

    @property
    def unconfirmed(self) -> tuple[str, ...] | None:
        """Devices whose state is not known; ``None`` where nothing was reported yet."""
        if self.report is None:
            return None
        return tuple(map(str, self.report.get("unconfirmed", ())))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "schema": SCHEMA,
            "time": self.time,
            "reason": self.reason,
            "source": self.source,
            "also": [{"reason": reason, "source": source} for reason, source in self.also],
            "report": self.report,
        }

    def __str__(self) -> str:
        state = "its devices are being made safe"
        if self.unconfirmed is not None:
            names = ", ".join(self.unconfirmed)
            state = f"NOT confirmed as safe: {names}" if names else "all devices confirmed that they are safe"
        return f"{self.reason} ({self.source}, {self.time}); {state}"


UNWRITTEN: Final = "it was halted while its reason could not be written, as on a full disk: the logs may have it"
"""The reason of a halted state whose file is empty."""


class Halting:
    """The halted state of one rig, as it stands in a file.

    Args:
        folder: of the rig.
        rig: its name.
    """

    def __init__(self, folder: Path, rig: str) -> None:
        self.rig = rig
        self.path = folder / f"{rig}.halted.json"
        self.past = folder / f"{rig}.halts.jsonl"
        self._writing = Lock()

    @property
    def is_set(self) -> bool:
        """Whether the rig is halted. Cheap: asked before every command."""
        return self.path.exists()

    def read(self) -> Halt | None:
        """The halted state, or ``None``. A file that cannot be read halts like any other."""
        try:
            content = self.path.read_bytes()
            if not content:
                return Halt("", UNWRITTEN, "the halted state")
            found = json.loads(content)
            return Halt(
                str(found["time"]),
                str(found["reason"]),
                str(found["source"]),
                found["report"],
                tuple((str(one["reason"]), str(one["source"])) for one in found["also"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as problem:
            return Halt("", f"{self.path.name} cannot be read ({problem})", "the halted state")

    def write(self, reason: str, source: str, report: SafetyReport | None = None) -> Halt:
        """Halt the rig, or add to its halted state; the first reason stays the first.

        On a full disk the file is at least there, without its content: the rig is halted all the same.

        Raises:
            OSError: the file cannot be written.
        """
        # not held against other processes: one that is stopped within would keep the guardian from writing
        with self._writing:
            return self._add(reason, source, report)

    def _add(self, reason: str, source: str, report: SafetyReport | None) -> Halt:
        before = self.read()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = None if report is None else report.to_json()
        if before is None or before.reason == UNWRITTEN:
            halt = Halt(now, reason, source, told)
        else:
            known = {(before.reason, before.source), *before.also}
            also = before.also if (reason, source) in known else (*before.also, (reason, source))
            halt = Halt(before.time or now, before.reason, before.source, told or before.report, also)
        try:
            write_whole(self.path, json.dumps({"rig": self.rig, **halt.to_json()}, indent=2) + "\n")
        except OSError:
            self.path.touch()  # needs no space of its own
            raise
        return halt

    def refuse(self) -> None:
        """Raise where the rig is halted.

        Raises:
            RigHalted: it is.
        """
        halt = self.read()
        if halt is not None:
            raise RigHalted(
                f"the rig {self.rig} is halted: {halt}.",
                mend="Look at the rig, mend what is wrong, then run `sabatier rig reset`.",
            )

    def clear(self, who: str) -> None:
        """The rig may run again; what was goes into the record of past halts.

        Raises:
            OSError: a file cannot be written.
        """
        halt = self.read()
        if halt is None:
            return
        line = {**halt.to_json(), "reset": datetime.now(UTC).isoformat(timespec="milliseconds"), "by": who}
        with self.past.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.path.unlink(missing_ok=True)


def write_whole(path: Path, content: str, mode: int = 0o644) -> None:
    """Write a file so that readers see all of it or what was there before, even after a crash.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
