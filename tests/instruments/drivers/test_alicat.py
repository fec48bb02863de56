"""The Alicat driver against an emulator on real wires, against captured replies, and against another's simulator."""

import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.device import Wiring
from instruments.drivers.alicat.frames import (
    Layout,
    parse_firmware,
    parse_frame,
    parse_full_scale,
    parse_gases,
    parse_layout,
    parse_maker,
    parse_setpoint,
)
from instruments.drivers.alicat.talk import Talk
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
from simulators.emulators.alicat import AlicatEmulator
from simulators.emulators.alone import Settable

TRANSCRIPT = Path(__file__).parent / "transcripts" / "alicat.jsonl"
OLD, MODERN = "5v12.0-R22", "10v20.0-R24"
PSI = 0.0689475729

# Replies of an MC-500SCCM-D with firmware 5v12 and of an MCR-200SLPM-D with 8v17, as alicatlib publishes them
CAPTURED_OLD = """\
  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__
  D01 Unit ID     char         A         Z         na
  D02 Pressure    signed    +000.00  +160.00     PSIA
  D03 Temperature signed    -010.00  +050.00        C
  D04 Volumetric  signed    +0000.0  +0500.0      CCM
  D05 Mass        signed    +0000.0  +0500.0     SCCM
  D06 SetPoint    signed    +0000.0  +0500.0     SCCM
  D07 Gas         string        Air       D2       na
  D08 Error       string         na      ADC       na
  D09 Status      string         na      LCK       na""".splitlines()
CAPTURED_8V = """\
 D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________
 D01 700 Unit ID                    string          1
 D02 002 Abs Press                  s decimal     7/2 010 02 PSIA
 D03 003 Flow Temp                  s decimal     7/2 002 02 `C
 D04 004 Volu Flow                  s decimal     7/2 007 02 LPM
 D05 005 Mass Flow                  s decimal     7/2 007 02 SLPM
 D06 037 Mass Flow Setpt            s decimal     7/2 007 02 SLPM
 D07 703 Gas                        string          6
 D08 701 *Error                     string          3 ADC
 D09 702 *Status                    string          3 OPL
""".splitlines()


@contextmanager
def rigged(emulator, wiring=None, **options):
    """A driver of an emulator, both running."""
    block = {
        "port": emulator.address,
        "timeout": 0.25,
        "unit": emulator.unit,
        "settle": 0.3,
        "baudrate": 115200,
        **options,
    }
    device = options_of("alicat", block).build("mfc", wiring or Wiring())
    try:
        yield device
    finally:
        device.close()


@pytest.fixture(params=["tcp", "pty"])
def wire(request):
    return request.param


@pytest.fixture(params=[OLD, "8v17.0-R23", MODERN])
def firmware(request):
    return request.param


@pytest.fixture
def mfc():
    """A flow controller and its driver, connected."""
    with AlicatEmulator("mfc") as emulator, rigged(emulator) as device:
        device.connect()
        yield emulator, device


class TestValues:
    def test_every_attribute_over_every_wire_and_firmware(self, wire, firmware):
        with AlicatEmulator("mfc", wire=wire, firmware=firmware) as emulator, rigged(emulator) as device:
            device.connect()
            assert device.identify().model == "MC-500SCCM-D"
            assert device.identify().firmware == firmware
            device.set("setpoint", 100.0)
            assert emulator.flow.value() == pytest.approx(100.0, abs=0.05)
            step = 0.1 if firmware == OLD else 0.01
            assert device.read("flow").number == pytest.approx(100.0, abs=step)
            assert device.read("setpoint").number == pytest.approx(100.0, abs=step)
            assert device.read("pressure").number == pytest.approx(1.01, abs=0.01 * PSI)
            assert device.read("temperature").number == pytest.approx(21.9)
            # 100 sccm at 0 degC and 1 atm, at 21.9 degC and 1.01 bar
            volume = 100.0 * (295.05 / 273.15) * (1.01325 / 1.01)
            assert device.read("volumetric_flow").number == pytest.approx(volume, abs=0.1)
            assert device.read("gas").value == "CO2"
            device.set("gas", "N2")
            assert emulator.state()["gas"] == device.read("gas").value == "N2"

    def test_units_of_the_device_are_converted(self):
        with AlicatEmulator("mfc", full_scale=2.0, flow_unit="SLPM") as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 1000.0)
            assert emulator.state()["setpoint"] == pytest.approx(1.0 * 298.15 / 273.15, abs=0.01)
            assert device.read("flow").number == pytest.approx(1000.0, abs=10.0)
            assert device.attributes["setpoint"].high == pytest.approx(2000.0 * 273.15 / 298.15)

    def test_other_reference_conditions(self):
        with AlicatEmulator("mfc") as emulator, rigged(emulator, standard_temperature=0.0) as device:
            device.connect()
            device.set("setpoint", 100.0)
            assert emulator.state()["setpoint"] == pytest.approx(100.0)

    def test_uncertainties_are_those_of_the_data_sheet(self, mfc):
        _, device = mfc
        device.set("setpoint", 200.0)
        full_scale = 500.0 * 273.15 / 298.15
        expected = ((0.008 * 200.0) ** 2 + (0.002 * full_scale) ** 2) ** 0.5 / 3.0**0.5
        assert device.read("flow").sem == pytest.approx(expected, rel=1e-3)

    @pytest.mark.parametrize("version", [OLD, MODERN])
    def test_a_pressure_controller(self, wire, version):
        line = Settable(1.0)
        emulator = AlicatEmulator("bpr", flow=line, kind="pressure", full_scale=30.0, firmware=version, wire=wire)
        with emulator, rigged(emulator, controls="pressure") as device:
            device.connect()
            assert set(device.attributes) == {"pressure", "setpoint"}
            device.set("setpoint", 1.5)
            assert line.value() == pytest.approx(1.5, abs=0.01 * PSI)
            assert device.read("pressure").number == pytest.approx(1.5, abs=0.01 * PSI)
            assert device.attributes["setpoint"].high == pytest.approx(30.0 * PSI)

    def test_a_meter(self, wire):
        emulator = AlicatEmulator("meter", flow=Settable(20.0), kind="meter", wire=wire)
        with emulator, rigged(emulator, controls="meter") as device:
            device.connect()
            assert device.read("flow").number == pytest.approx(20.0, abs=0.01)
            with pytest.raises(LimitError, match="no attribute"):
                device.set("setpoint", 1.0)
            assert device.make_safe().confirmed


def refused(device, why):
    with pytest.raises(DeviceError, match=why):
        device.connect()


class TestConnecting:
    def test_the_other_serial_number_is_refused(self):
        with AlicatEmulator("mfc", serial="1") as emulator, rigged(emulator, serial_number="2") as device:
            refused(device, "serial number '1'")

    def test_the_wrong_gas_is_refused(self):
        with AlicatEmulator("mfc", gas="N2") as emulator, rigged(emulator, gas="CO2") as device:
            with pytest.raises(DeviceError, match="set to N2") as caught:
                device.connect()
            assert caught.value.field == "gas"

    def test_another_kind_is_refused(self):
        with AlicatEmulator("mfc") as emulator, rigged(emulator, controls="pressure") as device:
            refused(device, "controls flow, not pressure")
        with AlicatEmulator("meter", kind="meter") as emulator, rigged(emulator) as device:
            refused(device, "controls nothing")

    def test_an_analogue_set_point_is_refused(self):
        with AlicatEmulator("mfc") as emulator, rigged(emulator) as device:
            emulator.faults.arm("analog", times=None)
            with pytest.raises(DeviceError, match="analogue"):
                device.connect()

    def test_a_wrong_letter_is_silence(self):
        with AlicatEmulator("mfc", unit="B") as emulator, rigged(emulator, unit="A") as device:
            with pytest.raises(DeviceTimeout):
                device.connect()
            assert emulator.heard == []

    @pytest.mark.parametrize("version", [OLD, MODERN])
    def test_a_streaming_device_is_stopped(self, version):
        with AlicatEmulator("mfc", firmware=version) as emulator, rigged(emulator) as device:
            device.stream.write(b"A@ @\r")
            assert device.stream.read_until(b"\r", 1.0)
            assert emulator.streaming
            device.connect()
            assert not emulator.streaming
            assert device.read("flow").number == 0.0

    def test_a_device_that_does_not_say_its_full_scale(self):
        class Mute(AlicatEmulator):
            def _full_scale(self, rest):
                return ["?"]

        with Mute("mfc") as emulator:
            with rigged(emulator) as device, pytest.raises(DeviceError, match="full scale"):
                device.connect()
            with rigged(emulator, full_scale=400.0) as device:
                device.connect()
                assert device.attributes["setpoint"].high == 400.0

    def test_options_are_checked(self):
        with pytest.raises(LabError, match="unit"):
            options_of("alicat", {"port": "x", "unit": "AB"})
        with pytest.raises(LabError, match="safe set point is missing"):
            options_of("alicat", {"port": "x", "controls": "pressure", "safe": "setpoint"})
        with pytest.raises(LabError, match="pressure controllers"):
            options_of("alicat", {"port": "x", "safe": "hold"})


class TestLimits:
    def test_beyond_the_device_or_the_rig_nothing_is_sent(self, mfc):
        emulator, device = mfc
        heard = len(emulator.heard)
        for value in (-1.0, 459.0, float("nan")):
            with pytest.raises(LimitError):
                device.set("setpoint", value)
        with pytest.raises(LimitError, match="gas cannot be"):
            device.set("gas", "Phosgene")
        with pytest.raises(LimitError, match="cannot be set"):
            device.set("flow", 1.0)
        assert len(emulator.heard) == heard

    def test_of_the_rig(self):
        with AlicatEmulator("mfc") as emulator, rigged(emulator, limits={"setpoint": {"high": 50.0}}) as device:
            device.connect()
            with pytest.raises(LimitError, match="the rig allows"):
                device.set("setpoint", 51.0)

    def test_without_permission_nothing_is_sent(self):
        def never(device, attribute, value):
            raise Interlocked("the door is open.", device=device)

        with AlicatEmulator("mfc") as emulator, rigged(emulator, Wiring(permit=never)) as device:
            device.connect()
            heard = len(emulator.heard)
            for name, value in (("setpoint", 1.0), ("gas", "N2")):
                with pytest.raises(Interlocked):
                    device.set(name, value)
            assert len(emulator.heard) == heard
            assert device.make_safe().confirmed  # needs none


class TestFaultsOfTheDevice:
    @pytest.mark.parametrize(
        ("word", "worthless", "fine"),
        [
            ("MOV", "flow", "pressure"),
            ("VOV", "volumetric_flow", "temperature"),
            ("POV", "pressure", "temperature"),
            ("TOV", "temperature", "pressure"),
            ("OPL", "flow", "temperature"),
            ("ADC", "pressure", "setpoint"),
        ],
    )
    def test_words_that_make_a_reading_worthless(self, mfc, word, worthless, fine):
        emulator, device = mfc
        emulator.faults.arm(f"status_{word.lower()}", times=None)
        with pytest.raises(DeviceFault) as caught:
            device.read(worthless)
        assert caught.value.code == word
        device.read(fine)
        assert device.status() == (word,)

    @pytest.mark.parametrize("word", ["OVR", "TMF", "LCK", "COM"])
    def test_words_that_are_notes(self, mfc, word):
        emulator, device = mfc
        emulator.faults.arm(f"status_{word.lower()}", times=None)
        device.set("setpoint", 10.0)
        assert device.read("flow").number == pytest.approx(10.0, abs=0.01)

    def test_a_held_valve_does_not_follow(self, mfc):
        emulator, device = mfc
        emulator.held = "position"
        with pytest.raises(DeviceFault, match="valve is held"):
            device.set("setpoint", 10.0)

    def test_a_set_point_that_is_not_taken(self, firmware):
        with AlicatEmulator("mfc", firmware=firmware) as emulator, rigged(emulator) as device:
            device.connect()
            emulator.faults.arm("analog", times=None)
            with pytest.raises(DeviceFault, match="did not take the set point"):
                device.set("setpoint", 10.0)

    def test_a_refusal(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("refuse")
        with pytest.raises(DeviceFault, match="refused") as caught:
            device.set("setpoint", 10.0)
        assert caught.value.code == "?"
        device.set("setpoint", 10.0)

    def test_a_controller_that_is_deaf_like_a_meter(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("deaf", times=None)
        with pytest.raises(DeviceTimeout):
            device.set("setpoint", 10.0)
        with pytest.raises(DeviceTimeout):
            device.make_safe()
        emulator.faults.clear()
        device.set("setpoint", 10.0)


class TestDangerousCommands:
    def test_they_are_never_made(self):
        talk = Talk("mfc", "A", 0.1, 19200)
        for text in ("1", "49408", "-1", "+5", ".5", "LS", "LS 10", "LSS"):
            with pytest.raises(RuntimeError, match="must not be sent"):
                talk.command(text)
        talk.firmware = (10, 20)
        assert talk.command("LS 10") == b"ALS 10\r"

    def test_old_firmware_never_hears_them(self):
        with AlicatEmulator("mfc", firmware=OLD) as emulator, rigged(emulator, gas="CO2") as device:
            device.connect()
            device.set("setpoint", 10.0)
            device.make_safe()
            assert not emulator.locked
            assert not [text for text in emulator.heard if text[1:2].isdigit() or text[1:2] == "L"]


class TestSafety:
    def test_flow_stops_without_connecting(self, wire, firmware):
        line = Settable(80.0)
        with AlicatEmulator("mfc", flow=line, wire=wire, firmware=firmware) as emulator, rigged(emulator) as device:
            emulator.setpoint = 80.0
            safety = device.make_safe()
            assert safety.confirmed
            assert line.value() == 0.0
            assert "flow 0 sccm" in safety.detail
            assert device.make_safe().confirmed

    def test_a_stuck_valve_is_not_safe(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 50.0)
        emulator.faults.arm("stuck_flow", times=None)
        safety = device.make_safe()
        assert not safety.confirmed
        assert "set point 0 sccm, flow 50" in safety.detail

    def test_a_flow_that_takes_its_time_is_waited_for(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 50.0)
        began = time.monotonic()

        class Slow(Settable):
            def value(self):
                return self.setting if time.monotonic() > began + 0.15 else 50.0

        emulator.flow = Slow(50.0)
        assert device.make_safe().confirmed
        assert time.monotonic() - began >= 0.15

    @pytest.mark.parametrize("version", [OLD, MODERN])
    def test_a_held_valve_is_let_go(self, version):
        line = Settable(80.0)
        with AlicatEmulator("mfc", flow=line, firmware=version) as emulator, rigged(emulator) as device:
            emulator.setpoint, emulator.held = 80.0, "position"
            assert device.make_safe().confirmed
            assert line.value() == 0.0
            assert emulator.held == ""

    def test_an_inert_gas_may_flow_on(self):
        line = Settable(80.0)
        with AlicatEmulator("mfc", flow=line) as emulator, rigged(emulator, safe_flow=10.0) as device:
            assert device.make_safe().confirmed
            assert line.value() == pytest.approx(10.0, abs=0.01)

    def test_an_analogue_controller_is_not_safe(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 50.0)
        emulator.faults.arm("analog", times=None)
        safety = device.make_safe()
        assert not safety.confirmed
        assert "did not take" in safety.detail

    def test_an_overrange_flow_is_not_safe(self, mfc):
        emulator, device = mfc
        emulator.faults.arm("status_adc", times=None)
        safety = device.make_safe()
        assert not safety.confirmed
        assert "ADC" in safety.detail

    @pytest.mark.parametrize("version", [OLD, MODERN])
    @pytest.mark.parametrize(
        ("options", "pressure", "held"),
        [({}, 0.0, ""), ({"safe": "hold"}, 2.0, "position"), ({"safe": "setpoint", "safe_pressure": 1.2}, 1.2, "")],
    )
    def test_of_a_pressure_controller(self, version, options, pressure, held):
        line = Settable(2.0)
        emulator = AlicatEmulator("bpr", flow=line, kind="pressure", full_scale=60.0, firmware=version)
        with emulator, rigged(emulator, controls="pressure", **options) as device:
            assert device.make_safe().confirmed
            assert line.value() == pytest.approx(pressure, abs=0.01 * PSI)
            assert emulator.held == held

    def test_a_pressure_that_does_not_fall_is_not_safe(self):
        line = Settable(2.0)
        emulator = AlicatEmulator("bpr", flow=line, kind="pressure", full_scale=60.0)
        with emulator, rigged(emulator, controls="pressure") as device:
            emulator.faults.arm("stuck_flow", times=None)
            safety = device.make_safe()
            assert not safety.confirmed
            assert "pressure 2" in safety.detail

    def test_a_dead_device_is_told(self):
        with AlicatEmulator("mfc") as emulator:
            address = emulator.address
        device = options_of("alicat", {"port": address, "timeout": 0.1}).build("mfc", Wiring())
        with pytest.raises(CommunicationError):
            device.make_safe()


FAULTS = ["garbage", "truncated", "silence", "slow", "drop", "wrong_echo"]
LASTING = ["garbage", "silence", "drop"]


class TestFaultsOnTheWire:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_one_is_got_over_and_lasting_ones_are_told(self, fault):
        with AlicatEmulator("mfc") as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 20.0)
            emulator.faults.arm(fault, seconds=0.35)
            assert device.read("flow").number == pytest.approx(20.0, abs=0.01)  # asked twice
            if fault in LASTING:
                emulator.faults.arm(fault, times=None)
                with pytest.raises((CommunicationError, ProtocolError)):
                    device.read("flow")
                emulator.faults.clear()
            device.set("setpoint", 30.0)
            assert device.read("setpoint").number == pytest.approx(30.0, abs=0.01)
            assert device.read("gas").value == "CO2"

    @pytest.mark.parametrize("fault", FAULTS)
    def test_making_safe_gets_over_one(self, fault):
        with AlicatEmulator("mfc") as emulator, rigged(emulator) as device:
            device.connect()
            device.set("setpoint", 20.0)
            emulator.faults.arm(fault, seconds=0.35)
            assert device.make_safe().confirmed
            assert emulator.flow.value() == 0.0

    def test_a_late_answer_is_not_taken_for_the_next(self, mfc):
        emulator, device = mfc
        device.set("setpoint", 20.0)
        emulator.faults.arm("slow", times=None, seconds=0.3)
        with pytest.raises((DeviceTimeout, ProtocolError)):
            device.read("setpoint")
        emulator.faults.clear()
        device.set("setpoint", 40.0)
        assert device.read("setpoint").number == pytest.approx(40.0, abs=0.01)


class TestOneLine:
    def test_two_units_share_port_and_lock(self, wire):
        first, second = Settable(), Settable()
        with (
            AlicatEmulator("one", flow=first, wire=wire) as one,
            AlicatEmulator("two", flow=second, unit="B", gas="N2", serial="7", beside=one) as two,
            rigged(one) as a,
            rigged(two) as b,
        ):
            assert a.stream.lock is b.stream.lock
            a.connect()
            b.connect()
            assert len(one.sessions) == 1
            a.set("setpoint", 10.0)
            b.set("setpoint", 20.0)
            assert (first.value(), second.value()) == pytest.approx((10.0, 20.0), abs=0.01)
            assert b.identify().serial == "7"
            two.faults.arm("silence", times=None)
            with pytest.raises(DeviceTimeout):
                b.read("flow")
            two.faults.clear()
            assert a.read("flow").number == pytest.approx(10.0, abs=0.01)
            a.close()
            assert b.read("flow").number == pytest.approx(20.0, abs=0.01)

    def test_a_late_answer_of_the_other_is_passed_over(self):
        with (
            AlicatEmulator("one") as one,
            AlicatEmulator("two", unit="B", gas="N2", beside=one) as two,
            rigged(one, timeout=1.0) as a,
            rigged(two, timeout=0.1) as b,
        ):
            a.connect()
            b.connect()
            two.faults.arm("slow", times=2, seconds=0.2)
            with pytest.raises(DeviceTimeout):
                b.read("gas")
            assert a.read("gas").value == "CO2"
            assert b.read("gas").value == "N2"


class TestParsers:
    def test_captured_tables_and_frames(self):
        old = parse_layout(CAPTURED_OLD, "mfc")
        frame = parse_frame("A +014.52 +021.50 +0000.1 +0000.2 0116.3      N2", old, "mfc")
        assert frame.values["setpoint"] == 116.3
        assert frame.gas == "N2"
        assert old.find("setpoint").high == 500.0
        modern = parse_layout(CAPTURED_8V, "mfc")
        frame = parse_frame("B +014.62 +022.95 +000.00 +000.00 +000.00     N2 HLD LCK", modern, "mfc")
        assert frame.words == ("HLD", "LCK")
        assert modern.find("flow").unit == "SLPM"
        assert modern.find("setpoint").statistic == 37

    def test_captured_answers(self):
        assert parse_setpoint("A +078.95 +078.88 12 SCCM", "mfc") == 78.88
        assert parse_full_scale("A +500.00 12 SCCM", "mfc") == (500.0, "SCCM")
        assert parse_firmware("A   8v17.0-R23 Nov 27 2019,15:28:45") == (8, 17)
        assert parse_firmware("GP07R100") is None
        rows = ["  M04 Model Number  MC-500SCCM-D", "  M05 Serial Number 122161", "  M09 Software Revision 5v12.0-R22"]
        assert parse_maker(rows) == {"model": "MC-500SCCM-D", "serial": "122161", "firmware": "5v12.0-R22"}
        assert parse_gases([" G00      Air", " G04      CO2", " G140     C-15"]) == {0: "Air", 4: "CO2", 140: "C-15"}

    @pytest.mark.parametrize(
        "line",
        [
            "A",
            "A +1 +2",
            "A x +021.50 +0.1 +0.2 1 N2",
            "A +1 +2 +3 +4 +5 N2 QQQ",
            "A nan 1 1 1 1 N2",
            "A 1e9 1 1 1 1 N2",
        ],
    )
    def test_what_is_no_frame(self, line):
        with pytest.raises(ProtocolError):
            parse_frame(line, parse_layout(CAPTURED_OLD, "mfc"), "mfc")


GOOD = [
    "A +014.62 +021.89 +000.00 +000.00 +078.95     N2",
    "A +014.52 +021.50 +0000.1 +0000.2 0116.3      N2 HLD",
    "A +078.95 +078.88 12 SCCM",
    "A +500.00 12 SCCM",
    *CAPTURED_OLD,
    *CAPTURED_8V,
]


@st.composite
def malformed(draw):
    """A good line with some characters changed, cut out or put in; or any text."""
    if draw(st.booleans()):
        return draw(st.text(max_size=80))
    line = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(line)))
        cut = draw(st.integers(0, 4))
        line = line[:place] + draw(st.text(max_size=3)) + line[place + cut :]
    return line


def never_anything_else(line):
    layout = parse_layout(CAPTURED_OLD, "mfc")
    for parse in (
        lambda: parse_frame(line, layout, "mfc"),
        lambda: parse_layout([line], "mfc"),
        lambda: parse_layout([*CAPTURED_8V, line], "mfc"),
        lambda: parse_setpoint(line, "mfc"),
        lambda: parse_full_scale(line, "mfc"),
        lambda: parse_frame(line, Layout(()), "mfc"),
    ):
        with suppress(ProtocolError):
            parse()
    parse_maker([line])
    parse_gases([line])
    parse_firmware(line)


@given(malformed())
@settings(max_examples=500, deadline=None)
def test_malformed_lines(line):
    never_anything_else(line)


@pytest.mark.soak
@given(malformed())
@settings(max_examples=10_000, deadline=None)
def test_ten_thousand_malformed_lines(line):
    never_anything_else(line)


@given(st.lists(st.binary(max_size=60).filter(lambda data: b"\r" not in data), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_malformed_lines_on_the_wire(fuzzed, lines):
    _, device, said = fuzzed
    said[:] = [b"\r".join(lines) + b"\r"] * 2
    with suppress(CommunicationError, ProtocolError, DeviceFault):
        device.read("flow")
    said.clear()
    assert device.read("gas").value == "CO2"


@pytest.fixture(scope="module")
def fuzzed():
    """A device that says what it is told to, as long as it is told."""
    said: list[bytes] = []

    class Told(AlicatEmulator):
        def answer(self, frame, session):
            return said.pop(0) if said and frame == b"A" else super().answer(frame, session)

    with Told("mfc") as emulator, rigged(emulator, timeout=0.06) as device:
        device.connect()
        yield emulator, device, said


def session(device):
    """What the transcript holds."""
    device.connect()
    device.set("setpoint", 25.0)
    return device.read("flow").number, device.make_safe()


def test_a_transcript_is_played_back(tmp_path):
    with AlicatEmulator("mfc") as emulator, rigged(emulator, Wiring(transcripts=tmp_path)) as device:
        live = session(device)
    recorded = (tmp_path / "mfc.jsonl").read_text()
    assert '"ALS ' in recorded
    device = options_of("alicat", {"port": f"replay://{TRANSCRIPT}", "timeout": 0.25}).build("mfc", Wiring())
    assert session(device) == live
    device.close()


SIMULATOR = """
import socket, sys
from labmcp_alicat.simulator import AlicatSimulator

options = {"firmware": sys.argv[1], "layout_dialect": sys.argv[2], "zero_offset": 0.0, "tau_s": 0.02}
simulator = AlicatSimulator(**options)
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
            connection.sendall(row.encode() + b"\\r")
"""


@pytest.mark.parametrize(
    ("version", "dialect"), [("10v20.0-R24", "canonical"), ("8v17.0-R23", "canonical"), ("5v12.0-R22", "legacy")]
)
def test_against_the_simulator_of_labmcp_alicat(python_with, version, dialect):
    python = python_with("labmcp_alicat")
    with subprocess.Popen([python, "-c", SIMULATOR, version, dialect], stdout=subprocess.PIPE, text=True) as other:
        try:
            port = other.stdout.readline().strip()
            block = {"port": f"socket://127.0.0.1:{port}", "timeout": 0.5, "full_scale": 458.0}
            with options_of("alicat", block).build("mfc", Wiring()) as device:
                assert device.identify().model == "MC-500SCCM-D"
                device.set("setpoint", 100.0)
                assert device.read("setpoint").number == pytest.approx(100.0, abs=0.01)
                until = time.monotonic() + 5.0
                while abs(device.read("flow").number - 100.0) > 1.0:
                    assert time.monotonic() < until
                device.set("gas", "CO2")
                assert device.read("gas").value == "CO2"
                assert device.make_safe().confirmed
        finally:
            other.kill()
