"""INFICON Micro GC Fusion, as it behaves: its states, its methods and sequences, and the documents of its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from typing import Any, ClassVar, Final
from urllib.parse import unquote

import numpy as np

from simulators.emulators.alone import Gas
from simulators.emulators.chromatogram import MODULES, detectors
from simulators.emulators.fusion_documents import SAMPLING, method_document, run_document
from simulators.emulators.http import Answer, Request, WebEmulator
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Analyser, Selector

MANAGER: Final = "/scm/sessions/system-manager"
PUBLIC: Final = "public:"
LAG: Final = 1.5
"""From the command to the state that tells of it, s."""
RUN: Final = 170.0
"""s."""
PREPARING, WAITING = 8.0, 20.0
"""After a run or the loading of a method, s."""
CYCLE: Final = 720.0
"""Between runs of a sequence, s."""


@dataclass(frozen=True, slots=True)
class Series:
    """A sequence: so many runs of a method."""

    method: str
    runs: int
    cycle: float = CYCLE


@dataclass
class _Work:
    """A run, or a sequence of runs, that is under way."""

    method: str
    runs: int = 1
    cycle: float = CYCLE
    sequence: str | None = None
    annotations: Mapping[str, Any] | None = None
    settling: bool = False
    ended: Event = field(default_factory=Event)
    last: Event = field(default_factory=Event)


class InficonFusionEmulator(WebEmulator):
    """A Micro GC Fusion with a molecular sieve (H2, O2, N2, CH4, CO) and a PLOT column (CO2, C2H4).

    Args:
        name: of the device.
        analyser: the gas at its inlet.
        selector: a stream selector in front of it; ``None`` is none.
        pace: of the laboratory.
        methods: on the instrument, the first of them loaded.
        sequences: on the instrument.
        serial: number of the system.
        lag: from the command to the state that tells of it, s.
        seed: of the noise.
        host: address to listen on.
        port: 0 takes a free one.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "refuse_run": "a run is refused with status 500",
        "lost_run": "the method runs, but there is no document",
        "saturated": "the amplifiers end at half of the highest peak's height",
        "error_state": "the system is in an error, `module` 1 to 4 or without it the carrier gas",
        "air_leak": "the share `fraction` (0.05) of the sample is air",
    }

    def __init__(
        self,
        name: str,
        *,
        analyser: Analyser | None = None,
        selector: Selector | None = None,
        pace: Pace | None = None,
        methods: Sequence[str] = ("CO2RR",),
        sequences: Mapping[str, Series] | None = None,
        serial: str = "70174445",
        lag: float = LAG,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, host=host, port=port)
        self._analyser = analyser or Gas({"co2": 0.9, "h2": 0.04, "co": 0.03, "c2h4": 0.02, "ch4": 0.01})
        self._selector = selector
        self._pace = pace or Pace()
        self._methods, self._serial, self._lag = tuple(methods), serial, lag
        self._sequences = dict(sequences or {"twelve": Series(methods[0], 12)})
        self._generator = np.random.default_rng(seed)
        self._origin = datetime.now(UTC) - timedelta(seconds=self._pace.now())
        self._lock = Lock()
        self._system, self._sequence_state = "ready", "sequence-not-loaded"
        self._method = self._methods[0]
        self._sequence: str | None = None
        self._work: _Work | None = None
        self._next: tuple[_Work, Callable[[_Work], object]] | None = None
        self._threads: list[Thread] = []
        self._runs: list[dict[str, Any]] = []
        self.storage = "ok"

    # Life

    def stop(self) -> None:
        """End the server and what runs."""
        self._break_off()
        super().stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def state(self) -> Mapping[str, object]:
        """States, loaded method, and how many runs there are."""
        with self._lock:
            return {
                "system": self._shown(),
                "sequence": self._sequence_state,
                "method": self._method,
                "runs": [run["$id"] for run in self._runs],
                "position": None if self._selector is None else self._selector.position(),
            }

    def _shown(self) -> str:
        if self.faults.holds("error_state"):
            return "error-carrier-gas-pressure"
        return self._system

    # Requests

    def handle(self, request: Request) -> Answer:
        """Route a request. Paths work with and without the prefix ``/v1``."""
        path = unquote(request.path).removeprefix("/v1")
        if path.startswith(f"{MANAGER}!cmd."):
            return self._command(path.removeprefix(f"{MANAGER}!cmd."), request)
        if path.startswith("/runData") and path != "/runData/storageLimit":
            return self._run_data(path.removeprefix("/runData").strip("/"), request)
        if path.startswith("/methods/userMethods"):
            return self._user_methods(path.removeprefix("/methods/userMethods").strip("/"))
        if path.startswith("/valcoSelector"):
            return self._valco(path, request)
        return self._look(path)

    def _look(self, path: str) -> Answer:
        info = {
            "systemSerialNumber": self._serial,
            "systemPartNumber": "F0G582",
            "hostname": f"{self._serial}.local",
            "systemSpec/numberOfModules": len(MODULES) - 1,
        }
        if path == f"{MANAGER}/publicConfiguration":
            with self._lock:
                return Answer(200, [PUBLIC + self._sequence_state, PUBLIC + self._shown()])
        if path == "/lastRun":
            with self._lock:
                return Answer(200, {"dataLocation": self._runs[-1]["$id"]} if self._runs else {})
        if path == "/runData/storageLimit":
            return Answer(200, self.storage)
        if path == "/system/modules":
            parts = {m.name.split(":")[0]: {"moduleInfo": {"modulePartNumber": m.part}} for m in MODULES}
            return Answer(200, parts)
        key = path.removeprefix("/system/systemInfo/")
        return Answer(200, info[key]) if key in info else Answer(404, {"error": "not found"})

    def _user_methods(self, name: str) -> Answer:
        known = {method: method_document(method) for method in self._methods}
        if not name:
            return Answer(200, known)
        return Answer(200, known[name]) if name in known else Answer(404, {"error": "not found"})

    def _valco(self, path: str, request: Request) -> Answer:
        if self._selector is None:
            return Answer(200, {})
        if path == "/valcoSelector":
            return Answer(200, {"position": self._selector.position(), "positions": 16})
        if request.method == "PUT":
            try:
                position = request.json()
            except ValueError:
                return Answer(400, {"error": "no JSON"})
            if type(position) is not int or not 1 <= position <= 16:
                return Answer(400, {"error": "no position"})
            self._selector.set(position)
        return Answer(200, self._selector.position())

    def _run_data(self, name: str, request: Request) -> Answer:
        with self._lock:
            runs = list(self._runs)
        if name:
            found = next((run for run in runs if run["$id"] == name), None)
            return Answer(404, {"error": "not found"}) if found is None else Answer(200, found)
        if text := request.query.get("text"):
            runs = [run for run in runs if text in str(run.get("annotations")) or text in run["$displayName"]]
        if request.query.get("sortByDate", "").upper() == "DESC":
            runs = runs[::-1]
        limit = request.query.get("limit", "")
        chosen = runs[: int(limit)] if limit.isdigit() else runs
        if request.query.get("allData", "").lower() != "true":
            chosen = [{key: run[key] for key in ("$id", "$displayName", "runTimeStamp")} for run in chosen]
        return Answer(200, {"runs": chosen, "totalCount": len(runs)})

    def _command(self, command: str, request: Request) -> Answer:
        commands: dict[str, Callable[[Request], Answer]] = {
            "run": self._start,
            "loadMethod": self._load_method,
            "loadSequence": self._load_sequence,
            "stop": self._stop,
            "abort": self._abort,
            "bakeout": self._bakeout,
        }
        return commands[command](request) if command in commands else Answer(404, {"error": "not found"})

    # Commands

    def _start(self, request: Request) -> Answer:
        try:
            body = request.json() or {}
        except ValueError:
            return Answer(400, {"error": "no JSON"})
        when_ready = request.query.get("runWhenReady") == "true" or (
            isinstance(body, dict) and body.get("runWhenReady")
        )
        with self._lock:
            waiting = self._settling() and self._next is None and when_ready
            busy = (self._work is not None and not waiting) or self._shown().startswith("error")
            if busy or self.faults.take("refuse_run"):
                return Answer(500, {"error": "cannot run"})
            if self._sequence is not None:
                series = self._sequences[self._sequence]
                work = _Work(series.method, series.runs, series.cycle, self._sequence)
            else:
                work = _Work(self._method, annotations=body.get("annotations"))
            self._begin(work, self._perform)
        return Answer(200, True)

    def _settling(self) -> bool:
        """Whether it only prepares for what comes next."""
        return self._work is not None and self._work.settling and self._work.sequence is None

    def _load_method(self, request: Request) -> Answer:
        name = request.query.get("methodLocation", "").rsplit("/", 1)[-1]
        with self._lock:
            if self._work is not None and (not self._settling() or self._next is not None):
                return Answer(500, {"error": "busy"})
            if self._work is not None:
                self._work.ended.set()  # what it prepared for is no longer wanted
            self._sequence, self._sequence_state = None, "sequence-not-loaded"
            if name not in self._methods:
                self._system = "error-method-load-failed"
                return Answer(200, True)
            self._method, self._system = name, "loading-method"
            self._begin(_Work(name), self._settle)
        return Answer(200, True)

    def _load_sequence(self, request: Request) -> Answer:
        name = request.query.get("sequenceLocation", "").rsplit("/", 1)[-1]
        with self._lock:
            if self._work is not None or name not in self._sequences:
                return Answer(500, {"error": "busy or unknown"})
            self._sequence, self._sequence_state = name, "sequence-loaded"
        return Answer(200, True)

    def _stop(self, request: Request) -> Answer:  # noqa: ARG002  like its neighbours
        with self._lock:
            if self._work is not None:
                self._work.last.set()
        return Answer(200, True)

    def _abort(self, request: Request) -> Answer:  # noqa: ARG002  like its neighbours
        self._break_off()
        return Answer(200, True)

    def _bakeout(self, request: Request) -> Answer:
        text = request.query.get("duration", "").removesuffix("s")
        with self._lock:
            if self._work is not None or not text.isdigit():
                return Answer(500, {"error": "busy or no duration"})
            self._system = "bakeout"
            work = _Work(self._method)
            self._begin(work, lambda w: self._bake(w, float(text)))
        return Answer(200, True)

    # Work, each in a thread of its own

    def _begin(self, work: _Work, how: Callable[[_Work], object]) -> None:
        """Begin now, or as soon as it has settled."""
        self._next = (work, how)
        if self._work is not None:
            return
        self._work = work
        self._threads = [t for t in self._threads if t.is_alive()]
        thread = Thread(target=self._work_on, name=f"emulator-{self.name}-run", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work_on(self) -> None:
        while True:
            with self._lock:
                if self._next is None:
                    self._work = None
                    self._system = "ready"
                    if self._sequence is not None:
                        self._sequence_state = "sequence-loaded"
                    return
                (work, how), self._next = self._next, None
                self._work = work
            how(work)

    def _break_off(self) -> None:
        """End what runs, and forget what is to come."""
        with self._lock:
            self._next = None
            if self._work is not None:
                self._work.last.set()
                self._work.ended.set()

    def _ended(self, work: _Work, seconds: float) -> bool:
        """Wait; whether the work was aborted meanwhile."""
        return self._pace.wait(seconds, work.ended)

    def _say(self, system: str, sequence: str | None = None) -> None:
        with self._lock:
            self._system = system
            if sequence is not None:
                self._sequence_state = sequence

    def _settle(self, work: _Work) -> None:
        """What comes before the next run can begin."""
        with self._lock:
            work.settling = True
        self._ended(work, 3.0)
        self._say("preparing")
        self._ended(work, PREPARING)
        self._say("waiting-for-modules")
        self._ended(work, WAITING)

    def _bake(self, work: _Work, seconds: float) -> None:
        if not self._ended(work, seconds):
            self._settle(work)

    def _perform(self, work: _Work) -> None:
        for number in range(work.runs):
            if self._ended(work, self._lag):
                return
            work.settling = False
            self._say("method-running", None if work.sequence is None else "sequence-running")
            if self._ended(work, SAMPLING):
                return
            began = self._pace.now() - SAMPLING
            gas = dict(self._analyser.composition())
            if self._ended(work, RUN - SAMPLING):
                return
            if not self.faults.take("lost_run"):
                document = self._document(work, gas, began)
                with self._lock:
                    self._runs.append(document)
            self._settle(work)
            more = number + 1 < work.runs and not work.last.is_set()
            if not more or self._ended(work, max(work.cycle - RUN - self._lag - 3.0 - PREPARING - WAITING, 0.0)):
                return

    def _document(self, work: _Work, gas: dict[str, float], began: float) -> dict[str, Any]:
        if leak := self.faults.take("air_leak"):
            share = leak.values.get("fraction", 0.05)
            gas = {species: fraction * (1.0 - share) for species, fraction in gas.items()}
            for species, part in (("n2", 0.79), ("o2", 0.21)):
                gas[species] = gas.get(species, 0.0) + part * share
        found = detectors(gas, self._generator)
        if self.faults.take("saturated"):
            highest = max(max(one["values"]) for one in found.values())
            found = detectors(gas, self._generator, saturated_at=0.5 * highest)
        given = dict(work.annotations or {})
        annotations: dict[str, Any] = {"name": given.get("name") or work.method, "tags": list(given.get("tags") or [])}
        if self._selector is not None:
            position = self._selector.position()
            annotations |= {"valcoPosition": position, "valcoPositionName": f"Position {position}"}
        stamp = self._origin + timedelta(seconds=began)
        return run_document(work.method, found, annotations, stamp, self._serial, work.sequence)
