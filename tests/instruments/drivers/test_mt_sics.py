"""The balance: units, refusals, stability, the pan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from instruments.device import Wiring
from instruments.drivers.mt_sics import GRAMS, MtSics, MtSicsOptions, parse_answer, parse_quoted, parse_weight
from instruments.errors import DeviceFault, DeviceTimeout, ProtocolError
from simulators.emulators.alone import Settable
from simulators.emulators.mt_sics import MtSicsEmulator
from simulators.emulators.pace import Pace


@contextmanager
def balance(pan: Settable | None = None, **more: Any) -> Iterator[tuple[MtSics, MtSicsEmulator]]:
    options = {"settle": 1.0, "timeout": 0.3, **more}
    unit = options.pop("unit", "g")
    digits = options.pop("digits", 4)
    with MtSicsEmulator("balance", pan=pan or Settable(100.0), pace=Pace(100.0), unit=unit, digits=digits) as running:
        given = MtSicsOptions(port=running.address, **options)
        with MtSics("balance", given, Wiring()) as device:
            yield device, running


@pytest.mark.parametrize(
    ("line", "grams", "stable"),
    [
        (b"S S      52.1873 g", 52.1873, True),
        (b"S D     -0.0012 g", -0.0012, False),
        (b"S S      1.5 kg", 1500.0, True),
        (b"S S     250.0 mg", 0.25, True),
        (b"SI S      3.0 ct", 0.6, True),
    ],
)
def test_weights_of_the_manual(line: bytes, grams: float, stable: bool) -> None:
    weight = parse_weight(line)
    assert (weight.grams, weight.stable) == (pytest.approx(grams), stable)


def test_every_unit_has_its_grams() -> None:
    for unit, grams in GRAMS.items():
        assert parse_weight(f"S S 2.0 {unit}".encode()).grams == pytest.approx(2.0 * grams)
    with pytest.raises(ProtocolError, match="unit"):
        parse_weight(b"S S 2.0 furlong")


@pytest.mark.parametrize(("line", "code"), [(b"S I", "I"), (b"S +", "+"), (b"S -", "-"), (b"ES", "ES"), (b"EL", "EL")])
def test_refusals_have_their_code(line: bytes, code: str) -> None:
    with pytest.raises(DeviceFault) as told:
        parse_weight(line)
    assert told.value.code == code


def test_answers_to_other_commands_are_none() -> None:
    with pytest.raises(ProtocolError):
        parse_answer(b"Z A", "T")
    with pytest.raises(ProtocolError):
        parse_weight(b"T S 5.0 g", "S")
    with pytest.raises(ProtocolError):
        parse_quoted(b"I4 A B021", "I4")


@pytest.mark.parametrize(("unit", "digits"), [("kg", 4), ("mg", 1), ("g", 4)])
def test_any_unit_on_the_display_gives_grams(unit: str, digits: int) -> None:
    with balance(Settable(12.3), unit=unit, digits=digits) as (device, _):
        assert device.read("mass").value == pytest.approx(12.3)
        assert device.attributes["mass"].high == 220.0


def test_uncertainty_is_that_of_the_certificate() -> None:
    with balance(Settable(100.0), repeatability=1e-4, linearity=2e-6) as (device, _):
        assert device.read("mass").sem == pytest.approx((1e-8 + 4e-8) ** 0.5)
    with balance() as (device, _):
        assert device.read("mass").sem is None


def test_tare_and_zero() -> None:
    pan = Settable(10.0)
    with balance(pan) as (device, running):
        device.set("pan", "tare")
        pan.set(12.5)
        assert device.read("mass").value == 2.5
        device.set("pan", "clear_tare")
        assert device.read("mass").value == 12.5
        device.set("pan", "zero")
        assert device.read("mass_now").value == 0.0
        assert running.state() == {"gross": 12.5, "zero": 12.5, "tare": 0.0}


@pytest.mark.parametrize(("fault", "code"), [("overload", "+"), ("underload", "-"), ("busy", "I"), ("garbled", "ET")])
def test_faults_of_the_balance(fault: str, code: str) -> None:
    with balance() as (device, running):
        running.faults.arm(fault)
        with pytest.raises(DeviceFault) as told:
            device.read("mass_now")
        assert told.value.code == code
        assert device.read("mass_now").value == 100.0


def test_a_weight_that_does_not_come_to_rest() -> None:
    """The balance gives up after its own time; with less patience the driver does, and the tare survives that."""
    with balance(settle=5.0) as (device, running):
        device.set("pan", "tare")
        running.faults.arm("unstable", times=None)
        assert device.weigh(stable=False).stable is False
        with pytest.raises(DeviceFault, match="stable"):
            device.read("mass")
    with balance(settle=0.05) as (device, running):
        device.set("pan", "tare")
        running.faults.arm("unstable", times=None)
        with pytest.raises(DeviceTimeout):
            device.read("mass")
        running.faults.clear()
        assert device.read("mass_now").value == 0.0
