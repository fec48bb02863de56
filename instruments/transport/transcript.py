"""Transcripts: what went over a wire, as lines of JSON that can be recorded, read by people, and played back.

Each line is ``{"time": seconds, "direction": ">" or "<", "data": text}``: ``>`` to the device, ``<`` from it. ``data``
is Latin-1 text, so that every byte is one character. A transcript that a laboratory records becomes a test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

from instruments.errors import ReaderError

Direction: TypeAlias = Literal[">", "<"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Some bytes, in one direction.

    Attributes:
        time: s since the transcript began.
        direction: ``>`` to the device, ``<`` from it.
        data: the bytes.
    """

    time: float
    direction: Direction
    data: bytes


class Recorder:
    """Writes a transcript. Lines are flushed as they come; several threads may write.

    Args:
        path: of the file, which is appended to.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._began = time.monotonic()
        self._lock = Lock()

    def note(self, direction: Direction, data: bytes) -> None:
        """Write down bytes; none are no entry."""
        if not data:
            return
        line = {
            "time": round(time.monotonic() - self._began, 4),
            "direction": direction,
            "data": data.decode("latin-1"),
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def load(path: Path) -> list[Entry]:
    """The entries of a transcript.

    Raises:
        ReaderError: a line is no entry.
    """
    return list(_entries(path.read_text(encoding="utf-8").splitlines(), path.name))


def _entries(lines: Iterable[str], name: str) -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            direction, data = found["direction"], found["data"].encode("latin-1")
            if direction not in (">", "<"):
                raise ValueError(direction)
            yield Entry(float(found.get("time", 0.0)), direction, data)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ReaderError(
                "this line is no entry of a transcript",
                file=name,
                line=number,
                mend='Write {"time": 0.0, "direction": ">", "data": "..."}.',
            ) from None
