"""What a store keeps, as frozen classes free of any database.

Everything in a ``dict`` here must be JSON: strings, finite numbers, booleans, ``None``, lists and dicts with string
keys (numpy scalars are taken as the numbers they are). Floats come back bit for bit. Times are timezone-aware and
come back in UTC.
"""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

CampaignState: TypeAlias = Literal[
    "created",
    "running",
    "paused",
    "holding",
    "halted",
    "stopping",
    "stopped",
    "completed",
    "failed",
    "interrupted",
]
ExperimentState: TypeAlias = Literal[
    "proposed",
    "approved",
    "queued",
    "running",
    "awaiting_analysis",
    "completed",
    "failed",
    "rejected",
    "cancelled",
    "needs_inspection",
]
AttemptState: TypeAlias = Literal["running", "finished", "failed", "unknown", "cancelled"]
Origin: TypeAlias = Literal["asked", "prior", "manual", "control", "confirm"]

_LINUX: bool = sys.platform == "linux"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRecord:
    """A campaign as a whole.

    Attributes:
        name: unique in its store.
        definition: the resolved definition; changes by amendments alone.
        definition_hash: what two definitions are compared by.
        version: of the definition: 1, and one more with every amendment.
        state: see :mod:`orchestrator.store.states`.
        reason: why it is in this state, for people.
        seed: from which every generator of the campaign derives.
        created: when it was put into the store.
        updated: when anything of it last changed, by the store's clock.
        started: when it first ran.
        finished: when it last came to an end; ``None`` while it has not.
    """

    name: str
    definition: dict[str, Any]
    definition_hash: str
    version: int = 1
    state: CampaignState = "created"
    reason: str = ""
    seed: int = 0
    created: datetime = field(default_factory=_now)
    updated: datetime = field(default_factory=_now)
    started: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True, slots=True)
class AskRecord:
    """One call of ask.

    Attributes:
        number: from 1, in the order of the asks.
        requested: how many experiments were wanted.
        state: what the strategy wants to start from next time.
        created: when it was asked.
    """

    number: int
    requested: int
    state: dict[str, Any] = field(default_factory=dict)
    created: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True)
class Value:
    """One told figure of merit, in its metric's unit. A NaN becomes ``None``: not measured yet.

    Attributes:
        value: the figure, or ``None``.
        sem: one standard uncertainty of it, or ``None``.
        censored: ``"below"`` or ``"above"`` where the value is only a bound.
    """

    value: float | None
    sem: float | None = None
    censored: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and math.isnan(self.value):
            object.__setattr__(self, "value", None)
        if self.sem is not None and math.isnan(self.sem):
            object.__setattr__(self, "sem", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    """One proposed point through its whole life.

    Attributes:
        id: per campaign, from 1, never used again.
        state: see :mod:`orchestrator.store.states`.
        origin: who wanted it.
        ask: number of the ask that proposed it.
        asked: the proposed settings by parameter column.
        executed: the settings as executed.
        measured: settings as measured afterwards.
        measured_sem: one standard uncertainty of each of them.
        values: the told figures of merit by metric.
        reason: why it was proposed, for people.
        prediction: what the model expected, ``{metric: {"mean": ..., "std": ...}}``.
        gain: what the model expected to gain by it, in the objective's unit; ``None`` where no model proposed it.
        cost: of it, in the unit of the campaign's costs; ``None`` where none are given.
        priority: of two that may start, the one with the larger number starts first.
        seed: of everything random in its execution.
        sample: the physical electrode: as planned where experiments share one, else as told.
        verdict: ``valid``, ``suspect`` or ``invalid``.
        verdict_reasons: names of the reasons for the verdict.
        calibrations: ids of the calibration records that the figures rest on.
        failure_cause: what a failed experiment failed of.
        failure_reason: the same in words.
        told: position of its first tell in the campaign's order of tells.
        created: when it was proposed.
        updated: when it last changed.
    """

    id: int
    state: ExperimentState
    origin: Origin = "asked"
    ask: int | None = None
    asked: dict[str, Any] | None = None
    executed: dict[str, Any] | None = None
    measured: dict[str, float] = field(default_factory=dict)
    measured_sem: dict[str, float] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    reason: str = ""
    prediction: dict[str, dict[str, float]] = field(default_factory=dict)
    gain: float | None = None
    cost: float | None = None
    priority: int = 0
    seed: int = 0
    sample: str | None = None
    verdict: str | None = None
    verdict_reasons: tuple[str, ...] = ()
    calibrations: tuple[str, ...] = ()
    failure_cause: str | None = None
    failure_reason: str | None = None
    told: int | None = None
    created: datetime = field(default_factory=_now)
    updated: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One execution of an experiment.

    Attributes:
        experiment: id of the experiment.
        number: from 1 within the experiment.
        state: ``unknown`` is an attempt of which nobody knows how it ended.
        cell: the electrolysis position.
        sample: the physical electrode.
        started: wall time of the start.
        finished: wall time of the end.
        clock_started: the laboratory's clock at the start, in s.
        duration: by the laboratory's clock, in s.
        files: where the raw signals are.
        digest: content hash of the raw signals.
        message: what happened, for people.
        used: of each device that cells share, for how long the attempt occupied it, and had to wait for it, in s.
    """

    experiment: int
    number: int
    state: AttemptState = "running"
    cell: str = ""
    sample: str | None = None
    started: datetime = field(default_factory=_now)
    finished: datetime | None = None
    clock_started: float = 0.0
    duration: float | None = None
    files: str | None = None
    digest: str | None = None
    message: str = ""
    used: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One line of the append-only log of a campaign.

    Attributes:
        sequence: from 1 within the campaign, without gaps.
        time: by the store's clock.
        who: a person or a part of the program.
        kind: ``campaign``, ``ask``, ``experiment``, ``attempt``, ``amendment``, ``lease``, or a note's own kind.
        experiment: id of the experiment it concerns.
        before: state before; ``None`` where the thing did not exist.
        after: state after.
        why: for people.
        data: details; under ``was`` the former content of every field that the change overwrote.
    """

    sequence: int
    time: datetime
    who: str
    kind: str
    experiment: int | None = None
    before: str | None = None
    after: str | None = None
    why: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that may hold a lease.

    Attributes:
        host: the computer's name.
        pid: of the process.
        process_started: start of the process in s; since boot on Linux, where the wall clock may jump, else since 1970.
        boot: names this run of the operating system and its process table; empty where no such name exists.
        user: who runs the process.
    """

    host: str
    pid: int
    process_started: float
    boot: str
    user: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        started = _process_started(pid)
        if started is None:  # pragma: no cover - a process that asks for itself exists
            started = 0.0
        return cls(socket.gethostname(), pid, started, _boot(), _user())

    def alive(self, *, shared: bool = False) -> bool | None:
        """Whether the process still runs; ``None`` where that cannot be known from here.

        A process on another host cannot be seen, nor can one on this host behind another process table (a container).

        Args:
            shared: whether other computers may have written this, one of them perhaps under the name of this one. Then
                another boot may be another computer. Otherwise it is an earlier one of this, and nothing of it lives.
        """
        if self.host != socket.gethostname():
            return None
        (kernel, _, table), (our_kernel, _, our_table) = self.boot.partition("+"), _boot().partition("+")
        if kernel != our_kernel:
            return None if shared else False
        if table != our_table:
            return None
        started = _process_started(self.pid)
        return started is not None and abs(started - self.process_started) < 0.05

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to control a campaign, until it expires.

    Attributes:
        campaign: the campaign's name.
        owner: who holds it.
        token: fencing number; every later holder has a larger one.
        expires: when it is free again unless renewed, by the store's wall clock.
    """

    campaign: str
    owner: Owner
    token: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to use something that several want, until it expires: a device, a rig's turn.

    Attributes:
        kind: of what is held.
        name: of it, unique within its kind.
        owner: who holds it.
        token: fencing number; every later holder has a larger one.
        expires: when it is free again unless kept, by the store's wall clock.
        data: what the holder noted, for others to read.
    """

    kind: str
    name: str
    owner: Owner
    token: int
    expires: datetime
    data: dict[str, Any] = field(default_factory=dict)


def _process_started(pid: int) -> float | None:
    """Start of a process in s (Linux: since boot, which no change of the wall clock moves); ``None`` if it is gone."""
    if _LINUX:
        try:
            # the name in brackets may hold anything, also brackets: fields are counted from behind the last one
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        if fields[0] in (b"Z", b"X"):
            return None
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


@cache
def _boot() -> str:
    """Linux: boot id and pid namespace. Elsewhere boot times follow the wall clock when it jumps: no name there."""
    if not _LINUX:
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        table = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return ""
    return f"{boot}+{table}"


@cache
def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a uid without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
