"""Controls: experiments that test the laboratory and not the catalyst. When each is due, and what its result means."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, model_validator

from instruments.device import Value
from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Quantity, Ratio, Time, Voltage
from instruments.errors import LabError
from instruments.lab import Scalar

ControlKind: TypeAlias = Literal["check_gas", "leak_test", "reference_check", "argon_blank", "standard_electrode"]
OnFail: TypeAlias = Literal["hold", "recalibrate", "flag_since_last_good"]
Outcome: TypeAlias = Literal["good", "failed", "undecided"]

BOUNDS: Final[Mapping[ControlKind, float]] = MappingProxyType(
    {"check_gas": 0.05, "leak_test": 0.01, "reference_check": 0.005, "argon_blank": 0.02, "standard_electrode": 0.05}
)
"""How far a result may be off unless the block says otherwise: relative for gases and flows, V for the reference
electrode, in the metric's unit for electrodes. Those of gases and flows are where quality control begins to suspect."""
OF_A_CELL: Final = frozenset({"leak_test", "reference_check", "argon_blank", "standard_electrode"})
"""Controls that each cell has for itself; the others test what cells share."""
UNITS: Final[Mapping[ControlKind, str]] = MappingProxyType(
    {"check_gas": "1", "leak_test": "1", "reference_check": "V", "argon_blank": "1", "standard_electrode": "1"}
)


class Change(Declared):
    """Something that is set for a control, and what it is set to afterwards.

    Attributes:
        role: whose device.
        attribute: of the device.
        value: during the control.
        after: afterwards.
    """

    role: str
    attribute: str
    value: Value
    after: Value


class ControlBlock(Declared):
    """One entry of ``controls`` in a rig file or a campaign file.

    Attributes:
        name: by default its kind.
        kind: what is tested.
        every_experiments: due after so many experiments (of its cell) since the last one.
        every_hours: due after so many hours since the last one.
        on_fail: ``hold``: the campaign waits for a person; ``recalibrate``: the chromatograph is calibrated anew;
            ``flag_since_last_good``: all experiments since the last good one become suspect.
        cells: which; by default all.
        bound: how far the result may be off.
        gas: of ``check_gas``: name in ``stock.check_gases``.
        stream: position of the selector that brings it to the chromatograph.
        injections: how many.
        flush: before the first injection.
        flow: of ``leak_test``, sccm.
        readings: of the flows.
        settle: before them.
        expected: of ``reference_check``, V; of ``standard_electrode``, the value of ``metric`` with its uncertainty.
        ask: of ``reference_check``: what a person is asked to do before, such as to connect the master electrode.
        parameters: of ``argon_blank`` and ``standard_electrode``: settings of the experiment.
        metric: of ``standard_electrode``.
        changes: of ``argon_blank``: what brings argon instead of CO2.
    """

    name: str = ""
    kind: ControlKind
    every_experiments: int | None = Field(default=None, ge=1)
    every_hours: float | None = Field(default=None, gt=0.0)
    on_fail: OnFail = "hold"
    cells: tuple[str, ...] | None = None
    bound: float | None = Field(default=None, gt=0.0)
    gas: str | None = None
    stream: int | None = Field(default=None, ge=1)
    injections: int = Field(default=3, ge=1, le=50)
    flush: Time = Quantity(120.0, "s")
    flow: float = Field(default=20.0, gt=0.0)
    readings: int = Field(default=10, ge=2, le=1000)
    settle: Time = Quantity(60.0, "s")
    expected: Ratio | Voltage | None = None
    ask: str = ""
    parameters: Mapping[str, Scalar] = Field(default_factory=dict)
    metric: str | None = None
    changes: tuple[Change, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("name") and "kind" in data:
            return {**data, "name": data["kind"]}
        return data

    @model_validator(mode="after")
    def _possible(self) -> ControlBlock:
        if self.every_experiments is None and self.every_hours is None:
            raise LabError(
                f"nothing says when {self.name} is due.",
                field="every_experiments",
                mend="Give `every_experiments` or `every_hours`.",
            )
        needed = {
            "check_gas": ("gas",),
            "argon_blank": ("parameters", "changes"),
            "standard_electrode": ("parameters", "metric", "expected"),
        }
        for name in needed.get(self.kind, ()):
            if not getattr(self, name):
                raise LabError(f"{self.name}: {name} is missing.", field=name, mend=f"A {self.kind} needs it.")
        if self.on_fail == "recalibrate" and self.kind != "check_gas":
            raise LabError(
                f"{self.name}: no calibration mends a {self.kind}.", field="on_fail", mend="Use hold or flag."
            )
        return self

    @property
    def limit(self) -> float:
        """How far the result may be off."""
        return BOUNDS[self.kind] if self.bound is None else self.bound

    def places(self, cells: Iterable[str]) -> tuple[str, ...]:
        """The cells that have it for themselves; one empty name where it tests what cells share."""
        if self.kind not in OF_A_CELL:
            return ("",)
        return tuple(cells) if self.cells is None else self.cells


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What a control found.

    Attributes:
        name: of the control.
        kind: of the control.
        cell: whose; empty for what cells share.
        value: how far off it is; for electrodes the value itself; ``None`` where nothing was measured.
        unit: of the value.
        sem: one standard uncertainty.
        verdict: ``good``; ``failed``; ``undecided`` where the uncertainty is larger than the bound, or nothing was
            measured.
        reasons: in words.
        on_fail: what the block asks for.
        details: for the record.
    """

    name: str
    kind: ControlKind
    cell: str
    value: float | None
    unit: str
    sem: float | None
    verdict: Outcome
    reasons: tuple[str, ...] = ()
    on_fail: OnFail = "hold"
    details: Mapping[str, Any] = field(default_factory=dict)


def judge(
    block: ControlBlock, cell: str, value: float, sem: float | None, *, details: Mapping[str, Any] | None = None
) -> ControlResult:
    """The verdict on a result.

    It has failed where it is off by more than the bound and by more than two standard uncertainties; an uncertainty
    larger than the bound decides nothing.

    Args:
        block: of the control.
        cell: whose.
        value: as measured; compared with what is expected of an electrode, with zero otherwise.
        sem: one standard uncertainty; ``None`` where it is not known.
        details: for the record.
    """
    expected = block.expected if block.kind in ("standard_electrode", "reference_check") else None
    aim = 0.0 if expected is None else expected.value
    spread = math.hypot(sem or 0.0, 0.0 if expected is None else expected.sem or 0.0)
    off = value - aim if block.kind == "argon_blank" else abs(value - aim)
    unit = "" if UNITS[block.kind] == "1" else f" {UNITS[block.kind]}"
    told = f"{block.name}: off by {off:.3g}{unit}"
    verdict: Outcome = "good"
    reasons: tuple[str, ...] = ()
    if off > block.limit and off > 2.0 * spread:
        verdict, reasons = "failed", (f"{told}, more than {block.limit:g}{unit}",)
    elif spread > block.limit:
        verdict, reasons = "undecided", (f"{told}, with an uncertainty of {spread:.3g}{unit}",)
    return ControlResult(
        block.name, block.kind, cell, value, UNITS[block.kind], sem, verdict, reasons, block.on_fail, details or {}
    )


def unmeasured(block: ControlBlock, cell: str, why: str) -> ControlResult:
    """The result of a control that could not be done."""
    return ControlResult(
        block.name, block.kind, cell, None, UNITS[block.kind], None, "undecided", (why,), block.on_fail
    )


# When


@dataclass(frozen=True, slots=True)
class Done:
    """A control that was done.

    Attributes:
        name: of the control.
        cell: whose; empty for what cells share.
        experiments: that the cell (or all together) had done by then.
        hours: of the laboratory's clock.
        verdict: that came of it.
    """

    name: str
    cell: str
    experiments: int
    hours: float
    verdict: Outcome


@dataclass(frozen=True, slots=True)
class Due:
    """A control that is due.

    Attributes:
        name: of the control.
        cell: whose; empty for what cells share.
        why: in words.
    """

    name: str
    cell: str
    why: str


def due(
    schedule: Iterable[ControlBlock], history: Sequence[Done], experiments: Mapping[str, int], hours: float
) -> tuple[Due, ...]:
    """The controls that are due now.

    A control that was never done is due before the first experiment.

    Args:
        schedule: the blocks.
        history: what was done, in order.
        experiments: done so far, by cell: every cell is there.
        hours: now, of the laboratory's clock.
    """
    found = []
    for block in schedule:
        for cell in block.places(experiments):
            count = experiments.get(cell, 0) if cell else sum(experiments.values())
            last = next((d for d in reversed(history) if (d.name, d.cell) == (block.name, cell)), None)
            why = _why(block, last, count, hours)
            if why:
                found.append(Due(block.name, cell, why))
    return tuple(found)


def _why(block: ControlBlock, last: Done | None, count: int, hours: float) -> str:
    if last is None:
        return "it was never done"
    if last.verdict != "good" and block.on_fail != "flag_since_last_good":
        return "it was not good last time"
    if block.every_experiments is not None and count - last.experiments >= block.every_experiments:
        return f"{count - last.experiments} experiments since the last one"
    if block.every_hours is not None and hours - last.hours >= block.every_hours - 1e-9:
        return f"{hours - last.hours:.3g} hours since the last one"
    return ""


def since_last_good(history: Sequence[Done], name: str, cell: str) -> int:
    """How many experiments had been done at the last good control of a name: later ones are flagged when it fails."""
    return max((d.experiments for d in history if (d.name, d.cell, d.verdict) == (name, cell, "good")), default=0)


# The record


def note(path: Path, result: ControlResult, at: str) -> None:
    """Append a result to the rig's record of controls.

    Args:
        path: of the file.
        result: of a control.
        at: when, ISO 8601.
    """
    import os

    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": at, **asdict(result)}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def latest(path: Path, kind: ControlKind, cell: str) -> float | None:
    """The value of the last control of a kind that was measured for a cell; ``None`` where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut short when its writer ended
        if entry["kind"] == kind and entry["cell"] in ("", cell) and entry["value"] is not None:
            return float(entry["value"])
    return None
