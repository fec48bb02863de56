"""What holds for all small instruments: both wires, limits, permission, faults, recordings, garbage."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.device import Device, Wiring
from instruments.drivers import _scpi, atlas_ezo, julabo, modbus_relay, mt_sics, numato_relay, vici
from instruments.drivers.installed import options_of
from instruments.errors import CommunicationError, DeviceError, Interlocked, LabError, LimitError, ProtocolError
from simulators.emulators.alone import Settable
from simulators.emulators.faults import ON_THE_WIRE
from simulators.emulators.pace import Pace
from simulators.emulators.wire import StreamEmulator

TRANSCRIPTS = Path(__file__).parent / "transcripts"
CONTACTS = {"cell-1": {"channel": 0}, "lamp": {"channel": 3, "safe": "closed", "rest": "closed"}}


@dataclass(frozen=True)
class Case:
    """One kind of instrument, and what is read and set in these tests."""

    kind: str
    emulator: str
    reads: str
    value: float | str
    sets: tuple[str, float | str] | None
    options: dict[str, Any] = field(default_factory=dict)
    built: Callable[[], dict[str, Any]] = dict
    reading: tuple[str, ...] = ()


CASES = {
    case.kind: case
    for case in (
        Case("mt_sics", "MtSicsEmulator", "mass_now", 12.3456, ("pan", "tare"), {"settle": 0.6}, lambda: {"pan": Settable(12.3456)}),
        Case("atlas_ezo", "AtlasEzoEmulator", "ph", 6.812, ("compensation", 31.5), {"reading_time": 0.3}, lambda: {"probe": Settable(6.812)}),
        Case("julabo", "JulaboEmulator", "temperature", 25.0, ("setpoint", 40.0), {"pause": 0.01}),
        Case("vici", "ViciEmulator", "position", 1.0, ("position", 4.0)),
        Case("numato_relay", "NumatoRelayEmulator", "cell-1", "open", ("cell-1", "closed"), {"contacts": CONTACTS}),
        Case("modbus_relay", "ModbusRelayEmulator", "cell-1", "open", ("cell-1", "closed"), {"contacts": CONTACTS}),
        Case("scpi_supply", "ScpiSupplyEmulator", "over_voltage", 27.5, ("voltage", 5.0)),
        Case("scpi_meter", "ScpiMeterEmulator", "voltage", 1.25, None, {}, lambda: {"probes": {"voltage": Settable(1.25)}}),
    )
}  # fmt: skip
KINDS = list(CASES)
ACTORS = [kind for kind in KINDS if CASES[kind].sets is not None]
TIMEOUT = 0.15
WIRES = ("tcp", "pty")


def emulated(case: Case, wire: str = "tcp", **more: Any) -> StreamEmulator:
    made = getattr(import_module(f"simulators.emulators.{case.kind}"), case.emulator)
    emulator: StreamEmulator = made("emulated", wire=wire, pace=Pace(100.0), **{**case.built(), **more})
    return emulator


def address(kind: str, listening: str) -> dict[str, str]:
    if not kind.startswith("scpi"):
        return {"port": listening}
    if listening.startswith("socket"):
        return {"resource": f"TCPIP::127.0.0.1::{listening.rsplit(':', 1)[1]}::SOCKET"}
    return {"resource": f"ASRL{listening}::INSTR"}


def built(case: Case, listening: str, wiring: Wiring | None = None, **more: Any) -> Device:
    block = {"timeout": TIMEOUT, **case.options, **address(case.kind, listening), **more}
    return options_of(case.kind, block).build("device", wiring or Wiring())


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(params=ACTORS)
def actor(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(params=WIRES)
def emulator(case: Case, request: pytest.FixtureRequest) -> Iterator[StreamEmulator]:
    with emulated(case, request.param) as running:
        yield running


def test_it_reads_over_both_wires(case: Case, emulator: StreamEmulator) -> None:
    with built(case, emulator.address) as device:
        assert device.read(case.reads).value == case.value
        assert device.identify() == device.identify()
        device.connect()  # again, which changes nothing
        assert device.read(case.reads).unit == device.attributes[case.reads].unit


def test_it_sets_over_both_wires(case: Case, emulator: StreamEmulator) -> None:
    if case.sets is None:
        pytest.skip("a meter sets nothing")
    name, value = case.sets
    with built(case, emulator.address) as device:
        device.set(name, value)
        if name != "pan":
            assert device.read(name).value == value
        assert device.make_safe().confirmed
        assert device.make_safe().confirmed


def test_making_safe_needs_no_connecting(case: Case) -> None:
    with emulated(case) as running:
        device = built(case, running.address)
        assert device.make_safe().confirmed
        device.close()
        device.close()
        assert device.make_safe().confirmed
        device.close()


def test_nothing_is_sent_without_permission(actor: Case) -> None:
    asked = []

    def refuse(device: str, attribute: str, value: float | str) -> None:
        asked.append((device, attribute, value))
        raise Interlocked("not now.", device=device)

    with emulated(actor) as running, built(actor, running.address, Wiring(permit=refuse)) as device:
        heard: list[bytes] = []
        passed_on = running.received
        running.received = lambda data, session: (heard.append(data), passed_on(data, session))  # type: ignore[method-assign]
        with pytest.raises(Interlocked):
            device.set(*actor.sets)
        assert asked == [("device", *actor.sets)]
        assert heard == []
        assert device.make_safe().confirmed  # which needs no permission
        device.read(actor.reads)
        assert heard != []


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("julabo", "setpoint", 95.0),  # beyond the warning limit that the circulator tells
        ("julabo", "setpoint", float("nan")),
        ("julabo", "control", "maybe"),
        ("julabo", "temperature", 20.0),
        ("vici", "position", 11.0),
        ("vici", "position", 2.5),
        ("scpi_supply", "voltage", 25.1),
        ("scpi_supply", "current", -0.1),
        ("scpi_supply", "over_current", float("inf")),
        ("numato_relay", "cell-1", "half"),
        ("modbus_relay", "cell-2", "open"),
        ("atlas_ezo", "compensation", 2000.0),
        ("mt_sics", "pan", "throw"),
    ],
)
def test_limits_of_the_device_hold(kind: str, name: str, value: float | str) -> None:
    with emulated(CASES[kind]) as running, built(CASES[kind], running.address) as device:
        before = running.state()
        with pytest.raises(LimitError):
            device.set(name, value)
        assert running.state() == before


def test_limits_of_the_rig_hold() -> None:
    case = CASES["scpi_supply"]
    with emulated(case) as running, built(case, running.address, limits={"voltage": {"high": 3.0}}) as device:
        device.set("voltage", 3.0)
        with pytest.raises(LimitError, match=r"the rig allows .at most 3 V."):
            device.set("voltage", 3.1)


@pytest.mark.parametrize("fault", ON_THE_WIRE)
def test_faults_on_the_wire_are_told_or_mended(case: Case, emulator: StreamEmulator, fault: str) -> None:
    """One fault is mended by asking again, or told; what follows is right."""
    with built(case, emulator.address) as device:
        emulator.faults.arm(fault, seconds=1.6 * TIMEOUT)
        try:
            device.read(case.reads)
        except (CommunicationError, ProtocolError):
            emulator.faults.clear()
        assert _settled(device, case) == case.value


@pytest.mark.parametrize("fault", ["silence", "drop", "garbage"])
def test_faults_that_last_are_told(case: Case, fault: str) -> None:
    with emulated(case) as running, built(case, running.address) as device:
        running.faults.arm(fault, times=None)
        for _ in range(2):
            with pytest.raises((CommunicationError, ProtocolError)):
                device.read(case.reads)
        running.faults.clear()
        assert _settled(device, case) == case.value


def _settled(device: Device, case: Case) -> float | str:
    """A late answer may still be on its way when the fault has gone; one more question at most meets it."""
    try:
        return device.read(case.reads).value
    except (CommunicationError, ProtocolError):
        return device.read(case.reads).value


@pytest.mark.parametrize("kind", ["julabo", "vici", "atlas_ezo", "scpi_meter", "mt_sics"])
def test_a_late_answer_is_not_taken_for_the_next_one(kind: str) -> None:
    """The quantity changes between two questions; the first answer comes while the second one is asked."""
    truth = Settable(1.0)
    role = {"julabo": "heat", "vici": "selector", "atlas_ezo": "probe", "mt_sics": "pan"}.get(kind)
    given = {"probes": {"voltage": truth}} if role is None else {role: truth}
    case = CASES[kind]
    with emulated(case, **given) as running, built(case, running.address) as device:
        for late in (1.2, 1.6, 2.2):
            running.faults.arm("slow", times=2, seconds=late * case.options.get("reading_time", TIMEOUT))
            try:
                device.read(case.reads)
            except (CommunicationError, ProtocolError):
                running.faults.clear()
            truth.set(truth.value() + 1.0)
            assert _settled(device, case) == pytest.approx(truth.value())


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_port_is_told_within_bounds(kind: str) -> None:
    with emulated(CASES[kind]) as running:
        listening = running.address
    device = built(CASES[kind], listening)
    with pytest.raises(CommunicationError):
        device.connect()
    if CASES[kind].sets is None or kind in ("mt_sics", "atlas_ezo"):
        assert device.make_safe().confirmed  # it acts on nothing
    else:
        with pytest.raises(CommunicationError):
            device.make_safe()
    device.close()


def test_an_instrument_that_comes_back_is_used_again(case: Case) -> None:
    with emulated(case) as running:
        port = int(running.address.rsplit(":", 1)[1])
        device = built(case, running.address)
        device.connect()
    with pytest.raises(CommunicationError):
        device.read(case.reads)
    with emulated(case, port=port):
        assert _settled(device, case) == case.value
    device.close()


@pytest.mark.parametrize("kind", ["scpi_supply", "julabo", "modbus_relay", "numato_relay"])
def test_making_safe_from_another_thread(kind: str) -> None:
    case = CASES[kind]
    with emulated(case) as running, built(case, running.address) as device:
        device.set(*case.sets)
        stop, errors = threading.Event(), []

        def poll() -> None:
            while not stop.is_set():
                try:
                    device.read(case.reads)
                except DeviceError as problem:
                    errors.append(problem)

        poller = threading.Thread(target=poll)
        poller.start()
        results = [device.make_safe() for _ in range(5)]
        stop.set()
        poller.join()
        assert all(result.confirmed for result in results)
        assert errors == []


def test_another_serial_number_is_refused() -> None:
    case = CASES["scpi_supply"]
    with emulated(case) as running:
        with built(case, running.address, serial_number="MY59001234"):
            pass
        with pytest.raises(DeviceError, match="not 'X'") as told, built(case, running.address, serial_number="X"):
            pass
        assert told.value.field == "serial_number"


# Recordings


@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_plays_back(kind: str, tmp_path: Path) -> None:
    case = CASES[kind]

    def session(device: Device) -> list[object]:
        with device:
            values: list[object] = [device.read(case.reads).value, device.identify()]
            if case.sets is not None:
                device.set(*case.sets)
            return [*values, device.make_safe()]

    with emulated(case) as running:
        said = session(built(case, running.address, Wiring(transcripts=tmp_path)))
    recorded = f"replay://{tmp_path / 'device.jsonl'}"
    key = "resource" if kind.startswith("scpi") else "port"
    block = {"timeout": TIMEOUT, **case.options, key: recorded}
    assert session(options_of(kind, block).build("device", Wiring())) == said


@pytest.mark.parametrize("kind", KINDS)
def test_the_transcript_of_an_earlier_version_plays_back(kind: str) -> None:
    """What a driver asks may change only on purpose: then the transcript is recorded anew."""
    case = CASES[kind]
    key = "resource" if kind.startswith("scpi") else "port"
    block = {"timeout": TIMEOUT, **case.options, key: f"replay://{TRANSCRIPTS / f'{kind}.jsonl'}"}
    with options_of(kind, block).build("device", Wiring()) as device:
        assert device.read(case.reads).value == case.value
        if case.sets is not None:
            device.set(*case.sets)
        assert device.make_safe().confirmed


# Options


@pytest.mark.parametrize(
    ("kind", "block", "field"),
    [
        ("mt_sics", {"timeout": 0.0}, "timeout"),
        ("mt_sics", {"baudrate": "fast"}, "baudrate"),
        ("atlas_ezo", {"sensor": "smell"}, "sensor"),
        ("julabo", {"pauze": 0.1}, "pauze"),
        ("vici", {"positions": 1}, "positions"),
        ("vici", {"safe_position": 12}, "safe_position"),
        ("vici", {"letters": True, "positions": 3}, "positions"),
        ("numato_relay", {"contacts": {}}, "contacts"),
        ("numato_relay", {"contacts": {"a": {"channel": 8}}}, "contacts.a.channel"),
        ("numato_relay", {"contacts": {"a": {"channel": 1, "safe": "off"}}}, "contacts.a.safe"),
        ("modbus_relay", {"contacts": {"a": {"channel": 1}, "b": {"channel": 1}}}, "contacts"),
        ("modbus_relay", {"unit": 0}, "unit"),
        ("scpi_supply", {"dialect": "klingon"}, "dialect"),
        ("scpi_supply", {"dialect": "keithley_2450", "channel": 2}, "channel"),
        ("scpi_meter", {"accuracy": {"smell": 0.1}}, "accuracy.smell"),
    ],
)
def test_wrong_options_name_their_field(kind: str, block: dict[str, Any], field: str) -> None:
    with pytest.raises(LabError) as told:
        built(CASES[kind], "socket://127.0.0.1:1", **block)
    assert str(told.value.field).startswith(field)


# Garbage: parsers give a value, or an exception that is documented

GOOD: dict[str, tuple[Callable[[bytes], object], tuple[bytes, ...]]] = {
    "mt_sics": (mt_sics.parse_weight, (b"S S      52.1873 g", b"S D     -0.0021 kg", b"S I", b"ES")),
    "mt_sics quoted": (lambda line: mt_sics.parse_quoted(line, "I4"), (b'I4 A "B021002593"', b"I4 I")),
    "atlas_ezo": (lambda line: atlas_ezo.reading_of([atlas_ezo.parse_line(line)]), (b"7.201", b"*OK", b"?Cal,2", b"*ER")),
    "julabo": (julabo.parse_number, (b"25.00", b"-12.3", b"---.--")),
    "julabo status": (julabo.parse_status, (b"03 REMOTE START", b"-08 INVALID COMMAND")),
    "julabo version": (julabo.parse_version, (b"JULABO MAGIO MS-1000F VERSION 1.1.2",)),
    "vici": (lambda line: vici.parse_position(line, "3"), (b"CP03", b"Position is = 3", b"3CPA", b"GO11 = Bad command")),
    "numato_relay": (
        lambda data: numato_relay.parse_state(numato_relay.parse_reply(data, "relay read 0")),
        (b"relay read 0\n\ron\n\r>", b"\n\r>relay read 0\n\roff\n\r>"),
    ),
    "modbus_relay": (
        lambda frame: modbus_relay.parse_coil(frame, 1),
        tuple(body + modbus_relay.crc16(body) for body in (b"\x01\x01\x01\x01", b"\x01\x81\x02")),
    ),
    "scpi": (_scpi.parse_value, (b"+1.25000000E+00", b"9.9E37", b"1.0,2.0,3.0")),
    "scpi error": (_scpi.parse_error, (b'-113,"Undefined header"', b'+0,"No error"')),
    "scpi identity": (_scpi.parse_identity, (b"KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.3b",)),
    "scpi switch": (_scpi.parse_switch, (b"1", b"OFF")),
}  # fmt: skip


def damage(frame: bytes, seed: int) -> bytes:
    """A good frame with bytes changed, inserted, left out or doubled."""
    chance, made = random.Random(seed), bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(made))
        match chance.choice(("change", "leave out", "cut", "double", "insert")):
            case "change":
                made[at : at + 1] = chance.randbytes(1)
            case "leave out":
                del made[at : at + chance.randint(1, 4)]
            case "cut":
                del made[at:]
            case "double":
                made[at:at] = made
            case "insert":
                made[at:at] = chance.randbytes(chance.randint(1, 3))
    return bytes(made)


def damaged(good: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    return st.one_of(st.builds(damage, st.sampled_from(good), st.integers(0, 2**32)), st.binary(max_size=64))


def _survives(name: str, data: bytes) -> None:
    parse, _ = GOOD[name]
    with suppress(DeviceError):
        parse(data)


@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_parsers_survive_garbage(name: str, data: st.DataObject) -> None:
    _survives(name, data.draw(damaged(GOOD[name][1])))


@pytest.mark.soak
@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_parsers_survive_much_garbage(name: str, data: st.DataObject) -> None:
    _survives(name, data.draw(damaged(GOOD[name][1])))


@pytest.mark.parametrize("kind", KINDS)
def test_a_babbling_instrument_ends_within_bounds(kind: str) -> None:
    """An instrument that says random bytes to everything: documented exceptions only, and no hanging."""
    case, chance = CASES[kind], random.Random(5)
    with emulated(case) as running, built(case, running.address, timeout=0.05) as device:

        def babble(data: bytes, session: Any) -> None:
            session.send(chance.randbytes(chance.randrange(1, 60)) + chance.choice([b"\r", b"\n", b"\r\n", b">", b""]))

        running.received = babble  # type: ignore[method-assign]
        for _ in range(6):
            with suppress(DeviceError):
                device.read(case.reads)
