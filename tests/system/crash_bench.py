"""Campaigns whose processes die, in folders of their own; and what must be true of each when all is over."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import forkserver, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import Any, Final

from crash_child import Death, command
from crash_faults import Lead
from fault_rig import RIG
from rig_bench import RigBench, drawing, gas_on
from ruamel.yaml import YAML

from orchestrator.campaign import words
from orchestrator.campaign.places import files_of, spool_of
from orchestrator.loop.journal import steps_of
from orchestrator.loop.keeping import Files
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store
from orchestrator.store.records import EventRecord, ExperimentRecord

LONGEST: Final = 120.0
"""Real s that any command may take."""
CURRENT: Final = 1e-3
"""A; less is no electrolysis."""

VIRTUAL: Final = """\
name: crash
seed: 5
space:
  parameters:
    - {type: composition, name: x, components: [Cu, Ag, Zn, Al], step: 0.01, stage: preparation}
    - {type: continuous, name: potential, low: -1.5, high: -0.5, unit: V vs RHE}
objectives: [{metric: fe_c2h4, goal: maximize}]
strategy: {name: space_filling}
lab: {type: simulated, chemistry: cu_alloys, cells: 2, signals: raw}
stop: {experiments: 8}
"""
WIRED: Final = """\
name: crash
seed: 5
space: {parameters: [{type: continuous, name: current_density, low: 30, high: 60, unit: mA cm-2}]}
objectives: [{metric: fe_c2h4, goal: maximize}]
strategy: {name: space_filling}
lab: {type: rig, file: rig/rig.yaml, quality: {ohmic_share: {suspect: 0.7, invalid: 0.9}}}
stop: {experiments: 2}
"""

_forks = get_context("forkserver")


def _prepare() -> None:
    """Start the process of which all others are forks, unless it runs: it has imported everything once."""
    former = os.environ.get("PYTHONPATH")
    _forks.set_forkserver_preload(["crash_child"])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([former] if former else [])])
    try:
        forkserver.ensure_running()
    finally:
        if former is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = former


class Program:
    """A process of a program of its own, which is no fork; in the words of :mod:`multiprocessing`.

    Args:
        process: just started.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self.pid = process, process.pid

    @property
    def exitcode(self) -> int | None:
        return self._process.poll()

    def join(self, timeout: float | None = None) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)

    def kill(self) -> None:
        self._process.kill()


class Running:
    """A command in a process of its own.

    Args:
        process: that runs it.
        output: the file of what it prints.
    """

    def __init__(self, process: BaseProcess | Program, output: Path) -> None:
        self._process, self.output = process, output

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8") if self.output.exists() else ""

    @property
    def over(self) -> bool:
        return self._process.exitcode is not None

    def wait(self, longest: float = LONGEST) -> int:
        """Its exit status, once it has one; minus the signal that ended it."""
        self._process.join(longest)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise AssertionError(f"not over within {longest:g} s:\n{self.said}")
        return self._process.exitcode

    def kill(self) -> None:
        """As if the power had gone."""
        self._process.kill()
        self._process.join()

    def until(self, text: str, longest: float = LONGEST) -> None:
        """Wait until it has printed a text."""
        wait_until(lambda: text in self.said or self.over, f"{text!r} of {self.output}", longest)
        assert text in self.said, f"{text!r} was not said:\n{self.said}"


def wait_until(what: Callable[[], bool], name: str, longest: float = LONGEST) -> float:
    """Wait until something is so; after how many real s it was."""
    began, pause = time.monotonic(), Event()
    while not what():
        assert time.monotonic() - began < longest, f"not within {longest:g} s: {name}"
        pause.wait(0.01)  # leave the processor to the processes that are watched
    return time.monotonic() - began


class Site:
    """A folder with a campaign file and a store, and processes that work there.

    Args:
        folder: made here.
        text: of the campaign file.
        safe: whether its laboratory says that repeating is safe.
    """

    name = "crash"

    def __init__(self, folder: Path, text: str = VIRTUAL, *, safe: bool = True, store: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.outputs, self.safe = folder, folder, safe
        self.url = store or f"sqlite:///{folder / 'data' / 'sabatier.db'}"
        (folder / "campaign.yaml").write_text(text, encoding="utf-8")
        self.reruns: Counter[int] = Counter()
        self.acts: set[str] = set()
        self._numbers = itertools.count(1)

    # Processes

    def start(self, *words: object, death: Death | None = None, lease: float | None = None) -> Running:
        """Start a command."""
        output = self._output()
        process = _forks.Process(
            target=command,
            args=([str(word) for word in words], str(self.folder), self.environment, str(output)),
            kwargs={"death": death, "lease": lease},
        )
        _prepare()
        process.start()
        return Running(process, output)

    def spawn(self, *words: object, **environment: str) -> Running:
        """Start a command as a program of its own, slowly."""
        output = self._output()
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.cli", *map(str, words)],
                cwd=self.folder,
                env=os.environ | self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        return Running(Program(process), output)

    def _output(self) -> Path:
        return self.outputs / f"process-{next(self._numbers)}.txt"

    @property
    def environment(self) -> dict[str, str]:
        return {"SABATIER_STORE": self.url, "COLUMNS": "200"}

    def go_on(self, **how: Any) -> Running:
        """Run the campaign, whether it exists by now or not."""
        return self.start("run", "campaign.yaml", "--engine", "threads", **how)

    def do(self, *words: object, status: int = 0) -> str:
        """Run a command to its end and check its exit status; what it said."""
        running = self.start(*words)
        found = running.wait()
        assert found == status, f"{words}: status {found}\n{running.said}"
        return running.said

    # The store

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, for looking."""
        store = open_store(self.url, durable=False, create=False)
        try:
            yield store
        finally:
            store.close()

    def exists(self) -> bool:
        """Whether the campaign was registered."""
        if self.url.startswith("sqlite:///") and not Path(self.url.removeprefix("sqlite:///")).exists():
            return False
        with self.store() as store:
            return any(one.name == self.name for one in store.campaigns())

    # People

    def finish(self, most: int = 12) -> None:
        """Do what the campaign asks of people, and nothing else, until it is completed; :attr:`acts` says what that was."""
        for _ in range(most):
            self.mend()
            running = self.go_on()
            status = running.wait()
            if status == 0:
                return
            self.answer(running.said)
        raise AssertionError(f"the campaign does not come to its end:\n{running.said}")

    def mend(self) -> None:
        """Do what can be done before the campaign is asked at all."""

    def answer(self, said: str) -> None:
        """Do what a command has asked for."""
        with self.store() as store:
            waiting = [r.id for r in store.experiments(self.name) if r.state == "needs_inspection"]
        assert waiting, f"nothing is asked of a person, yet it is not completed:\n{said}"
        for id in waiting:
            self.reruns[id] += 1
            self.acts.add("resolve")
            self.do("resolve", self.name, id, "rerun", "--why", "looked at it")

    # What must be true

    def problems(self) -> list[str]:
        """What is not as it must be, now that the campaign is over."""
        with self.store() as store:
            found = [*self._of_store(store), *self._of_files(store)]
            if self.url.startswith("sqlite:///"):
                found += _of_database(Path(self.url.removeprefix("sqlite:///")))
        return found

    def _of_store(self, store: Store) -> Iterator[str]:
        campaign, records = store.campaign(self.name), store.experiments(self.name)
        attempts, log = store.attempts(self.name), store.events(self.name)
        if campaign.state != "completed":
            yield f"the campaign is {campaign.state}: {campaign.reason}"
        yield from broken_links(log, records)
        finished = Counter(a.experiment for a in attempts if a.state == "finished")
        for record in records:
            if record.state == "completed" and finished[record.id] != 1:
                yield f"experiment {record.id} was measured to its end {finished[record.id]} times"
            if record.state not in ("completed", "failed"):
                yield f"experiment {record.id} is {record.state}"
        yield from (f"attempt {a.experiment}.{a.number} still runs" for a in attempts if a.state == "running")
        if (holder := store.holder(self.name)) is not None:
            yield f"{holder.owner} still controls the campaign"
        yield from (f"{one.kind} {one.name} is still held" for one in store.held())
        if not self.safe:
            for id, times in self.begun(store).items():
                if times > 1 + self.reruns[id]:
                    yield f"experiment {id}: {times} electrolyses, a person asked for {self.reruns[id]} again"

    def begun(self, store: Store) -> Counter[int]:
        """How many attempts of each experiment had begun what must not be repeated unasked."""
        steps = steps_of(store.events(self.name, kinds=(words.STEP,)))
        return Counter(id for (id, _), begun in steps.items() if any(s.kind == "non-repeatable" for s in begun))

    def _of_files(self, store: Store) -> Iterator[str]:
        files = Files(files_of(store), spool_of(store))
        for attempt in store.attempts(self.name):
            if attempt.files is not None and attempt.digest is not None:
                try:
                    files.read(attempt)
                except Exception as problem:  # noqa: BLE001  whatever it is, it is a finding
                    yield f"attempt {attempt.experiment}.{attempt.number}: {problem}"

    def results(self) -> dict[int, tuple[Any, ...]]:
        """By experiment what was asked, its sample and what came of it."""
        with self.store() as store:
            return {r.id: (r.asked, r.sample, r.seed, r.values) for r in store.experiments(self.name)}


def broken_links(log: list[EventRecord], records: list[ExperimentRecord]) -> Iterator[str]:
    """Where the log's chain is not whole: a gap, a state that no event led to, an end that is not the record's."""
    if [event.sequence for event in log] != list(range(1, len(log) + 1)):
        yield "the log has a gap"
    states: dict[int, str | None] = {}
    for event in log:
        if event.kind == "experiment" and event.experiment is not None:
            before = states.get(event.experiment)
            if event.before != before:
                yield f"event {event.sequence}: experiment {event.experiment} was {before}, not {event.before}"
            states[event.experiment] = event.after
    for record in records:
        if states.get(record.id) != record.state:
            yield f"experiment {record.id} is {record.state}, and {states.get(record.id)} by the log"


def _of_database(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as connection:
        for pragma in ("integrity_check", "foreign_key_check"):
            rows = [row for row in connection.execute(f"PRAGMA {pragma}").fetchall() if row != ("ok",)]
            yield from (f"{pragma}: {row}" for row in rows)


class WiredSite(Site):
    """A campaign on a rig whose instruments are emulated in a process of their own: the judge of what truly happened.

    Args:
        folder: made here.
        changes: of the rig file.
    """

    def __init__(
        self, folder: Path, text: str = WIRED, changes: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        def rig(data: dict[str, Any]) -> None:
            data.clear()
            data.update(json.loads(json.dumps(RIG)))
            data["safety"]["heartbeat"] = "2 s"
            if changes is not None:
                changes(data)

        self.bench = RigBench(folder, changes=rig)
        super().__init__(folder, text, safe=False)
        self._truths: list[dict[str, Any]] = []
        self._former = 0

    @property
    def halted(self) -> Path:
        return self.bench.rig.parent / f"{RIG['name']}.halted.json"

    # People

    def mend(self) -> None:
        """Reset the rig where it is halted."""
        if self.halted.exists():
            self.acts.add("rig reset")
            self.do("rig", "reset", self.bench.rig)

    def answer(self, said: str) -> None:
        """Do what a command has asked for."""
        if "sabatier rig reset" in said and self.halted.exists():
            return  # done before the next try
        super().answer(said)

    # What truly happened

    def electrolyses(self) -> int:
        """How often a current was truly switched on."""
        return sum(_electrolyses(cells) for cells in [*self._truths, self.bench.cells()]) - self._former

    def is_off(self) -> bool:
        """Whether no current and no gas flows."""
        cells = self.bench.cells()
        return not drawing(cells) and not gas_on(cells)

    def remember(self) -> None:
        """The emulators are about to end: keep what they know."""
        self._truths.append(self.bench.cells())

    def renew(self) -> list[str]:
        """The campaign is over: begin it again in another store; what was not as it must be."""
        found = self.problems()
        self._former += self.electrolyses()
        self.reruns.clear()
        self.url = f"sqlite:///{self.folder / f'data-{self._former}' / 'sabatier.db'}"
        return found

    def wire(self, device: str) -> Lead:
        """Join a device by a serial lead instead."""
        yaml, port = YAML(typ="safe", pure=True), self.folder / "rig" / "port"
        data = yaml.load(self.bench.rig.read_text(encoding="utf-8"))
        lead = Lead(port, data["devices"][device]["port"])
        data["devices"][device]["port"] = str(port)
        yaml.dump(data, self.bench.rig)
        return lead

    def problems(self) -> list[str]:
        """What is not as it must be, now that the campaign is over."""
        found = super().problems()
        if not self.is_off():
            found.append("a current or a gas flows after the end")
        with self.store() as store:
            begun = sum(self.begun(store).values())
            finished = sum(a.state == "finished" for a in store.attempts(self.name))
        if not finished <= self.electrolyses() <= begun:
            found.append(
                f"{self.electrolyses()} electrolyses on the instruments, {begun} in the journal, {finished} measured"
            )
        return found


def _electrolyses(cells: dict[str, Any]) -> int:
    changes = [change for cell in cells.values() for change in cell["changes"]]
    return sum(what == "current" and value < -CURRENT for _, what, value in changes)


def stop(site: Site, pid: int) -> None:
    """Let a process sleep, as under a debugger, at a moment at which it holds no lock of the database.

    A process that sleeps in a transaction keeps all others from an SQLite store, which say so.
    """
    path, pause = site.url.removeprefix("sqlite:///"), Event()
    while True:
        os.kill(pid, signal.SIGSTOP)
        with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                wake(pid)
                pause.wait(0.01)
            else:
                return


def wake(pid: int) -> None:
    """Let it go on."""
    os.kill(pid, signal.SIGCONT)
