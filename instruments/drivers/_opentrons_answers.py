"""What an Opentrons robot says, from bytes to frozen records; and what it is asked to do, as JSON."""

from __future__ import annotations

from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from pydantic import Field

from instruments.drivers._web import Heard, understood
from instruments.errors import DeviceFault, ProtocolError

T = TypeVar("T")

Mount: TypeAlias = Literal["left", "right"]

STATUSES: Final = (
    "idle",
    "running",
    "paused",
    "pause-requested",
    "stop-requested",
    "finishing",
    "blocked-by-open-door",
    "awaiting-recovery",
    "awaiting-recovery-paused",
    "awaiting-recovery-blocked-by-open-door",
    "stopped",
    "failed",
    "succeeded",
)
"""Of a run."""
ENDED: Final = ("stopped", "failed", "succeeded")


class Body(Heard, Generic[T]):
    """What most answers are: something under ``data``."""

    data: T


class Health(Heard):
    """Which robot it is; its names have underscores."""

    name: str
    robot_model: str
    api_version: str
    fw_version: str = ""
    robot_serial: str = ""


class Limits(Heard):
    """Of a pipette, uL; its names have underscores."""

    channels: int
    min_volume: float
    max_volume: float


class Instrument(Heard):
    """What is on a mount; a gripper has no volumes."""

    mount: str
    instrument_type: str = "pipette"
    instrument_name: str = ""
    serial_number: str = ""
    ok: bool = True
    data: dict[str, Any] | None = None


class Door(Heard):
    """The door of the robot."""

    status: Literal["open", "closed"]


class Estop(Heard):
    """The emergency stop of a Flex."""

    status: str


class Lights(Heard):
    """Of the deck."""

    on: bool


class Carried(Heard):
    """A pipette that was loaded in a run."""

    id: str
    mount: Mount


class Run(Heard):
    """A run, which is where commands belong."""

    id: str
    pipettes: list[Carried] = Field(default_factory=list)
    status: str = "failed"
    current: bool = False


class CommandError(Heard):
    """Why a command failed."""

    error_type: str
    error_code: str = "4000"
    detail: str = ""


class Command(Heard):
    """A command, as far as it has come."""

    id: str
    key: str = ""
    command_type: str
    status: Literal["queued", "running", "succeeded", "failed"]
    params: dict[str, Any] = Field(default_factory=dict)
    error: CommandError | None = None
    result: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, whichever."""
        return self.status in ("succeeded", "failed")


class _Refusal(Heard):
    id: str = "Unknown"
    title: str = ""
    detail: str = ""
    error_code: str = ""


class _Refusals(Heard):
    errors: list[_Refusal]


class _Legacy(Heard):
    message: str
    error_code: str = ""


def parse_command(device: str, data: bytes) -> Command:
    """A command.

    Raises:
        ProtocolError: the answer is none.
    """
    return understood(device, Body[Command], data).data


def parse_refusal(device: str, status: int, data: bytes) -> DeviceFault:
    """Why a request was refused, in both of the shapes that the robot uses."""
    try:
        refusals = understood(device, _Refusals, data).errors
        first = refusals[0] if refusals else _Refusal()
        return DeviceFault(f"it refused ({status} {first.id}): {first.detail}", device=device, code=first.id)
    except ProtocolError:
        pass  # the other shape
    try:
        legacy = understood(device, _Legacy, data)
        return DeviceFault(f"it refused ({status}): {legacy.message}", device=device, code=legacy.error_code)
    except ProtocolError:
        return DeviceFault(f"it refused with status {status}: {data[:80]!r}", device=device, code=str(status))


def well_location(height: float) -> dict[str, Any]:
    """A place in a well, mm above its bottom. Without it the robot works at the top of the well, in the air."""
    return {"origin": "bottom", "offset": {"x": 0, "y": 0, "z": height}}
