"""Actions of an emulated MADSci node: what they take, what becomes of them, and how both are told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

from simulators.emulators.http import Answer, Request

TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "float": (int, float),
    "int": int,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
}
Work = Callable[[Mapping[str, Any], Mapping[str, bytes]], tuple[Any, Mapping[str, bytes]]]
"""What an action does: from arguments and files to a result and files by name."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of an action, or a file (type ``file``)."""

    name: str
    type: str = "float"
    required: bool = True
    default: Any = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class NodeAction:
    """What a node can do.

    Attributes:
        name: of the action.
        work: called at its end.
        parameters: arguments and files.
        seconds: that it takes, of the laboratory.
        description: for people.
    """

    name: str
    work: Work
    parameters: tuple[Parameter, ...] = ()
    seconds: float = 5.0
    description: str = ""


@dataclass
class Execution:
    """One execution of an action."""

    action: NodeAction
    action_id: str
    arguments: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    produced: Mapping[str, bytes] = field(default_factory=dict)
    stop: Event = field(default_factory=Event)
    done: Event = field(default_factory=Event)

    @property
    def status(self) -> str:
        """Its latest."""
        return str(self.history[-1]["status"]) if self.history else "unknown"

    def say(self, status: str, problem: tuple[str, str] | None = None, result: Any = None) -> None:
        """Write down that it is so far."""
        self.history.append(
            {
                "action_id": self.action_id,
                "status": status,
                "errors": [] if problem is None else [error(*problem)],
                "json_result": result,
                "files": [re.sub(r"\..*", "", name) for name in self.produced] or None,
                "datapoints": None,
                "history_created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
        )


def error(kind: str, message: str) -> dict[str, Any]:
    """A problem as nodes report it."""
    return {"message": message, "logged_at": datetime.now(UTC).isoformat(), "error_type": kind}


def announced(action: NodeAction) -> dict[str, Any]:
    """An action as ``/info`` has it."""

    def described(one: Parameter) -> dict[str, Any]:
        return {
            "name": one.name,
            "description": one.description,
            "argument_type": one.type,
            "required": one.required,
            "default": one.default,
        }

    return {
        "name": action.name,
        "description": action.description,
        "args": {one.name: described(one) for one in action.parameters if one.type != "file"},
        "locations": {},
        "files": {one.name: described(one) for one in action.parameters if one.type == "file"},
        "results": {},
        "blocking": True,
        "asynchronous": True,
        "accepts_var_args": False,
        "accepts_var_kwargs": False,
        "var_args_schema": None,
        "var_kwargs_schema": None,
    }


def fits(value: Any, parameter: Parameter) -> bool:
    """Whether a value is of the type of an argument."""
    if value is None:
        return not parameter.required
    wanted = TYPES.get(parameter.type.split("[")[0])
    return wanted is None or (isinstance(value, wanted) and (parameter.type == "bool" or not isinstance(value, bool)))


def first_file(request: Request) -> bytes | None:
    """The file that a multipart body has under `file`."""
    found = re.search(r'boundary="?([^";]+)"?', request.headers.get("content-type", ""))
    if found is None:
        return None
    for part in request.body.split(b"--" + found[1].encode())[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head and b' name="file"' in head:
            return content.removesuffix(b"\r\n")
    return None


def unprocessable(kind: str, place: Sequence[str | int], message: str) -> Answer:
    """A refusal in the shape of FastAPI."""
    return Answer(422, {"detail": [{"type": kind, "loc": list(place), "msg": message, "input": None}]})
