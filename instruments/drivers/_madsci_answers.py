"""What a MADSci node says, from bytes to frozen records, and how arguments are checked against what it announces."""

from __future__ import annotations

import io
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from zipfile import BadZipFile, ZipFile

from pydantic import Field

from instruments.drivers._web import Heard, understood
from instruments.errors import DeviceFault, LimitError, ProtocolError

ActionStatus: TypeAlias = Literal[
    "not_started", "not_ready", "running", "succeeded", "failed", "cancelled", "paused", "unknown"
]
ENDED: Final = ("succeeded", "failed", "cancelled", "not_ready")
NUMBERS: Final = ("float", "int")
LARGEST: Final = 512 * 1024 * 1024
"""Bytes of all files of a result."""
STATES: Final = ("ready", "busy", "initializing", "waiting", "paused", "locked", "stopped", "errored")


class Problem(Heard):
    """An error as nodes report it; its names have underscores."""

    message: str | None = None
    error_type: str | None = None


class Status(Heard):
    """What a node does; its names have underscores."""

    busy: bool = False
    running_actions: list[str] = Field(default_factory=list)
    paused: bool = False
    locked: bool = False
    stopped: bool = False
    errored: bool = False
    initializing: bool = False
    waiting_for_config: list[str] = Field(default_factory=list)
    errors: list[Problem] = Field(default_factory=list)

    @property
    def state(self) -> str:
        """The one word that matters most."""
        for word, holds in (
            ("errored", self.errored),
            ("stopped", self.stopped),
            ("locked", self.locked),
            ("paused", self.paused),
            ("initializing", self.initializing),
            ("waiting", bool(self.waiting_for_config)),
            ("busy", self.busy),
        ):
            if holds:
                return word
        return "ready"

    @property
    def running(self) -> bool:
        """Whether an action runs."""
        return self.busy or bool(self.running_actions)


class Argument(Heard):
    """What an action takes; its names have underscores."""

    name: str
    argument_type: str = "Any"
    required: bool = True
    default: Any = None
    description: str = ""

    @property
    def kind(self) -> str:
        """The type without what it holds: ``list`` for ``list[str]``; empty where it may be several."""
        plain = self.argument_type.strip()
        return "" if "|" in plain or plain.startswith(("Optional", "Union")) else plain.split("[")[0].strip().lower()

    def check(self, device: str, action: str, value: Any) -> None:
        """Whether a value is of the announced type. Types that are not simple are left to the node.

        Raises:
            LimitError: it is not.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = {
            "float": number and _is_finite(value),
            "int": number and isinstance(value, int),
            "str": isinstance(value, str),
            "bool": isinstance(value, bool),
            "list": isinstance(value, list | tuple),
            "dict": isinstance(value, Mapping),
        }
        if not fits.get(self.kind, True):
            raise LimitError(
                f"{action}: {self.name} must be {self.argument_type}, not {value!r}.",
                device=device,
                field=self.name,
            )
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as problem:
            raise LimitError(
                f"{action}: {self.name} is no JSON value ({problem}).", device=device, field=self.name
            ) from problem


class Action(Heard):
    """What a node can do; its names have underscores."""

    name: str
    description: str = ""
    args: dict[str, Argument] = Field(default_factory=dict)
    locations: dict[str, Argument] = Field(default_factory=dict)
    files: dict[str, Argument] = Field(default_factory=dict)
    results: dict[str, Any] = Field(default_factory=dict)
    accepts_var_kwargs: bool = False

    @property
    def arguments(self) -> Mapping[str, Argument]:
        """Of all kinds but files."""
        return {**self.args, **self.locations}

    def check(self, device: str, arguments: Mapping[str, Any], files: Mapping[str, Any]) -> None:
        """Whether it can be called with these.

        Raises:
            LimitError: an argument or a file is missing, unknown, or of the wrong type.
        """
        for given, known, what in ((arguments, self.arguments, "argument"), (files, self.files, "file")):
            for name in given:
                if name not in known and not (what == "argument" and self.accepts_var_kwargs):
                    has = ", ".join(known) or "none"
                    raise LimitError(
                        f"{self.name} has no {what} {name!r}.", device=device, field=name, mend=f"Known: {has}."
                    )
            for name, argument in known.items():
                if argument.required and name not in given:
                    raise LimitError(
                        f"{self.name} needs the {what} {name!r}.",
                        device=device,
                        field=name,
                        mend=f"It is {argument.argument_type}: {argument.description or 'the node does not say more'}.",
                    )
        for name, value in arguments.items():
            if name in self.arguments and not (value is None and not self.arguments[name].required):
                self.arguments[name].check(device, self.name, value)


class Capabilities(Heard):
    """What a node supports; its names have underscores."""

    admin_commands: list[str] = Field(default_factory=list)


class Info(Heard):
    """What a node is; its names have underscores."""

    node_name: str
    node_id: str = ""
    module_name: str = ""
    module_version: str = ""
    capabilities: Capabilities | None = None
    actions: dict[str, Action] = Field(default_factory=dict)


class Outcome(Heard):
    """How far an action is; its names have underscores."""

    action_id: str
    status: ActionStatus
    errors: list[Problem] = Field(default_factory=list)
    json_result: Any = None
    files: list[str] | None = None


class Response(Heard):
    """To an admin command."""

    success: bool
    errors: list[Problem] = Field(default_factory=list)


class _Created(Heard):
    action_id: str


class _Detail(Heard):
    detail: Any


@dataclass(frozen=True, slots=True)
class Result:
    """Of an action that succeeded.

    Attributes:
        action: its name.
        action_id: the node's name of this execution.
        value: what it gave, as JSON values.
        files: keys of the files that it gave.
    """

    action: str
    action_id: str
    value: Any
    files: tuple[str, ...] = ()


def parse_info(device: str, data: bytes) -> Info:
    """What a node is.

    Raises:
        ProtocolError: the answer is another one.
    """
    return understood(device, Info, data)


def parse_outcome(device: str, data: bytes) -> Outcome:
    """How far an action is.

    Raises:
        ProtocolError: the answer is another one.
    """
    return understood(device, Outcome, data)


def parse_created(device: str, data: bytes) -> str:
    """The id of an action that was created; one that can stand in a path.

    Raises:
        ProtocolError: the answer is another one.
    """
    action_id = understood(device, _Created, data).action_id
    if not action_id.isalnum():
        raise ProtocolError(f"{action_id!r} is no id of an action.", device=device)
    return action_id


def parse_refusal(device: str, status: int, data: bytes) -> DeviceFault:
    """Why a request was refused: the detail of FastAPI, a text or a list of problems."""
    try:
        detail = understood(device, _Detail, data).detail
    except ProtocolError:
        return DeviceFault(f"it refused with status {status}: {data[:80]!r}", device=device, code=str(status))
    if isinstance(detail, list):
        said = [
            f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg', '')}"
            for one in detail
            if isinstance(one, dict) and isinstance(one.get("loc", ()), list | tuple)
        ]
        detail = "; ".join(said) or "arguments are wrong"
    return DeviceFault(f"it refused ({status}): {str(detail)[:500]}", device=device, code=str(status))


def fault_of(device: str, action: str, outcome: Outcome) -> DeviceFault:
    """What an action that did not succeed is told as."""
    first = outcome.errors[0] if outcome.errors else Problem()
    why = first.message or "the node does not say why"
    return DeviceFault(
        f"{action} ended as {outcome.status}: {why}.",
        device=device,
        code=first.error_type or outcome.status,
        mend="Look at the node; `reset` clears an error." if outcome.status == "failed" else None,
    )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def unpack(device: str, data: bytes, folder: Path) -> tuple[Path, ...]:
    """Write the files of an archive into a folder, all of them side by side whatever their paths in it.

    Args:
        device: name for errors.
        data: the archive.
        folder: made where it is not there.

    Returns:
        The files.

    Raises:
        ProtocolError: it is no archive, is damaged, or too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise ProtocolError("its files are too large.", device=device)
            for entry in archive.infolist():
                name = Path(entry.filename.replace("\\", "/")).name
                if entry.is_dir() or name in ("", ".", ".."):
                    continue
                target = folder / name
                target.write_bytes(archive.read(entry))
                written.append(target)
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as problem:
        raise ProtocolError(f"its files are no archive ({problem}).", device=device) from problem
    return tuple(written)
