"""The sensor circuits: continuous readings, calibration, compensation, sleep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from instruments.device import Wiring
from instruments.drivers.atlas_ezo import AtlasEzo, AtlasEzoOptions, answer_of, parse_line, reading_of
from instruments.errors import DeviceFault, LimitError, ProtocolError
from simulators.emulators.alone import Settable
from simulators.emulators.atlas_ezo import AtlasEzoEmulator
from simulators.emulators.pace import Pace


@contextmanager
def circuit(sensor: Any = "ph", value: float = 7.0, **more: Any) -> Iterator[tuple[AtlasEzo, AtlasEzoEmulator]]:
    with AtlasEzoEmulator("ph", probe=Settable(value), sensor=sensor, pace=Pace(50.0), **more) as running:
        options = AtlasEzoOptions(port=running.address, sensor=sensor, timeout=0.3, reading_time=0.5)
        with AtlasEzo("ph", options, Wiring()) as device:
            yield device, running


def test_lines_of_the_data_sheets() -> None:
    assert answer_of([parse_line(b"?i,pH,2.16"), parse_line(b"*OK")], "i") == ("pH", "2.16")
    assert answer_of([parse_line(b"?CAL,2")], "cal") == ("2",)
    assert reading_of([parse_line(b"7.201")]) == 7.201
    assert reading_of([parse_line(b"*WA"), parse_line(b"1413,763,0.70,1.000")]) == 1413.0
    with pytest.raises(DeviceFault, match="does not take"):
        parse_line(b"*ER")
    with pytest.raises(DeviceFault, match="supply"):
        parse_line(b"*UV")


def test_two_readings_are_no_answer() -> None:
    """One of them came unasked: which one is not known."""
    with pytest.raises(ProtocolError, match="2 readings"):
        reading_of([parse_line(b"7.1"), parse_line(b"7.2")])


@pytest.mark.parametrize(
    ("sensor", "name", "value", "unit"),
    [("ph", "ph", 4.01, ""), ("ec", "conductivity", 1413.0, "uS/cm"), ("orp", "orp", -225.5, "mV"), ("rtd", "temperature", 25.1, "degC")],
)  # fmt: skip
def test_each_sensor(sensor: str, name: str, value: float, unit: str) -> None:
    with circuit(sensor, value) as (device, _):
        reading = device.read(name)
        assert (reading.value, reading.unit) == (value, unit)
        assert reading.sem is not None
        assert ("compensation" in device.attributes) == (sensor in ("ph", "ec"))


def test_readings_unasked_are_turned_off_first() -> None:
    with AtlasEzoEmulator("ph", probe=Settable(7.0), pace=Pace(200.0)) as running:  # one each 5 ms
        options = AtlasEzoOptions(port=running.address, timeout=0.5)
        with AtlasEzo("ph", options, Wiring()) as device:
            assert running.state()["continuous"] == 0
            assert [device.read("ph").value for _ in range(5)] == [7.0] * 5


def test_calibration_moves_the_reading() -> None:
    with circuit("ph", 7.0, error=0.3) as (device, running):
        assert device.read("ph").value == 7.3
        assert device.calibrate("mid", 7.0) == 1
        assert device.read("ph").value == 7.0
        assert device.calibrated() == 1
        assert device.calibrate("clear") == 0
        assert running.state()["calibrated"] == []


@pytest.mark.parametrize(("point", "value"), [("mid", None), ("clear", 7.0), ("top", 7.0), ("mid", 70.0)])
def test_calibrations_that_make_no_sense_send_nothing(point: str, value: float | None) -> None:
    with circuit() as (device, running):
        device.calibrate("mid", 7.0)
        with pytest.raises(LimitError):
            device.calibrate(point, value)
        assert running.state()["calibrated"] == ["mid"]


def test_the_wrong_circuit_is_refused() -> None:
    with AtlasEzoEmulator("ec", sensor="ec", pace=Pace(50.0)) as running:
        with pytest.raises(ProtocolError, match="EC, not for PH") as told:
            AtlasEzo("ph", AtlasEzoOptions(port=running.address, timeout=0.2), Wiring()).connect()
        assert told.value.field == "sensor"


def test_it_sleeps_and_wakes() -> None:
    with circuit() as (device, running):
        device.sleep()
        assert running.state()["asleep"] is True
        assert device.read("ph").value == 7.0
        assert running.state()["asleep"] is False


@pytest.mark.parametrize(("fault", "code"), [("error", "*ER"), ("under_voltage", "*UV")])
def test_faults_of_the_circuit(fault: str, code: str) -> None:
    with circuit() as (device, running):
        running.faults.arm(fault)
        with pytest.raises(DeviceFault) as told:
            device.read("ph")
        assert told.value.code == code
        assert device.read("ph").value == 7.0


def test_a_missing_probe_is_no_temperature() -> None:
    with circuit("rtd", 25.0) as (device, running):
        running.faults.arm("no_probe", times=None)
        with pytest.raises(DeviceFault, match="no probe"):
            device.read("temperature")


def test_a_circuit_that_lost_power_is_prepared_again() -> None:
    """It says readings again; the next question meets one, and the one after is right."""
    with circuit() as (device, running):
        running.power_cycle()
        device.close()
        assert device.read("ph").value == 7.0
        assert running.state()["continuous"] == 0
