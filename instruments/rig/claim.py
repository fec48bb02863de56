"""The exclusive hold of one process on something of a rig: it ends with the process, however that ends."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

logger = logging.getLogger(__name__)

if sys.platform == "win32":
    import msvcrt

    def _try_hold(file: BinaryIO) -> None:
        file.seek(0x7FFFFFFF)  # far behind the content, which this system's locks would make unreadable
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_hold(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True)
class Process:
    """One process, which another one with the same number later is not mistaken for.

    Attributes:
        pid: its number.
        started: when it started, s since the computer did: setting the clock does not change it.
        boot: which start of the computer; after another one all numbers mean others. Empty where that is not told.
    """

    pid: int
    started: float
    boot: str

    @classmethod
    def this(cls) -> Process:
        """The calling process."""
        return cls(os.getpid(), _started(psutil.Process()), _boot())

    @classmethod
    def of(cls, found: object) -> Process | None:
        """From JSON values; ``None`` where they are none."""
        if not isinstance(found, dict):
            return None
        try:
            return cls(int(found["pid"]), float(found["started"]), str(found["boot"]))
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self)

    @property
    def alive(self) -> bool:
        """Whether it runs still; one that is stopped counts, one that has ended and was not waited for does not."""
        found = self._found()
        return found is not None and found.status() != psutil.STATUS_ZOMBIE

    def kill(self, timeout: float = 2.0) -> bool:
        """End it at once, if it is still the one that is meant.

        Returns:
            Whether it is gone.
        """
        found = self._found()
        if found is None:
            return True
        try:
            found.kill()
            found.wait(timeout)
        except psutil.NoSuchProcess:
            return True
        except (psutil.AccessDenied, psutil.TimeoutExpired):
            return not self.alive
        return True

    def _found(self) -> psutil.Process | None:
        if self.boot != _boot():
            return None
        try:
            found = psutil.Process(self.pid)
            return found if abs(_started(found) - self.started) < 0.1 else None
        except psutil.NoSuchProcess:
            return None


def _started(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Claim:
    """A file that one process holds at a time, with what it says of itself.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._file is not None

    def take(self, patience: float = 0.0) -> bool:
        """Take hold of it.

        Args:
            patience: s, to wait for its holder to let go.

        Returns:
            Whether it is held now.

        Raises:
            OSError: the file cannot be opened.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(self.path, flags, 0o600), "r+b", buffering=0)
        end = time.monotonic() + patience
        while True:
            try:
                _try_hold(file)
                break
            except OSError:
                if time.monotonic() >= end:
                    file.close()
                    return False
            time.sleep(0.02)
        self._file = file
        try:
            file.seek(0)
            file.truncate()
            file.write(json.dumps(Process.this().to_json()).encode())
        except OSError as problem:  # a full disk: it is held all the same, and nobody is told by whom
            logger.error("%s cannot be written: %s", self.path.name, problem)
        return True

    def holder(self) -> Process | None:
        """Who holds it, or held it last, as far as is known."""
        try:
            return Process.of(json.loads(self.path.read_bytes()))
        except (OSError, ValueError):
            return None

    def release(self) -> None:
        """Let go; may be called more than once."""
        if self._file is not None:
            self._file.close()
            self._file = None
