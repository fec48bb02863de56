"""What a long campaign costs in which much goes wrong, and whether its store still tells the truth at the end.

A campaign of the strategy ``space_filling`` in virtual cells of which a tenth of all attempts fails in one way or
another, and whose process is killed (SIGKILL) at random moments; then a person says what became of what was running,
puts cells back, and the campaign is resumed. Prints what an experiment costs and how much memory the process has, for
each tenth of the campaign, beside an undisturbed one of the first tenth; what a cold ``sabatier status`` takes at the
end; and every rule that the store breaks: results that are missing or there twice, electrolyses that were repeated
unasked, gaps in the log. Ends with status 1 where there is any.

    OMP_NUM_THREADS=1 python benchmarks/long_campaign.py [--experiments 10000] [--cells 8] [--kills 50] [--seed 1]
"""

from __future__ import annotations

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from acquisition import Continuous, Objective, SearchSpace
from instruments import Failure, Figure, InstrumentsError, Observation, Outcome
from instruments.lab import Context, Job, Parameters
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.config.breakers import Breakers
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.loop.listener import Listener
from orchestrator.steering.experiments import resolve
from orchestrator.store.changes import Note
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store
from orchestrator.store.records import AttemptRecord, CampaignRecord, ExperimentRecord, ExperimentState

NAME = "long"
SPACE = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])


class Troubled:
    """Virtual cells in which an attempt goes wrong with a probability of ``trouble``."""

    metrics: Mapping[str, str] = {"y": "1"}
    repeat_is_safe = False
    virtual_time = True

    def __init__(self, cells: int, trouble: float) -> None:
        self.cells, self._trouble = tuple(f"cell-{i + 1}" for i in range(cells)), trouble

    def check(self, parameters: Parameters) -> None:
        """Any space will do."""

    def execute(self, job: Job, context: Context) -> Outcome:
        """A smooth function after about an hour, or one of three kinds of failure."""
        draw = np.random.default_rng((context.seed, context.attempt))
        duration, luck = float(3600.0 * draw.lognormal(0.0, 0.5)), draw.uniform() / self._trouble
        if luck < 0.4:
            return Outcome(failure=Failure("equipment", "the pump stalled"), duration=0.3 * duration)
        if luck < 0.7:
            return Outcome(failure=Failure("material", "the film peeled off"), duration=0.5 * duration)
        if luck < 1.0:
            raise InstrumentsError("the potentiostat does not answer.")
        value = float(np.exp(-4.0 * (float(job.parameters["a"]) - 0.3) ** 2))
        return Outcome(Observation({"y": Figure(value, 0.01)}), duration=duration)

    def make_safe(self) -> None:
        """Nothing moves."""


class Says(Listener):
    """Prints the number of each experiment that has ended, with the memory of the process in MiB."""

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        print(record.id, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)


def sit(options: argparse.Namespace) -> None:
    """Run the campaign in this process for as long as it may."""
    logging.disable(logging.WARNING)  # a tenth of all attempts fails: that is known
    store = open_store(options.store, durable=False)
    campaign = Campaign(SPACE, [Objective("y")], store=store, name=NAME, definition={}, strategy="space_filling")
    lab = Troubled(options.cells, options.trouble)
    loop = Loop(
        campaign,
        lab,
        experiments=options.experiments,
        breakers=Breakers(cell=3, cells=2),
        engine=ThreadEngine(options.cells),
        files=Path(options.store).parent / "files",
        listeners=(Says(),),
    )
    loop.run()
    store.close()


def sitting(
    options: argparse.Namespace, store: Path, experiments: int, trouble: float, kill: int | None
) -> Iterator[int]:
    """One process; yields its memory in MiB at each experiment that ends, and kills it after so many."""
    command = [sys.executable, __file__, "--sit", f"--store={store}", f"--experiments={experiments}"]
    command += [f"--cells={options.cells}", f"--trouble={trouble}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for count, line in enumerate(process.stdout, 1):
        yield int(line.split()[1])
        if count == kill:
            process.kill()
            break
    process.stdout.close()
    if process.wait() not in (0, -9):
        sys.exit(f"the process ended with status {process.returncode}")


def look_after(store: Store, rerun: Counter[int], draw: np.random.Generator) -> None:
    """What a person does where a campaign waits: says what is to become of the unknown, and puts cells back."""
    for record in store.experiments(NAME, states=frozenset[ExperimentState]({"needs_inspection"})):
        again = draw.uniform() < 0.5
        rerun[record.id] += again
        resolve(store, NAME, record.id, "rerun" if again else "discard", who="marie")
    there = {event.data["cell"]: event.data["in_service"] for event in store.events(NAME, kinds=(words.CELL,))}
    for cell in (cell for cell, in_service in there.items() if not in_service):
        note = Note(words.CELL, "mended", data={"cell": cell, "in_service": True})
        store.apply(NAME, [note], who="marie")


def broken(store: Store, rerun: Counter[int], experiments: int) -> list[str]:
    """The rules that the store breaks."""
    records, attempts = store.experiments(NAME), store.attempts(NAME)
    numbers = [event.sequence for event in store.events(NAME)]
    finished = Counter(a.experiment for a in attempts if a.state == "finished")
    tries = Counter(a.experiment for a in attempts if a.state in ("finished", "failed", "unknown"))
    failed = Counter(a.experiment for a in attempts if a.state == "failed")
    counted = [r for r in records if r.state not in ("rejected", "cancelled")]
    unasked = [id for id, count in tries.items() if count > 1 + rerun[id] + failed[id]]
    rules = {
        f"{len(counted)} experiments instead of {experiments}": len(counted) != experiments,
        "an experiment has not ended": any(r.state not in ("completed", "failed") for r in counted),
        "a measurement is missing or there twice": finished != Counter(r.id for r in records if r.state == "completed"),
        f"repeated unasked: experiments {unasked}": bool(unasked),
        "the log has gaps": numbers != list(range(1, len(numbers) + 1)),
        "an attempt runs still": any(a.state == "running" for a in attempts),
        "somebody holds a lease": bool(store.held()) or store.holder(NAME) is not None,
    }
    return [rule for rule, is_broken in rules.items() if is_broken]


def run(options: argparse.Namespace, folder: Path, experiments: int, trouble: float, kills: int) -> list[str]:
    """One campaign to its end; prints its figures, and gives the rules that its store breaks."""
    path, draw, rerun = folder / f"{kills}.db", np.random.default_rng(options.seed), Counter[int]()
    store = open_store(path, durable=False)
    store.create(CampaignRecord(name=NAME, definition={}, definition_hash=""))
    stage, count, deaths, began = max(1, experiments // 10), 0, 0, time.perf_counter()
    while store.campaign(NAME).state != "completed":
        kill = int(draw.exponential(experiments / kills)) + 1 if deaths < kills else None
        for memory in sitting(options, path, experiments, trouble, kill):
            count += 1
            if count % stage == 0:
                now = time.perf_counter()
                print(
                    f"  {count:6d} ended: {(now - began) / stage * 1e3:6.1f} ms each, {memory} MiB at most", flush=True
                )
                began = now
        deaths += kill is not None and store.campaign(NAME).state != "completed"
        look_after(store, rerun, draw)
    began = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator.cli", "status", NAME, "--store", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"  status, cold: {time.perf_counter() - began:.2f} s, with {store.last_event(NAME)} events in the log")
    states = Counter(a.state for a in store.attempts(NAME))
    print(f"  {deaths} deaths, {sum(rerun.values())} repeated by a person's word; attempts: {dict(states)}")
    problems = broken(store, rerun, experiments)
    store.close()
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trouble", type=float, default=0.1, help="share of attempts that go wrong")
    parser.add_argument("--sit", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sit:
        sit(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        first = max(10, options.experiments // 10)
        print(f"{first} experiments of which none goes wrong")
        problems = run(options, Path(folder), first, 1e-12, 0)
        print(f"{options.experiments} experiments of which one in ten goes wrong, {options.kills} deaths")
        problems += run(options, Path(folder), options.experiments, options.trouble, options.kills)
    print(*(problems or ["no rule is broken"]), sep="\n")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
