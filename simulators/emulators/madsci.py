"""A MADSci node over REST, as madsci-node-module 0.8.1 answers, with actions of one's own."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from threading import RLock, Thread
from typing import Any, ClassVar, Final
from zipfile import ZipFile

from simulators.emulators.alone import Settable
from simulators.emulators.http import Answer, Request, WebEmulator
from simulators.emulators.madsci_actions import (
    Execution,
    NodeAction,
    announced,
    error,
    first_file,
    fits,
    unprocessable,
)
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Probe

ADMIN: Final = ("safety_stop", "reset", "pause", "resume", "cancel", "shutdown", "lock", "unlock", "get_location")
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of ids: Crockford's alphabet."""
HOLD: Final = 0.5
"""For which the answer to a start waits for the action's end, s."""


class MadsciEmulator(WebEmulator):
    """A node.

    Args:
        name: of the device.
        probe: what the action ``measure`` of a node without actions of its own reads.
        actions: that it can do.
        admin: commands that its author has written; ``lock``, ``unlock`` and ``reset`` there always are.
        state: what ``/state`` says.
        pace: of the laboratory.
        seed: of its ids.
        host: address to listen on.
        port: 0 takes a free one.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "action_fails": "an action ends with an error, and the node is in an error until it is reset",
        "stuck": "an action never ends by itself",
        "restart": "the node forgets all actions, as after a restart",
        "too_often": "a request is refused because there were too many (429)",
    }

    def __init__(
        self,
        name: str,
        *,
        probe: Probe | None = None,
        actions: Sequence[NodeAction] | None = None,
        admin: Sequence[str] = ("safety_stop", "pause", "resume", "cancel"),
        state: Callable[[], Mapping[str, Any]] | None = None,
        pace: Pace | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, host=host, port=port)
        source: Probe = probe or Settable(7.0)

        def measure(arguments: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[Any, Mapping[str, bytes]]:  # noqa: ARG001
            return source.value(), {}

        usual = NodeAction("measure", measure, description="Read the probe.")
        self._actions = {action.name: action for action in (actions or (usual,))}
        self._admin = {*admin, "lock", "unlock", "reset"}
        self._say_state = state or (lambda: {"value": source.value()})
        self._pace = pace or Pace()
        self._random = random.Random(seed)  # noqa: S311  nothing here is secret
        self._lock = RLock()
        self._node_id = self._ulid()
        self._executions: dict[str, Execution] = {}
        self._flags = dict.fromkeys(("paused", "locked", "stopped", "errored"), False)
        self._errors: list[dict[str, Any]] = []
        self._threads: list[Thread] = []

    # Life

    def stop(self) -> None:
        """End the server and all actions."""
        self._end_actions()
        super().stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def state(self) -> Mapping[str, object]:
        """What the node is, and what its actions are, by id."""
        with self._lock:
            actions = {key: f"{one.action.name} {one.status}" for key, one in self._executions.items()}
            return {**self._flags, "running": self._running(), "actions": actions}

    def _ulid(self) -> str:
        return "01" + "".join(self._random.choices(LETTERS, k=24))

    def _running(self) -> list[str]:
        return [key for key, one in self._executions.items() if one.status == "running"]

    # Requests

    def handle(self, request: Request) -> Answer:  # noqa: PLR0911  one route each
        """Route a request."""
        if self.faults.take("too_often"):
            return Answer(429, {"detail": "Rate limit exceeded"})
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["status"]:
                return Answer(200, self._status())
            case "GET", ["info"]:
                return Answer(200, self._info())
            case "GET", ["state"]:
                return Answer(200, dict(self._say_state()))
            case "POST", ["admin", command]:
                return self._administer(command)
            case "GET", ["action"]:
                with self._lock:
                    return Answer(200, {key: one.history for key, one in self._executions.items() if one.history})
            case method, ["action", action, *rest] if action in self._actions:
                return self._of_action(method, self._actions[action], rest, request)
            case "GET", ["action", action_id, what]:  # the same without the action's name
                return self._look(action_id, what)
        return Answer(404, {"detail": "Not Found"})

    def _of_action(self, method: str, action: NodeAction, rest: list[str], request: Request) -> Answer:
        if self.faults.take("restart"):
            with self._lock:
                self._end_actions()
                self._executions.clear()
        with self._lock:
            found = self._executions.get(rest[0]) if rest else None
        match method, rest:
            case "POST", []:
                return self._create(action, request)
            case "POST", [_, "upload", name]:
                return self._upload(found, name, request)
            case "POST", [action_id, "start"]:
                return self._start(found, action_id)
            case "GET", [action_id, what]:
                return self._look(action_id, what)
        return Answer(404, {"detail": "Not Found"})

    def _look(self, action_id: str, what: str) -> Answer:
        with self._lock:
            found = self._executions.get(action_id)
        match what:
            case "status":
                return Answer(200, "unknown" if found is None else found.status)
            case "result":
                return Answer(200, self._result(found, action_id))
            case "download":
                return self._download(found, action_id)
        return Answer(404, {"detail": "Not Found"})

    def _status(self) -> dict[str, Any]:
        with self._lock:
            running, flags = self._running(), dict(self._flags)
            why = next((word for word in ("errored", "stopped", "locked", "paused") if flags[word]), None)
            ready = not running and why is None
            described = "ready" if ready else f"{why or 'busy'}"
            return {
                "busy": bool(running),
                "running_actions": running,
                **flags,
                "disconnected": False,
                "errors": list(self._errors),
                "initializing": False,
                "waiting_for_config": [],
                "config_values": {},
                "ready": ready,
                "description": f"Node is {described}",
            }

    def _info(self) -> dict[str, Any]:
        return {
            "node_name": self.name,
            "node_id": self._node_id,
            "node_description": None,
            "node_type": "device",
            "module_name": "emulated_node",
            "module_version": "0.0.1",
            "capabilities": {
                "get_info": True,
                "get_state": True,
                "get_status": True,
                "send_action": True,
                "action_files": True,
                "send_admin_commands": True,
                "admin_commands": sorted({*self._admin, "shutdown"}),
            },
            "node_url": f"{self.address}/",
            "actions": {name: announced(action) for name, action in self._actions.items()},
            "config": None,
            "config_schema": {},
            "intrinsic_locations": [],
            "location_representation_templates": [],
        }

    # Actions

    def _create(self, action: NodeAction, request: Request) -> Answer:
        try:
            body = request.json()
        except ValueError:
            return unprocessable("json_invalid", ["body", 0], "JSON decode error")
        arguments = body.get("args", {}) if isinstance(body, dict) else None
        if not isinstance(arguments, dict):
            return unprocessable("model_type", ["body", "args"], "Input should be a valid dictionary")
        for one in action.parameters:
            if one.type == "file":
                continue
            if one.name not in arguments:
                if one.required:
                    return unprocessable("missing", ["body", "args", one.name], "Field required")
                arguments[one.name] = one.default
            elif not fits(arguments[one.name], one):
                return unprocessable("type", ["body", "args", one.name], f"Input should be a valid {one.type}")
        with self._lock:
            made = Execution(action, self._ulid(), arguments)
            self._executions[made.action_id] = made
        return Answer(200, {"action_id": made.action_id})

    def _upload(self, found: Execution | None, name: str, request: Request) -> Answer:
        if found is None or found.history:
            return Answer(500, b"Internal Server Error")
        if not any(one.name == name and one.type == "file" for one in found.action.parameters):
            return Answer(404, {"detail": "Not Found"})
        content = first_file(request)
        if content is None:
            return unprocessable("missing", ["body", "file"], "Field required")
        found.files[name] = content
        return Answer(200, {"status": "uploaded", "file_arg": name})

    def _start(self, found: Execution | None, action_id: str) -> Answer:
        if found is None or found.history:
            problem = {"message": f"Action {action_id} not found", "error_type": "NotFound"}
            failed = {"action_id": action_id, "status": "failed", "errors": [problem]}
            return Answer(200, {**failed, "json_result": None, "files": None, "datapoints": None})
        with self._lock:
            status = self._status()
            found.say("not_started")
            if not status["ready"]:
                found.say("not_ready", ("NodeNotReady", f"Node is not ready: {status['description']}"))
            else:
                found.say("running")
                thread = Thread(target=self._execute, args=(found,), name=f"emulator-{self.name}-action", daemon=True)
                self._threads = [t for t in self._threads if t.is_alive()]
                self._threads.append(thread)
                thread.start()
        if found.status == "running":
            found.done.wait(HOLD / self._pace.factor)
        with self._lock:
            return Answer(200, found.history[-1])

    def _execute(self, execution: Execution) -> None:
        seconds = 1e9 if self.faults.take("stuck") else execution.action.seconds
        cancelled = self._pace.wait(seconds, execution.stop)
        missing = [p.name for p in execution.action.parameters if p.type == "file" and p.required]
        missing = [name for name in missing if name not in execution.files]
        with self._lock:
            if cancelled:
                execution.say("cancelled")
            elif missing or self.faults.take("action_fails"):
                problem = (
                    ("ValueError", f"missing files: {missing}") if missing else ("RuntimeError", "emulated failure")
                )
                execution.say("failed", problem)
                self._flags["errored"] = True
                self._errors.append(error(*problem))
            else:
                result, execution.produced = execution.action.work(execution.arguments, execution.files)
                execution.say("succeeded", result=result)
        execution.done.set()

    @staticmethod
    def _result(found: Execution | None, action_id: str) -> dict[str, Any]:
        if found is not None and found.history:
            return found.history[-1]
        problem = error("ActionHistoryNotFound", f"Action history for action with id '{action_id}' not found")
        made = {"action_id": "01ZZZZZZZZZZZZZZZZZZZZZZZZ", "status": "unknown", "errors": [problem]}
        return {**made, "json_result": None, "files": None, "datapoints": None}

    @staticmethod
    def _download(found: Execution | None, action_id: str) -> Answer:
        if found is None or found.status != "succeeded":
            return Answer(400, {"detail": f"Action {action_id} did not succeed. Cannot download files."})
        if not found.produced:
            detail = f"Action {action_id} completed successfully but produced no file results"
            return Answer(404, {"detail": detail})
        packed = io.BytesIO()
        with ZipFile(packed, "w") as archive:
            for name, content in found.produced.items():
                archive.writestr(name, content)
        return Answer(200, packed.getvalue(), {"Content-Type": "application/zip"})

    # Admin commands

    def _administer(self, command: str) -> Answer:
        if command not in ADMIN:
            return unprocessable("enum", ["path", "admin_command"], f"Input should be one of {', '.join(ADMIN)}")
        if command not in self._admin:
            problem = error("AdminCommandNotImplemented", f"Admin command {command} not implemented by this node")
            return Answer(200, {"success": False, "errors": [problem], "data": None})
        with self._lock:
            if command in ("safety_stop", "cancel"):
                self._end_actions()
            changes: Mapping[str, Mapping[str, bool]] = {
                "safety_stop": {"stopped": True},
                "pause": {"paused": True},
                "resume": {"paused": False},
                "lock": {"locked": True},
                "unlock": {"locked": False},
                "reset": {"errored": False, "stopped": False, "paused": False},
            }
            self._flags |= changes.get(command, {})
        return Answer(200, {"success": True, "errors": [], "data": None})

    def _end_actions(self) -> None:
        for execution in self._executions.values():
            execution.stop.set()
