"""What a Micro GC Fusion says: its states, and the documents of its runs, from bytes to frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import Field

from instruments.drivers._web import Heard, understood
from instruments.errors import ProtocolError, ReaderError
from instruments.readers.clock import ClockOptions
from instruments.readers.fusion import FusionOptions, read_fusion
from instruments.readers.recording import Recording
from instruments.readers.source import Source

RUNNING: Final = "method-running"
SEQUENCE: Final = "sequence-running"
STATES: Final = (
    "ready",
    "method-running",
    "preparing",
    "loading-method",
    "waiting-for-modules",
    "standby",
    "bakeout",
    "manual-purge",
    "shutdown",
    "uninitialized",
    "error-carrier-gas-pressure",
    "error-method-load-failed",
    "error-running-too-long",
    "error-system-uninitialized",
    "error-moduleA",
    "error-moduleB",
    "error-moduleC",
    "error-moduleD",
)
SEQUENCES: Final = ("sequence-not-loaded", "sequence-loaded", "sequence-running", "error-event-sequencer-down")
STARTABLE: Final = ("ready", "preparing", "loading-method", "waiting-for-modules")
"""States in which a run may be asked for: it begins as soon as the instrument is ready."""
IDLE: Final = ("ready", "standby")
QUIET: Final = (*IDLE, "shutdown", "bakeout", "manual-purge")
"""States in which no run is under way, and none is about to begin by itself."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the instrument does: words without their prefix ``public:``."""

    sequence: str
    system: str

    @property
    def running(self) -> bool:
        """Whether a method or a sequence runs."""
        return self.system == RUNNING or self.sequence == SEQUENCE

    @property
    def quiet(self) -> bool:
        """Whether nothing runs, and no run waits for the instrument to be ready."""
        return self.system in QUIET and self.sequence != SEQUENCE

    @property
    def error(self) -> str | None:
        """The error that it is in."""
        return self.system if self.system.startswith("error") or self.system == "uninitialized" else None


@dataclass(frozen=True, slots=True)
class Token:
    """A run that was asked for.

    Attributes:
        previous: the last run before it.
        tag: that its document will carry.
        asked: ``time.monotonic()`` of the command.
    """

    previous: str | None
    tag: str
    asked: float


@dataclass(frozen=True)
class RunDocument:
    """A run that is over.

    Attributes:
        run_id: the instrument's name for it.
        content: the document as it came, to be kept.
        method: that was run.
        annotations: name, tags, and where the stream selector stood.
        recording: tables ``chromatograph`` and ``chromatogram/<detector>`` of the raw-signal form.
        asked: ``time.monotonic()`` of the command, where this driver gave it.
    """

    run_id: str
    content: bytes
    method: str
    annotations: Mapping[str, Any]
    recording: Recording
    asked: float | None = None


class Run(Heard):
    """What is needed of a run document beside its peaks."""

    run_id: Annotated[str, Field(alias="$id", min_length=1)]
    method_name: str = ""
    annotations: dict[str, Any] | None = None

    @property
    def tags(self) -> tuple[object, ...] | None:
        """Of the run; ``None`` where the document has none at all."""
        tags = (self.annotations or {}).get("tags")
        return tuple(tags) if isinstance(tags, list) else None


class Last(Heard):
    data_location: str | None = None


class Runs(Heard):
    runs: list[Run]


def parse_status(device: str, data: bytes) -> Status:
    """The states of sequence and system, in this order.

    Raises:
        ProtocolError: the answer is another one.
    """
    words = understood(device, list[str], data)
    if len(words) != 2 or not all(word.startswith("public:") for word in words):
        raise ProtocolError(f"{words!r} are no states.", device=device)
    sequence, system = (word.removeprefix("public:") for word in words)
    if not (sequence in SEQUENCES or "sequence" in sequence):
        raise ProtocolError(f"{sequence!r} is no state of a sequence.", device=device)
    return Status(sequence, system)


def parse_run(device: str, data: bytes, microvolts_per_count: float | None = None) -> RunDocument:
    """A run document.

    Raises:
        ProtocolError: it is none, is cut, or has no peaks.
    """
    run = understood(device, Run, data)
    source = Source(f"{run.run_id}.json", ".json", data)
    try:
        recording = read_fusion(source, FusionOptions(ClockOptions()))
    except ReaderError as problem:
        raise ProtocolError(f"the run document is not complete: {problem}", device=device) from problem
    if microvolts_per_count is not None:
        recording = _in_microvolts(recording, microvolts_per_count)
    return RunDocument(run.run_id, data, run.method_name, dict(run.annotations or {}), recording)


def _in_microvolts(recording: Recording, factor: float) -> Recording:
    table = recording.signals["chromatograph"]
    scaled = table.assign(**{"area/count s": table["area/count s"] * factor}).rename(
        columns={"area/count s": "area/uV s"}
    )
    return replace(recording, signals={**recording.signals, "chromatograph": scaled})
