"""What goes to and fro between an Opentrons robot and its driver: requests, commands with keys, and the life of runs.

Each command carries a key of its own. Where the answer to a command is lost, the command is looked up by that key in
the run; it is never sent again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from threading import Event
from typing import Any, Final, TypeVar

import httpx

from instruments.device import Wiring
from instruments.drivers._opentrons_answers import (
    ENDED,
    Body,
    Command,
    Run,
    parse_command,
    parse_refusal,
)
from instruments.drivers._web import Online, WebOptions, understood
from instruments.errors import (
    CommunicationError,
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    ExecutionCancelled,
    ProtocolError,
)

T = TypeVar("T")

PREFIX: Final = "sabatier-"
"""Of the keys of all commands that this driver gives."""
HOLD: Final = 400
"""For which the robot may hold an answer back until a command is done, ms; then it is asked again and again."""
PAGE: Final = 500
"""Commands that are asked for at a time."""
PAGES: Final = 200
"""Pages of one run."""
LOOKING: Final = 3.0
"""For which a command whose answer was lost is looked for, real s."""
STOPPING: Final = 60.0
"""Within which a run must have ended after it was told to, laboratory s: the robot ends the motion that it is in."""


class OpentronsLink(Online):
    """Requests to a robot.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
        api_version: of the robot's HTTP interface.
    """

    def __init__(self, name: str, options: WebOptions, wiring: Wiring, api_version: int) -> None:
        super().__init__(name, options, wiring, {"Opentrons-Version": str(api_version)})
        self._hold = min(HOLD, int(500.0 * options.timeout))

    def _get(self, path: str, kind: type[T], params: Mapping[str, str | int | float] | None = None) -> T:
        return understood(self.name, kind, self._accepted(self.web.ask(path, params)))

    def _post(self, path: str, body: Any, **more: Any) -> bytes:
        return self._accepted(self.web.request("POST", path, json=body, **more))

    def _accepted(self, response: httpx.Response) -> bytes:
        if not response.is_success:
            raise parse_refusal(self.name, response.status_code, response.content)
        return response.content

    # Runs

    def runs(self) -> tuple[Run, ...]:
        """The runs that the robot keeps.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return tuple(self._get("/runs", Body[list[Run]]).data)

    def _run(self, run_id: str) -> Run:
        return self._get(f"/runs/{run_id}", Body[Run]).data

    def _create_run(self) -> Run:
        """A new run, which becomes the current one. A run more does no harm: the robot drops the idle one itself."""
        return understood(self.name, Body[Run], self._post("/runs", {"data": {}})).data

    def _stop_run(self, run_id: str) -> Run:
        """End a run at once, and read that back. Being told twice does no harm.

        Raises:
            DeviceTimeout: it did not end.
            DeviceError: no answer.
        """

        def ended() -> Run | None:
            run = self._run(run_id)
            if run.status in ENDED:
                return run
            if run.status != "stop-requested":
                try:
                    self._post(f"/runs/{run_id}/actions", {"data": {"actionType": "stop"}})
                except DeviceFault as problem:
                    if problem.code not in ("RunActionNotAllowed", "RunStopped"):
                        raise
            return None

        return self._await(
            ended, what=f"the end of run {run_id}", every=0.1, timeout=STOPPING + 10.0 * self._wiring.pace
        )

    # Commands

    def _commands(self, run_id: str) -> list[Command]:
        """The latest commands of a run."""
        return self._get(f"/runs/{run_id}/commands", Body[list[Command]], {"pageLength": 20}).data

    def _history(self, run_id: str) -> list[Command]:
        """All commands of a run, in their order."""
        commands: list[Command] = []
        for _ in range(PAGES):
            page = self._get(
                f"/runs/{run_id}/commands", Body[list[Command]], {"cursor": len(commands), "pageLength": PAGE}
            ).data
            commands += page
            if len(page) < PAGE:
                break
        return commands

    def _command(
        self,
        run_id: str,
        kind: str,
        params: Mapping[str, Any],
        cancelled: Event | None = None,
        timeout: float = 120.0,
    ) -> Mapping[str, Any]:
        """Give a command once, and wait for its end. Where that takes too long, its run is stopped.

        Args:
            run_id: where it belongs.
            kind: its ``commandType``.
            params: of it.
            cancelled: nothing is begun any more; a motion that has begun comes to its end.
            timeout: laboratory s.

        Returns:
            Its result.

        Raises:
            DeviceFault: it failed; ``code`` is the robot's name of the error.
            DeviceTimeout: it did not end in time.
            ExecutionCancelled: it was cancelled.
            DeviceError: whether it was executed is not known, or the robot did not hear it.
        """
        if cancelled is not None and cancelled.is_set():
            raise ExecutionCancelled(f"{self.name}: {kind} was cancelled before it began.")
        key = f"{PREFIX}{uuid.uuid4().hex}"
        body = {"data": {"commandType": kind, "params": dict(params), "intent": "setup", "key": key}}
        waiting = {"waitUntilComplete": "true", "timeout": str(self._hold)}
        try:
            command = parse_command(self.name, self._post(f"/runs/{run_id}/commands", body, params=waiting))
        except (CommunicationError, ProtocolError) as problem:
            command = self._look_up(run_id, key, problem)
        if not command.ended:
            command = self._finish(run_id, command, cancelled, timeout)
        if command.status == "failed":
            error = command.error
            raise DeviceFault(
                f"{kind} failed: {error.detail if error else 'the robot does not say why'}",
                device=self.name,
                code=error.error_type if error else "Unknown",
                mend="Look at the deck before you go on.",
            )
        return command.result or {}

    def _finish(self, run_id: str, command: Command, cancelled: Event | None, timeout: float) -> Command:
        """Wait for the end of a command."""

        def ended() -> Command | None:
            found = self._get(f"/runs/{run_id}/commands/{command.id}", Body[Command]).data
            return found if found.ended else None

        try:
            return self._await(
                ended, what=f"the end of {command.command_type}", every=0.1, timeout=timeout, cancelled=cancelled
            )
        except ExecutionCancelled:
            self._finish(run_id, command, None, timeout)  # the robot cannot break off a motion outside of a protocol
            raise
        except DeviceError:
            self._stop_run(run_id)
            raise

    def _look_up(self, run_id: str, key: str, problem: DeviceError) -> Command:
        """The command whose answer was lost, by its key."""

        def found() -> Command | None:
            mine = next((c for c in self._commands(run_id) if c.key == key), None)
            return None if mine is None else self._get(f"/runs/{run_id}/commands/{mine.id}", Body[Command]).data

        try:
            return self._await(
                found, what="the command", every=0.1 * self._wiring.pace, timeout=LOOKING * self._wiring.pace
            )
        except DeviceTimeout:
            raise problem from None
