"""An Opentrons OT-2 or Flex behind its HTTP interface, as robot-server 8.1 answers."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from threading import Condition, Thread
from typing import Any, ClassVar, Final, Literal

from simulators.emulators.alone import Vessels
from simulators.emulators.http import Answer, Request, WebEmulator
from simulators.emulators.opentrons_answers import (
    RefusedError,
    by_mount,
    checked,
    has_stopped,
    health,
    instrument,
    invalid,
    legacy,
    no_run,
)
from simulators.emulators.opentrons_engine import ENDED, Engine, Order, Run, now
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Bench

NEWEST, OLDEST = 4, 2
"""Versions of the interface."""
KEPT: Final = 20
"""Runs that the robot keeps."""
TICK: Final = 0.02
"""Between looks at whether a wait is over, s."""
ENDING: Final = 2.0
"""From the word to stop to the run's end, laboratory s: the gantry comes to rest and homes."""


class OpentronsEmulator(WebEmulator):
    """A robot.

    Args:
        name: of the device.
        bench: the vessels on its deck; places are the labware's display name, or else its load name, and the well.
        pace: of the laboratory.
        model: ``ot2`` or ``flex``.
        pipettes: names by mount.
        serial: number of the robot.
        host: address to listen on.
        port: 0 takes a free one.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "command_fails": "a command ends with an error",
        "door_open": "the door is open",
        "crash": "a motion ends half-way with a collision",
        "slow_motion": "a motion takes `factor` (10) times as long",
        "estop": "the emergency stop is pressed (Flex), and motions fail",
    }

    def __init__(
        self,
        name: str,
        *,
        bench: Bench | None = None,
        pace: Pace | None = None,
        model: Literal["ot2", "flex"] = "ot2",
        pipettes: Mapping[str, str] | None = None,
        serial: str = "OT2CEP20190604A02",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, host=host, port=port)
        flex = model == "flex"
        usual = {"right": "p1000_single_flex" if flex else "p300_single_gen2"}
        slots = [f"{row}{column}" for row in "ABCD" for column in "123"] if flex else [str(i) for i in range(1, 12)]
        self._flex, self._serial = flex, serial
        self._pace = pace or Pace()
        self.engine = Engine(dict(pipettes or usual), tuple(slots), bench or Vessels(), self._pace, self.faults)
        self._lock = self.engine.lock
        self._runs: dict[str, Run] = {}
        self._queue: deque[tuple[Run, Callable[[], object]]] = deque()
        self._queued = Condition(self._lock)
        self._worker: Thread | None = None

    # Life

    def start(self) -> None:
        """Begin to listen and to work."""
        super().start()
        self._worker = Thread(target=self._work, name=f"emulator-{self.name}-work", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End the server and all motion."""
        self.stopping.set()
        with self._queued:
            for run in self._runs.values():
                run.refusing.set()
                run.stopping.set()
            self._queued.notify_all()
        super().stop()
        if self._worker is not None:
            self._worker.join()
            self._worker = None

    def state(self) -> Mapping[str, object]:
        """Runs by status, what moves, lights, and what the pipettes carry."""
        with self._lock:
            current = self._current()
            return {
                "run": None if current is None else current.run_id,
                "status": None if current is None else current.status,
                "runs": len(self._runs),
                "moving": self.engine.moving,
                "lights": self.engine.lights,
                "commands": 0 if current is None else len(current.orders),
                "tipped": sorted(self.engine.tipped),
                "collisions": self.engine.collisions,
                "tips": {}
                if current is None
                else {p.mount: p.volume for p in current.pipettes.values() if p.tip is not None},
            }

    def _work(self) -> None:
        while True:
            with self._queued:
                while not self._queue and not self.stopping.is_set():
                    self._queued.wait()
                if self.stopping.is_set():
                    return
                _, job = self._queue.popleft()
            job()

    def _enqueue(self, run: Run, job: Callable[[], object]) -> None:
        with self._queued:
            self._queue.append((run, job))
            self._queued.notify_all()

    # Requests

    def handle(self, request: Request) -> Answer:
        """Check the version, route, and say the version that the answer has."""
        wanted = request.headers.get("opentrons-version")
        if wanted is None:
            return legacy("header.opentrons-version: field required")
        if wanted != "*" and not wanted.isdigit():
            return Answer(
                422, {"message": "header.opentrons-version: value is not a valid integer", "errorCode": "4000"}
            )
        version = NEWEST if wanted == "*" else min(int(wanted), NEWEST)
        try:
            if version < OLDEST:
                detail = f"The requested API version '{wanted}' is not supported. '{OLDEST}' is the minimum."
                raise RefusedError(400, "OutdatedAPIVersion", "Requested HTTP API version no longer supported", detail)
            answer = self._route(request)
        except RefusedError as refused:
            answer = refused.answer
        headers = {"opentrons-version": str(version), "opentrons-min-version": str(OLDEST)}
        return Answer(answer.status, answer.content, headers)

    def _route(self, request: Request) -> Answer:  # noqa: PLR0911  one route each
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["health"]:
                return Answer(200, health(self.name, self._serial, self._flex))
            case "GET", ["instruments"]:
                data = [instrument(mount, name) for mount, name in self.engine.mounted.items()]
                return Answer(200, {"data": data, "meta": {"cursor": 0, "totalLength": len(data)}})
            case "GET", ["pipettes"]:
                return Answer(200, by_mount(self.engine.mounted))
            case "GET", ["modules"]:
                return Answer(200, {"data": [], "meta": {"cursor": 0, "totalLength": 0}})
            case _, ["robot", *rest]:
                return self._robot(request, rest)
            case "GET", ["runs"]:
                return self._all_runs()
            case "POST", ["runs"]:
                return self._create_run(request)
            case method, ["runs", run_id, *rest]:
                with self._lock:
                    run = self._runs.get(run_id)
                if run is None:
                    raise no_run(run_id)
                return self._of_run(method, run, rest, request)
        raise RefusedError(404, "BadRequest", "Bad Request", "Not Found")

    def _robot(self, request: Request, rest: list[str]) -> Answer:
        match request.method, rest:
            case "GET", ["door", "status"]:
                status = "open" if self.faults.holds("door_open") else "closed"
                return Answer(200, {"data": {"status": status, "doorRequiredClosedForProtocol": False}})
            case "GET", ["control", "estopStatus"]:
                if not self._flex:
                    detail = "This route is only available on a Flex."
                    raise RefusedError(403, "NotSupportedOnOT2", "Not Supported On OT-2", detail)
                pressed = self.faults.holds("estop")
                state = "physicallyEngaged" if pressed else "disengaged"
                sides = {"leftEstopPhysicalStatus": "engaged" if pressed else "disengaged"}
                data = {"status": state, **sides, "rightEstopPhysicalStatus": "notPresent"}
                return Answer(200, {"data": data})
            case "POST", ["lights"]:
                body = self._json(request)
                if not isinstance(body, dict) or type(body.get("on")) is not bool:
                    return legacy("body.on: field required")
                self.engine.lights = body["on"]
                return Answer(200, {"on": self.engine.lights})
            case "GET", ["lights"]:
                return Answer(200, {"on": self.engine.lights})
            case "POST", ["home"]:
                return Answer(200, {"message": "Homing robot."})
        raise RefusedError(404, "BadRequest", "Bad Request", "Not Found")

    @staticmethod
    def _json(request: Request) -> Any:
        try:
            return request.json()
        except ValueError:
            raise invalid("JSON decode error") from None

    # Runs

    def _current(self) -> Run | None:
        return next((run for run in self._runs.values() if run.current), None)

    def _all_runs(self) -> Answer:
        with self._lock:
            current = self._current()
            links = {} if current is None else {"current": {"href": f"/runs/{current.run_id}"}}
            data = [run.body() for run in self._runs.values()]
            return Answer(200, {"data": data, "links": links, "meta": {"cursor": 0, "totalLength": len(data)}})

    def _create_run(self, request: Request) -> Answer:
        body = self._json(request)
        if body is not None and not isinstance(body.get("data"), dict):
            raise invalid("Field required")
        with self._lock:
            current = self._current()
            if current is not None and current.status not in (*ENDED, "idle"):
                raise RefusedError(
                    409, "RunAlreadyActive", "Run Already Active", "There is already an active run.", "4001"
                )
            if current is not None:
                current.current = False
                if current.status == "idle":
                    current.status = "stopped"
            run = Run()
            self._runs[run.run_id] = run
            for old in list(self._runs)[:-KEPT]:
                del self._runs[old]
            return Answer(201, {"data": run.body()})

    def _of_run(self, method: str, run: Run, rest: list[str], request: Request) -> Answer:  # noqa: PLR0911  one route each
        match method, rest:
            case "GET", []:
                with self._lock:
                    return Answer(200, {"data": run.body()})
            case "PATCH", []:
                self._refuse_active(run)
                with self._lock:
                    run.current = False
                    return Answer(200, {"data": run.body()})
            case "DELETE", []:
                self._refuse_active(run)
                with self._lock:
                    self._runs.pop(run.run_id, None)
                return Answer(200, {})
            case "POST", ["actions"]:
                return self._act(run, request)
            case "GET", ["commands"]:
                return self._list(run, request)
            case "POST", ["commands"]:
                return self._command(run, request)
            case "GET", ["commands", command_id]:
                with self._lock:
                    found = next((o for o in run.orders if o.body["id"] == command_id), None)
                    if found is not None:
                        return Answer(200, {"data": dict(found.body)})
                raise RefusedError(404, "CommandNotFound", "Command Not Found", f"Command {command_id} was not found.")
        raise RefusedError(404, "BadRequest", "Bad Request", "Not Found")

    @staticmethod
    def _refuse_active(run: Run) -> None:
        if run.current and run.status not in (*ENDED, "idle"):
            raise RefusedError(409, "RunNotIdle", "Run is not idle.", "The run is active.")

    def _act(self, run: Run, request: Request) -> Answer:
        body = self._json(request)
        data = body.get("data") if isinstance(body, dict) else None
        action = data.get("actionType") if isinstance(data, dict) else None
        if action not in ("play", "pause", "stop"):
            raise RefusedError(
                422, "InvalidRequest", "Invalid Request", f"actionType must be play, pause or stop, not {action!r}"
            )
        with self._lock:
            allowed = {
                "play": ("idle", "paused"),
                "pause": ("running",),
                "stop": ("idle", "running", "paused", "blocked-by-open-door"),
            }
            if run.status not in allowed[action]:
                detail = "The run has already stopped." if run.status in ENDED else "Not now."
                raise RefusedError(409, "RunActionNotAllowed", "Run Action Not Allowed", detail, "3000")
            done = {"id": str(uuid.uuid4()), "createdAt": now(), "actionType": action}
            run.actions.append(done)
            if action == "stop":
                run.status = "stop-requested"
                run.refusing.set()
                if run.played:
                    run.stopping.set()  # what is set up by hand comes to its end first
                self._forget(run)
                self._enqueue(run, lambda: self._end(run))
            elif action == "pause":
                run.status = "paused"
            else:
                self._play(run)
        return Answer(201, {"data": done})

    def _forget(self, run: Run) -> None:
        """Drop what a run has not begun."""
        kept = [(other, job) for other, job in self._queue if other is not run]
        self._queue.clear()
        self._queue.extend(kept)

    def _end(self, run: Run) -> None:
        self._pace.wait(ENDING, self.stopping)
        with self._lock:
            run.status = "stopped"
            for pipette in run.pipettes.values() if run.played else ():
                self.engine.tipped.discard(pipette.mount)  # a run that was played drops its tips

    def _play(self, run: Run) -> None:
        waiting = [o for o in run.orders if o.body["status"] == "queued" and o.body["intent"] == "protocol"]
        if not waiting:
            run.status = "succeeded"
            return
        run.played = True
        run.status = "blocked-by-open-door" if self.faults.holds("door_open") else "running"
        if run.status != "running":
            return

        def whole() -> None:
            for order in waiting:
                self.engine.execute(run, order)
                if order.body["status"] == "failed":
                    break
            with self._lock:
                if run.status == "running":
                    failed = any(o.body["status"] == "failed" for o in waiting)
                    run.status = "failed" if failed else "succeeded"

        self._enqueue(run, whole)

    # Commands

    def _list(self, run: Run, request: Request) -> Answer:
        with self._lock:
            length = int(request.query.get("pageLength") or 20)
            cursor = int(request.query.get("cursor") or max(len(run.orders) - length, 0))
            page = run.orders[cursor : cursor + length]
            data = [{key: value for key, value in order.body.items() if key != "result"} for order in page]
            links: dict[str, Any] = {}
            if run.orders:
                last = run.orders[-1].body
                of_last = {"runId": run.run_id, "commandId": last["id"], "index": len(run.orders) - 1}
                of_last |= {"key": last["key"], "createdAt": last["createdAt"]}
                links = {"current": {"href": f"/runs/{run.run_id}/commands/{last['id']}", "meta": of_last}}
            return Answer(
                200, {"data": data, "meta": {"cursor": cursor, "totalLength": len(run.orders)}, "links": links}
            )

    def _command(self, run: Run, request: Request) -> Answer:
        data = checked(self._json(request))
        with self._lock:
            if run.status in (*ENDED, "stop-requested"):
                raise has_stopped()
            setup = data.get("intent") == "setup"
            if setup and run.status != "idle":
                detail = "Setup commands are not allowed after run has started."
                raise RefusedError(409, "SetupCommandNotAllowed", "Setup Command Not Allowed", detail)
            key = str(uuid.uuid4())
            order = Order(
                {
                    "id": key,
                    "createdAt": now(),
                    "commandType": data["commandType"],
                    "key": data.get("key") or key,
                    "status": "queued",
                    "params": data["params"],
                    "intent": "setup" if setup else "protocol",
                    "notes": [],
                }
            )
            run.orders.append(order)
            if setup:
                self._enqueue(run, lambda: self.engine.execute(run, order))
        if request.query.get("waitUntilComplete", "").lower() in ("true", "1") and setup:
            limit = request.query.get("timeout")
            self._until_done(run, order, None if limit is None else int(limit) / 1e3)
        with self._lock:
            return Answer(201, {"data": dict(order.body)})

    def _until_done(self, run: Run, order: Order, seconds: float | None) -> None:
        """Wait for the end of a command, of its run, or of so many seconds."""
        end = None if seconds is None else time.monotonic() + seconds
        while not order.done.wait(TICK) and not self.stopping.is_set():
            if run.refusing.is_set() and order.body["status"] == "queued":
                return
            if end is not None and time.monotonic() >= end:
                return
