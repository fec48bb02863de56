"""What the loop hands down to a laboratory with each job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

from instruments.lab import Measurement, StepKind, Use
from orchestrator.campaign.campaign import unfenced
from orchestrator.loop.journal import Journal
from orchestrator.loop.keeping import Files
from orchestrator.loop.raw import Manifest

JOURNAL: Final = "journal.log"
"""Of an attempt's folder: its steps, for people."""


@dataclass(frozen=True, slots=True)
class VirtualClock:
    """Time that passes only in a simulation: a job sees the time at which it began."""

    began: float

    @property
    def virtual(self) -> bool:
        """Always."""
        return True

    def now(self) -> float:
        """Seconds since the campaign began."""
        return self.began


@dataclass(frozen=True, slots=True)
class RealClock:
    """Time on the wall, unmoved by changes of the computer's clock while the process runs."""

    offset: float
    _origin: float = field(default_factory=time.monotonic)

    @property
    def virtual(self) -> bool:
        """Never."""
        return False

    def now(self) -> float:
        """Seconds since the campaign began."""
        return self.offset + time.monotonic() - self._origin


@dataclass(frozen=True)
class AttemptContext:
    """One attempt's context; see :class:`instruments.lab.Context`."""

    cell: str
    sample: str
    attempt: int
    seed: int
    clock: VirtualClock | RealClock
    keeper: Files
    location: str
    cancelled: Event
    devices: dict[str, Lock]
    told: Event = field(default_factory=Event)
    over: Event = field(default_factory=Event)
    log: Journal | None = None
    fence: Callable[[], None] = unfenced
    about: Mapping[str, Any] = field(default_factory=dict)
    began: float = 0.0
    kept: list[tuple[Measurement, Manifest]] = field(default_factory=list)
    used: dict[str, Use] = field(default_factory=dict)

    @property
    def files(self) -> Path:
        """A folder of this attempt's own, made when first asked for."""
        folder = self.keeper.local(self.location)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def keep(self, measurement: Measurement) -> None:
        """Write raw signals down; see :meth:`instruments.lab.Context.keep`.

        Raises:
            LeaseLost: there are complete signals already, which whoever controls the campaign now may have recorded.
        """
        if self.kept:
            self.fence()
        passed = self.clock.now() - self.began
        about = {**self.about, "cell": self.cell, "sample": self.sample, "duration": passed}
        self.kept[:] = [(measurement, self.keeper.keep(self.location, measurement, about))]

    @property
    def manifest(self) -> Manifest | None:
        """Of the raw signals that were written down."""
        return self.kept[0][1] if self.kept else None

    @contextmanager
    def journal(self, step: str, kind: StepKind) -> Iterator[None]:
        """Write down that a step begins, and that it has ended: in the store, and in the attempt's folder for people.

        Raises:
            LeaseLost: this process no longer controls the campaign. The step does not begin.
            StoreError: the beginning could not be written. The step does not begin.
        """
        if self.log is not None:
            self.log(step, kind, "begin")
        path = self.files / JOURNAL
        _append(path, f"{self.clock.now():.3f} begin {kind} {step}")
        yield
        _append(path, f"{self.clock.now():.3f} end {kind} {step}")
        if self.log is not None:
            self.log(step, kind, "end")

    @contextmanager
    def lease(self, device: str) -> Iterator[None]:
        """Hold a device that the cells of this process share."""
        asked = self.clock.now()
        with self.devices.setdefault(device, Lock()):
            got = self.clock.now()
            try:
                yield
            finally:
                if not self.clock.virtual:  # else no time passes within an attempt
                    before = self.used.get(device, Use(0.0))
                    busy = before.seconds + self.clock.now() - got
                    self.used[device] = Use(busy, before.waited + got - asked)


def _append(path: Path, line: str) -> None:
    import os

    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
