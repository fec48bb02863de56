"""Any MADSci node over REST: what it announces becomes typed actions with checks before anything is sent.

An action is created, given its files, and started once. Where the answer to the start is lost, its status is asked; it
is never started again.

Protocol: madsci-node-module 0.8.1 (MIT licence), as a real node answers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import httpx
from pydantic import Field

from instruments.device import Attribute, Identity, Safety, Value, Wiring
from instruments.drivers._madsci_answers import (
    ENDED,
    NUMBERS,
    STATES,
    Action,
    ActionStatus,
    Info,
    Outcome,
    Response,
    Result,
    Status,
    fault_of,
    parse_created,
    parse_info,
    parse_outcome,
    parse_refusal,
    unpack,
)
from instruments.drivers._web import Online, WebOptions, understood
from instruments.errors import (
    CommunicationError,
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    ExecutionCancelled,
    LimitError,
    ProtocolError,
)

logger = logging.getLogger(__name__)

AdminCommand: TypeAlias = Literal["safety_stop", "reset", "pause", "resume", "cancel", "lock", "unlock"]

QUIETING: Final = ("safety_stop", "pause", "cancel", "lock")
"""Admin commands that need no permission, since they only ever stop something."""
NOT_IMPLEMENTED: Final = "AdminCommandNotImplemented"
TOO_MANY: Final = 429


class MadsciOptions(WebOptions):
    """How to reach a node, and how to use it.

    Attributes:
        kind: ``madsci``.
        poll: between looks at an action, laboratory s; nodes refuse more than 100 requests a minute.
        action_timeout: of one action, laboratory s.
        readings: units by key of the numbers in the node's state that can be read as attributes.
    """

    kind: Literal["madsci"] = "madsci"
    poll: float = Field(2.0, gt=0.0, le=60.0)
    action_timeout: float = Field(600.0, gt=0.0, le=604800.0)
    readings: Mapping[str, str] = Field(default_factory=dict)

    def build(self, name: str, wiring: Wiring) -> Madsci:
        """The device."""
        return Madsci(name, self, wiring)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An action that was started: its name, and the node's name of this execution."""

    action: str
    action_id: str


class Madsci(Online):
    """A MADSci node.

    Its safe state is what its own ``safety_stop`` brings about; many nodes have none, and cannot be
    confirmed to be safe.
    """

    def __init__(self, name: str, options: MadsciOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._options = options
        self._info: Info | None = None

    # What every driver offers

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """State; the actions, and each of their numeric arguments as ``action.argument``, for limits; readings."""
        known = {
            "state": Attribute("state", choices=STATES),
            "action": Attribute("action", choices=tuple(self.actions), description="that can be called"),
        }
        for action in self.actions.values():
            for argument in action.args.values():
                if argument.kind in NUMBERS:
                    name = f"{action.name}.{argument.name}"
                    known[name] = Attribute(name, description=argument.description or "argument of an action")
        for key, unit in self._options.readings.items():
            known[key] = Attribute(key, unit, description="of the node's state")
        return known

    def connect(self) -> None:
        """Ask what the node is and can do.

        Raises:
            DeviceError: it cannot be reached, or is not what it should be.
        """
        self._check_serial(self.identify())
        self.status()

    def identify(self) -> Identity:
        """Module, id and version of the node.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        info = self._info = parse_info(self.name, self._ask("/info"))
        return Identity("MADSci", info.module_name or info.node_name, info.node_id, info.module_version)

    def make_safe(self) -> Safety:
        """Give the node's ``safety_stop``, and read back that no action runs. Without one nothing can be confirmed.

        Raises:
            DeviceError: it did not answer.
        """
        stopped = self._quiet("safety_stop")
        if not stopped:
            self._quiet("cancel")
        try:
            status = self._await(self._resting, what="its rest", every=0.5, timeout=10.0)
        except DeviceTimeout:
            return Safety(False, f"{self.status().state}; an action still runs")
        if not stopped:
            return Safety(False, f"{status.state}; the node has no safety_stop")
        return Safety(True, status.state)

    # What only a node does

    @property
    def actions(self) -> Mapping[str, Action]:
        """What it can do, by name; empty before :meth:`connect`."""
        return {} if self._info is None else self._info.actions

    def status(self) -> Status:
        """What it does.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return understood(self.name, Status, self._ask("/status"))

    def state(self) -> Mapping[str, Any]:
        """What else it says of itself.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return understood(self.name, dict[str, Any], self._ask("/state"))

    def wait_ready(self, cancelled: Event | None = None, timeout: float = 60.0) -> None:
        """Wait until an action can be started: a node that was reset initialises first.

        Args:
            cancelled: ends the wait.
            timeout: laboratory s.

        Raises:
            DeviceFault: it is in an error.
            DeviceTimeout: it was not ready in time.
            ExecutionCancelled: the wait was cancelled.
            DeviceError: the node did not answer.
        """

        def ready() -> Status | None:
            status = self.status()
            if status.errored:
                why = status.errors[-1].message if status.errors else None
                raise DeviceFault(f"it is in an error: {why}.", device=self.name, code="errored", mend="Reset it.")
            return status if status.state == "ready" else None

        self._await(ready, what="its readiness", every=self._options.poll, timeout=timeout, cancelled=cancelled)

    def check_call(self, action: str, arguments: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Action:
        """Whether an action can be called so; sends nothing.

        Raises:
            LimitError: the action or an argument is unknown, missing, of the wrong type, or outside a limit.
        """
        if self._info is None:
            raise LimitError("its actions are not known yet.", device=self.name, field="action", mend="Connect first.")
        self.check("action", action)
        known, given = self.actions[action], files or {}
        known.check(self.name, arguments, given)
        for name, argument in known.args.items():
            if argument.kind in NUMBERS and arguments.get(name) is not None:
                self.check(f"{action}.{name}", arguments[name])
        for name, path in given.items():
            if not Path(path).is_file():
                raise LimitError(f"{action}: there is no file {path}.", device=self.name, field=name)
        return known

    def call(
        self,
        action: str,
        *,
        files: Mapping[str, Path] | None = None,
        cancelled: Event | None = None,
        timeout: float | None = None,
        **arguments: Any,
    ) -> Result:
        """Execute an action to its end.

        Args:
            action: its name.
            files: that it takes, by name.
            cancelled: ends the wait, and the action where the node can cancel.
            timeout: laboratory s; the option ``action_timeout`` where it is not given.
            arguments: of the action; where one is named like an argument of this method, use :meth:`start`.

        Raises:
            LimitError: an argument is wrong; nothing was sent.
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceFault: the node is not ready, or the action failed; ``code`` is the node's name of the error.
            DeviceTimeout: it did not end in time.
            ExecutionCancelled: it was cancelled.
            DeviceError: the node did not answer; whether the action runs is not known.
        """
        return self.wait(self.start(action, arguments, files), cancelled, timeout)

    def start(self, action: str, arguments: Mapping[str, Any], files: Mapping[str, Path] | None = None) -> Ticket:
        """Create an action, upload its files, and start it: once.

        Args:
            action: its name.
            arguments: of it.
            files: that it takes, by name.

        Raises:
            LimitError: an argument is wrong; nothing was sent.
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceFault: the node is not ready, or refused.
            DeviceError: the node did not answer, and the action did not begin.
        """
        self.check_call(action, arguments, files)
        self.allow("action", action)
        status = self.status()
        if status.state != "ready":
            raise DeviceFault(
                f"it is not ready: {status.state}.", device=self.name, code=status.state, mend="Wait, or reset it."
            )
        path = f"/action/{quote(action, safe='')}"
        created = self._accepted(self.web.request("POST", path, json={"args": dict(arguments)}))
        ticket = Ticket(action, parse_created(self.name, created))
        for name, file in (files or {}).items():
            self._upload(ticket, name, Path(file))
        try:
            outcome = parse_outcome(self.name, self._accepted(self.web.request("POST", f"{self._path(ticket)}/start")))
        except (CommunicationError, ProtocolError) as problem:
            outcome = self._look_up(ticket, problem)
        if outcome.status in ("not_ready", "failed", "cancelled"):
            raise fault_of(self.name, action, outcome)
        return ticket

    def wait(self, ticket: Ticket, cancelled: Event | None = None, timeout: float | None = None) -> Result:
        """Wait for the end of an action.

        Args:
            ticket: from :meth:`start`.
            cancelled: ends the wait, and the action where the node can cancel.
            timeout: laboratory s; the option ``action_timeout`` where it is not given.

        Raises:
            DeviceFault: it failed, was cancelled, or the node does not know it any more.
            DeviceTimeout: it did not end in time.
            ExecutionCancelled: the wait was cancelled.
            DeviceError: the node did not answer.
        """

        def ended() -> ActionStatus | None:
            status = self._action_status(ticket)
            if status == "unknown":
                raise DeviceFault(
                    f"it does not know {ticket.action} {ticket.action_id} any more.",
                    device=self.name,
                    code="unknown",
                    mend="The node was restarted; look at what it did.",
                )
            return status if status in ENDED else None

        try:
            self._await(
                ended,
                what=f"the end of {ticket.action}",
                every=self._options.poll,
                timeout=self._options.action_timeout if timeout is None else timeout,
                cancelled=cancelled,
            )
        except ExecutionCancelled as problem:
            if not self._quiet("cancel"):
                problem.add_note(f"The node cannot cancel; {ticket.action} goes on.")
            raise
        outcome = self._outcome(ticket)
        if outcome.status != "succeeded":
            raise fault_of(self.name, ticket.action, outcome)
        return Result(ticket.action, ticket.action_id, outcome.json_result, tuple(outcome.files or ()))

    def download(self, result: Result, folder: Path) -> tuple[Path, ...]:
        """Write the files of a result into a folder, which is made where it is not there.

        Returns:
            The files.

        Raises:
            ProtocolError: what came is no archive, or is too large.
            DeviceError: the node did not answer, or there are no files.
        """
        data = self._ask(f"{self._path(Ticket(result.action, result.action_id))}/download")
        return unpack(self.name, data, folder)

    def admin(self, command: AdminCommand) -> None:
        """Give an admin command, once.

        Args:
            command: one of those that only stop something needs no permission.

        Raises:
            Interlocked: the rig does not permit it now; nothing was sent.
            DeviceFault: the node does not know it, or could not do it.
            DeviceError: the node did not answer.
        """
        if command not in QUIETING:
            self.allow("state", "ready")
        response = self._administer(command)
        if not response.success:
            first = response.errors[0] if response.errors else None
            raise DeviceFault(
                f"it did not {command}: {first.message if first and first.message else 'it does not say why'}.",
                device=self.name,
                code=(first.error_type if first else None) or "failed",
            )

    # Inside

    def _read(self, attribute: Attribute) -> Value:
        if attribute.name == "state":
            return self.status().state
        if attribute.name in self._options.readings:
            value = self.state().get(attribute.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ProtocolError(f"{attribute.name} is {value!r}, no number.", device=self.name)
            return float(value)
        raise LimitError(f"{attribute.name} cannot be read.", device=self.name, field=attribute.name)

    def _ask(self, path: str) -> bytes:
        return self._accepted(self.web.ask(path))

    def _accepted(self, response: httpx.Response) -> bytes:
        if response.status_code == TOO_MANY:
            raise CommunicationError("it is asked too often.", device=self.name, mend="Raise `poll`.")
        if not response.is_success:
            raise parse_refusal(self.name, response.status_code, response.content)
        return response.content

    @staticmethod
    def _path(ticket: Ticket) -> str:
        return f"/action/{quote(ticket.action, safe='')}/{ticket.action_id}"

    def _upload(self, ticket: Ticket, name: str, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise LimitError(f"{path} cannot be read.", device=self.name, field=name) from problem
        where = f"{self._path(ticket)}/upload/{quote(name, safe='')}"
        self._accepted(self.web.request("POST", where, files={"file": (path.name, content)}))

    def _action_status(self, ticket: Ticket) -> ActionStatus:
        return understood(self.name, ActionStatus, self._ask(f"{self._path(ticket)}/status"))  # type: ignore[arg-type]

    def _outcome(self, ticket: Ticket) -> Outcome:
        outcome = parse_outcome(self.name, self._ask(f"{self._path(ticket)}/result"))
        if outcome.action_id != ticket.action_id:
            raise ProtocolError(f"it told of {outcome.action_id}, not of {ticket.action_id}.", device=self.name)
        return outcome

    def _look_up(self, ticket: Ticket, problem: DeviceError) -> Outcome:
        """How far an action is whose start was not answered."""

        def begun() -> Outcome | None:
            return None if self._action_status(ticket) == "unknown" else self._outcome(ticket)

        try:
            return self._await(begun, what="the start", every=0.2 * self._wiring.pace, timeout=2.0 * self._wiring.pace)
        except DeviceTimeout:
            raise problem from None

    def _administer(self, command: AdminCommand) -> Response:
        return understood(self.name, Response, self._accepted(self.web.request("POST", f"/admin/{command}")))

    def _quiet(self, command: AdminCommand) -> bool:
        """Give a command that stops something, again where its answer was lost; whether the node did it."""
        for attempt in (1, 2, 3):
            try:
                response = self._administer(command)
            except (CommunicationError, ProtocolError):
                if attempt == 3:
                    raise
                continue
            except DeviceFault as problem:
                logger.warning("%s: %s was refused: %s", self.name, command, problem)
                return False
            if not response.success and not any(e.error_type == NOT_IMPLEMENTED for e in response.errors):
                logger.warning("%s: %s failed: %s", self.name, command, response.errors)
            return response.success
        return False

    def _resting(self) -> Status | None:
        status = self.status()
        return None if status.running else status
