from __future__ import annotations

import json
import threading
import time

import pytest

from instruments.device import Permit, Wiring
from instruments.drivers._fusion_answers import Token, parse_run, parse_status
from instruments.drivers.inficon_fusion import InficonFusionOptions
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
from simulators.emulators.alone import Gas, Settable
from simulators.emulators.inficon_fusion import InficonFusionEmulator, Series
from simulators.emulators.pace import Pace

PACE = 800.0
GAS = {"co2": 0.85, "h2": 0.06, "co": 0.04, "c2h4": 0.03, "ch4": 0.02}


class Turning(Settable):
    """A selector that is at position 1."""

    def __init__(self):
        super().__init__(setting=1.0)


@pytest.fixture
def emulator():
    sequences = {"two": Series("CO2RR", 2, 300.0)}
    with InficonFusionEmulator(
        "gc",
        analyser=Gas(GAS),
        selector=Turning(),
        pace=Pace(PACE),
        methods=("CO2RR", "Other one"),
        sequences=sequences,
    ) as running:
        yield running


def device(emulator, *, permit: Permit | None = None, transcripts=None, **options):
    wiring = Wiring(pace=PACE, transcripts=transcripts)
    if permit is not None:
        wiring = Wiring(permit=permit, pace=PACE, transcripts=transcripts)
    return InficonFusionOptions(address=emulator.address, timeout=2.0, **options).build("gc", wiring)


@pytest.fixture
def gc(emulator):
    with device(emulator) as connected:
        yield connected


def until(condition, seconds=10.0):
    """Wait for the thing itself."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


# What it says


def test_identity_and_attributes(gc):
    identity = gc.identify()
    assert (identity.maker, identity.serial) == ("INFICON", "70174445")
    assert gc.read("state").value == "ready"
    assert gc.read("sequence").value == "sequence-not-loaded"
    assert gc.read("storage").value == "ok"
    assert gc.read("position").value == 1.0
    assert gc.attributes["method"].choices == ("CO2RR", "Other one")
    assert gc.read("method").value == ""


def test_another_serial_number_is_refused(emulator):
    other = device(emulator, serial_number="1")
    with pytest.raises(DeviceError, match="70174445") as caught:
        other.connect()
    assert caught.value.field == "serial_number"
    other.close()


@pytest.mark.parametrize("address", ["", "gc", "http://", "ftp://x", "http://a b"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(LabError) as caught:
        InficonFusionOptions(address=address)
    assert caught.value.field == "address"


def test_without_a_selector_there_is_no_position():
    with InficonFusionEmulator("gc", pace=Pace(PACE)) as emulator, device(emulator) as gc:
        assert "position" not in gc.attributes
        with pytest.raises(LimitError):
            gc.set("position", 2)


# Runs


def test_an_injection_gives_back_the_gas(gc):
    document = gc.inject("sample 7", ["experiment-3"])
    table = document.recording.signals["chromatograph"].set_index("species")
    for species, fraction in GAS.items():
        assert table.loc[species, "fraction/1"] == pytest.approx(fraction, rel=0.03)
    assert document.annotations["name"] == "sample 7"
    assert document.annotations["tags"][0] == "experiment-3"
    assert document.annotations["valcoPosition"] == 1
    assert document.method == "CO2RR"
    assert json.loads(document.content)["$id"] == document.run_id
    assert gc.document(document.run_id).content == document.content


def test_areas_in_microvolts(emulator):
    with device(emulator, microvolts_per_count=0.5) as gc:
        document = gc.inject()
        table = document.recording.signals["chromatograph"].set_index("species")
    counts = {
        peak.get("label"): peak["area"]
        for one in json.loads(document.content)["detectors"].values()
        for peak in one["analysis"]["peaks"]
    }
    assert table.loc["h2", "area/uV s"] == pytest.approx(0.5 * counts["H2"])


def test_a_run_is_never_taken_for_an_earlier_one(gc, emulator):
    emulator._lag = 200.0
    first = gc.inject("first")
    gc.wait_ready()
    token = gc.start("second")
    assert token.previous == first.run_id
    assert gc.read("state").value == "ready"  # the command does not show at once
    second = gc.wait(token)
    assert second.run_id != first.run_id
    assert second.annotations["name"] == "second"


def test_the_runs_of_others_are_passed_over(gc, emulator):
    theirs = gc.inject("theirs")
    token = Token(None, "sabatier-0123456789abcdef", time.monotonic())
    with pytest.raises(DeviceFault, match="no new run") as caught:
        gc.wait(token)
    assert caught.value.code == "lost-run"
    own = gc.start("ours")
    ours = gc.wait(own)
    assert ours.run_id != theirs.run_id
    late = gc.inject("later")  # ours is no longer the last one
    assert gc.wait(Token(theirs.run_id, own.tag, own.asked)).run_id == ours.run_id
    assert late.run_id != ours.run_id


def test_a_method_is_loaded_and_checked(gc):
    gc.load_method("Other one")
    assert gc.read("method").value == "Other one"
    assert gc.inject().method == "Other one"
    gc.set("method", "CO2RR")
    assert gc.read("method").value == "CO2RR"


def test_another_method_than_the_loaded_one_is_told(gc, emulator):
    gc.load_method("CO2RR")
    other = device(emulator)
    other.load_method("Other one")
    other.close()
    with pytest.raises(DeviceFault) as caught:
        gc.inject()
    assert caught.value.code == "method"


def test_an_unknown_method_is_not_asked_for(gc, emulator):
    with pytest.raises(LimitError, match="Known: CO2RR, Other one"):
        gc.load_method("CORR")
    assert emulator.state()["system"] == "ready"


def test_methods_are_not_known_before_it_is_connected(emulator):
    gc = device(emulator)
    with pytest.raises(LimitError, match="Connect first"):
        gc.check("method", "CO2RR")
    gc.close()


def test_a_busy_instrument_refuses(gc, emulator):
    token = gc.start()
    until(lambda: emulator.state()["system"] == "method-running")
    with pytest.raises(DeviceFault) as caught:
        gc.start()
    assert caught.value.code == "method-running"
    with pytest.raises(DeviceFault):
        gc.load_method("CO2RR")
    gc.wait(token)
    gc.wait_ready()
    assert gc.read("state").value == "ready"
    assert len(emulator.state()["runs"]) == 1


def test_a_wait_can_be_cancelled_and_the_run_goes_on(gc, emulator):
    token, cancelled = gc.start(), threading.Event()
    until(lambda: emulator.state()["system"] == "method-running")
    cancelled.set()
    with pytest.raises(ExecutionCancelled):
        gc.wait(token, cancelled)
    assert gc.wait(token).run_id in emulator.state()["runs"]


def test_a_run_that_takes_too_long():
    with InficonFusionEmulator("gc", pace=Pace(1.0), lag=0.0) as emulator, device(emulator) as gc:
        with pytest.raises(DeviceTimeout, match="run's document"):
            gc.wait(gc.start(), timeout=10.0)
        assert gc.make_safe().confirmed


def test_a_sequence_is_stopped_after_its_run(gc, emulator):
    gc._command("cmd.loadSequence?sequenceLocation=/sequences/two")
    gc._command("cmd.run?runWhenReady=true")
    until(lambda: emulator.state()["sequence"] == "sequence-running")
    with pytest.raises(DeviceFault, match="sequence-running"):
        gc.start()
    gc.stop()
    until(lambda: emulator.state()["sequence"] == "sequence-loaded")
    assert len(emulator.state()["runs"]) == 1


def test_a_run_is_aborted(gc, emulator):
    gc.start()
    until(lambda: emulator.state()["system"] == "method-running")
    gc.abort()
    assert emulator.state()["runs"] == []
    assert not gc.status().running


# The selector, and limits


def test_the_selector_turns_and_is_read_back(gc, emulator):
    gc.set("position", 7)
    assert emulator.state()["position"] == 7
    assert gc.inject().annotations["valcoPosition"] == 7


@pytest.mark.parametrize("position", [0, 17, 2.5, "two"])
def test_impossible_positions_are_refused(gc, emulator, position):
    with pytest.raises(LimitError):
        gc.set("position", position)
    assert emulator.state()["position"] == 1


def test_a_stuck_selector_is_told(emulator):
    emulator._selector.set = lambda value: None
    with device(emulator) as gc, pytest.raises(DeviceFault, match="not at position 3"):
        gc.set("position", 3)


def test_what_the_rig_forbids_does_not_go_over_the_wire(emulator, tmp_path):
    def never(device, attribute, value):
        raise Interlocked("not now.", device=device)

    with device(emulator, permit=never, transcripts=tmp_path) as gc:
        for forbidden in (gc.start, lambda: gc.load_method("CO2RR"), lambda: gc.set("position", 2)):
            with pytest.raises(Interlocked):
                forbidden()
    sent = (tmp_path / "gc.jsonl").read_text()
    assert "userMethods" in sent
    assert "cmd." not in sent
    assert "PUT" not in sent


# Faults of its own


def test_a_refused_run(gc, emulator):
    emulator.faults.arm("refuse_run")
    with pytest.raises(DeviceFault) as caught:
        gc.start()
    assert caught.value.code == "500"
    assert gc.inject().run_id in emulator.state()["runs"]


def test_a_run_without_a_document(gc, emulator):
    emulator.faults.arm("lost_run")
    with pytest.raises(DeviceFault) as caught:
        gc.inject()
    assert caught.value.code == "lost-run"


def test_an_error_of_the_system(gc, emulator):
    token = gc.start()
    emulator.faults.arm("error_state", times=None)
    for action in (lambda: gc.wait(token), gc.start, gc.wait_ready):
        with pytest.raises(DeviceFault) as caught:
            action()
        assert caught.value.code == "error-carrier-gas-pressure"


def test_full_storage_is_told_before_a_run(gc, emulator):
    emulator.storage = "exceeded"
    with pytest.raises(DeviceFault) as caught:
        gc.start()
    assert caught.value.code == "storage-exceeded"
    assert emulator.state()["system"] == "ready"


def test_air_and_saturation_show_in_the_document(gc, emulator):
    emulator.faults.arm("air_leak", fraction=0.1)
    leaking = gc.inject().recording.signals["chromatograph"].set_index("species")["fraction/1"]
    assert leaking["n2"] == pytest.approx(0.079, rel=0.05)
    assert leaking["co2"] == pytest.approx(0.9 * GAS["co2"], rel=0.03)
    emulator.faults.arm("saturated")
    cut = gc.inject().recording.signals["chromatogram/moduleB:tcd"]["signal/1"]
    assert (cut == cut.max()).sum() > 5


# Safety


@pytest.mark.parametrize("state", ["ready", "just asked", "running", "sequence", "settling", "error"])
def test_it_is_made_safe_in_every_state(emulator, state):
    gc = device(emulator)
    if state == "error":
        emulator.faults.arm("error_state", times=None)
    elif state == "sequence":
        gc._command("cmd.loadSequence?sequenceLocation=/sequences/two")
        gc._command("cmd.run?runWhenReady=true")
        until(lambda: emulator.state()["sequence"] == "sequence-running")
    elif state != "ready":
        gc.start()
    if state == "running":
        until(lambda: emulator.state()["system"] == "method-running")
    if state == "settling":
        until(lambda: emulator.state()["system"] == "waiting-for-modules")
    gc.close()
    for _ in range(2):
        safety = gc.make_safe()
        assert safety.confirmed
        assert emulator._work is None or emulator._work.ended.is_set()
    gc.close()


def test_it_is_made_safe_although_its_state_is_garbage_at_first(gc, emulator):
    gc.start()
    until(lambda: emulator.state()["system"] == "method-running")
    emulator.faults.arm("garbage")
    assert gc.make_safe().confirmed
    assert emulator.state()["system"] != "method-running"


def test_an_instrument_that_is_off_is_not_said_to_be_safe():
    emulator = InficonFusionEmulator("gc")
    with emulator:
        gc = device(emulator)
    began = time.monotonic()
    with pytest.raises(CommunicationError):
        gc.make_safe()
    assert time.monotonic() - began < 5.0
    gc.close()


# Faults on the wire


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("garbage", ProtocolError),
        ("wrong_echo", ProtocolError),
        ("truncated", CommunicationError),
        ("silence", DeviceTimeout),
        ("slow", DeviceTimeout),
        ("drop", CommunicationError),
    ],
)
def test_faults_on_the_wire_are_told_and_over_at_the_next_question(emulator, fault, error):
    gc = InficonFusionOptions(address=emulator.address, timeout=0.15).build("gc", Wiring())
    assert gc.read("state").value == "ready"
    emulator.faults.arm(fault, times=4, seconds=0.4)
    with pytest.raises(error):
        gc.read("state")
    emulator.faults.clear()
    assert gc.read("state").value == "ready"
    gc.close()


@pytest.mark.parametrize("fault", ["garbage", "drop", "truncated"])
def test_a_wait_survives_a_lost_answer(gc, emulator, fault):
    token = gc.start()
    emulator.faults.arm(fault, times=2)
    assert gc.wait(token).run_id in emulator.state()["runs"]


@pytest.mark.parametrize("fault", ["drop", "truncated"])
def test_a_run_whose_answer_was_lost_is_not_asked_for_again(gc, emulator, fault):
    emulator.faults.arm(fault, after=3)  # state, storage, last run, command
    document = gc.wait(gc.start("once"))
    assert document.annotations["name"] == "once"
    gc.wait_ready()
    assert emulator.state()["runs"] == [document.run_id]


def test_a_run_that_did_not_begin_after_a_lost_answer_is_told(gc, emulator):
    emulator.faults.arm("refuse_run")
    emulator.faults.arm("drop", after=3)
    with pytest.raises(CommunicationError):
        gc.start()
    assert emulator.state()["runs"] == []


# Recording


def test_a_recording_plays_back(emulator, tmp_path):
    with device(emulator, transcripts=tmp_path) as gc:
        said = [gc.read(name).value for name in ("state", "storage", "position")]
    played = InficonFusionOptions(address=f"replay://{tmp_path / 'gc.jsonl'}").build("gc", Wiring())
    with played as gc:
        assert [gc.read(name).value for name in ("state", "storage", "position")] == said
        with pytest.raises(ProtocolError, match="nothing more"):
            gc.read("state")


# Parsers


def test_states_are_understood():
    status = parse_status("gc", b'["public:sequence-not-loaded","public:method-running"]')
    assert (status.sequence, status.system) == ("sequence-not-loaded", "method-running")
    assert status.running


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'["public:ready"]',
        b'["ready","ready"]',
        b'["public:ready","public:sequence-loaded"]',
        b"[" * 9999,
    ],
)
def test_what_are_no_states(data):
    with pytest.raises(ProtocolError):
        parse_status("gc", data)


def test_a_document_of_a_real_instrument(shared_data):
    path = shared_data / "instrument_files" / "fusion_gc_15p_cu_10ma.fusion-data.json"
    document = parse_run("gc", path.read_bytes())
    assert document.method == "AS_Cal_20220204"
    assert document.annotations["valcoPosition"] == 10
    assert "h2" in set(document.recording.signals["chromatograph"]["species"])


def _small_document(emulator):
    with device(emulator) as gc:
        whole = json.loads(gc.inject().content)
    for one in whole["detectors"].values():
        one["values"] = one["values"][:5]
    return json.dumps(whole).encode()


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_nothing_but_documented_exceptions_comes_of_malformed_answers(emulator, malformed, count):
    states = b'["public:sequence-not-loaded","public:ready"]'
    for good, parse in ((states, parse_status), (_small_document(emulator), parse_run)):
        refused = 0
        for data in malformed(good, count):
            try:
                parse("gc", data)
            except ProtocolError:
                refused += 1
        assert refused > count / 2
