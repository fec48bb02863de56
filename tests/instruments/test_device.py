"""Devices: limits, permission, serial numbers, and what goes with a reading."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from instruments.device import Attribute, Band, Device, DeviceOptions, Identity, Reading, Safety, Wiring
from instruments.drivers.installed import options_of
from instruments.errors import DeviceError, Interlocked, LabError, LimitError


class HeaterOptions(DeviceOptions):
    kind: Literal["heater"] = "heater"

    @property
    def addresses(self) -> tuple[str, ...]:
        return ()

    def build(self, name: str, wiring: Wiring) -> Device:
        return Heater(name, self, wiring)


class Heater(Device):
    """Takes what it is told, and writes down all that it is sent."""

    def __init__(self, name: str, options: DeviceOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self.sent: list[tuple[str, float | str]] = []
        self.is_closed = False
        self.fails = False

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        known = (
            Attribute("power", "W", settable=True, low=0.0, high=100.0, accuracy=0.01, floor=0.3),
            Attribute("mode", settable=True, choices=("eco", "full")),
            Attribute("temperature", "degC"),
            Attribute("drawn", "W"),
        )
        return {attribute.name: attribute for attribute in known}

    def connect(self) -> None:
        self._check_serial(self.identify())
        if self.fails:
            raise DeviceError("no.", device=self.name)

    def identify(self) -> Identity:
        return Identity("Acme", "H1", "42", "1.0")

    def make_safe(self) -> Safety:
        self.sent.append(("power", 0.0))
        return Safety(True, "power 0 W")

    def close(self) -> None:
        self.is_closed = True

    def _read(self, attribute: Attribute) -> float | str:
        return "eco" if attribute.choices else 40.0

    def _write(self, attribute: Attribute, value: float | str) -> None:
        self.sent.append((attribute.name, value))


def heater(wiring: Wiring | None = None, **block: Any) -> Heater:
    device = HeaterOptions(**block).build("heater", wiring or Wiring())
    assert isinstance(device, Heater)
    return device


def test_a_reading_has_its_unit_and_uncertainty() -> None:
    reading = heater().read("power")
    assert (reading.value, reading.unit, reading.sem) == (40.0, "W", pytest.approx(0.5))
    assert heater().read("temperature").sem is None
    assert heater().read("mode") == Reading("eco", time=pytest.approx(0.0, abs=math.inf))
    assert reading.number == 40.0
    with pytest.raises(TypeError):
        assert heater().read("mode").number


@pytest.mark.parametrize("value", [0.0, 100.0, 55, "x"])
def test_values_at_the_edge_are_within(value: float | str) -> None:
    device = heater()
    if isinstance(value, str):
        with pytest.raises(LimitError, match="must be a number"):
            device.set("power", value)
        assert device.sent == []
    else:
        device.set("power", value)
        assert device.sent == [("power", value)]


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("power", 100.01, "outside what the device takes .0 to 100 W."),
        ("power", -1e-9, "outside"),
        ("power", math.nan, "must be a number"),
        ("power", math.inf, "must be a number"),
        ("mode", "turbo", "Known: eco, full"),
        ("mode", 1.0, "Known: eco, full"),
        ("temperature", 20.0, "cannot be set. What can be: power, mode"),
        ("pressure", 1.0, "Known: power, mode, temperature"),
    ],
)
def test_outside_a_limit_nothing_is_sent(name: str, value: Any, match: str) -> None:
    asked: list[str] = []
    device = heater(Wiring(permit=lambda device, attribute, value: asked.append(attribute)))
    with pytest.raises(LimitError, match=match) as told:
        device.set(name, value)
    assert (device.sent, asked) == ([], [])
    assert (told.value.device, told.value.field) == ("heater", name)


def test_limits_of_the_rig_are_narrower() -> None:
    device = heater(limits={"power": {"low": 10.0, "high": 60.0}})
    for power in (10.0, 60.0):
        device.set("power", power)
    for power in (9.9, 60.1):
        with pytest.raises(LimitError, match="the rig allows") as told:
            device.set("power", power)
        assert "limits" in str(told.value.mend)
    assert len(device.sent) == 2
    device = heater(limits={"power": {"high": 500.0}})
    with pytest.raises(LimitError, match="the device takes"):
        device.set("power", 200.0)  # a rig cannot widen what the device takes


def test_a_limit_of_what_is_read_holds_for_what_is_set_in_its_unit() -> None:
    device = heater(limits={"drawn": {"high": 50.0}, "temperature": {"high": 30.0}})
    device.set("power", 50.0)
    with pytest.raises(LimitError, match="the rig allows"):
        device.set("power", 51.0)
    assert device.sent == [("power", 50.0)]


def test_without_permission_nothing_is_sent() -> None:
    def refuse(device: str, attribute: str, value: float | str) -> None:
        raise Interlocked(f"{attribute} not now.", device=device)

    device = heater(Wiring(permit=refuse))
    with pytest.raises(Interlocked):
        device.set("power", 10.0)
    assert device.sent == []
    device.check("power", 10.0)  # asks nobody
    assert device.make_safe().confirmed


def test_another_device_is_refused_and_closed() -> None:
    heater(serial_number="42").connect()
    device = heater(serial_number="43")
    with pytest.raises(DeviceError, match="'42', not '43'") as told, device:
        pass
    assert told.value.field == "serial_number"
    assert device.is_closed


def test_a_failed_connection_is_closed() -> None:
    device = heater()
    device.fails = True
    with pytest.raises(DeviceError), device:
        pass
    assert device.is_closed
    device.fails = False
    with device:
        assert device.read("power").value == 40.0


def test_bands_that_cross() -> None:
    assert Band(low=1.0, high=1.0).low == 1.0
    with pytest.raises(LabError, match="above high"):
        Band(low=2.0, high=1.0)
    with pytest.raises(LabError) as told:
        heater(limits={"power": {"lwo": 1.0}})
    assert told.value.field == "limits.power.lwo"


def test_drivers_by_their_kind() -> None:
    with pytest.raises(LabError, match="Did you mean 'mt_sics'") as told:
        options_of("mt_sisc", {})
    assert told.value.field == "kind"
    assert options_of("mt_sics", {"port": "COM1"}).addresses == ("COM1",)
