"""The potentiostat's driver against the emulated instrument, over a pseudo-terminal and over TCP."""

import math
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.device import Band, Wiring
from instruments.drivers.installed import options_of
from instruments.drivers.methodscript import (
    ChronoAmperometry,
    ChronoPotentiometry,
    CyclicVoltammetry,
    Impedance,
    LinearSweep,
    MethodScriptOptions,
    OpenCircuit,
)
from instruments.drivers.methodscript.protocol import (
    LARGEST,
    literal,
    parse_error,
    parse_firmware,
    parse_package,
    parse_serial,
    text_of,
    value_of,
)
from instruments.drivers.methodscript.talk import LONGEST_LINE
from instruments.errors import (
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    Interlocked,
    LabError,
    LimitError,
    ProtocolError,
    SignalError,
)
from simulators.emulators.alone import DummyCell
from simulators.emulators.methodscript import MethodScriptEmulator
from simulators.emulators.pace import Pace

PACE = 200.0
HOLD = ChronoPotentiometry(-0.1, 5.0, 0.5)
LONG = ChronoPotentiometry(-0.1, 4000.0, 1.0)
TRANSCRIPT = Path(__file__).parent / "transcripts" / "methodscript.jsonl"


class Listening(MethodScriptEmulator):
    """Remembers what it heard."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.heard = []

    def answer(self, frame, session):
        self.heard.append(frame)
        return super().answer(frame, session)


CELL = DummyCell()
OPEN = []


def listening(wire):
    with Listening("ps", electrodes=CELL, pace=Pace(PACE), wire=wire) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def over_tcp():
    yield from listening("tcp")


@pytest.fixture(scope="module")
def over_pty():
    yield from listening("pty")


@pytest.fixture
def cell():
    CELL.series, CELL.parallel, CELL.capacitance, CELL.open_circuit = 4.0, 6.0, 1e-3, -0.05
    return CELL


def as_new(emulator):
    emulator.faults.clear()
    if emulator.state()["cell_on"] or emulator.state()["running"] or emulator.state()["loading"]:
        device = device_at(emulator, timeout=1.0)
        device.make_safe()
        device.close()
    emulator.heard.clear()
    return emulator


@pytest.fixture
def emulator(over_tcp, cell):
    return as_new(over_tcp)


@pytest.fixture(params=["tcp", "pty"])
def either(request, cell):
    return as_new(request.getfixturevalue(f"over_{request.param}"))


def device_at(emulator, *, family="nexus1", timeout=1.0, pace=PACE, permit=None, record=None, alarm=None, **options):
    heard = {name: call for name, call in (("permit", permit), ("alarm", alarm)) if call is not None}
    wiring = Wiring(pace=pace, transcripts=record, **heard)
    device = MethodScriptOptions(port=emulator.address, family=family, timeout=timeout, **options).build("ps", wiring)
    OPEN.append(device)
    return device


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.fixture
def device(emulator):
    with device_at(emulator) as device:
        yield device


@pytest.fixture
def quick(emulator):
    """Waits for answers for a short time only, where they are expected to be missing."""
    with device_at(emulator, timeout=0.15) as device:
        yield device


def in_thread(work):
    """Run something beside the test; what it raised comes with it."""
    found = {}

    def body():
        try:
            found["result"] = work()
        except DeviceError as problem:
            found["problem"] = problem

    thread = threading.Thread(target=body)
    thread.start()
    return thread, found


def off(emulator, cell):
    return not emulator.state()["cell_on"] and cell.drive.mode == "off"


# Numbers and lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-1.05, "-1050m"),
        (0.5, "500m"),
        (2.0, "2"),
        (1e-4, "100u"),
        (60.0, "60"),
        (-1e-10, "-100p"),
        (1e5, "100000"),
    ],
)
def test_numbers_are_an_integer_and_a_prefix(value, text):
    assert literal(value) == text
    assert value_of(text) == value


@given(st.integers(-LARGEST, LARGEST), st.sampled_from("afpnum kMGTPE"))
def test_numbers_that_fit_come_back_exactly(count, prefix):
    value = value_of(f"{count}{prefix.strip()}")
    assert value_of(literal(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e26, max_value=1e26))
def test_any_number_is_written_without_a_point_and_never_grows(value):
    text = literal(value)
    assert text.lstrip("-").rstrip("afpnumkMGTPE").isdigit()
    assert abs(value_of(text)) <= abs(value)
    assert math.isclose(value_of(text), value, rel_tol=1e-6, abs_tol=1e-15)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_what_is_no_number_of_a_script_is_refused(value):
    with pytest.raises(LimitError):
        literal(value)


def test_packages_of_the_makers_readme():
    potential, current = parse_package("Pda7F85F3Fu;ba48D503Dp,10,288")
    assert (potential.type, current.type, current.status, current.range) == ("da", "ba", 0, 0x88)
    assert potential.value == pytest.approx(-0.499905, abs=1e-9)
    assert current.value == pytest.approx(-57.847747e-6, rel=1e-7)
    frequency, real, imaginary = parse_package("PdcDF5DFF4u;cc896D904m,10,287;cd82DB1A8u,10,287")
    assert frequency.value == pytest.approx(100.0, abs=1e-3)
    assert real.value == pytest.approx(9885.956)
    assert imaginary.value == pytest.approx(2.995, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "value"), [("800000Am", 0.010), ("8000001a", 1e-18), ("800000BE", 11e18), ("8000002f", 2e-15)]
)
def test_prefixes_that_look_like_digits_are_read_by_position(text, value):
    assert parse_package(f"Pab{text}")[0].value == value


def test_overloads_and_missing_values():
    variable = parse_package("Pba     nan,12,20B,40")[0]
    assert math.isnan(variable.value)
    assert (variable.status, variable.range) == (2, 0x0B)


@pytest.mark.parametrize(
    "line",
    ["P", "Pba", "Pba800000", "Pba800000Xm", "PBA800000Am", "Pba800000Am,", "Pba800000Am,1Z", "X", "Pba800000Amm"],
)
def test_lines_that_are_no_packages(line):
    with pytest.raises(ProtocolError):
        parse_package(line)


def test_errors_say_code_line_and_column():
    error = parse_error("e!4001: Line 3, Col 7")
    assert (error.echo, error.code, error.line, error.column) == ("e", "4001", 3, 7)
    assert parse_error("!4027: Line 12").line == 12
    assert parse_error("Z!0006").code == "0006"
    assert parse_error("Pba800000Am") is None


def test_firmware():
    firmware = parse_firmware("tespico1600#Sep 30 2025 12:00:00\nR*")
    assert (firmware.family, firmware.version, firmware.release) == ("espico", "1.6.00", "R")


GOOD = [
    b"Pda7F85F3Fu;ba48D503Dp,10,288",
    b"PdcDF5DFF4u;cc896D904m,10,287;cd82DB1A8u,10,287",
    b"Peb800000A ;ab8000001m,12,200;ba     nan,14,20B,40",
    b"tnexus11100#Sep 30 2025 12:00:00\nR*",
    b"iNEX24A0001",
    b"e!4001: Line 3, Col 7",
    b"!0032: Line 12",
    b"1050m",
]


@st.composite
def malformed(draw):
    """Random bytes, or a good line with bytes changed, lost and added."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=60))
    line = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(line)))
        line[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(line)


def parse_everything(data):
    try:
        text = text_of(data)
    except ProtocolError:
        text = data.decode("latin-1")
    for parse in (parse_package, parse_firmware, parse_serial, value_of, parse_error):
        try:
            parse(text)
        except ProtocolError:
            continue


@settings(max_examples=500, deadline=None)
@given(malformed())
def test_no_line_breaks_the_parsers(data):
    parse_everything(data)


@pytest.mark.soak
@settings(max_examples=10_000, deadline=None)
@given(malformed())
def test_no_line_breaks_the_parsers_at_length(data):
    parse_everything(data)


# Techniques


def test_every_technique_against_a_cell_of_resistors(either, cell):
    with device_at(either) as device:
        rest = device.run(OpenCircuit(2.0, 0.2))
        assert [point.potential for point in rest.points] == pytest.approx([-0.05] * 10)
        held = device.run(ChronoAmperometry(-1.05, 5.0, 0.5))
        assert len(held.points) == 10
        assert held.points[-1].time == pytest.approx(5.0)
        assert [point.current for point in held.points] == pytest.approx([-0.1] * 10)
        assert held.points[0].cell_voltage == pytest.approx(1.05)
        driven = device.run(HOLD)
        assert [point.potential for point in driven.points] == pytest.approx([-1.05] * 10)
        assert {point.current for point in driven.points} == {-0.1}
        swept = device.run(LinearSweep(0.0, -1.0, rate=0.5, step=0.05))
        assert [point.potential for point in swept.points] == pytest.approx([-0.05 * i for i in range(21)])
        cycled = device.run(CyclicVoltammetry(0.0, -0.5, 0.5, rate=1.0, step=0.1, scans=3))
        assert {point.scan for point in cycled.points} == {1, 2, 3}
        assert min(point.potential for point in cycled.points) == pytest.approx(-0.5)
        assert all(point.current == pytest.approx((point.potential + 0.05) / 10.0, abs=1e-6) for point in cycled.points)
        spectrum = device.run(Impedance(0.0, high=10e3, low=10.0, points=13))
        assert spectrum.points[0].frequency == pytest.approx(10e3)
        assert all(point.z_imag < 0.0 for point in spectrum.points)
        resistance, sem = spectrum.resistance()
        assert abs(resistance - 4.0) < 2.0 * sem < 0.3
        assert off(either, cell)


@pytest.mark.parametrize("family", ["espico", "es4_lr", "es4_hr", "nexus1"])
def test_families_differ_in_limits_and_in_the_cell_voltage(family):
    cell = DummyCell(series=5e3, parallel=5e3)
    with (
        MethodScriptEmulator("ps", electrodes=cell, pace=Pace(PACE), family=family) as emulator,
        device_at(emulator, family=family) as device,
    ):
        record = device.run(ChronoAmperometry(-1.0, 2.0, 0.5))
        assert record.points[0].current == pytest.approx(-1e-4)
        told = record.points[0].cell_voltage
        assert told is None if family == "espico" else told == pytest.approx(1.0)
        beyond = device.attributes["potential"].low - 0.1
        with pytest.raises(LimitError):
            device.run(ChronoAmperometry(beyond, 1.0))
        if family == "espico":
            with pytest.raises(LimitError, match="cannot hold a current"):
                device.run(ChronoPotentiometry(-1e-4, 1.0))
            with pytest.raises(LimitError, match="no mode"):  # the window of any one mode is narrower
                device.run(LinearSweep(-1.6, 1.5))


def test_an_ampere_through_a_cell(emulator, device, cell):
    cell.series, cell.parallel = 1.0, 1.0
    record = device.run(ChronoPotentiometry(-1.0, 10.0, 1.0))
    assert record.points[-1].current == -1.0
    assert record.points[-1].potential == pytest.approx(-2.05)
    assert record.overloads == 0


def test_a_voltage_beyond_what_the_instrument_reaches_is_flagged(device, cell):
    cell.series = 200.0
    record = device.run(ChronoPotentiometry(-0.1, 2.0, 0.5))
    assert record.overloads == len(record.points)
    assert record.table()["overload"].all()


def test_a_current_beyond_its_range_is_flagged_and_cut(device):
    record = device.run(ChronoAmperometry(-1.05, 2.0, 0.5, largest=0.01, autorange=False))
    assert all(point.overload for point in record.points)
    assert record.points[0].current == pytest.approx(-0.0105)


def test_a_spectrum_at_the_open_circuit_potential(emulator, device):
    record = device.run(Impedance(points=5))
    assert record.technique.potential == pytest.approx(-0.05)
    assert any(b"meas_loop_eis" in frame and frame.endswith(b"-50m") for frame in emulator.heard)


def test_what_is_overloaded_tells_no_resistance(emulator, device):
    emulator.faults.arm("overload", times=None)
    record = device.run(Impedance(points=5))
    assert all(point.overload for point in record.points)
    with pytest.raises(SignalError, match="0 of 5"):
        record.resistance()


def test_points_come_while_it_runs(device):
    seen = []
    record = device.run(HOLD, seen.append)
    assert tuple(seen) == record.points


def test_tables_are_in_the_raw_signal_form(device):
    held = device.run(ChronoAmperometry(-1.05, 2.0, 0.5)).table()
    assert list(held) == [
        "time/s",
        "potential/V",
        "current/A",
        "cell_voltage/V",
        "set_potential/V",
        "overload",
        "cycle",
    ]
    driven = device.run(HOLD)
    assert driven.kind == "potentiostat"
    assert (driven.table()["set_current/A"] == -0.1).all()
    rest = device.run(OpenCircuit(2.0, 0.5))
    assert (rest.kind, list(rest.table())) == ("open_circuit", ["time/s", "potential/V"])
    spectrum = device.run(Impedance(0.0, points=3))
    assert (spectrum.kind, list(spectrum.table())) == ("impedance", ["frequency/Hz", "z_real/ohm", "z_imag/ohm"])
    with pytest.raises(SignalError):
        driven.resistance()


def test_every_line_of_every_script_is_short_enough(emulator, device):
    for technique in (
        CyclicVoltammetry(
            -0.123456789, -1.23456789, 0.987654321, rate=0.0123456, step=0.00123456, scans=99, largest=0.123456789
        ),
        Impedance(-0.123456789, amplitude=0.0123456, high=98765.4321, low=1.2345678, points=31),
        ChronoPotentiometry(-0.123456789, 3.14159265, 0.314159, highest=3.3333333),
    ):
        plan = technique.plan(device._family, "ag", "ps")
        assert max(map(len, plan.lines)) <= LONGEST_LINE


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: ChronoAmperometry(math.nan, 1.0), "potential"),
        (lambda: ChronoAmperometry(-1.0, 0.0), "duration"),
        (lambda: ChronoAmperometry(-1.0, 1.0, interval=-1.0), "interval"),
        (lambda: ChronoPotentiometry(0.0, 1.0), "current"),
        (lambda: LinearSweep(0.0, 0.001, step=0.01), "step"),
        (lambda: CyclicVoltammetry(0.0, 1.0, -1.0, scans=0), "scans"),
        (lambda: Impedance(0.0, high=1.0, low=10.0), "points"),
    ],
)
def test_impossible_techniques_name_the_field(build, field):
    with pytest.raises(LabError) as caught:
        build()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("technique", "field"),
    [
        (ChronoAmperometry(-1.0, 1.0, interval=2.0), "interval"),
        (ChronoAmperometry(-1.0, 1.0, interval=1e-4), "interval"),
        (ChronoAmperometry(-1.0, 1.0, largest=5.0), "largest"),
        (ChronoAmperometry(-11.0, 1.0), "potential"),
        (ChronoPotentiometry(-1.5, 1.0), "current"),
        (LinearSweep(0.0, -1.0, rate=100.0, step=0.005), "rate"),
        (Impedance(0.0, high=2e6), "high"),
        (Impedance(0.0, amplitude=0.5), "amplitude"),
    ],
)
def test_what_the_instrument_cannot_do_is_refused_before_anything_is_sent(emulator, technique, field):
    device = device_at(emulator)
    with pytest.raises(LimitError) as caught:
        device.run(technique)
    assert caught.value.field == field
    assert not emulator.heard


# Limits and permission


@pytest.mark.parametrize(
    "technique",
    [
        ChronoAmperometry(-1.3, 5.0),
        LinearSweep(0.0, -1.3),
        CyclicVoltammetry(0.0, 0.9, -1.3),
        Impedance(-1.195, amplitude=0.01),
        ChronoPotentiometry(-0.3, 5.0),
        ChronoAmperometry(-1.0, 4000.0),
    ],
)
def test_the_rigs_limits_hold_for_every_corner(emulator, technique):
    limits = {"potential": Band(low=-1.2, high=1.0), "current": Band(low=-0.2), "duration": Band(high=3600.0)}
    device = device_at(emulator, limits=limits)
    with pytest.raises(LimitError, match="the rig allows"):
        device.run(technique)
    assert not emulator.heard


def test_without_permission_nothing_is_sent(emulator):
    asked = []

    def never(device, attribute, value):
        asked.append((device, attribute, value))
        raise Interlocked("the door is open.", device=device)

    device = device_at(emulator, permit=never)
    for technique in (HOLD, ChronoAmperometry(-1.0, 5.0), Impedance()):
        with pytest.raises(Interlocked):
            device.run(technique)
    assert not emulator.heard
    assert asked[0] == ("ps", "duration", 5.0)
    device.run(OpenCircuit(1.0))  # applies nothing
    device.close()


def test_everything_that_is_applied_is_asked_for(emulator):
    asked = []
    with device_at(emulator, permit=lambda *what: asked.append(what[1:])) as device:
        device.run(CyclicVoltammetry(0.0, 0.4, -0.6, rate=1.0, step=0.1))
    assert asked == [("duration", pytest.approx(2.0)), ("potential", 0.0), ("potential", 0.4), ("potential", -0.6)]


def test_nothing_can_be_set_beside_a_technique(device):
    for name in device.attributes:
        with pytest.raises(LimitError, match="cannot be set"):
            device.set(name, 0.0)


# Attributes and identity


def test_attributes_are_measured_with_the_cell_as_it_is(either):
    with device_at(either) as device:
        potential = device.read("potential")
        assert (potential.value, potential.unit) == (pytest.approx(-0.05), "V")
        assert potential.sem == pytest.approx(1e-3 / math.sqrt(3.0), rel=0.1)
        assert device.read("current").number == 0.0
        assert device.read("cell_voltage").number == pytest.approx(0.05)
        assert device.read("duration").number == 0.0
        assert (device.attributes["current"].low, device.attributes["current"].high) == (-1.0, 1.0)
        assert not any(b"cell_on" in frame or b"cell_off" in frame for frame in either.heard)
        with pytest.raises(LimitError, match="no attribute"):
            device.read("colour")


def test_while_it_runs_attributes_are_those_of_the_latest_point(emulator, device, cell):
    arrived = threading.Event()
    thread, found = in_thread(lambda: device.run(LONG, lambda point: arrived.set()))
    assert arrived.wait(5.0)
    assert device.read("potential").number == pytest.approx(-1.05)
    assert device.read("current").number == -0.1
    assert device.read("duration").number > 0.0
    with pytest.raises(DeviceError, match="another technique"):
        device.run(HOLD)
    device.make_safe()
    thread.join(10.0)
    assert "problem" in found


def test_an_old_point_is_no_reading(emulator, quick, cell):
    seen = []

    def frozen(point):
        emulator.faults.arm("freeze", times=None)
        seen.append(quick.read("current").number)

    thread, _ = in_thread(lambda: quick.run(LONG, frozen))

    def refused():
        try:
            quick.read("current")
        except DeviceTimeout as problem:
            return str(problem) if seen else ""
        return ""

    said = ""
    while not said and thread.is_alive():
        said = refused()
    assert "tells no current now" in said
    assert thread.is_alive()  # while the driver still tries to switch the cell off
    emulator.faults.clear("freeze")
    thread.join(20.0)


def test_the_cell_voltage_can_be_named_or_left_out(emulator):
    with device_at(emulator, cell_voltage="none") as device:
        assert "cell_voltage" not in device.attributes
        assert device.run(HOLD).points[0].cell_voltage is None
    with device_at(emulator, cell_voltage="ac") as device:
        assert device.run(HOLD).points[0].cell_voltage == pytest.approx(1.05)
    with (
        MethodScriptEmulator("ps", family="es4_hr", pace=Pace(PACE)) as other,
        device_at(other, family="es4_hr", cell_voltage="ag") as device,
        pytest.raises(DeviceFault),
    ):
        device.run(HOLD)


def test_another_instrument_is_refused(emulator):
    with pytest.raises(DeviceError, match="this is Nexus, not EmStat4 HR") as caught:
        device_at(emulator, family="es4_hr").connect()
    assert "nexus1" in caught.value.mend
    with pytest.raises(DeviceError, match="serial number"):
        device_at(emulator, serial_number="OTHER").connect()


def test_options_come_from_a_rig_file(emulator):
    options = options_of(
        "methodscript", {"port": emulator.address, "family": "nexus1", "limits": {"current": {"low": -0.5}}}
    )
    assert options.addresses == (emulator.address,)
    with options.build("ps", Wiring()) as device:
        assert device.identify().model == "Nexus"
    with pytest.raises(LabError, match="family"):
        options_of("methodscript", {"port": "/dev/ttyACM0", "family": "autolab"})


# The end of a technique


def test_cancelling_keeps_the_points_and_switches_off(emulator, device, cell):
    cancelled, seen = threading.Event(), []

    def enough(point):
        seen.append(point)
        if len(seen) == 5:
            cancelled.set()

    record = device.run(LONG, enough, cancelled)
    assert record.ended == "cancelled"
    assert 5 <= len(record.points) < 4000
    assert off(emulator, cell)
    assert device.run(HOLD).ended == "planned"


def test_what_watches_the_points_can_end_it(emulator, device, cell):
    def watch(point):
        raise ProtocolError("the pump has stopped.", device="pump")

    with pytest.raises(ProtocolError, match="the pump has stopped"):
        device.run(LONG, watch)
    assert off(emulator, cell)
    assert device.run(HOLD).malformed == 0


def test_making_safe_from_within_a_point(emulator, device, cell):
    with pytest.raises(DeviceError, match="made safe"):
        device.run(LONG, lambda point: device.make_safe())
    assert off(emulator, cell)
    assert device.run(HOLD).ended == "planned"


@pytest.mark.parametrize("code", [0x0032, 0x0080, 0x7FFF])
def test_an_error_while_it_runs_leaves_the_cell_on_until_the_driver_switches_it_off(emulator, device, cell, code):
    emulator.faults.arm("runtime_error", after=3, code=code)
    with pytest.raises(DeviceFault) as caught:
        device.run(LONG)
    assert caught.value.code == f"{code:04X}"
    assert "meas_loop_cp" in str(caught.value)
    assert off(emulator, cell)
    assert device.run(HOLD).ended == "planned"


def test_a_script_that_the_instrument_refuses(emulator, device, cell, monkeypatch):
    plan = HOLD.plan

    def wrong(self, family, counter, device):
        found = plan(family, counter, device)
        return type(found)(("frobnicate", *found.lines), found.columns, found.points, found.duration, found.gap)

    monkeypatch.setattr(ChronoPotentiometry, "plan", wrong)
    with pytest.raises(DeviceFault, match="frobnicate") as caught:
        device.run(HOLD)
    assert caught.value.code == "4001"
    monkeypatch.undo()
    assert device.run(HOLD).ended == "planned"


def test_a_frozen_instrument_is_given_up_and_told_as_unknown(emulator, cell):
    device = device_at(emulator, timeout=0.15)
    thread, found = in_thread(lambda: device.run(LONG, lambda point: emulator.faults.arm("freeze", times=None)))
    thread.join(20.0)
    assert "not known to be off" in str(found["problem"])
    with pytest.raises(DeviceError):
        device.make_safe()
    assert emulator.state()["cell_on"]
    emulator.faults.clear("freeze")
    assert device.make_safe().confirmed
    assert off(emulator, cell)


def test_whoever_can_cut_the_cell_off_hears_of_it_before_the_driver_has_tried(emulator, cell):
    alarms = []
    device = device_at(emulator, timeout=0.15, alarm=lambda *told: alarms.append((time.monotonic(), *told)))
    with pytest.raises(DeviceFault):
        device.run(LONG, lambda point: emulator.faults.arm("runtime_error"))
    assert alarms == []  # it answers, and is off
    emulator.faults.arm("no_cell_off")  # and its script fails, which is tried again
    assert device.make_safe().confirmed
    assert alarms == []
    emulator.faults.arm("no_cell_off")
    with pytest.raises(DeviceFault, match="0032"):
        device.run(LONG, lambda point: emulator.faults.arm("runtime_error"))
    assert len(alarms) == 1
    alarms.clear()
    with pytest.raises(DeviceError, match="not known to be off"):
        device.run(LONG, lambda point: emulator.faults.arm("freeze", times=None))
    ((at, name, problem),) = alarms
    assert time.monotonic() - at > 0.3
    assert name == "ps"
    assert "said nothing" in str(problem)
    emulator.faults.clear("freeze")


def test_a_reset_is_noticed(emulator, quick, cell):
    emulator.faults.arm("reset", after=200)
    with pytest.raises(DeviceTimeout, match="said nothing"):
        quick.run(LONG)
    assert off(emulator, cell)
    assert quick.run(HOLD).ended == "planned"


def test_a_script_that_ends_early_is_no_measurement(emulator, device, cell):
    seen = []

    def someone_presses_stop(point):
        seen.append(point)
        if len(seen) == 3:
            device.stream.write(b"Y\n")

    with pytest.raises(ProtocolError, match="of 4000 points"):
        device.run(LONG, someone_presses_stop)
    assert off(emulator, cell)


# Making safe


def test_making_safe_needs_no_connection_and_may_be_repeated(either, cell):
    device = device_at(either)
    for _ in range(3):
        safety = device.make_safe()
        assert safety.confirmed
        assert "cell is off" in safety.detail
    device.close()
    device.close()
    assert off(either, cell)


def test_making_safe_from_another_thread_while_it_runs(either, cell):
    with device_at(either) as device:
        arrived = threading.Event()
        thread, found = in_thread(lambda: device.run(LONG, lambda point: arrived.set()))
        assert arrived.wait(5.0)
        assert device.make_safe().confirmed
        assert off(either, cell)
        thread.join(10.0)
        assert "made safe" in str(found["problem"])
        assert device.run(HOLD).ended == "planned"


def test_two_threads_make_it_safe_at_once(emulator, device, cell):
    arrived = threading.Event()
    runner, _ = in_thread(lambda: device.run(LONG, lambda point: arrived.set()))
    assert arrived.wait(5.0)
    threads = [in_thread(device.make_safe) for _ in range(2)]
    for thread, found in threads:
        thread.join(20.0)
        assert found["result"].confirmed
    runner.join(10.0)
    assert off(emulator, cell)


def test_a_point_that_is_never_done_with_does_not_hold_making_safe_up(emulator, quick, cell):
    arrived, release = threading.Event(), threading.Event()

    def stuck(point):
        arrived.set()
        release.wait(20.0)

    thread, _ = in_thread(lambda: quick.run(LONG, stuck))
    assert arrived.wait(5.0)
    began = time.monotonic()
    with pytest.raises(DeviceTimeout, match="not known to be off"):
        quick.make_safe()
    assert time.monotonic() - began < 5.0
    release.set()
    thread.join(20.0)
    assert off(emulator, cell)


def test_a_cell_that_a_dead_controller_left_on_is_switched_off(emulator, cell):
    first = device_at(emulator)
    first.connect()
    script = "e\nset_pgstat_mode 2\nset_e -1\ncell_on\nwait 1000\n\n"
    first.stream.write(script.encode())
    assert first.stream.read_until(b"\n", 2.0) == b"e\n"
    first.close()
    second = device_at(emulator)
    with pytest.raises(DeviceFault, match="Make it safe first"):
        second.connect()
    second.make_safe()
    assert off(emulator, cell)
    second.connect()
    second.close()


def test_a_script_that_was_sent_half_is_no_trap(emulator, cell):
    first = device_at(emulator)
    first.connect()
    first.stream.write(b"e\nvar p\nset_pgstat_mode 2\nset_e -1\ncell_on\n")
    first.close()
    second = device_at(emulator)
    assert second.make_safe().confirmed
    assert off(emulator, cell)
    second.close()


@pytest.mark.parametrize("fault", ["garbage", "truncated", "silence", "wrong_echo", "drop"])
@pytest.mark.parametrize("running", [False, True])
def test_making_safe_in_spite_of_faults_on_the_wire(emulator, quick, cell, fault, running):
    arrived = threading.Event()
    thread = None
    if running:
        thread, _ = in_thread(lambda: quick.run(LONG, lambda point: arrived.set()))
        assert arrived.wait(5.0)
    emulator.faults.arm(fault)
    assert quick.make_safe().confirmed
    assert off(emulator, cell)
    if thread is not None:
        thread.join(10.0)


def test_a_cell_that_does_not_switch_off_is_told(emulator, quick, cell):
    emulator.faults.arm("no_cell_off", times=1)
    assert quick.make_safe().confirmed
    emulator.faults.arm("no_cell_off", times=None)
    with pytest.raises(DeviceFault) as caught:
        quick.make_safe()
    assert caught.value.code == "0001"
    with pytest.raises(DeviceError, match="not known to be off"):
        quick.run(HOLD)
    assert emulator.state()["cell_on"]
    emulator.faults.clear()
    assert quick.make_safe().confirmed
    assert off(emulator, cell)


def test_nothing_at_the_other_end():
    device = MethodScriptOptions(port="socket://127.0.0.1:9", family="nexus1").build("ps", Wiring())
    with pytest.raises(DeviceError, match="cannot be opened"):
        device.make_safe()


# Faults on the wire


FAULTS = ["garbage", "truncated", "silence", "slow", "drop", "wrong_echo"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", [0, 6, pytest.param(1, marks=pytest.mark.soak)])
def test_faults_while_it_runs_end_documented_with_the_cell_off(emulator, quick, cell, fault, after):
    quick.read("cell_voltage")  # what is asked once has been asked
    emulator.faults.arm(fault, after=after, seconds=0.6)
    try:
        record = quick.run(HOLD)
    except DeviceError:
        pass
    else:  # a line of data more or less is no reason to end an electrolysis
        assert len(record.points) + record.malformed >= 8
    assert off(emulator, cell)
    emulator.faults.clear()
    again = quick.run(HOLD)
    assert len(again.points) == 10
    assert again.malformed == 0
    assert {point.current for point in again.points} == {-0.1}


@pytest.mark.parametrize(
    "fault",
    ["garbage", "silence", *(pytest.param(fault, marks=pytest.mark.soak) for fault in ("truncated", "wrong_echo"))],
)
def test_faults_that_last_are_documented_too(emulator, quick, cell, fault):
    emulator.faults.arm(fault, times=None, after=4)
    with pytest.raises(DeviceError):
        quick.run(HOLD)
    emulator.faults.clear()
    assert quick.make_safe().confirmed
    assert off(emulator, cell)
    assert len(quick.run(HOLD).points) == 10


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_reading_are_documented_and_the_next_one_is_in_step(emulator, quick, fault):
    emulator.faults.arm(fault, seconds=0.2)
    with suppress(DeviceError):
        assert quick.read("potential").number == pytest.approx(-0.05)
    emulator.faults.clear()
    assert quick.read("current").number == 0.0
    assert quick.read("potential").number == pytest.approx(-0.05)
    assert quick.identify().serial == "NEX24A0001"


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_an_identity_are_documented_and_the_next_one_is_in_step(emulator, quick, fault):
    emulator.faults.arm(fault, seconds=0.2)
    with suppress(DeviceError):
        quick.identify()
    emulator.faults.clear()
    assert quick.identify().serial == "NEX24A0001"


# Transcripts


def talk(device):
    """What the transcript holds."""
    device.connect()
    found = [device.run(OpenCircuit(2.0, 0.5)), device.run(HOLD), device.run(Impedance(0.0, points=4))]
    device.make_safe()
    device.close()
    return found


def test_a_transcript_plays_back():
    device = MethodScriptOptions(port=f"replay://{TRANSCRIPT}", family="nexus1").build("ps", Wiring())
    rest, held, spectrum = talk(device)
    assert [point.potential for point in rest.points] == pytest.approx([-0.05] * 4)
    assert [point.potential for point in held.points] == pytest.approx([-1.05] * 10)
    assert spectrum.resistance()[0] == pytest.approx(4.0, abs=0.1)


def test_a_transcript_is_recorded_as_it_is_played_back(emulator, tmp_path):
    recorded = talk(device_at(emulator, record=tmp_path))
    device = MethodScriptOptions(port=f"replay://{tmp_path / 'ps.jsonl'}", family="nexus1").build("ps", Wiring())
    for before, after in zip(recorded[:2], talk(device)[:2], strict=True):
        assert before.points == after.points
