"""One emulated cell with its instruments, on which an experiment runs while something goes wrong; what came of it.

What is off, and when, is judged by the virtual cell itself; what was measured, by what its instruments truly saw.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from fault_rig import CELL, DENSITY, LATER, LONGEST, PACE, RIG

from instruments.errors import ExecutionCancelled, InstrumentsError, LabHalted, LabHolds
from instruments.lab import Job, Measurement, Outcome, StepKind
from instruments.rig.assembly import RIG as RIG_NOTES
from instruments.rig.file import RigFile
from instruments.rig.lab import RigLab
from instruments.rig.safety import SafetyReport
from orchestrator.loop.cells import EQUIPMENT
from simulators.emulators.rig import EmulatedRig
from simulators.emulators.roles import Electrical


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with an instrument.

    Attributes:
        device: of the rig.
        name: of the emulator's fault.
        times: how often it happens; ``None`` until it is mended.
    """

    device: str
    name: str
    times: int | None = None


@dataclass(frozen=True)
class Result:
    """What came of one experiment.

    Attributes:
        outcome: its class, see :data:`OUTCOMES`.
        detail: verdict, failure or error, in words.
        reported: the potentiostat's state, as the rig last told it; empty where nothing had to be made safe.
        broken_off: whether the experiment ended before its time.
        detected: real s from the fault to the first word in the log that it is acted on, or of it at all where the
            experiment went on; ``None`` where there was none.
        off: real s from there until no current flowed; ``None`` where none had, infinite where it still does.
        off_by: whether the potentiostat or the relay ended it.
        gas_last: whether the gas flowed until the current was off; ``None`` where there was no current, or the gas flows.
        invented: what was recorded and not measured.
    """

    outcome: str
    detail: str
    reported: str = ""
    broken_off: bool = False
    detected: float | None = None
    off: float | None = None
    off_by: str = ""
    gas_last: bool | None = None
    invented: tuple[str, ...] = ()


OUTCOMES: Final[Mapping[str, str]] = {
    "measured": "the experiment went on and its result stands, with the verdict of quality control",
    "measured, cell waits": "the result stands; a person must look at the cell before it is used again",
    "measured, ...": "the result stands, and afterwards the rig was halted, or something is unconfirmed, see below",
    "retried": "the experiment failed before anything was used up; the loop runs it again, within its limit",
    "failed": "the experiment failed, and is not run again",
    "needs inspection": "broken off where the sample is used up: a person says what becomes of it",
    "halted": "the whole rig is off, confirmed, and stays so until a person resets it",
    "unconfirmed: ...": "halted, and these devices did not confirm that they are safe; never reported as safe",
}


@dataclass
class Attempt:
    """A context as the loop hands it down, whose journal tells of steps as they begin."""

    files: Path
    began: Callable[[str], None]
    sample: str
    cell: str = CELL
    attempt: int = 1
    seed: int = 0
    cancelled: Event = field(default_factory=Event)
    clock: Any = field(default_factory=lambda: SimpleNamespace(virtual=False, now=time.monotonic))

    def journal(self, step: str, kind: StepKind) -> AbstractContextManager[None]:
        self.began(step)
        return nullcontext()

    def lease(self, device: str) -> AbstractContextManager[None]:
        return nullcontext()

    def keep(self, measurement: Measurement) -> None:
        pass


ACTING: Final = ("is switched off, because", "is made safe, because", "was tripped by")
"""Words of the log that say that a fault is known and acted on; other warnings are notes of what goes on without."""


class Words(logging.Handler):
    """When the program first said that something is wrong."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        self._now = now
        self.said: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append((self._now(), f"{record.name}: {record.getMessage()}"))

    def first(self, after: float, acting: bool) -> float | None:
        """When, after a moment, something was said at all, or that it is acted on."""
        found = (at for at, text in self.said if at >= after and (not acting or any(word in text for word in ACTING)))
        return next(found, None)


class FaultBench:
    """The rig with its instruments. A context.

    Args:
        folder: for its files.
        options: of devices, beside those of :data:`RIG`.
    """

    def __init__(self, folder: Path, **options: Mapping[str, Any]) -> None:
        devices = {name: {**block, **options.get(name, {})} for name, block in RIG["devices"].items()}
        self.folder = folder
        self.emulated = EmulatedRig({**RIG, "devices": devices}, free_ports=True)
        self.instruments = self.emulated._works.built
        self.cell = self.emulated.plant.cells[CELL]
        self.seen: list[Electrical] = []
        self.flows: list[float] = []
        self._watch()
        self._words = Words(self.emulated.plant.pace.now)
        self._reports: list[SafetyReport] = []
        self._number = 0
        self.lab: RigLab

    def __enter__(self) -> FaultBench:
        logging.getLogger("instruments").addHandler(self._words)
        self.emulated.start()
        self.lab = RigLab(RigFile.parse(self.emulated.data), self.folder, ("current_density",), guarded=False)
        made_safe = self.lab.rig.make_safe_cell

        def reported(cell: str) -> SafetyReport:
            self._reports.append(made_safe(cell))
            return self._reports[-1]

        self.lab.rig.make_safe_cell = reported  # type: ignore[method-assign]
        self.lab.open()
        return self

    def __exit__(self, *problem: object) -> None:
        self.mend()
        self.lab.close()
        self.emulated.stop()
        logging.getLogger("instruments").removeHandler(self._words)

    # One experiment

    def run(self, faults: tuple[Fault, ...] = (), step: str = "") -> Result:
        """Execute an experiment in which something goes wrong from the beginning of a step on."""
        self._number += 1
        folder = self.folder / f"attempt-{self._number}"
        folder.mkdir()
        self.seen.clear()
        self.flows.clear()
        self._reports.clear()
        armed: list[float] = []
        over = Event()
        threads: list[Thread] = []

        def arm() -> None:
            armed.append(self._now())
            for fault in faults:
                self.instruments[fault.device].faults.arm(fault.name, times=fault.times)

        def began(name: str) -> None:
            if name == "electrolysis":
                self.cell.renew()  # the truth of this experiment begins here
            if name == (LATER[step][0] if step in LATER else step):
                if step in LATER:
                    threads.append(Thread(target=self._when_driven, args=(*LATER[step][1:], arm, over)))
                    threads[0].start()
                else:
                    arm()

        started = self._now()
        job = Job("matrix", self._number, {"current_density": DENSITY})
        try:
            outcome = self.lab.execute(job, Attempt(folder, began, f"sample-{self._number}"))
        except InstrumentsError as problem:
            said, outcome = problem, None
        else:
            said = None
        over.set()
        for thread in threads:
            thread.join()
        assert armed or not faults, f"the experiment did not come to {step}: {outcome or said}"
        return self._judged(outcome, said, armed[0] if armed else started, folder)

    def mend(self) -> None:
        """Nothing is wrong with the instruments any more."""
        for instrument in self.instruments.values():
            instrument.faults.clear()

    def restore(self) -> str:
        """Mend everything, and reset what must be reset: which that was."""
        self.mend()
        if self.lab.rig.halting.is_set or self.lab.mounted.at(CELL).unclean:
            self.lab.close()
            self.lab.rig.reset("a person")
            self.lab.mounted.clear()
            self.lab.open()
            return " after a reset"
        return ""

    def recover(self) -> str:
        """Mend everything, and execute an experiment: how that went."""
        after = self.restore()
        for _ in range(2):  # a computer that is busy for a moment is enough to miss an injection
            result = self.run()
            if result.outcome == "measured" and not result.invented and "invalid" not in result.detail:
                return f"yes{after}"
        return f"NO{after}: {result}"

    # What came of it

    def _judged(self, outcome: Outcome | None, said: InstrumentsError | None, armed: float, folder: Path) -> Result:
        kind, detail = self._class(outcome, said)
        invented = [*self._not_seen(folder), *self._not_true(outcome)]
        in_order = outcome is not None and (outcome.failure is None or outcome.failure.cause == "analysis")
        broken_off = not in_order or "," in kind
        detected = self._words.first(armed, broken_off)
        at = armed if detected is None else detected
        off, off_by, gas = self._currents(armed)
        return Result(
            kind,
            detail,
            self._reported(),
            broken_off,
            None if detected is None else (detected - armed) / PACE,
            None if off is None else max(off - at, 0.0) / PACE,
            off_by,
            None if off in (None, math.inf) or gas is None else gas >= off,
            tuple(invented),
        )

    def _class(self, outcome: Outcome | None, said: InstrumentsError | None) -> tuple[str, str]:
        halted = self.lab.rig.halting.is_set
        if halted and (outcome is None or outcome.observation is None):
            names = self._unconfirmed()
            why = "" if outcome is None or outcome.failure is None else f"{outcome.failure.reason}; "
            return (f"unconfirmed: {', '.join(names)}" if names else "halted"), f"{why}{self.lab.rig.halting.read()}"
        if outcome is None:
            if isinstance(said, LabHolds | LabHalted):
                return "failed", f"{type(said).__name__}: {said}"
            return ("needs inspection" if isinstance(said, ExecutionCancelled) else "retried"), str(said)
        if outcome.failure is not None:
            cause = outcome.failure.cause
            return ("retried" if cause in EQUIPMENT else "failed"), f"{cause}: {outcome.failure.reason}"
        assert outcome.observation is not None
        assert outcome.measurement is not None
        problems = outcome.measurement.metadata[RIG_NOTES]["problems"]  # type: ignore[index]
        verdict, unclean = outcome.observation.verdict, self.lab.mounted.at(CELL).unclean
        then = ", cell waits" if unclean else ""
        if halted:
            names = self._unconfirmed()
            then = f", unconfirmed: {', '.join(names)}" if names else ", halted"
        return f"measured{then}", "; ".join([verdict.name, *verdict.reasons, *problems, *(unclean,) * bool(unclean)])

    def _reported(self) -> str:
        if self.lab.rig.halting.is_set:
            return str(self._report()["potentiostat"]["state"])
        return self._reports[-1].devices["potentiostat"].state if self._reports else ""

    def _unconfirmed(self) -> list[str]:
        return [name for name, one in self._report().items() if one["state"] == "unsafe_unconfirmed"]

    def _report(self) -> Mapping[str, Mapping[str, Any]]:
        """What each device confirmed, once that is known; nothing where the rig is not halted."""
        end = time.monotonic() + LONGEST
        while self.lab.rig.halting.is_set and time.monotonic() < end:
            halt = self.lab.rig.halting.read()
            if halt is not None and halt.report is not None:
                return halt.report["devices"]
            time.sleep(0.02)
        assert not self.lab.rig.halting.is_set, "a halt without a report"
        return {}

    def _currents(self, since: float) -> tuple[float | None, str, float | None]:
        """When the current ended for good that flowed after a moment, what ended it, and when the gas; laboratory s."""
        mode, connected, flowed, off, off_by, gas = "off", True, False, None, "", None
        for at, what, value in tuple(self.cell.changes):
            was = connected and mode != "off"
            if what == "connected":
                connected = bool(value)
            elif what == "gas":
                gas = at if value < 0.1 else None
            else:
                mode = what if value or what == "potential" else "off"
            now = connected and mode != "off"
            flowed = flowed or (at >= since and (was or now))
            if now != was:
                off = math.inf if now else at
                off_by = "" if now else "relay" if what == "connected" else "potentiostat"
        return (off, off_by, gas) if flowed else (None, "", gas)

    # What was not measured

    def _not_seen(self, folder: Path) -> Iterator[str]:
        """Rows in the attempt's files that no instrument has seen."""
        seen = np.array([[one.potential, one.current, one.cell_voltage] for one in self.seen])
        for row in _rows(folder / "potentiostat.jsonl"):
            for column, name in enumerate(("potential/V", "current/A", "cell_voltage/V")):
                value = row[name]
                if value is not None and not (np.abs(seen[:, column] - value) < 2e-5).any():
                    yield f"{name} = {value} that was not measured"
        for row in _rows(folder / "flow.jsonl"):
            for name, value in row.items():
                if name != "time/s" and not any(abs(value - flow) < 0.02 * flow + 0.1 for flow in self.flows):
                    yield f"a flow {name} = {value} that was not measured"

    def _not_true(self, outcome: Outcome | None) -> Iterator[str]:
        """Figures that the loop would learn from and that are not those of the cell."""
        if outcome is None or outcome.observation is None or outcome.observation.verdict.name == "invalid":
            return
        made = self.cell.truth()["fe"]
        for product in ("h2", "co", "ch4", "c2h4"):
            figure = outcome.observation.figures.get(f"fe_{product}")
            if figure is None:
                continue
            if abs(figure.value - made[product]) > 4.0 * (figure.sem or 0.0) + 0.03:
                yield f"fe_{product} = {figure.value:.3f} +/- {figure.sem}, truly {made[product]:.3f}"

    # Inside

    def _now(self) -> float:
        return self.emulated.plant.pace.now()

    def _watch(self) -> None:
        """Remember all that instruments see of the cell."""
        measure = self.cell.measure

        def measured() -> Electrical:
            self.seen.append(measure())
            return self.seen[-1]

        self.cell.measure = measured  # type: ignore[method-assign]
        for name in ("co2", "outlet"):
            line: Any = self.instruments[name].flow
            line.value = partial(self._flow, line.value)

    def _flow(self, value: Callable[[], float]) -> float:
        self.flows.append(value())
        return self.flows[-1]

    def _when_driven(self, mode: str, seconds: float, arm: Callable[[], None], over: Event) -> None:
        while not over.wait(0.002):
            if self.cell.drive.mode == mode and self.cell.drive.value:
                if not over.wait(seconds / PACE):
                    arm()
                return


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
