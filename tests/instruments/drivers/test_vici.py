"""The valve: both forms of answers, buses, moves that take time or fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from instruments.device import Wiring
from instruments.drivers.vici import Vici, ViciOptions, parse_position
from instruments.errors import DeviceError, DeviceFault, DeviceTimeout, ProtocolError
from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.vici import ViciEmulator


@contextmanager
def valve(options: dict[str, Any] | None = None, **more: Any) -> Iterator[tuple[Vici, ViciEmulator]]:
    more = {"pace": Pace(20.0), **more}
    with ViciEmulator("valve", **more) as running:
        given = {"timeout": 0.2, "move_time": 1.5, **(options or {})}
        with Vici("valve", ViciOptions(port=running.address, **given), Wiring()) as device:
            yield device, running


@pytest.mark.parametrize(
    ("line", "address", "position"),
    [
        (b"CP03", None, "3"),
        (b"Position is = 3", None, "3"),
        (b"CPA", None, "A"),
        (b'Position is "B"', None, "B"),
        (b"3CP07", "3", "7"),
        (b"/3CP07", "3", "7"),
        (b"CP12", "3", "12"),
    ],
)
def test_positions_in_both_forms(line: bytes, address: str | None, position: str) -> None:
    assert parse_position(line, address) == position


def test_what_is_no_position() -> None:
    with pytest.raises(DeviceFault, match="does not take"):
        parse_position(b"GO11 = Bad command")
    with pytest.raises(ProtocolError):
        parse_position(b"4CP07", "3")  # of another actuator


@pytest.mark.parametrize("form", ["short", "long"])
@pytest.mark.parametrize("address", [None, "3"])
def test_it_turns(form: Any, address: str | None) -> None:
    with valve({"address": address}, form=form, address=address) as (device, running):
        device.set("position", 4)
        assert (device.read("position").value, running.state()["position"]) == (4.0, 4)
        device.home()
        assert running.state()["position"] == 1


@pytest.mark.parametrize("form", ["short", "long"])
def test_a_valve_with_two_positions(form: Any) -> None:
    with valve({"letters": True, "positions": 2}, form=form, letters=True, positions=2) as (device, running):
        assert device.read("position").value == "A"
        device.set("position", "B")
        assert (device.read("position").value, running.state()["position"]) == ("B", 2)
        device.home()
        assert device.read("position").value == "A"


def test_a_slow_move_is_waited_for() -> None:
    """While it turns the valve is deaf, for longer than an exchange may take."""
    with valve(pace=Pace(1.0), step=0.15) as (device, running):
        device.set("position", 5)
        assert running.state() == {"position": 5, "turning": False}


def test_a_stuck_valve_is_told() -> None:
    with valve({"move_time": 0.3}) as (device, running):
        running.faults.arm("stuck", times=None)
        with pytest.raises(DeviceFault, match=r"did not arrive at position 3 .*it says 1"):
            device.set("position", 3)


def test_a_refused_command_is_told() -> None:
    with valve() as (device, running):
        running.faults.arm("refuses")
        with pytest.raises(DeviceFault, match="does not take"):
            device.read("position")
        assert device.read("position").value == 1.0


def test_the_number_of_positions_is_compared() -> None:
    with pytest.raises(DeviceError, match="6 positions, not to 10") as told, valve(positions=6):
        pass
    assert told.value.field == "positions"


def test_the_safe_position() -> None:
    with valve({"safe_position": 10}) as (device, running):
        device.set("position", 4)
        assert device.make_safe().confirmed
        assert running.state()["position"] == 10
        running.faults.arm("silence", times=None)
        with pytest.raises((DeviceFault, DeviceTimeout)):
            device.make_safe()
    with valve(selector=Settable(7.0)) as (device, _):
        assert "7" in device.make_safe().detail
