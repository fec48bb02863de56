"""What quality control finds in runs of the simulated laboratory, and what it leaves alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
from model import table
from pydantic import TypeAdapter

from acquisition import SearchSpace
from acquisition.parameters import Parameter
from instruments.lab import Job, Measurement, Outcome
from orchestrator.loop.context import VirtualClock
from simulators import Chemistry, SimulatedLab, SimulatedOptions, chemistry
from simulators.faults import FAULTS


@dataclass(frozen=True)
class _Moment:
    """What the loop would hand down with a job."""

    seed: int
    sample: str
    cell: str = "cell-1"
    attempt: int = 1
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(0.0))
    files: Path = Path()
    cancelled: Event = field(default_factory=Event)

    def journal(self, step: str, kind: str) -> nullcontext[None]:  # noqa: ARG002
        """Nothing is written."""
        return nullcontext()

    def lease(self, device: str) -> nullcontext[None]:  # noqa: ARG002
        """Nothing is shared."""
        return nullcontext()

    def keep(self, measurement: Measurement) -> None:
        """Nothing is kept."""


def outcome(lab: SimulatedLab, parameters: dict[str, Any], seed: int) -> Outcome:
    """One experiment on an electrode of its own."""
    return lab.execute(Job("validation", 1, parameters), _Moment(seed, f"electrode-{seed}"))


def verdicts(outcomes: Iterable[Outcome]) -> tuple[Counter[str], Counter[str]]:
    """How often each verdict and each reason came."""
    names: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for each in outcomes:
        verdict = each.observation.verdict if each.observation else None
        names[verdict.name if verdict else "failed"] += 1
        reasons.update(dict.fromkeys((reason.partition(" ")[0] for reason in verdict.reasons), 1) if verdict else ())
    return names, reasons


def healthy(count: int = 200) -> str:
    """Runs without faults."""
    rows = []
    for name in ("cu_alloys", "electrolyte_cations", "gde_alloys", "gde_conditions"):
        virtual = chemistry(name)
        points = build_points(virtual, 4 * count)
        current = virtual.truth(points)["j_total"]
        kind = virtual.definition.cell
        points = points[(current > 1.0) & (current < 50.0)] if kind == "h_cell" else points
        lab = SimulatedOptions(name, signals="raw").build(virtual.columns, {})
        records = points.head(count).to_dict("records")
        names, reasons = verdicts(outcome(lab, {str(k): v for k, v in p.items()}, i) for i, p in enumerate(records))
        total = sum(names.values())
        rows.append([name, total, *(names[v] for v in ("valid", "suspect", "invalid", "failed")), told(reasons)])
    return table(["chemistry", "runs", "valid", "suspect", "invalid", "failed", "reasons"], rows)


def faulty(count: int = 50) -> str:
    """Runs with one fault each."""
    rows = []
    for fault, spec in FAULTS.items():
        name = "gde_alloys" if "h_cell" not in spec.kinds else "cu_alloys"
        virtual = chemistry(name)
        lab = SimulatedOptions(name, signals="raw", faults={fault: 1.0}).build(virtual.columns, {})
        best = virtual.optimum(virtual.definition.target)["parameters"]
        names, reasons = verdicts(outcome(lab, best, seed) for seed in range(count))
        found = names["invalid"] + (names["suspect"] if spec.verdict == "suspect" else 0)
        fine = "yes" if found >= 0.95 * count else "**no**"
        rows.append([fault.replace("_", " "), spec.summary, spec.verdict, f"{found} of {count}", fine, told(reasons)])
    return table(["fault", "what happened", "to be found as", "found", "at least 95 %", "by the rules"], rows, 3)


def told(reasons: Counter[str], most: int = 4) -> str:
    """The commonest reasons with their numbers."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered[:most])


def build_points(virtual: Chemistry, count: int) -> pd.DataFrame:
    """Random points of a chemistry's space."""
    space = SearchSpace([TypeAdapter(Parameter).validate_python(each) for each in virtual.space["parameters"]])
    return space.to_frame(space.sample(count, np.random.default_rng(0)))
