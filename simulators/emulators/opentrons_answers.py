"""What an emulated Opentrons robot answers that does not change: refusals, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulators.emulators.http import Answer
from simulators.emulators.opentrons_engine import REQUIRED
from simulators.emulators.opentrons_labware import PIPETTES


class RefusedError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, kind: str, title: str, detail: str, code: str = "4000") -> None:
        super().__init__(detail)
        error = {"id": kind, "title": title, "detail": detail, "errorCode": code}
        self.answer = Answer(status, {"errors": [error]})


def no_run(run_id: str) -> RefusedError:
    """There is no such run."""
    return RefusedError(404, "RunNotFound", "Run Not Found", f"Run {run_id} was not found.")


def has_stopped() -> RefusedError:
    """The run has ended."""
    return RefusedError(409, "RunStopped", "Run Stopped", "The run has already stopped.")


def invalid(detail: str) -> RefusedError:
    """A request that is not as it should be."""
    return RefusedError(422, "InvalidRequest", "Invalid Request", detail)


def legacy(detail: str) -> Answer:
    """A request that is not as it should be, in the shape of old routes."""
    return Answer(422, {"message": detail, "errorCode": "4000"})


def health(name: str, serial: str, flex: bool) -> dict[str, Any]:
    """Which robot it is."""
    return {
        "name": name,
        "robot_model": "OT-3 Standard" if flex else "OT-2 Standard",
        "api_version": "8.1.0",
        "fw_version": "v2.15.0",
        "board_revision": "2.1",
        "logs": ["/logs/serial.log", "/logs/api.log", "/logs/server.log"],
        "system_version": "1.18.0",
        "maximum_protocol_api_version": [2, 20],
        "minimum_protocol_api_version": [2, 0],
        "robot_serial": serial,
        "links": {
            "apiLog": "/logs/api.log",
            "serialLog": "/logs/serial.log",
            "serverLog": "/logs/server.log",
            "apiSpec": "/openapi.json",
            "systemTime": "/system/time",
        },
    }


def instrument(mount: str, name: str) -> dict[str, Any]:
    """A pipette on a mount."""
    low, high, channels = PIPETTES[name]
    return {
        "mount": mount,
        "instrumentType": "pipette",
        "instrumentModel": f"{name.removesuffix('_gen2').removesuffix('_flex')}_v2.1",
        "serialNumber": f"P-{mount}",
        "subsystem": f"pipette_{mount}",
        "ok": True,
        "data": {"channels": channels, "min_volume": low, "max_volume": high},
        "instrumentName": name,
    }


def by_mount(mounted: Mapping[str, str]) -> dict[str, Any]:
    """Pipettes as the old route tells of them."""
    axes = {"left": ("z", "b"), "right": ("a", "c")}
    found: dict[str, Any] = {}
    for mount, (axis, plunger) in axes.items():
        name = mounted.get(mount)
        found[mount] = {"mount_axis": axis, "plunger_axis": plunger, "name": name, "model": name, "id": None}
        if name is not None:
            found[mount] |= {"id": f"P-{mount}", "tip_length": 51.7}
    return found


def checked(body: Any) -> dict[str, Any]:
    """The command of a request, which must have what its kind needs."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        raise invalid("Field required")
    kind, params = data.get("commandType"), data.get("params")
    if not isinstance(kind, str) or kind not in REQUIRED:
        allowed = ", ".join(f"'{one}'" for one in REQUIRED)
        detail = f"No match for discriminator 'commandType' and value '{kind}' (allowed values: {allowed})"
        raise invalid(detail)
    for name, wanted in REQUIRED[kind].items():
        value = params.get(name) if isinstance(params, dict) else None
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise invalid(f"data.{kind}.params.{name}: Field required")
        if name in ("volume", "flowRate") and isinstance(value, int | float) and value < 0.0:
            raise invalid(f"{name} must not be negative")
    return data
