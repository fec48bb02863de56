"""Work orders of what people run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from instruments.manual import ORDER
from orchestrator.store.protocol import Store
from orchestrator.store.records import AttemptRecord


def order_of(attempt: AttemptRecord) -> Path:
    """Where the work order of an attempt is that a person runs; it may not be written yet."""
    return Path(attempt.files or ".") / f"{ORDER}.txt"


def work_orders(store: Store, name: str) -> list[dict[str, Any]]:
    """What people are to do: of each experiment that runs and has a work order, where that is; JSON values."""
    running = {record.id for record in store.experiments(name, states={"running"})}
    attempts = [a for a in store.attempts(name, states={"running"}) if a.experiment in running]
    return [
        {"experiment": a.experiment, "cell": a.cell, "sample": a.sample, "file": str(order_of(a))}
        for a in attempts
        if order_of(a).is_file()
    ]


def to_do(name: str, orders: list[dict[str, Any]]) -> list[str]:
    """The same for people, with how its results are entered."""
    if not orders:
        return []
    lines = [f"results: sabatier sheet {name} -o FILE.csv, then sabatier tell {name} FILE.csv"]
    return lines + [f"experiment {o['experiment']} on {o['cell']}, sample {o['sample']}: {o['file']}" for o in orders]
