"""Laboratories and what crosses their door; devices, safety, and the reduction of signals to figures of merit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from instruments.errors import (
    CalibrationError,
    ExecutionCancelled,
    InstrumentsError,
    LabError,
    LabHalted,
    LabHolds,
    MetricError,
    ReaderError,
    SignalError,
    ToldElsewhere,
)
from instruments.lab import (
    Amendable,
    Attended,
    Belated,
    Clock,
    Context,
    Controllable,
    Controlled,
    Equipped,
    Failure,
    Fenced,
    Figure,
    Informed,
    Job,
    Journaling,
    Lab,
    LabOptions,
    LateResult,
    Located,
    Measurement,
    Observation,
    Outcome,
    Recontrolled,
    Reducing,
    Referred,
    Resuming,
    Selective,
    Verdict,
    VirtualTime,
)
from instruments.metrics import METRICS, Metric

if TYPE_CHECKING:
    from instruments.electrochemistry import Calibration, Calibrations, QualityRules, Reduction, Setup, reduce
    from instruments.manual import ManualLab
    from instruments.readers import Recording, merge, read

_HOMES = {
    "Calibration": "instruments.electrochemistry",
    "Calibrations": "instruments.electrochemistry",
    "ManualLab": "instruments.manual",
    "QualityRules": "instruments.electrochemistry",
    "Recording": "instruments.readers",
    "Reduction": "instruments.electrochemistry",
    "Setup": "instruments.electrochemistry",
    "merge": "instruments.readers",
    "read": "instruments.readers",
    "reduce": "instruments.electrochemistry",
}

__all__ = [
    "METRICS",
    "Amendable",
    "Attended",
    "Belated",
    "Calibration",
    "CalibrationError",
    "Calibrations",
    "Clock",
    "Context",
    "Controllable",
    "Controlled",
    "Equipped",
    "ExecutionCancelled",
    "Failure",
    "Fenced",
    "Figure",
    "Informed",
    "InstrumentsError",
    "Job",
    "Journaling",
    "Lab",
    "LabError",
    "LabHalted",
    "LabHolds",
    "LabOptions",
    "LateResult",
    "Located",
    "ManualLab",
    "Measurement",
    "Metric",
    "MetricError",
    "Observation",
    "Outcome",
    "QualityRules",
    "ReaderError",
    "Recontrolled",
    "Recording",
    "Reducing",
    "Reduction",
    "Referred",
    "Resuming",
    "Selective",
    "Setup",
    "SignalError",
    "ToldElsewhere",
    "Verdict",
    "VirtualTime",
    "merge",
    "read",
    "reduce",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that the package itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__part_of__ = "sabatier"  # tells this package from others of its name
