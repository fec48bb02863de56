"""What the loop costs an experiment, beyond model and laboratory.

Runs campaigns of a strategy and a laboratory that take no time, in two set-ups: under Prefect (embedded server) with a
store that waits for the disk, and in plain threads with one that does not. Prints the time from one result to the next,
less the time spent in strategy and laboratory, after the first tenth.

    python benchmarks/loop_overhead.py [--experiments 100]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import acquisition.strategies.random
from orchestrator.campaign.places import files_of
from orchestrator.config.load import load
from orchestrator.loop.assembly import assemble, register
from orchestrator.loop.engine import ThreadEngine
from orchestrator.loop.loop import Loop
from orchestrator.store.opening import open_store
from orchestrator.store.records import AttemptRecord, ExperimentRecord
from simulators.replay import ReplayLab

CAMPAIGN = """\
name: {name}
space: {{pool: table.csv, parameters: [a, b]}}
objectives: [{{metric: y, goal: maximize}}]
strategy: random
lab: {{type: replay, table: table.csv}}
stop: {{experiments: {experiments}}}
"""


class Spent:
    """Sums the time inside a function."""

    def __init__(self, owner: type, name: str) -> None:
        self.seconds = 0.0
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        setattr(owner, name, timed)


class Gaps:
    """Notes the time between results."""

    def __init__(self, spent: list[Spent]) -> None:
        self._spent = spent
        self.gaps: list[float] = []
        self._mark()

    def _mark(self) -> None:
        self._last, self._before = time.perf_counter(), sum(s.seconds for s in self._spent)

    def proposed(self, records: list[ExperimentRecord]) -> None:
        pass

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        pass

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        last, before = self._last, self._before
        self._mark()
        self.gaps.append((self._last - last) - (self._before - before))


def measure(folder: Path, engine: str, durable: bool, experiments: int, spent: list[Spent]) -> list[float]:
    name = f"overhead-{engine}"
    file = folder / f"{name}.yaml"
    file.write_text(CAMPAIGN.format(name=name, experiments=experiments))
    store = open_store(folder / f"{name}.db", durable=durable)
    register(store, load(file))
    gaps = Gaps(spent)
    if engine == "threads":
        parts = assemble(store, name)
        Loop(
            parts.campaign,
            parts.lab,
            experiments=experiments,
            engine=ThreadEngine(1),
            files=files_of(store),
            listeners=[gaps],
        ).run()
    else:
        from orchestrator.flows.sitting import sit

        # a laboratory that touches matter: the flow then opens the store with synchronous=FULL
        ReplayLab.repeat_is_safe = property(lambda self: not durable)  # type: ignore[assignment,method-assign]
        sit(name, store.url, cancelled=Event(), listeners=(gaps,), logs=folder)
    store.close()
    return gaps.gaps[max(1, experiments // 10) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=100)
    experiments = parser.parse_args().experiments
    spent = [Spent(acquisition.strategies.random.Random, "propose"), Spent(ReplayLab, "execute")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = "\n".join(f"{i},{i % 7},{i * 0.5}" for i in range(5 * experiments))
        (folder / "table.csv").write_text("a,b,y\n" + rows + "\n")
        for engine, durable, limit in (("threads", False, 10.0), ("prefect", True, 150.0)):
            gaps = sorted(1e3 * gap for gap in measure(folder, engine, durable, experiments, spent))
            row = {
                "engine": engine,
                "synchronous": "FULL" if durable else "NORMAL",
                "experiments": len(gaps),
                "median_ms": round(statistics.median(gaps), 2),
                "p90_ms": round(gaps[int(0.9 * len(gaps))], 2),
                "limit_ms": limit,
            }
            print(json.dumps(row))


if __name__ == "__main__":
    main()
