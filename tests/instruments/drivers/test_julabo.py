"""The circulator: status after each command, refusals, alarms, stopping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from instruments.device import Wiring
from instruments.drivers.julabo import Julabo, JulaboOptions, Status, parse_number, parse_status, parse_version
from instruments.errors import DeviceFault, ProtocolError
from simulators.emulators.julabo import JulaboEmulator


@contextmanager
def bath(options: dict[str, Any] | None = None, **more: Any) -> Iterator[tuple[Julabo, JulaboEmulator]]:
    with JulaboEmulator("bath", **more) as running:
        given = JulaboOptions(port=running.address, timeout=0.2, pause=0.01, **(options or {}))
        with Julabo("bath", given, Wiring()) as device:
            yield device, running


def test_answers_of_the_manual() -> None:
    assert parse_status(b"03 REMOTE START") == Status(3, "REMOTE START")
    assert parse_status(b"-08 INVALID COMMAND").code == -8
    assert parse_status(b"-1109 VISCOSITY").code == -1109
    assert parse_number(b"25.00") == 25.0
    version = parse_version(b"JULABO CRYOCOMPACT CF31 VERSION 5.0")
    assert (version.model, version.firmware) == ("CRYOCOMPACT CF31", "5.0")
    with pytest.raises(DeviceFault, match="no sensor"):
        parse_number(b"---.--")


@pytest.mark.parametrize("line", [b"25.0", b"", b"07 WHAT", b"REMOTE"])
def test_other_answers_are_no_status(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_status(line)


def test_factory_settings_of_the_line() -> None:
    line = JulaboOptions(port="COM1").settings
    assert (line.baudrate, line.bytesize, line.parity, line.rtscts) == (4800, 7, "E", True)


def test_it_heats_and_stops() -> None:
    with bath() as (device, running):
        device.set("setpoint", 45.5)
        device.set("control", "on")
        assert running.state() == {"running": True, "setpoint": 45.5, "temperature": 45.5}
        assert device.status().running
        assert device.make_safe().confirmed
        assert running.state()["running"] is False


@pytest.mark.parametrize(
    ("value", "code"), [(-40.0, "-10"), (250.0, "-11"), (95.0, "-13")], ids=["too small", "too large", "warning limit"]
)
def test_what_the_circulator_refuses_is_told(value: float, code: str) -> None:
    with bath({"warning_limits": False}) as (device, running):
        with pytest.raises(DeviceFault) as told:
            device.set("setpoint", value)
        assert told.value.code == code
        assert running.state()["setpoint"] == 25.0
        device.set("setpoint", 30.0)  # an old refusal is not taken for this command's


def test_an_alarm_is_told() -> None:
    with bath() as (device, running):
        running.faults.arm("low_level", times=None)
        with pytest.raises(DeviceFault, match="too low"):
            device.set("control", "on")
        assert device.make_safe().confirmed


def test_without_remote_control_nothing_is_taken() -> None:
    with bath() as (device, running):
        running.faults.arm("manual", times=None)
        with pytest.raises(DeviceFault, match="remote control"):
            device.set("setpoint", 30.0)


def test_a_circulator_that_does_not_stop_is_not_safe() -> None:
    with bath() as (device, running):
        device.set("control", "on")
        running.faults.arm("stuck", times=None)
        safety = device.make_safe()
        assert (safety.confirmed, safety.detail) == (False, "control is still on")
        running.faults.clear()
        assert device.make_safe().confirmed


@pytest.mark.parametrize("fault", ["silence", "garbage", "drop", "truncated"])
def test_it_stops_through_faults_on_the_wire(fault: str) -> None:
    with bath() as (device, running):
        device.set("control", "on")
        running.faults.arm(fault)
        assert device.make_safe().confirmed
        assert running.state()["running"] is False


def test_the_external_sensor() -> None:
    with bath({"external_sensor": True}, external=True) as (device, _):
        assert device.read("external_temperature").value == 25.0
    with bath({"external_sensor": True}) as (device, _), pytest.raises(DeviceFault, match="no sensor"):
        device.read("external_temperature")
    with bath() as (device, _):
        assert "external_temperature" not in device.attributes
