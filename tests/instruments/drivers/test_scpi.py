"""SCPI: the error queue, dialects, output off, and no resource manager left open."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pyvisa

from instruments.device import Wiring
from instruments.drivers._scpi import Reported, VisaPort, parse_error, parse_identity, parse_value
from instruments.drivers.scpi_meter import ScpiMeter, ScpiMeterOptions
from instruments.drivers.scpi_supply import ScpiSupply, ScpiSupplyOptions
from instruments.errors import CommunicationError, DeviceError, DeviceFault
from simulators.emulators.alone import DummyCell, Settable
from simulators.emulators.scpi_meter import ScpiMeterEmulator
from simulators.emulators.scpi_supply import ScpiSupplyEmulator


def resource(running: Any) -> str:
    return f"TCPIP::127.0.0.1::{running.address.rsplit(':', 1)[1]}::SOCKET"


@contextmanager
def supply(options: dict[str, Any] | None = None, **more: Any) -> Iterator[tuple[ScpiSupply, ScpiSupplyEmulator]]:
    with ScpiSupplyEmulator("supply", **more) as running:
        given = ScpiSupplyOptions(resource=resource(running), timeout=0.5, **(options or {}))
        with ScpiSupply("supply", given, Wiring()) as device:
            yield device, running


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All resource managers that are opened."""
    opened: list[Any] = []
    made = pyvisa.ResourceManager

    def record(*arguments: Any, **keywords: Any) -> Any:
        opened.append(made(*arguments, **keywords))
        return opened[-1]

    monkeypatch.setattr(pyvisa, "ResourceManager", record)
    return opened


def closed(manager: Any) -> bool:
    try:
        return manager.session is None
    except pyvisa.errors.InvalidSession:
        return True


def test_answers_of_the_standard() -> None:
    assert parse_error(b'-113,"Undefined header;VOLTT"') == Reported(-113, "Undefined header;VOLTT")
    assert parse_error(b'+0,"No error"').number == 0
    assert parse_identity(b"KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.3b").model == "2450"
    assert parse_value(b"+1.250000E+00,+2.0") == 1.25
    for overflow in (b"9.9E37", b"-9.90000000E+37", b"9.91E37"):
        with pytest.raises(DeviceFault, match="range"):
            parse_value(overflow)


@pytest.mark.parametrize("dialect", ["generic", "rigol", "keithley_2450"])
def test_it_holds_a_voltage_or_a_current(dialect: Any) -> None:
    cell = DummyCell(series=10.0, parallel=0.0)
    with supply({"dialect": dialect}, dialect=dialect, cell=cell) as (device, running):
        device.set("voltage", 5.0)
        device.set("current", 0.1)
        assert device.read("measured_current").value == 0.0
        device.set("output", "on")
        assert device.read("measured_voltage").value == pytest.approx(1.0)  # 0.1 A through 10 ohm
        device.set("current", 1.0)
        assert device.read("measured_current").value == pytest.approx(0.5)  # 5 V at 10 ohm
        assert device.make_safe().confirmed
        assert running.output is False
        assert cell.drive.mode == "off"


def test_ranges_come_from_the_supply() -> None:
    with supply() as (device, _):
        assert (device.attributes["voltage"].high, device.attributes["current"].high) == (25.0, 1.0)
    with supply({"rated_voltage": 5.0, "rated_current": 0.2}, tells_most=False) as (device, _):
        assert (device.attributes["voltage"].high, device.attributes["current"].high) == (5.0, 0.2)
    with pytest.raises(DeviceError, match="rated_voltage") as told, supply(tells_most=False):
        pass
    assert told.value.field == "rated_voltage"


def test_protections_are_set() -> None:
    with supply({"dialect": "rigol"}, dialect="rigol") as (device, running):
        device.set("over_voltage", 6.0)
        device.set("over_current", 0.5)
        assert (running.state()["OVP"], running.state()["OCP"]) == (6.0, 0.5)
        assert (device.read("over_voltage").value, device.read("over_current").value) == (6.0, 0.5)


def test_the_error_queue_is_taken_after_every_command() -> None:
    with supply() as (device, running):
        running.faults.arm("error", number=-221.0)
        with pytest.raises(DeviceFault, match="-221") as told:
            device.set("voltage", 5.0)
        assert told.value.code == "-221"
        assert device.errors() == ()
        device.set("voltage", 5.0)


def test_errors_of_others_are_not_blamed_on_a_command() -> None:
    with supply() as (device, running):
        running._queue.append((-350, "Queue overflow"))
        device.set("voltage", 5.0)
        running._queue.append((-350, "Queue overflow"))
        assert device.errors() == (Reported(-350, "Queue overflow"),)


def test_an_unknown_question_is_told_by_the_queue() -> None:
    with ScpiMeterEmulator("meter", probes={"voltage": Settable(1.0)}) as running:
        options = ScpiMeterOptions(resource=resource(running), timeout=0.2)
        with ScpiMeter("meter", options, Wiring()) as device:
            with pytest.raises(DeviceFault, match="Undefined header"):
                device.read("resistance")
            assert device.read("voltage").value == 1.0


def test_a_tripped_protection_is_told() -> None:
    with supply() as (device, running):
        running.faults.arm("trip", times=None)
        with pytest.raises(DeviceFault, match="output is off, not on"):
            device.set("output", "on")
        assert device.make_safe().confirmed


def test_a_stuck_output_is_not_called_safe() -> None:
    with supply() as (device, running):
        device.set("output", "on")
        running.faults.arm("stuck", times=None)
        safety = device.make_safe()
        assert (safety.confirmed, running.output) == (False, True)
        running.faults.clear()
        assert device.make_safe().confirmed


@pytest.mark.parametrize("fault", ["silence", "garbage", "drop", "truncated", "slow"])
def test_the_output_goes_off_through_faults(fault: str) -> None:
    with supply() as (device, running):
        device.set("output", "on")
        running.faults.arm(fault, seconds=0.7)
        assert device.make_safe().confirmed
        assert running.output is False


def test_an_error_in_the_queue_does_not_keep_the_output_on() -> None:
    with supply() as (device, running):
        device.set("output", "on")
        running._queue.append((-350, "Queue overflow"))
        assert device.make_safe().confirmed


def test_one_of_several_outputs_is_chosen_before_every_exchange() -> None:
    with supply({"channel": 2}) as (device, running):
        running._words["INST:NSEL"] = "1"  # somebody at the front panel
        device.make_safe()
        assert running._words["INST:NSEL"] == "2"


def test_the_accuracy_is_of_the_data_sheet_or_the_certificate() -> None:
    with supply({"dialect": "keithley_2450"}, dialect="keithley_2450") as (device, _):
        assert device.read("measured_voltage").sem == pytest.approx(1e-3 / 3**0.5)
    with ScpiMeterEmulator("meter", probes={"voltage": Settable(2.0)}) as running:
        options = ScpiMeterOptions(resource=resource(running), accuracy={"voltage": 1e-4}, timeout=0.3)
        with ScpiMeter("meter", options, Wiring()) as device:
            assert device.read("voltage").sem == pytest.approx(2e-4)


def test_overload_is_told() -> None:
    with supply() as (device, running):
        running.faults.arm("overload")
        with pytest.raises(DeviceFault, match="beyond the range"):
            device.read("measured_voltage")


def test_no_resource_manager_is_left_open(managers: list[Any]) -> None:
    with supply() as (device, running):
        device.read("voltage")
        running.faults.arm("silence", times=None)
        with pytest.raises(DeviceError):
            device.read("voltage")
    assert len(managers) >= 2
    assert all(closed(manager) for manager in managers)


@pytest.mark.parametrize(
    "name", ["TCPIP::127.0.0.1::1::SOCKET", "ASRL/dev/no-such-port::INSTR", "GPIB::77::INSTR", "nonsense"]
)  # fmt: skip
def test_resources_that_cannot_be_opened(name: str, managers: list[Any]) -> None:
    device = ScpiMeter("meter", ScpiMeterOptions(resource=name, timeout=0.1), Wiring())
    with pytest.raises(CommunicationError):
        device.connect()
    device.close()
    assert all(closed(manager) for manager in managers)


def test_a_host_that_is_not_there() -> None:
    """pyvisa-py leaves the socket of a failed opening to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        name = "TCPIP::no.such.host.invalid::5025::SOCKET"
        with pytest.raises(CommunicationError):
            ScpiMeter("meter", ScpiMeterOptions(resource=name, timeout=0.1), Wiring()).connect()
        gc.collect()


def test_a_backend_that_is_not_there() -> None:
    with pytest.raises(OSError, match="VISA"):
        VisaPort("ASRL1::INSTR", "@nothing", 9600, 0.1)
