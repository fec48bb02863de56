"""The Bronkhorst driver against an emulator on real wires, and against frames captured from the maker's library."""

import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.device import Wiring
from instruments.drivers.bronkhorst.bus import shared_bus
from instruments.drivers.bronkhorst.frames import BEGIN, Splitter, parse
from instruments.drivers.bronkhorst.units import bar_in, is_gauge, sccm_in
from instruments.drivers.installed import options_of
from instruments.errors import (
    CommunicationError,
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    Interlocked,
    LabError,
    LimitError,
    ProtocolError,
)
from simulators.emulators.alone import Settable
from simulators.emulators.bronkhorst import BronkhorstEmulator

TRANSCRIPT = Path(__file__).parent / "transcripts" / "bronkhorst.jsonl"


@contextmanager
def rigged(emulator, wiring=None, **options):
    """A driver of an emulator, both running."""
    block = {"port": emulator.address, "timeout": 0.3, "controls": emulator.kind, "settle": 0.3, **options}
    device = options_of("bronkhorst", block).build("mfc", wiring or Wiring())
    try:
        yield device
    finally:
        device.close()


@pytest.fixture(params=["tcp", "pty"])
def wire(request):
    return request.param


@pytest.fixture
def mfc():
    """A flow controller and its driver, connected."""
    with BronkhorstEmulator("mfc") as emulator, rigged(emulator) as device:
        device.connect()
        yield emulator, device


def helpers():
    """Threads of the library that run."""
    return [thread for thread in threading.enumerate() if "handler_task" in thread.name or "read_task" in thread.name]


class TestValues:
    def test_every_attribute_over_every_wire(self, wire):
        with BronkhorstEmulator("mfc", wire=wire) as emulator, rigged(emulator) as device:
            device.connect()
            identity = device.identify()
            assert (identity.maker, identity.model) == ("Bronkhorst", "F-201CV-500-AAD-22-V")
            assert (identity.serial, identity.firmware) == ("M21207123A", "V8.35")
            device.set("setpoint", 100.0)
            assert emulator.flow.value() == 100.0
            assert device.read("flow").number == 100.0
            assert device.read("setpoint").number == 100.0
            assert device.read("temperature").number == pytest.approx(21.9)
            assert device.read("gas").value == "CO2"
            assert device.attributes["setpoint"].high == 500.0

    def test_an_old_device_with_integers_only(self, wire):
        with BronkhorstEmulator("mfc", legacy=True, wire=wire) as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 100.0)
            assert emulator.flow.value() == pytest.approx(100.0, abs=0.01)
            assert device.read("flow").number == pytest.approx(100.0, abs=0.02)
            emulator.flow.set(-5.0)
            assert device.read("flow").number == pytest.approx(-5.0, abs=0.02)
            assert "temperature" not in device.attributes

    @pytest.mark.parametrize(("unit", "capacity", "high"), [("ln/min", 2.0, 2000.0), ("mls/min", 500.0, 465.885)])
    def test_units_of_the_device_are_converted(self, unit, capacity, high):
        with BronkhorstEmulator("mfc", unit=unit, capacity=capacity) as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 100.0)
            assert emulator.flow.value() == pytest.approx(100.0)
            assert device.read("flow").number == pytest.approx(100.0)
            assert device.attributes["setpoint"].high == pytest.approx(high, rel=1e-5)

    def test_uncertainties_are_those_of_the_data_sheet(self, mfc):
        _, device = mfc
        device.set("setpoint", 200.0)
        expected = ((0.005 * 200.0) ** 2 + (0.001 * 500.0) ** 2) ** 0.5 / 3.0**0.5
        assert device.read("flow").sem == pytest.approx(expected)

    def test_a_pressure_controller(self, wire):
        with BronkhorstEmulator("p", kind="pressure", wire=wire) as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 2.5)
            assert emulator.flow.value() == device.read("pressure").number == 2.5
            assert device.attributes["setpoint"].unit == "bar"

    def test_a_meter(self, wire):
        with (
            BronkhorstEmulator("m", kind="meter", flow=Settable(20.0), wire=wire) as emulator,
            rigged(emulator) as device,
        ):
            device.connect()
            assert device.read("flow").number == 20.0
            with pytest.raises(LimitError, match="no attribute"):
                device.set("setpoint", 1.0)
            assert device.make_safe().confirmed

    @pytest.mark.parametrize(
        ("unit", "factor"),
        [
            ("mln/min", 1.0),
            ("ln/min", 1000.0),
            ("ln/h", 1000.0 / 60.0),
            ("ls/min", 1000.0 * 273.15 / 293.15),
            ("m3n/h", 1e6 / 60),
        ],
    )
    def test_units_of_flow(self, unit, factor):
        assert sccm_in(f"{unit} ") == pytest.approx(factor)

    def test_units_of_pressure(self):
        assert bar_in("bara") == bar_in("bar(g)") == 1.0
        assert bar_in("kPa(a)") == 0.01
        assert is_gauge("bar(g)")
        assert not is_gauge("bara")
        assert sccm_in("bara") is bar_in("ln/min") is sccm_in("g/h") is None


def refused(device, why):
    with pytest.raises(DeviceError, match=why) as caught:
        device.connect()
    return caught.value


class TestConnecting:
    def test_what_is_refused(self):
        with BronkhorstEmulator("mfc") as emulator:
            for options, why in (
                ({"serial_number": "2"}, "serial number 'M21207123A'"),
                ({"gas": "N2"}, "set to CO2"),
                ({"controls": "pressure"}, "not of pressure"),
            ):
                with rigged(emulator, **options) as device:
                    refused(device, why)
            emulator.mode = 1
            with rigged(emulator) as device:
                assert "control mode to 0" in refused(device, "analogue").mend

    def test_an_unknown_unit(self):
        class Strange(BronkhorstEmulator):
            def _parameters(self):
                self.unit = "g/h"
                return super()._parameters()

        with Strange("mfc") as emulator, rigged(emulator) as device:
            refused(device, "unit 'g/h' is not known")

    def test_another_node_is_silence(self):
        with BronkhorstEmulator("mfc", node=3) as emulator:
            with rigged(emulator, node=5) as device, pytest.raises(DeviceTimeout):
                device.connect()
            with rigged(emulator, node=3) as device:
                device.connect()

    def test_options_are_checked(self):
        with pytest.raises(LabError, match="node"):
            options_of("bronkhorst", {"port": "x", "node": 200})
        with pytest.raises(LabError, match="safe set point is missing"):
            options_of("bronkhorst", {"port": "x", "controls": "pressure", "safe": "setpoint"})

    def test_no_thread_outlives_the_last_device(self, wire):
        assert helpers() == []
        with BronkhorstEmulator("mfc", wire=wire) as emulator:
            with rigged(emulator) as one, rigged(emulator, node=3) as other:
                one.connect()
                other.connect()
                assert len(emulator.sessions) == 1
                assert len(helpers()) == 2
                one.close()
                assert other.read("flow").number == 0.0
                other.close()
                assert helpers() == []
                assert one.read("flow").number == 0.0  # opens the line again
            assert helpers() == []

    def test_settings_must_agree(self):
        with (
            BronkhorstEmulator("mfc") as emulator,
            rigged(emulator),
            pytest.raises(LabError, match="other settings"),
            rigged(emulator, baudrate=9600),
        ):
            pass


class TestLimits:
    def test_beyond_the_device_or_the_rig_nothing_is_sent(self):
        with BronkhorstEmulator("mfc") as emulator, rigged(emulator, limits={"setpoint": {"high": 50.0}}) as device:
            device.connect()
            heard = len(emulator.heard)
            for value in (-1.0, 51.0, 501.0, float("nan")):
                with pytest.raises(LimitError):
                    device.set("setpoint", value)
            for name in ("flow", "gas", "temperature"):
                with pytest.raises(LimitError, match="cannot be set"):
                    device.set(name, 1.0)
            assert len(emulator.heard) == heard

    def test_without_permission_nothing_is_sent(self):
        def never(device, attribute, value):
            raise Interlocked("the door is open.", device=device)

        with BronkhorstEmulator("mfc") as emulator, rigged(emulator, Wiring(permit=never)) as device:
            device.connect()
            heard = len(emulator.heard)
            with pytest.raises(Interlocked):
                device.set("setpoint", 1.0)
            assert len(emulator.heard) == heard
            assert device.make_safe().confirmed  # needs none


class TestFaultsOfTheDevice:
    @pytest.mark.parametrize(("bits", "said"), [(0x01, "an error"), (0x80, "hardware")])
    def test_alarms_that_make_a_reading_worthless(self, mfc, bits, said):
        emulator, device = mfc
        emulator.faults.arm("alarm", times=None, bits=bits)
        with pytest.raises(DeviceFault, match=said) as caught:
            device.read("flow")
        assert caught.value.code == f"alarm {bits}"
        assert not device.make_safe().confirmed

    def test_alarms_that_are_notes(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("alarm", times=None, bits=0x22)
        assert device.read("flow").number == 0.0
        assert device.alarms() == 0x22

    def test_a_status(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("status", code=1)
        with pytest.raises(DeviceFault, match="PROCESS_CLAIMED"):
            device.read("setpoint")
        assert device.read("setpoint").number == 0.0

    @pytest.mark.parametrize("code", [4, 5, 9])
    def test_a_message_of_one_byte(self, mfc, code):
        emulator, device = mfc
        emulator.faults.arm("error", code=code)
        with pytest.raises(DeviceFault) as caught:
            device.read("setpoint")
        assert caught.value.code == f"error {code}"
        emulator.faults.arm("error", after=1, code=code)  # after the control mode, the set point itself
        with pytest.raises(DeviceFault):
            device.set("setpoint", 10.0)
        device.set("setpoint", 10.0)

    def test_a_set_point_that_is_not_taken(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("deaf", times=None)
        with pytest.raises(DeviceFault, match="did not take the set point"):
            device.set("setpoint", 10.0)

    def test_a_valve_that_follows_something_else(self, mfc):
        emulator, device = mfc
        emulator.mode = 1
        with pytest.raises(DeviceError, match="analogue"):
            device.set("setpoint", 10.0)


class TestSafety:
    @pytest.mark.parametrize("legacy", [False, True])
    def test_flow_stops_without_connecting(self, wire, legacy):
        line = Settable(80.0)
        with BronkhorstEmulator("m", flow=line, wire=wire, legacy=legacy) as emulator, rigged(emulator) as device:
            emulator.setpoint = 80.0
            safety = device.make_safe()
            assert safety.confirmed
            assert line.value() == 0.0
            assert "flow 0 sccm" in safety.detail
            assert device.make_safe().confirmed

    @pytest.mark.parametrize("mode", [1, 4, 7, 8])
    def test_the_valve_follows_the_line_again(self, mode):
        line = Settable(80.0)
        with BronkhorstEmulator("mfc", flow=line) as emulator, rigged(emulator) as device:
            emulator.setpoint, emulator.mode = 80.0, mode
            assert device.make_safe().confirmed
            assert (line.value(), emulator.mode) == (0.0, 0)

    def test_a_stuck_valve_is_not_safe(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 50.0)
        emulator.faults.arm("stuck_flow", times=None)
        safety = device.make_safe()
        assert not safety.confirmed
        assert "set point 0 sccm, flow 50 sccm" in safety.detail

    def test_a_set_point_that_is_not_taken_is_not_safe(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 50.0)
        emulator.faults.arm("deaf", times=None)
        assert "did not take" in device.make_safe().detail

    def test_an_inert_gas_may_flow_on(self):
        line = Settable(80.0)
        with BronkhorstEmulator("mfc", flow=line) as emulator, rigged(emulator, safe_flow=10.0) as device:
            assert device.make_safe().confirmed
            assert line.value() == 10.0

    @pytest.mark.parametrize(
        ("options", "pressure", "mode"),
        [({}, 0.0, 0), ({"safe": "hold"}, 2.0, 4), ({"safe": "setpoint", "safe_pressure": 1.2}, 1.2, 0)],
    )
    def test_of_a_pressure_controller(self, options, pressure, mode):
        line = Settable(2.0)
        with BronkhorstEmulator("p", flow=line, kind="pressure") as emulator, rigged(emulator, **options) as device:
            assert device.make_safe().confirmed
            assert line.value() == pytest.approx(pressure)
            assert emulator.mode == mode
            device.connect()
            device.set("setpoint", 1.5)  # ends the holding
            assert line.value() == 1.5

    def test_a_pressure_that_does_not_fall_is_not_safe(self):
        line = Settable(2.0)
        with BronkhorstEmulator("p", flow=line, kind="pressure") as emulator, rigged(emulator) as device:
            emulator.faults.arm("stuck_flow", times=None)
            assert "not below 1.3 bar" in device.make_safe().detail

    def test_a_dead_device_is_told(self):
        with BronkhorstEmulator("mfc") as emulator:
            address = emulator.address
        device = options_of("bronkhorst", {"port": address, "timeout": 0.1}).build("mfc", Wiring())
        with pytest.raises(CommunicationError, match="mfc: "):
            device.make_safe()
        device.close()


FAULTS = ["garbage", "truncated", "silence", "slow", "drop", "wrong_echo"]
LASTING = ["garbage", "silence", "drop"]


class TestFaultsOnTheWire:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_one_is_got_over_and_lasting_ones_are_told(self, wire, fault):
        if (wire, fault) == ("pty", "drop"):
            pytest.skip("a terminal cannot be hung up")
        with BronkhorstEmulator("mfc", wire=wire) as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 20.0)
            emulator.faults.arm(fault, seconds=0.4)
            assert device.read("flow").number == 20.0  # asked twice
            if fault in LASTING:
                emulator.faults.arm(fault, times=None)
                with pytest.raises((CommunicationError, ProtocolError)):
                    device.read("flow")
                emulator.faults.clear()
            device.set("setpoint", 30.0)
            assert device.read("setpoint").number == 30.0
            assert device.read("gas").value == "CO2"

    @pytest.mark.parametrize("fault", FAULTS)
    def test_making_safe_gets_over_one(self, fault):
        with BronkhorstEmulator("mfc") as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 20.0)
            emulator.faults.arm(fault, seconds=0.4)
            assert device.make_safe().confirmed
            assert emulator.flow.value() == 0.0

    def test_a_late_answer_is_not_taken_for_the_next(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 20.0)
        emulator.faults.arm("slow", times=None, seconds=0.35)
        with pytest.raises(DeviceTimeout):
            device.read("setpoint")
        emulator.faults.clear()
        for value in (40.0, 60.0, 80.0):
            device.set("setpoint", value)
            assert device.read("setpoint").number == value

    def test_garbage_is_told_as_such(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("garbage", times=None)
        with pytest.raises(ProtocolError, match="no frame"):
            device.read("setpoint")

    def test_from_several_threads(self, mfc):
        _, device = mfc
        device.set("setpoint", 20.0)
        seen, problems = [], []

        def ask():
            try:
                seen.extend(device.read("flow").number for _ in range(10))
            except DeviceError as problem:
                problems.append(problem)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert seen == [20.0] * 40


@pytest.mark.parametrize("legacy", [True, False])
def test_frames_are_those_captured(legacy):
    with BronkhorstEmulator("mfc", legacy=legacy) as emulator, rigged(emulator) as device:
        device.connect()
        emulator.heard.clear()
        device.read("flow")
        device.set("setpoint", 12.5 if not legacy else 250.0)
        heard = [frame[:2] + frame[3:] for frame in emulator.heard]
    asked = "10 02 80 05 04 01 20 01 20 10 03" if legacy else "10 02 80 05 04 21 40 21 40 10 03"
    written = "10 02 80 05 01 01 21 3e 80 10 03" if legacy else "10 02 80 07 01 21 43 41 48 00 00 10 03"
    assert bytes.fromhex(asked) in heard
    assert bytes.fromhex(written) in heard


GOOD = [
    bytes.fromhex(text)
    for text in (
        "10 02 01 80 05 02 01 20 3e 80 10 03",
        "10 02 03 80 03 00 00 05 10 03",
        "10 02 04 80 07 02 21 40 43 7a 00 00 10 03",
        "10 02 06 80 09 02 71 63 00 4d 31 32 33 00 10 03",
        "10 02 09 80 0e 02 81 a0 3e 80 21 3e 80 21 40 43 7a 00 00 10 03",
        "10 02 10 10 80 01 05 10 03",
    )
]


@pytest.mark.parametrize("frame", GOOD)
def test_good_frames(frame):
    message = parse(frame, "mfc")
    assert message.node == 0x80
    for cut in range(1, len(frame)):
        splitter = Splitter()
        assert splitter.feed(b"\x01\x02" + frame[:cut]) == []
        assert splitter.feed(frame[cut:] + GOOD[0]) == [frame, GOOD[0]]


@pytest.mark.parametrize(
    "frame",
    [
        "10 02 01 80 06 02 01 20 3e 80 10 03",  # another length
        "10 02 01 80 05 02 01 20 3e 10 10 03",  # a single DLE
        "10 02 01 80 04 02 01 20 3e 10 03",  # a value cut short
        "10 02 01 80 06 02 71 63 00 4d 31 10 03",  # a text without an end
        "10 02 01 80 01 06 10 03",  # no such error
        "10 02 01 80 02 00 00 10 03",
        "10 02 01 80 05 04 01 20 01 20 10 03",  # a question
        "10 02 01 80 05 02 81 20 3e 80 10 03",  # a chain that does not go on
    ],
)
def test_what_is_no_answer(frame):
    with pytest.raises(ProtocolError):
        parse(bytes.fromhex(frame), "mfc")


def test_a_frame_in_a_broken_one():
    splitter = Splitter()
    assert splitter.feed(GOOD[0][:7] + GOOD[1]) == [GOOD[1]]
    assert splitter.strayed
    assert splitter.feed(BEGIN + bytes(700) + GOOD[0]) == [GOOD[0]]


@st.composite
def malformed(draw):
    """A good frame with some bytes changed, cut out or put in; or any bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=60))
    frame = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(frame)))
        cut = draw(st.integers(0, 4))
        frame = frame[:place] + draw(st.binary(max_size=3)) + frame[place + cut :]
    return frame


def never_anything_else(data):
    splitter = Splitter()
    for frame in [data, *splitter.feed(data)]:
        with suppress(ProtocolError):
            parse(frame, "mfc")
    splitter.feed(b"\x10\x03")  # ends what may be pending
    assert splitter.feed(GOOD[0])[-1:] == [GOOD[0]]


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
    """A device that says what it is told to, as long as it is told."""
    said: list[bytes] = []

    class Told(BronkhorstEmulator):
        def answer(self, frame, session):
            return said.pop(0) if said else super().answer(frame, session)

    with Told("mfc") as emulator, rigged(emulator, timeout=0.15) as device:
        device.connect()
        yield device, said


@given(malformed())
@settings(max_examples=12, deadline=None)
def test_malformed_frames_reach_the_library_and_do_not_end_it(fuzzed, data):
    device, said = fuzzed
    said[:] = [data, data]
    with suppress(CommunicationError, ProtocolError, DeviceFault):
        device.read("setpoint")
    said.clear()
    assert device.read("gas").value == "CO2"


def session(device):
    """What the transcript holds."""
    device.connect()
    device.set("setpoint", 25.0)
    return device.read("flow").number, device.make_safe()


def test_a_transcript_is_played_back(tmp_path):
    with BronkhorstEmulator("mfc") as emulator, rigged(emulator, Wiring(transcripts=tmp_path)) as device:
        live = session(device)
    assert len((tmp_path / "mfc.jsonl").read_text().splitlines()) > 20
    device = options_of("bronkhorst", {"port": f"replay://{TRANSCRIPT}", "timeout": 0.5}).build("mfc", Wiring())
    assert session(device) == live
    device.close()


def test_a_bus_is_forgotten_with_its_devices():
    with BronkhorstEmulator("mfc") as emulator:
        with rigged(emulator) as device:
            device.connect()
            bus = device._bus
            assert shared_bus("other", emulator.address, bus.settings, None) is bus
        began = time.monotonic()
        device.close()
        device.close()
        assert time.monotonic() - began < 1.0
