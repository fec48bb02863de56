"""The New Era driver against an emulator on real wires, against the manual, and against another's simulator."""

import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.device import Wiring
from instruments.drivers.installed import options_of
from instruments.drivers.new_era.dispensing import in_unit
from instruments.drivers.new_era.frames import (
    RATES,
    Reply,
    basic,
    best_rate,
    digits,
    number,
    parse,
    parse_dispensed,
    parse_rate,
    parse_version,
    parse_volume,
    safe,
)
from instruments.errors import (
    CommunicationError,
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    ExecutionCancelled,
    Interlocked,
    LabError,
    LimitError,
    ProtocolError,
)
from simulators.emulators.new_era import NewEraEmulator
from simulators.emulators.pace import Pace

TRANSCRIPT = Path(__file__).parent / "transcripts" / "new_era.jsonl"
PACE = 60.0
"""A minute of the laboratory in one second."""


def emulated(**options):
    return NewEraEmulator("pump", **{"pace": Pace(PACE), "powered": True, **options})


@contextmanager
def rigged(emulator, wiring=None, **options):
    """A driver of an emulator, both running."""
    block = {"port": emulator.address, "timeout": 0.3, "diameter": 14.43, **options}
    device = options_of("new_era", block).build("pump", wiring or Wiring(pace=PACE))
    try:
        yield device
    finally:
        device.close()


@pytest.fixture(params=["tcp", "pty"])
def wire(request):
    return request.param


@pytest.fixture(params=[0, 10], ids=["basic", "safe"])
def watchdog(request):
    return request.param


@pytest.fixture
def pump(watchdog):
    """A pump and its driver, connected, in either mode."""
    with emulated() as emulator, rigged(emulator, watchdog=watchdog) as device:
        device.connect()
        yield emulator, device


@pytest.fixture
def syringe():
    """A pump with a syringe of 10 mL, and its driver, connected."""
    with emulated() as emulator, rigged(emulator, syringe_volume=10.0) as device:
        device.connect()
        yield emulator, device


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


class TestValues:
    def test_every_attribute_over_every_wire_in_both_modes(self, wire, watchdog):
        with emulated(wire=wire) as emulator, rigged(emulator, syringe_volume=10.0, watchdog=watchdog) as device:
            device.connect()
            identity = device.identify()
            assert (identity.maker, identity.model, identity.firmware) == ("New Era", "NE-1000", "3.923")
            assert emulator.state()["watchdog"] == watchdog
            assert device.read("diameter").number == 14.43
            assert device.read("state").value == "stopped"
            assert device.read("left").number == 10.0
            device.set("direction", "withdraw")
            assert device.read("direction").value == "withdraw"
            device.set("direction", "infuse")
            done = device.dispense(0.5, 5.0)
            assert device.read("volume").number == 0.5
            assert device.wait(done) == pytest.approx(0.5, abs=0.001)
            assert device.read("infused").number == pytest.approx(0.5)
            assert device.read("withdrawn").number == 0.0
            assert device.read("left").number == pytest.approx(9.5)
            device.set("rate", 1.25)
            assert device.read("rate").number == emulator.flow.value() == 1.25
            assert device.read("state").value == "infusing"
            device.set("rate", 0.0)
            assert device.read("rate").number == emulator.flow.value() == 0.0
            assert emulator.state()["paused"] is False

    def test_the_syringe_is_told_to_the_pump(self):
        with emulated() as emulator, rigged(emulator, diameter=26.59) as device:
            device.connect()
            assert emulator.state()["diameter"] == 26.59
            fastest = 3.141592653589793 * 2.659**2 / 4.0 * 5.1005
            assert device.attributes["rate"].high == pytest.approx(fastest)

    def test_a_rate_is_changed_while_pumping(self, pump):
        emulator, device = pump
        device.set("rate", 1.0)
        heard = len(emulator.heard)
        device.set("rate", 1.5)
        assert emulator.flow.value() == 1.5
        assert "STP" not in emulator.heard[heard:]
        device.set("rate", 0.001234)  # needs another unit
        assert emulator.flow.value() == pytest.approx(0.001234)
        assert device.read("rate").number == pytest.approx(0.001234)

    def test_withdrawing(self, syringe):
        emulator, device = syringe
        device.wait(device.dispense(4.0, 8.0))
        done = device.dispense(1.5, 8.0, "withdraw")
        assert emulator.flow.value() == -8.0
        assert device.wait(done) == pytest.approx(1.5, abs=0.001)
        assert device.read("left").number == pytest.approx(7.5, abs=0.01)

    @pytest.mark.parametrize(
        ("rate", "text", "unit"),
        [
            (1.25, "1.250", "MM"),
            (12.345, "740.7", "MH"),
            (0.0123456, "740.7", "UH"),
            (50.0, "50.00", "MM"),
            (2e-5, "1.200", "UH"),
        ],
    )
    def test_rates_in_four_digits(self, rate, text, unit):
        found = best_rate(rate)
        assert abs(found[2] - rate) <= abs(float(text) * RATES[unit] - rate) + 1e-12 * rate
        assert found[2] == pytest.approx(rate, rel=5e-4)

    @given(st.floats(2e-5, 9000.0))
    @settings(max_examples=300, deadline=None)
    def test_no_rate_is_changed_by_more_than_its_digits(self, rate):
        text, unit, actual = best_rate(rate)
        assert sum(letter.isdigit() for letter in text) <= 4
        assert len(text.partition(".")[2]) <= 3
        assert actual == float(text) * RATES[unit]
        assert actual == pytest.approx(rate, rel=5e-4)

    def test_what_has_no_digits(self):
        assert digits(9999.4) == "9999"
        assert digits(9999.6) is None
        assert digits(9.9996) == "10.00"
        assert digits(0.2999, down=True) == "0.299"
        assert digits(0.3, down=True) == "0.300"
        assert best_rate(1e-9) is None
        assert best_rate(10000.0) is None
        with pytest.raises(LimitError, match="cannot be told"):
            in_unit(1e-9, "UL", "pump")

    def test_what_was_really_told_is_given_back(self, pump):
        _, device = pump
        done = device.dispense(1.23456, 3.33333)
        assert done.volume == 1.235
        assert done.rate == device.rounded_rate(3.33333) == pytest.approx(3.33333, rel=1e-4)
        assert device.read("rate").number == done.rate


class TestConnecting:
    def test_power_on_is_an_event(self, watchdog):
        with emulated(powered=False) as emulator, rigged(emulator, watchdog=watchdog, diameter=20.0) as device:
            device.connect()
            assert [alarm.code for alarm in device.alarms()] == ["R"]
            assert emulator.state()["diameter"] == 20.0  # what it did not execute was told again
            device.set("rate", 1.0)

    def test_a_pump_in_the_other_mode(self, watchdog):
        with emulated() as emulator:
            emulator.plunger.memory.watchdog = 0 if watchdog else 20
            with rigged(emulator, watchdog=watchdog) as device:
                device.connect()
                assert emulator.state()["watchdog"] == watchdog
                assert device.identify().model == "NE-1000"

    def test_another_address_is_silence(self):
        with emulated(pump=7) as emulator:
            with rigged(emulator) as device, pytest.raises(DeviceTimeout):
                device.connect()
            with rigged(emulator, address=7) as device:
                device.connect()

    def test_options_are_checked(self):
        with pytest.raises(LabError, match="only pauses"):
            options_of("new_era", {"port": "x", "diameter": 10.0, "watchdog": 2})
        with pytest.raises(LabError, match="diameter"):
            options_of("new_era", {"port": "x"})

    def test_another_serial_number_is_refused(self):
        refused = pytest.raises(DeviceError, match="serial number ''")
        with emulated() as emulator, rigged(emulator, serial_number="1") as device, refused:
            device.connect()


class TestWatchdog:
    def test_it_is_kept_quiet(self):
        with emulated() as emulator, rigged(emulator, watchdog=4) as device:
            device.connect()
            device.set("rate", 1.0)
            heard = len(emulator.heard)
            until(lambda: emulator.heard[heard:].count("") >= 1)
            assert emulator.flow.value() == 1.0

    def test_a_driver_that_dies_lets_the_pump_stop(self):
        with emulated() as emulator, rigged(emulator, watchdog=4) as device:
            device.connect()
            device.set("rate", 1.0)
            emulator.plunger.memory.watchdog = 1  # which is shorter than an option may be, to be quick
            device._keep_no_longer()  # as the end of the process does
            until(lambda: emulator.flow.value() == 0.0)
            with pytest.raises(DeviceFault, match="watchdog") as caught:
                device.read("rate")
            assert caught.value.code == "T"
            assert device.read("rate").number == 0.0

    def test_one_that_another_host_ended_is_begun_anew_before_anything_moves(self):
        with emulated() as emulator, rigged(emulator, watchdog=10) as device:
            device.connect()
            with rigged(emulator, watchdog=10) as other:
                other.connect()
            assert emulator.state()["watchdog"] == 0, "the other let go of a pump that stood"
            device.set("rate", 1.0)
            assert emulator.state()["watchdog"] == 10
            assert emulator.flow.value() == 1.0

    def test_an_orderly_end_ends_it(self):
        with emulated() as emulator:
            with rigged(emulator) as device:
                device.connect()
            assert emulator.state()["watchdog"] == 0
            with rigged(emulator) as device:
                device.connect()
                device.set("rate", 1.0)
            assert emulator.state()["watchdog"] == 10  # it pumps, and will stop by itself
        assert [t for t in threading.enumerate() if t.name.startswith("keepalive")] == []


class TestLimits:
    def test_beyond_the_device_or_the_rig_nothing_is_sent(self):
        with emulated() as emulator, rigged(emulator, limits={"rate": {"high": 5.0}}, watchdog=0) as device:
            device.connect()
            heard = len(emulator.heard)
            for value in (-1.0, 6.0, 9.0, float("nan")):
                with pytest.raises(LimitError):
                    device.set("rate", value)
            with pytest.raises(LimitError, match="direction cannot be"):
                device.set("direction", "up")
            with pytest.raises(LimitError):
                device.dispense(1.0, 6.0)
            with pytest.raises(LimitError, match="cannot be told"):
                device.dispense(1e-6, 1.0)
            assert len(emulator.heard) == heard
            assert "rate" in device.attributes

    def test_without_permission_nothing_is_sent(self):
        def never(device, attribute, value):
            raise Interlocked("the door is open.", device=device)

        with emulated() as emulator, rigged(emulator, Wiring(permit=never), watchdog=0) as device:
            device.connect()
            heard = len(emulator.heard)
            for name, value in (("rate", 1.0), ("rate", 0.0), ("direction", "infuse")):
                with pytest.raises(Interlocked):
                    device.set(name, value)
            with pytest.raises(Interlocked):
                device.dispense(1.0, 1.0)
            assert len(emulator.heard) == heard
            assert device.make_safe().confirmed  # needs none

    def test_what_the_pump_refuses(self, pump):
        _, device = pump
        with pytest.raises(DeviceFault, match="out of its range") as caught:
            device.set("rate", 1e-5)
        assert caught.value.code == "?OOR"
        device.set("rate", 1.0)


class TestSyringe:
    def test_no_more_is_dispensed_than_is_left(self, syringe):
        emulator, device = syringe
        device.wait(device.dispense(8.0, 8.0))
        with pytest.raises(LimitError, match=r"more than is left in the syringe \(2 mL\)"):
            device.dispense(2.5, 8.0)
        assert emulator.flow.value() == 0.0
        with pytest.raises(LimitError, match=r"fits into the syringe \(8 mL\)"):
            device.dispense(8.5, 8.0, "withdraw")
        device.refill()
        assert device.read("left").number == 10.0
        device.wait(device.dispense(2.5, 8.0))

    def test_pumping_without_end_ends_with_the_syringe(self, syringe):
        emulator, device = syringe
        device.refill(0.5)
        device.set("rate", 8.0)
        until(lambda: emulator.flow.value() == 0.0)
        assert emulator.state()["delivered"] == pytest.approx(0.5, abs=1e-6)
        assert device.read("left").number == 0.0
        with pytest.raises(LimitError, match="more than is left"):
            device.set("rate", 1.0)

    def test_after_a_power_failure_nobody_knows(self, syringe):
        emulator, device = syringe
        emulator.faults.arm("power_cycle")
        until(lambda: emulator.alarm == "R")
        assert device.read("infused").number == 0.0
        for ask in (lambda: device.read("left"), lambda: device.dispense(1.0, 1.0), lambda: device.set("rate", 1.0)):
            with pytest.raises(LimitError, match="not known how much"):
                ask()
        device.refill(3.0)
        device.wait(device.dispense(1.0, 8.0))
        assert device.read("left").number == pytest.approx(2.0)

    def test_refilling_is_checked(self, syringe):
        _, device = syringe
        with pytest.raises(LimitError, match="does not hold"):
            device.refill(11.0)
        device.set("rate", 1.0)
        with pytest.raises(DeviceFault, match="does not apply now"):
            device.refill()

    def test_without_a_syringe_there_is_no_account(self, pump):
        _, device = pump
        assert "left" not in device.attributes
        with pytest.raises(LimitError, match="no volume"):
            device.refill()


class TestDispensing:
    def test_the_second_phase_ends_it(self, pump):
        emulator, device = pump
        device.wait(device.dispense(0.2, 8.0))
        assert emulator.plunger.phase(2).function == "STP"
        assert emulator.state()["delivered"] == pytest.approx(0.2)

    def test_not_while_it_pumps(self, pump):
        _, device = pump
        device.set("rate", 1.0)
        with pytest.raises(DeviceFault, match="it is infusing"):
            device.dispense(1.0, 1.0)
        with pytest.raises(DeviceFault, match="cannot be changed while"):
            device.set("direction", "withdraw")

    def test_waiting_is_ended_from_outside(self, pump):
        _, device = pump
        done = device.dispense(5.0, 1.0)
        cancelled = threading.Event()
        cancelled.set()
        with pytest.raises(ExecutionCancelled):
            device.wait(done, cancelled)
        assert device.read("state").value == "infusing"

    def test_one_that_was_stopped_is_incomplete(self, pump):
        emulator, device = pump
        done = device.dispense(5.0, 1.0)
        until(lambda: emulator.state()["delivered"] > 0.05)
        assert device.make_safe().confirmed
        with pytest.raises(DeviceFault, match="it stopped after") as caught:
            device.wait(done)
        assert caught.value.code == "incomplete"

    def test_a_stall(self, pump):
        emulator, device = pump
        done = device.dispense(5.0, 1.0)
        emulator.faults.arm("stall")
        with pytest.raises(DeviceFault, match="motor stalled") as caught:
            device.wait(done)
        assert caught.value.code == "S"
        assert emulator.flow.value() == 0.0
        assert device.read("state").value == "stopped"  # told once

    def test_a_stall_that_the_keeper_hears_is_told_to_the_next_caller(self):
        with emulated() as emulator, rigged(emulator, watchdog=4) as device:
            device.connect()
            device.set("rate", 1.0)
            emulator.faults.arm("stall")
            until(lambda: "S" in [alarm.code for alarm in device.alarms()])
            with pytest.raises(DeviceFault, match="motor stalled"):
                device.set("rate", 2.0)
            device.set("rate", 2.0)

    def test_power_that_fails_while_pumping_is_a_fault(self, pump):
        emulator, device = pump
        device.set("rate", 1.0)
        emulator.faults.arm("power_cycle")
        until(lambda: emulator.alarm == "R")
        with pytest.raises(DeviceFault, match="power was interrupted"):
            device.read("rate")

    def test_a_lost_answer_to_the_start_does_not_start_it_twice(self, pump):
        emulator, device = pump
        before = lost_at_run(emulator, "silence")
        device.wait(device.dispense(0.5, 2.0))
        assert emulator.heard[before:].count("RUN") == 1
        assert emulator.state()["delivered"] == pytest.approx(0.5)

    def test_a_lost_answer_to_a_start_that_is_over_already(self, pump):
        emulator, device = pump
        before = lost_at_run(emulator, "silence")
        device.wait(device.dispense(0.02, 8.0))  # takes 2.5 ms
        assert emulator.heard[before:].count("RUN") == 1
        assert emulator.state()["delivered"] == pytest.approx(0.02)

    def test_a_start_that_was_not_heard_is_given_again(self, pump):
        emulator, device = pump
        emulator.faults.arm("deaf_run")
        device.wait(device.dispense(0.5, 2.0))
        assert emulator.state()["delivered"] == pytest.approx(0.5)
        emulator.faults.arm("deaf_run", times=None)
        with pytest.raises(DeviceTimeout):
            device.dispense(0.5, 2.0)
        assert emulator.state()["delivered"] == pytest.approx(0.5)

    def test_what_is_too_little_to_tell_is_not_started_twice(self):
        with emulated() as emulator, rigged(emulator, watchdog=0) as device:
            device.connect()
            emulator.plunger.moved["INF"] = 5000.0  # whose counter shows whole mL
            before = lost_at_run(emulator, "silence")
            with pytest.raises(DeviceTimeout):
                device.dispense(0.02, 8.0)
            assert emulator.heard[before:].count("RUN") == 1


def lost_at_run(emulator, fault):
    """Arm a fault for the answer to the next command to run; how much was heard before."""
    execute = emulator._execute

    def wrapped(text):
        if text == "RUN":
            emulator._execute = execute
            emulator.faults.arm(fault)
        return execute(text)

    emulator._execute = wrapped
    return len(emulator.heard)


class TestSafety:
    def test_it_stops_without_connecting(self, wire, watchdog):
        with emulated(wire=wire) as emulator, rigged(emulator, watchdog=watchdog) as device:
            emulator.plunger.start(1, purging=False)
            assert emulator.flow.value() == 1.0
            safety = device.make_safe()
            assert safety.confirmed
            assert safety.detail == "it is stopped"
            assert emulator.flow.value() == 0.0
            assert emulator.state()["watchdog"] == 0  # it is not left with a timer that nobody feeds
            assert device.make_safe().confirmed

    @pytest.mark.parametrize("mode", [0, 20])
    def test_in_either_mode_of_the_pump(self, watchdog, mode):
        with emulated() as emulator, rigged(emulator, watchdog=watchdog) as device:
            emulator.plunger.memory.watchdog = mode
            emulator.plunger.start(1, purging=True)
            assert device.make_safe().confirmed
            assert emulator.flow.value() == 0.0

    def test_with_an_alarm(self, pump):
        emulator, device = pump
        device.set("rate", 1.0)
        emulator.faults.arm("stall")
        until(lambda: emulator.alarm == "S")
        safety = device.make_safe()
        assert safety.confirmed
        assert "stalled" in safety.detail

    def test_a_pump_that_goes_on_is_not_safe(self, pump):
        emulator, device = pump
        device.set("rate", 1.0)
        emulator.faults.arm("runs_on", times=None)
        safety = device.make_safe()
        assert not safety.confirmed
        assert safety.detail == "it is infusing"
        with pytest.raises(DeviceFault, match="does not stop"):
            device.set("rate", 0.0)

    def test_a_dead_device_is_told(self):
        with emulated() as emulator:
            address = emulator.address
        device = options_of("new_era", {"port": address, "timeout": 0.1, "diameter": 10.0}).build("pump", Wiring())
        with pytest.raises(CommunicationError):
            device.make_safe()


FAULTS = ["garbage", "truncated", "silence", "slow", "drop", "wrong_echo"]
LASTING = ["garbage", "silence", "drop"]


class TestFaultsOnTheWire:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_one_is_got_over_and_lasting_ones_are_told(self, pump, fault):
        emulator, device = pump
        device.set("rate", 2.0)
        emulator.faults.arm(fault, seconds=0.4)
        assert device.read("rate").number == 2.0  # asked again
        if fault in LASTING:
            emulator.faults.arm(fault, times=None)
            with pytest.raises((CommunicationError, ProtocolError)):
                device.read("rate")
            emulator.faults.clear()
        device.set("rate", 3.0)
        assert device.read("rate").number == 3.0
        assert device.read("diameter").number == 14.43

    @pytest.mark.parametrize("fault", FAULTS)
    def test_making_safe_gets_over_one(self, pump, fault):
        emulator, device = pump
        device.set("rate", 2.0)
        emulator.faults.arm(fault, seconds=0.4)
        assert device.make_safe().confirmed
        assert emulator.flow.value() == 0.0

    def test_a_damaged_command_is_given_again(self):
        with emulated() as emulator, rigged(emulator) as device:
            device.connect()
            emulator.faults.arm("damaged")
            device.set("rate", 2.0)
            assert emulator.flow.value() == 2.0

    def test_a_late_answer_is_not_taken_for_the_next(self, pump):
        emulator, device = pump
        device.set("rate", 2.0)
        emulator.faults.arm("slow", times=None, seconds=0.35)
        with pytest.raises((DeviceTimeout, ProtocolError)):
            device.read("rate")
        emulator.faults.clear()
        assert device.read("diameter").number == 14.43
        assert device.read("rate").number == 2.0


class TestFrames:
    def test_known_answers(self):
        assert safe(0, "")[2:4] == b"00"
        data = b"SAF0"
        assert bytes.fromhex("02 08 53 41 46 30 55 43 03") == b"\x02\x08" + data + b"\x55\x43\x03"  # the manual's
        assert safe(0, "SAF0") == b"\x02\x0a00SAF0" + safe(0, "SAF0")[8:]
        assert basic(7, "RUN") == b"07RUN\r"
        assert parse(b"\x0200I\x03", "pump") == Reply(0, "I")
        assert parse(b"\x0200A?R\x03", "pump") == Reply(0, "", "R")
        assert parse(b"\x0205S?OOR\x03", "pump") == Reply(5, "S", error="OOR")
        assert parse(b"\x0200S?\x03", "pump") == Reply(0, "S", error="")
        assert parse(b"\x0200SNE1000V3.923\x03", "pump").data == "NE1000V3.923"
        assert parse_version("NE1000X2V3.61", "pump") == ("NE-1000X2", "3.61")
        assert parse_dispensed("I0.123W45.60UL", "pump") == pytest.approx((0.000123, 0.0456))
        assert parse_rate("50.00MH", "pump") == (50.0, "MH")
        assert parse_volume("10.00ML", "pump") == (10.0, "ML")

    def test_a_safe_answer_with_an_end_in_its_checksum(self):
        found = 0
        for value in range(3000):
            text = f"S{value / 100.0:.2f}"
            frame = safe(0, text)
            found += b"\x03" in frame[:-1]
            assert parse(frame, "pump").data == text[1:]
        assert found > 0

    @pytest.mark.parametrize(
        "frame",
        [
            b"",
            b"\x02\x03",
            b"\x0200\x03",
            b"\x0200Q\x03",
            b"\x020S\x03",
            b"\x0200A?Q\x03",
            b"\x0200S?XX\x03",
            b"\x02\x0900S\0\0\x03",
        ],
    )
    def test_what_is_no_answer(self, frame):
        with pytest.raises(ProtocolError):
            parse(frame, "pump")

    @pytest.mark.parametrize("text", ["", ".", "-1", "1e3", "12345", "1.2345", "nan"])
    def test_what_is_no_number(self, text):
        with pytest.raises(ProtocolError):
            number(text, "pump")


GOOD = [
    b"\x0200S\x03",
    b"\x0200A?S\x03",
    b"\x0200I50.00MH\x03",
    b"\x0200SI0.000W0.000ML\x03",
    safe(0, "S"),
    safe(0, "SNE1000V3.923"),
    safe(0, "A?T"),
]


@st.composite
def malformed(draw):
    """A good frame with some bytes changed, cut out or put in; or any bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=60))
    frame = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(frame)))
        frame = frame[:place] + draw(st.binary(max_size=3)) + frame[place + draw(st.integers(0, 4)) :]
    return frame


def never_anything_else(data):
    with suppress(ProtocolError):
        parse(data, "pump")
    text = data.decode("latin-1")
    for read in (parse_rate, parse_volume, parse_dispensed, parse_version, number):
        with suppress(ProtocolError):
            read(text, "pump")


@given(malformed())
@settings(max_examples=500, deadline=None)
def test_malformed_frames(data):
    never_anything_else(data)


@pytest.mark.soak
@given(malformed())
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_malformed_frames(data):
    never_anything_else(data)


@pytest.fixture(scope="module")
def fuzzed():
    """A pump that says what it is told to, as long as it is told."""
    said: list[bytes] = []

    class Told(NewEraEmulator):
        def answer(self, frame, session):
            return said.pop(0) if said else super().answer(frame, session)

    with Told("pump", powered=True) as emulator, rigged(emulator, timeout=0.1, watchdog=0) as device:
        device.connect()
        yield device, said


@given(malformed())
@settings(max_examples=25, deadline=None)
def test_malformed_frames_on_the_wire(fuzzed, data):
    device, said = fuzzed
    said[:] = [data]
    with suppress(CommunicationError, ProtocolError, DeviceFault):
        device.read("rate")
    said.clear()
    with suppress(DeviceFault):  # an alarm that was in the garbage is told once
        device.read("diameter")
    assert device.read("diameter").number == 14.43


class TestOneLine:
    def test_answers_of_other_pumps_are_passed_over(self, pump):
        emulator, device = pump
        answer = emulator.answer

        def noisy(frame, session):
            session.send(b"\x0209A?S\x03")
            return answer(frame, session)

        emulator.answer = noisy
        assert device.read("diameter").number == 14.43
        assert device.alarms() == ()

    def test_a_line_is_shared(self):
        with emulated() as emulator, rigged(emulator) as one, rigged(emulator, address=1) as other:
            assert one.stream.lock is other.stream.lock


def session(device):
    """What the transcript holds."""
    device.connect()
    device.set("rate", 2.0)
    return device.read("rate").number, device.make_safe()


def test_a_transcript_is_played_back(tmp_path):
    with emulated(powered=False) as emulator, rigged(emulator, Wiring(transcripts=tmp_path), watchdog=0) as device:
        live = session(device)
    assert len((tmp_path / "pump.jsonl").read_text().splitlines()) > 20
    block = {"port": f"replay://{TRANSCRIPT}", "timeout": 0.3, "diameter": 14.43, "watchdog": 0}
    device = options_of("new_era", block).build("pump", Wiring())
    assert session(device) == live
    device.close()


SIMULATOR = """
import socket
from labmcp_new_era.simulator import NewEraSimulator

simulator = NewEraSimulator(speed=60.0)
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
connection, _ = server.accept()
pending = b""
while data := connection.recv(4096):
    pending += data
    while b"\\r" in pending:
        line, _, pending = pending.partition(b"\\r")
        said = simulator.handle(line.decode()) or []
        for row in [said] if isinstance(said, str) else said:
            connection.sendall(row.encode() + b"\\x03")
"""


def test_against_the_simulator_of_labmcp_new_era(python_with):
    python = python_with("labmcp_new_era")
    with subprocess.Popen([python, "-c", SIMULATOR], stdout=subprocess.PIPE, text=True) as other:
        try:
            port = other.stdout.readline().strip()
            block = {"port": f"socket://127.0.0.1:{port}", "diameter": 14.43, "watchdog": 0, "syringe_volume": 10.0}
            with options_of("new_era", block).build("pump", Wiring(pace=60.0)) as device:
                assert device.identify().model == "NE-1000"
                assert [alarm.code for alarm in device.alarms()] == ["R"]
                device.refill()
                assert device.wait(device.dispense(0.5, 5.0)) == pytest.approx(0.5, abs=0.001)
                assert device.read("left").number == pytest.approx(9.5, abs=0.001)
                device.set("rate", 1.25)
                assert device.read("rate").number == 1.25
                assert device.make_safe().confirmed
                assert device.read("state").value == "stopped"
        finally:
            other.kill()
