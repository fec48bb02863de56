"""Laboratories and what crosses their door; devices, safety, and the reduction of signals to figures of merit."""

from instruments.errors import ExecutionCancelled, InstrumentsError, LabError, MetricError
from instruments.lab import (
    Clock,
    Context,
    Failure,
    Figure,
    Job,
    Lab,
    LabOptions,
    Measurement,
    Observation,
    Outcome,
    Verdict,
    VirtualTime,
)
from instruments.metrics import METRICS, Metric

__all__ = [
    "METRICS",
    "Clock",
    "Context",
    "ExecutionCancelled",
    "Failure",
    "Figure",
    "InstrumentsError",
    "Job",
    "Lab",
    "LabError",
    "LabOptions",
    "Measurement",
    "Metric",
    "MetricError",
    "Observation",
    "Outcome",
    "Verdict",
    "VirtualTime",
]

__part_of__ = "sabatier"  # tells this package from others of its name
