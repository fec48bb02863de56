"""How long ``sabatier status`` takes on a long campaign, and what a resumed loop reads at its start.

Fills a new SQLite store with a campaign of so many experiments of ten figures each. Prints the time of the command as a
process of its own, of its questions to the store, and of reading everything instead; then that of a campaign's start
and of other commands. Times are of the wall's clock, the best of some tries; beside other work they are longer.

    python benchmarks/status_speed.py [--experiments 10000] [--tries 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from acquisition import Composition, Continuous, Objective, OutcomeConstraint, SearchSpace
from orchestrator import Campaign
from orchestrator.cli.looking import summary
from orchestrator.store import (
    AskRecord,
    AttemptRecord,
    CampaignRecord,
    Change,
    ExperimentRecord,
    PutAsk,
    PutAttempt,
    PutExperiment,
    SetCampaignState,
    Store,
    Value,
    open_store,
)

METRICS = ("fe_h2", "fe_co", "fe_c2h4", "fe_total", "j_total", "j_co", "j_c2h4", "e_rhe", "u_cell", "spc_co2")
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
NAME, CELLS, AT_ONCE = "long", 8, 100


def fill(store: Store, experiments: int) -> None:
    """A campaign whose last experiments run."""
    definition = {
        "objectives": [{"metric": "fe_c2h4", "goal": "maximize"}],
        "outcome_constraints": [{"metric": "fe_h2", "upper": 0.3}],
        "stop": {"experiments": experiments + 500},
        "costs": {"experiment": 40.0, "preparation": 60.0, "unit": "min"},
        "strategy": {"name": "space_filling"},
    }
    store.create(CampaignRecord(name=NAME, definition=definition, definition_hash=""))
    store.apply(NAME, [SetCampaignState("created", "running")], who="benchmark")
    rng = np.random.default_rng(0)
    for first in range(1, experiments + 1, AT_ONCE):
        ids = range(first, min(first + AT_ONCE, experiments + 1))
        changes = [change for id in ids for change in life(id, rng, done=id <= experiments - CELLS)]
        store.apply(NAME, changes, who="benchmark")


def life(id: int, rng: np.random.Generator, *, done: bool) -> Iterator[Change]:
    """What is written of one experiment."""
    began = START + timedelta(seconds=450.0 * id)
    share, potential, length = rng.random(3)
    queued = ExperimentRecord(
        id=id,
        state="queued",
        ask=id,
        asked={"x_Cu": share, "x_Ag": 1.0 - share, "potential": -1.5 + potential},
        reason="far from all experiments so far",
        prediction={m: {"mean": 0.3, "std": 0.1} for m in ("fe_c2h4", "fe_h2")},
        cost=100.0,
        seed=2**60 + id,
        created=began,
    )
    running = replace(queued, state="running")
    attempt = AttemptRecord(
        experiment=id, number=1, cell=f"cell-{id % CELLS}", sample=f"{NAME}.0-{id}", started=began,
        clock_started=450.0 * id, files=f"files/{NAME}/{id:05d}/1",
    )  # fmt: skip
    yield from (PutAsk(AskRecord(id, 1)), PutExperiment(queued, None), PutExperiment(running, "queued"))
    yield PutAttempt(attempt)
    if not done:
        return
    duration = 1800.0 + 3600.0 * length
    yield PutAttempt(
        replace(attempt, state="finished", duration=duration, finished=began + timedelta(seconds=duration))
    )
    told = {m: Value(float(rng.random()), 0.01) for m in METRICS}
    yield PutExperiment(
        replace(running, state="completed", executed=queued.asked, values=told, told=id, verdict="valid"), "running"
    )


def best(tries: int, work: Callable[[], object]) -> float:
    """Seconds, the least of some tries."""
    times = []
    for _ in range(tries):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def asked_of(store: Store, work: Callable[[], object]) -> float:
    """Seconds that a piece of work spends in the methods of a store."""
    spent = 0.0

    def timed(inner: Callable[..., Any]) -> Callable[..., Any]:
        def outer(*args: Any, **options: Any) -> Any:
            nonlocal spent
            began = time.perf_counter()
            try:
                return inner(*args, **options)
            finally:
                spent += time.perf_counter() - began

        return outer

    names = [name for name in dir(Store) if not name.startswith("_") and callable(getattr(store, name, None))]
    for name in names:
        setattr(store, name, timed(getattr(store, name)))
    try:
        work()
    finally:
        for name in names:
            delattr(store, name)
    return spent


def everything(store: Store) -> None:
    """What a status would read that knew of no columns."""
    store.experiments(NAME)
    store.attempts(NAME)
    store.events(NAME)


def open_campaign(store: Store) -> Campaign:
    """The campaign as a resumed loop takes it up, with the first problem that its strategy sees."""
    space = SearchSpace([Composition("x", ["Cu", "Ag"]), Continuous("potential", -1.5, -0.5)])
    campaign = Campaign(
        space, Objective("fe_c2h4"), outcome_constraints=[OutcomeConstraint("fe_h2", upper=0.3)],
        strategy="space_filling", name=NAME, store=store, definition={},
    )  # fmt: skip
    campaign.problem()
    return campaign


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--tries", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/store.db"
        store = open_store(url, durable=False)
        fill(store, options.experiments)
        record = store.campaign(NAME)

        def command(*words: str) -> float:
            line = [sys.executable, "-m", "orchestrator.cli", *words, "--store", url]
            return best(options.tries, lambda: subprocess.run(line, check=True, stdout=subprocess.DEVNULL, cwd=folder))

        print(f"{options.experiments} experiments, {store.last_event(NAME)} events")
        print(f"sabatier status, cold          {command('status', NAME) * 1e3:8.0f} ms")
        print(f"  all of it, warm              {best(options.tries, lambda: summary(store, record)) * 1e3:8.0f} ms")
        queries = min(asked_of(store, lambda: summary(store, record)) for _ in range(options.tries))
        print(f"  its questions to the store   {queries * 1e3:8.0f} ms")
        print(f"reading everything instead     {best(options.tries, lambda: everything(store)) * 1e3:8.0f} ms")
        print(f"taking a campaign up           {best(options.tries, lambda: open_campaign(store)) * 1e3:8.0f} ms")
        print(f"sabatier log of an experiment  {command('log', NAME, '--experiment', '7') * 1e3:8.0f} ms")
        store.close()


if __name__ == "__main__":
    main()
