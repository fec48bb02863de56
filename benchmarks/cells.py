"""How busy many cells are, and what the loop and its store cost an experiment.

A campaign of the strategy ``space_filling`` in a laboratory whose run times are log-normal with a median of 60 virtual
minutes. Prints the share of time in which cells are busy, from the moment in which all had begun to the last start,
beside the same experiments in rounds in which all cells wait for the slowest; and by the wall's clock what an
experiment costs, and how much of that is the store's. With several processes each has a campaign of its own, all in
one store.

    OMP_NUM_THREADS=1 python benchmarks/cells.py [--cells 64] [--experiments 2000] [--store URL] [--processes 1]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acquisition import Continuous, Objective, SearchSpace
from instruments import Figure, Observation, Outcome
from instruments.lab import Context, Job, Parameters
from orchestrator import Campaign
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.loop.listener import Listener
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store
from orchestrator.store.records import AttemptRecord, CampaignRecord, ExperimentRecord

MEDIAN = 3600.0
SPREAD = 0.5
WRITES = ("apply", "renew", "acquire", "release")
READS = ("last_event", "events", "experiments", "experiment", "attempts", "campaign", "asks")


class Hours:
    """Virtual cells in which an experiment takes about an hour."""

    metrics: Mapping[str, str] = {"y": "1"}
    repeat_is_safe = True
    virtual_time = True

    def __init__(self, cells: int) -> None:
        self.cells = tuple(f"cell-{i + 1}" for i in range(cells))

    def check(self, parameters: Parameters) -> None:
        """Any space will do."""

    def execute(self, job: Job, context: Context) -> Outcome:
        """A smooth function, after a while."""
        draw = np.random.default_rng(context.seed)
        value = float(np.exp(-4.0 * (float(job.parameters["a"]) - 0.3) ** 2))
        return Outcome(
            Observation({"y": Figure(value, 0.01)}), duration=float(MEDIAN * np.exp(SPREAD * draw.standard_normal()))
        )

    def make_safe(self) -> None:
        """Nothing moves."""


@dataclass
class Stopwatch(Listener):
    """Prints how long an experiment took of late, and how much memory is used, some times in a campaign."""

    every: int
    count: int = 0
    began: float = field(default_factory=time.perf_counter)

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        self.count += 1
        if self.count % self.every == 0:
            now = time.perf_counter()
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"  {self.count:6d}: {(now - self.began) / self.every * 1e3:6.1f} ms each, {memory:.0f} MiB at most")
            self.began = now


def timed(store: Store) -> dict[str, list[float]]:
    """Let a store note the seconds of every call, by method."""
    spent: dict[str, list[float]] = {}

    def wrap(inner: Any, calls: list[float]) -> Any:
        def outer(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                calls.append(time.perf_counter() - began)

        return outer

    for name in WRITES + READS:
        setattr(store, name, wrap(getattr(store, name), spent.setdefault(name, [])))
    return spent


def utilisation(attempts: Sequence[AttemptRecord]) -> float:
    """Share of the cells' time in which they are busy, from when all had begun to the last start."""
    cells = {a.cell for a in attempts}
    first = max(min(a.clock_started for a in attempts if a.cell == cell) for cell in cells)
    last = max(a.clock_started for a in attempts)
    ends = [(a.clock_started, a.clock_started + (a.duration or 0.0)) for a in attempts]
    busy = sum(max(0.0, min(end, last) - max(start, first)) for start, end in ends)
    return busy / (len(cells) * (last - first))


def in_rounds(attempts: Sequence[AttemptRecord], cells: int) -> float:
    """The same where each round of one experiment a cell ends before the next one begins."""
    times = np.array([a.duration for a in sorted(attempts, key=lambda a: a.experiment)])
    rounds = times[: len(times) // cells * cells].reshape(-1, cells)
    return float(rounds.sum() / (rounds.max(axis=1).sum() * cells))


def run(options: argparse.Namespace, folder: Path) -> None:
    """One campaign in this process, and its figures."""
    store = open_store(options.store or f"sqlite:///{folder}/cells.db")
    name = f"cells-{os.getpid()}-{time.time_ns()}"
    store.create(CampaignRecord(name=name, definition={}, definition_hash=""))
    space = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])
    campaign = Campaign(space, [Objective("y")], store=store, name=name, definition={}, strategy="space_filling")
    lab, spent = Hours(options.cells), timed(store)
    watch = Stopwatch(max(1, options.experiments // options.stages))
    print(f"{options.experiments} experiments in {options.cells} cells")
    began = time.perf_counter()
    loop = Loop(
        campaign,
        lab,
        experiments=options.experiments,
        engine=ThreadEngine(options.cells),
        files=folder,
        listeners=(watch,),
    )
    state = loop.run()
    seconds = time.perf_counter() - began
    attempts, records = store.attempts(name), store.experiments(name)
    numbers = [event.sequence for event in store.events(name)]
    store.close()
    points = {tuple((r.asked or {}).values()) for r in records}
    each = seconds / options.experiments
    share = sum(map(sum, spent.values())) / seconds
    between = MEDIAN * float(np.exp(SPREAD**2 / 2)) / options.cells
    gaps = numbers != list(range(1, len(numbers) + 1))
    print(f"{state}; {len(records) - len(points)} points twice, {len(attempts) - len(records)} attempts more than one")
    print(f"{len(numbers)} events in the log, {'with' if gaps else 'without'} gaps")
    print(f"cells are busy {utilisation(attempts):.1%}; in rounds {in_rounds(attempts, options.cells):.1%}")
    print(f"an experiment costs {each * 1e3:.1f} ms of the wall's clock, {share:.0%} of it in the store;")
    print(f"in real time one ends every {between:.0f} s, so that the loop is at work {each / between:.2%} of the time")
    for method in WRITES[:1] + READS[:1]:
        calls = spent[method]
        middle, slow = np.quantile(calls, [0.5, 0.99]) * 1e3
        often = len(calls) / options.experiments
        print(f"store.{method}: {often:.1f} an experiment, median {middle:.1f} ms, 99 % below {slow:.0f} ms")


def run_processes(options: argparse.Namespace, folder: Path) -> None:
    """Several processes, each with a campaign of its own, in one store."""
    url = options.store or f"sqlite:///{folder}/cells.db"
    open_store(url).close()
    command = [sys.executable, __file__, f"--cells={options.cells}", f"--experiments={options.experiments}"]
    command += [f"--store={url}", f"--stages={options.stages}"]
    began = time.perf_counter()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(options.processes)]
    for number, process in enumerate(processes, 1):
        print(f"-- process {number}\n{process.communicate()[0]}", end="")
    failed = [process.returncode for process in processes if process.returncode]
    seconds = time.perf_counter() - began
    total = options.experiments * options.processes
    print(f"-- together: {total / seconds:.1f} experiments a second, {len(failed)} processes failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--store", help="address; by default a new SQLite file")
    parser.add_argument("--stages", type=int, default=5, help="so often the time and the memory are printed")
    parser.add_argument("--processes", type=int, default=1, help="so many at once, each with that many cells")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (run if options.processes == 1 else run_processes)(options, Path(folder))


if __name__ == "__main__":
    main()
