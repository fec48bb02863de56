"""How busy many cells are, and what the loop and its store cost an experiment.

A campaign of the strategy ``space_filling`` in a laboratory whose run times are log-normal with a median of 60 virtual
minutes. Prints the share of time in which cells are busy, from the moment in which all had begun to the last start,
beside the same experiments in rounds in which all cells wait for the slowest; and by the wall's clock what an
experiment costs, and how much of that is the store's.

    OMP_NUM_THREADS=1 python benchmarks/cells.py [--cells 64] [--experiments 2000] [--store URL] [--stages 5]
"""

from __future__ import annotations

import argparse
import resource
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


def timed(store: Store) -> list[float]:
    """Let a store sum the seconds inside its methods, in the first entry of what is returned."""
    spent = [0.0]

    def wrap(inner: Any) -> Any:
        def outer(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                spent[0] += time.perf_counter() - began

        return outer

    for name in ("apply", "events", "experiments", "experiment", "attempts", "last_event", "campaign"):
        setattr(store, name, wrap(getattr(store, name)))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--store", help="address; by default a new SQLite file")
    parser.add_argument("--stages", type=int, default=5, help="so often the time and the memory are printed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(options.store or f"sqlite:///{folder}/cells.db")
        name = f"cells-{time.time_ns()}"
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
            files=Path(folder),
            listeners=(watch,),
        )
        state = loop.run()
        seconds = time.perf_counter() - began
        attempts, records = store.attempts(name), store.experiments(name)
    points = {tuple((r.asked or {}).values()) for r in records}
    each = seconds / options.experiments
    between = MEDIAN * float(np.exp(SPREAD**2 / 2)) / options.cells
    print(f"{state}; {len(records) - len(points)} points twice, {len(attempts) - len(records)} attempts more than one")
    print(f"cells are busy {utilisation(attempts):.1%}; in rounds {in_rounds(attempts, options.cells):.1%}")
    print(f"an experiment costs {each * 1e3:.1f} ms of the wall's clock, {spent[0] / seconds:.0%} of it in the store;")
    print(f"in real time one ends every {between:.0f} s, so that the loop is at work {each / between:.2%} of the time")


if __name__ == "__main__":
    main()
