from __future__ import annotations

import json
import threading
import time

import httpx
import pytest

from instruments.device import Wiring
from instruments.drivers._opentrons_answers import parse_command, parse_refusal
from instruments.drivers._opentrons_deck import Pipette, plan_volume
from instruments.drivers.opentrons import OpentronsOptions
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
from simulators.emulators.alone import Vessels
from simulators.emulators.opentrons import OpentronsEmulator
from simulators.emulators.pace import Pace

PACE = 400.0
DECK = {
    "tips": {"slot": "1", "load_name": "opentrons_96_tiprack_300ul", "tips": "right"},
    "stock": {"slot": "2", "load_name": "nest_12_reservoir_15ml"},
    "plate": {"slot": "3", "load_name": "nest_96_wellplate_200ul_flat"},
}


@pytest.fixture
def vessels():
    return Vessels()


@pytest.fixture
def emulator(vessels):
    with OpentronsEmulator("robot", bench=vessels, pace=Pace(PACE)) as running:
        yield running


def device(emulator, *, permit=None, transcripts=None, pace=PACE, **options):
    wiring = Wiring(pace=pace, transcripts=transcripts)
    if permit is not None:
        wiring = Wiring(permit=permit, pace=pace, transcripts=transcripts)
    block = {
        "pipettes": {"right": "p300_single_gen2"},
        "labware": DECK,
        "timeout": 2.0,
        "command_timeout": 3600.0,
        **options,
    }
    return OpentronsOptions(address=emulator.address, **block).build("robot", wiring)


@pytest.fixture
def robot(emulator):
    with device(emulator) as connected:
        yield connected


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


# What it says, and what is checked before


def test_identity_and_attributes(robot):
    assert robot.identify().model == "OT-2 Standard"
    assert {name: robot.read(name).value for name in ("state", "door", "estop", "lights", "tips")} == {
        "state": "none",
        "door": "closed",
        "estop": "notPresent",
        "lights": "off",
        "tips": 0.0,
    }
    robot.prepare()
    assert robot.read("state").value == "idle"
    assert robot.read("tips").value == 96.0
    with pytest.raises(LimitError, match="limits alone"):
        robot.read("volume")


def test_the_lights_are_read_back(robot, emulator):
    robot.set("lights", "on")
    assert emulator.state()["lights"] is True
    with pytest.raises(LimitError):
        robot.set("lights", "dim")


def test_another_robot_or_pipette_is_refused(emulator):
    for options, field in (
        ({"serial_number": "x"}, "serial_number"),
        ({"pipettes": {"right": "p20_single_gen2"}, "labware": {}}, "pipettes.right"),
        ({"pipettes": {"left": "p300_single_gen2"}, "labware": {}}, "pipettes.left"),
    ):
        other = device(emulator, **options)
        with pytest.raises(DeviceError) as caught:
            other.connect()
        assert caught.value.field == field
        other.close()


@pytest.mark.parametrize(
    ("labware", "field"),
    [
        ({"a": {"slot": "12", "load_name": "x"}}, "labware.a.slot"),
        ({"a": {"slot": "1", "load_name": "x"}, "b": {"slot": "1", "load_name": "x"}}, "labware.b.slot"),
        ({"a": {"slot": "1", "load_name": "x", "tips": "left"}}, "labware.a.tips"),
        ({"a/b": {"slot": "1", "load_name": "x"}}, "labware"),
        ({"a": {"slot": "1", "load_name": "x", "colour": "red"}}, "labware.a.colour"),
    ],
)
def test_impossible_decks_are_refused(labware, field):
    with pytest.raises(LabError) as caught:
        OpentronsOptions(address="http://x", pipettes={"right": "p300_single_gen2"}, labware=labware)
    assert caught.value.field == field


def test_volumes_are_planned_before_anything_moves():
    small, large = Pipette("left", "p20_single_gen2", 1.0, 20.0), Pipette("right", "p300_single_gen2", 20.0, 300.0)
    many = Pipette("left", "p20_multi_gen2", 1.0, 20.0, 8)
    assert plan_volume("r", 5.0, [small, large]).pipette is small
    assert plan_volume("r", 20.0, [small, large]).pipette is small
    assert plan_volume("r", 25.0, [small, large]).pipette is large
    assert plan_volume("r", 25.0, [small, large], "left").portions == (12.5, 12.5)
    assert plan_volume("r", 700.0, [small, large]).portions == pytest.approx((700 / 3,) * 3)
    assert plan_volume("r", 300.0, [large]).sem == pytest.approx(300 * (0.008**2 / 3 + 0.003**2) ** 0.5)
    for volume, pipettes in ((0.5, [small, large]), (10.0, [large]), (10.0, [many])):
        with pytest.raises(LimitError):
            plan_volume("r", volume, pipettes)


# Transfers


def test_a_transfer_moves_the_volume_with_a_fresh_tip(robot, vessels, emulator):
    done = robot.transfer("stock/A3", "plate/B2", 120.0)
    assert vessels.volumes == {"stock/A3": -120.0, "plate/B2": 120.0}
    assert (done.volume, done.portions, done.pipette) == (120.0, (120.0,), "p300_single_gen2")
    robot.transfer("plate/B2", "plate/H12", 50.0)
    assert vessels.volume("plate/B2") == pytest.approx(70.0)
    assert robot.tips_left("right")[0] == "tips/C1"
    assert emulator.state()["tips"] == {}


def test_more_than_the_pipette_holds_is_moved_in_portions(robot, vessels):
    assert robot.transfer("stock/A1", "plate/A1", 650.0).portions == pytest.approx((650 / 3,) * 3)
    assert vessels.volume("plate/A1") == pytest.approx(650.0)


@pytest.mark.parametrize(
    ("source", "target", "volume"),
    [
        ("stock/A1", "plate/A1", 5.0),
        ("stock/A1", "plate/A1", float("nan")),
        ("stock/A1", "plate/A1", "much"),
        ("nothing/A1", "plate/A1", 100.0),
        ("stock", "plate/A1", 100.0),
        ("stock/A1", "plate/Z9", 100.0),
    ],
)
def test_impossible_transfers_move_nothing(robot, vessels, source, target, volume):
    with pytest.raises(LimitError):
        robot.transfer(source, target, volume)
    assert vessels.volumes == {}


def test_limits_of_the_rig_hold(emulator, vessels):
    with (
        device(emulator, limits={"volume": {"high": 200.0}}) as robot,
        pytest.raises(LimitError, match="rig allows"),
    ):
        robot.transfer("stock/A1", "plate/A1", 250.0)
    assert vessels.volumes == {}


def test_when_the_tips_are_used_up_nothing_moves(emulator, vessels):
    deck = {**DECK, "tips": {**DECK["tips"], "first_tip": "H12"}}
    with device(emulator, labware=deck) as robot:
        robot.transfer("stock/A1", "plate/A1", 100.0)
        with pytest.raises(LimitError, match="no tips are left"):
            robot.transfer("stock/A1", "plate/A1", 100.0)
        assert vessels.volume("plate/A1") == 100.0
        emulator.engine.gone.clear()
        robot.refill_tips("tips")
        robot.transfer("stock/A1", "plate/A1", 100.0)
        assert vessels.volume("plate/A1") == 200.0
        with pytest.raises(LimitError):
            robot.refill_tips("plate")


def test_what_the_rig_forbids_does_not_go_over_the_wire(emulator, tmp_path):
    def never(device, attribute, value):
        raise Interlocked("not now.", device=device)

    with device(emulator, permit=never, transcripts=tmp_path) as robot:
        for forbidden in (
            robot.prepare,
            robot.home,
            lambda: robot.transfer("stock/A1", "plate/A1", 100.0),
            lambda: robot.move_to("plate/A1", "right"),
            lambda: robot.set("lights", "on"),
        ):
            with pytest.raises(Interlocked):
                forbidden()
    assert "POST" not in (tmp_path / "robot.jsonl").read_text()


def test_an_open_door_and_an_emergency_stop_refuse_motion(robot, emulator, vessels):
    emulator.faults.arm("door_open", times=None)
    for motion in (robot.home, lambda: robot.transfer("stock/A1", "plate/A1", 100.0)):
        with pytest.raises(DeviceFault) as caught:
            motion()
        assert caught.value.code == "door-open"
    emulator.faults.clear()
    robot.home()
    with OpentronsEmulator("flex", model="flex", pace=Pace(PACE)) as flex:
        deck = {"plate": {"slot": "C1", "load_name": "nest_96_wellplate_200ul_flat"}}
        with device(flex, pipettes={"right": "p1000_single_flex"}, labware=deck) as other:
            assert other.read("estop").value == "disengaged"
            other.move_to("plate/A1", "right")
            flex.faults.arm("estop", times=None)
            with pytest.raises(DeviceFault) as caught:
                other.home()
            assert caught.value.code == "estop"
    assert vessels.volumes == {}


def test_a_run_of_another_is_not_disturbed(robot, emulator):
    mine, theirs = device(emulator), robot
    mine.connect()
    mine.prepare()
    run = emulator._current()
    run.status = "running"
    with pytest.raises(DeviceFault) as caught:
        theirs.prepare()
    assert caught.value.code == "busy"
    assert emulator.state()["run"] == run.run_id
    mine.close()


def test_a_new_run_is_begun_where_the_old_one_has_ended(robot, vessels):
    robot.transfer("stock/A1", "plate/A1", 100.0)
    robot.stop()
    assert robot.read("state").value == "stopped"
    robot.transfer("stock/A1", "plate/A1", 100.0)
    assert vessels.volume("plate/A1") == 200.0
    assert robot.tips_left("right")[0] == "tips/C1"


# Failing commands


def test_a_failed_command_is_told_although_it_was_created(robot, emulator, vessels):
    robot.prepare()
    emulator.faults.arm("command_fails", after=2)  # pick up, aspirate
    with pytest.raises(DeviceFault, match="dispense failed") as caught:
        robot.transfer("stock/A1", "plate/A1", 100.0)
    assert caught.value.code == "UnexpectedProtocolError"
    assert "0 of 100 uL" in caught.value.__notes__[0]
    assert vessels.volumes == {}
    assert emulator.state()["tips"] == {"right": 100.0}
    robot.transfer("stock/A1", "plate/A2", 50.0)  # drops the old tip first
    assert vessels.volume("plate/A2") == 50.0
    assert vessels.volume("trash") == 100.0


def test_a_collision_is_told_with_what_was_dispensed(robot, emulator, vessels):
    robot.prepare()
    emulator.faults.arm("crash", after=4)  # pick up, aspirate, dispense, aspirate
    with pytest.raises(DeviceFault) as caught:
        robot.transfer("stock/A1", "plate/A1", 600.0)
    assert caught.value.code == "StallOrCollisionDetectedError"
    assert "300 of 600 uL" in caught.value.__notes__[0]
    assert vessels.volume("plate/A1") == pytest.approx(450.0)


def test_labware_that_is_not_known_is_told(emulator):
    deck = {"odd": {"slot": "5", "load_name": "no_such_thing"}}
    with device(emulator, labware=deck) as robot, pytest.raises(DeviceFault) as caught:
        robot.prepare()
    assert caught.value.code == "LabwareDefinitionDoesNotExistError"


def test_a_motion_that_takes_too_long_is_stopped(emulator):
    with device(emulator, command_timeout=10.0) as robot:
        robot.prepare()
        emulator.faults.arm("slow_motion", factor=60.0)
        with pytest.raises(DeviceTimeout, match="home"):
            robot.home()
        assert emulator.state()["status"] == "stopped"
        assert emulator.state()["moving"] is None


def in_thread(work):
    """Do something in a thread of its own; what comes of it, once it has ended."""
    caught = []

    def whole():
        try:
            work()
        except (DeviceError, ExecutionCancelled) as problem:
            caught.append(problem)

    thread = threading.Thread(target=whole)
    thread.start()
    return thread, caught


def test_a_transfer_is_cancelled_and_leaves_no_tip(robot, emulator, vessels):
    robot.prepare()
    emulator.faults.arm("slow_motion", after=1, factor=60.0)
    cancelled = threading.Event()
    thread, caught = in_thread(lambda: robot.transfer("stock/A1", "plate/A1", 100.0, cancelled=cancelled))
    until(lambda: emulator.state()["moving"] == "aspirate")
    cancelled.set()
    thread.join(10.0)
    assert isinstance(caught[0], ExecutionCancelled)
    assert "0 of 100 uL" in caught[0].__notes__[0]
    assert emulator.state()["status"] == "idle"
    assert emulator.state()["tipped"] == []
    assert vessels.volumes == {"stock/A1": -100.0, "trash": 100.0}
    with pytest.raises(ExecutionCancelled):
        robot.home(cancelled)
    robot.transfer("stock/A1", "plate/A1", 100.0)
    assert vessels.volume("plate/A1") == 100.0


# Tips that no run knows of


def halted_with_a_tip(robot, emulator):
    robot.prepare()
    emulator.faults.arm("command_fails", after=2)
    with pytest.raises(DeviceFault):
        robot.transfer("stock/A1", "plate/A1", 100.0)
    assert emulator.state()["tipped"] == ["right"]


def test_after_a_stop_a_tip_must_be_taken_off_by_a_person(robot, emulator, vessels):
    halted_with_a_tip(robot, emulator)
    assert robot.make_safe().confirmed
    before = emulator.state()["runs"]
    later = device(emulator)  # one that has no memory of it
    later.connect()
    for one in (robot, later):
        with pytest.raises(DeviceFault) as caught:
            one.transfer("stock/A1", "plate/A1", 100.0)
        assert caught.value.code == "tip-left"
    assert emulator.state()["runs"] == before
    emulator.engine.tipped.clear()
    later.tips_removed()
    later.refill_tips("tips")
    emulator.engine.gone.clear()
    later.transfer("stock/A1", "plate/A1", 100.0)
    assert vessels.volume("plate/A1") == 100.0
    assert emulator.state()["collisions"] == 0
    later.close()


def test_a_tip_of_a_driver_that_died_is_dropped_before_its_run_is_replaced(robot, emulator, vessels):
    halted_with_a_tip(robot, emulator)
    later = device(emulator, labware={**DECK, "tips": {**DECK["tips"], "first_tip": "B1"}})
    later.connect()
    later.transfer("stock/A1", "plate/A1", 50.0)
    assert vessels.volume("plate/A1") == 50.0
    assert vessels.volume("trash") == 100.0
    assert (emulator.state()["collisions"], emulator.state()["tipped"]) == (0, [])
    later.close()


# Safety


def test_it_is_made_safe_from_another_thread_in_motion(robot, emulator):
    robot.prepare()
    emulator.faults.arm("slow_motion", factor=60.0)
    thread, caught = in_thread(robot.home)
    until(lambda: emulator.state()["moving"] == "home")
    began = time.monotonic()
    assert robot.make_safe().confirmed
    assert time.monotonic() - began < 5.0
    assert emulator.state()["moving"] is None
    thread.join(10.0)
    assert caught == []  # the motion that had begun came to its end
    assert robot.make_safe().confirmed


def test_a_driver_that_never_connected_ends_the_run_of_the_one_before_it(robot, emulator):
    robot.prepare()
    emulator.faults.arm("slow_motion", factor=60.0)
    thread, caught = in_thread(robot.home)
    until(lambda: emulator.state()["moving"] == "home")
    later = device(emulator)
    assert later.make_safe().confirmed
    later.close()
    thread.join(10.0)
    assert caught == []
    assert emulator.state()["status"] == "stopped"


def test_the_run_of_another_is_ended_only_where_the_options_allow_it(emulator):
    headers = {"Opentrons-Version": "3"}
    home = {"commandType": "home", "params": {}}
    with httpx.Client(base_url=emulator.address, headers=headers, trust_env=False) as person:
        run = person.post("/runs", json={"data": {}}).json()["data"]["id"]
        kept = device(emulator)
        assert kept.make_safe().confirmed  # idle, and nothing moves
        emulator.faults.arm("slow_motion", factor=3000.0)
        person.post(f"/runs/{run}/commands", json={"data": home})
        person.post(f"/runs/{run}/actions", json={"data": {"actionType": "play"}})
        until(lambda: emulator.state()["moving"] == "home")
        safety = kept.make_safe()
        assert not safety.confirmed
        assert "another's" in safety.detail
        kept.close()
        allowed = device(emulator, stop_others=True)
        assert allowed.make_safe().confirmed
        allowed.close()
    assert emulator.state()["moving"] is None


def test_without_a_run_it_is_safe(robot):
    assert robot.make_safe().detail == "no run"


def test_a_robot_that_is_off_is_not_said_to_be_safe():
    emulator = OpentronsEmulator("robot")
    with emulator:
        robot = device(emulator)
    with pytest.raises(CommunicationError):
        robot.make_safe()
    robot.close()


@pytest.mark.parametrize("fault", ["garbage", "drop", "truncated", "wrong_echo"])
@pytest.mark.parametrize("after", [0, 1, 2])  # runs, run, stop
def test_it_is_made_safe_although_answers_are_lost(robot, emulator, fault, after):
    robot.prepare()
    emulator.faults.arm(fault, after=after)
    assert robot.make_safe().confirmed
    assert emulator.state()["status"] == "stopped"


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
    robot = device(emulator, timeout=0.15)
    assert robot.read("door").value == "closed"
    emulator.faults.arm(fault, times=4, seconds=0.4)
    with pytest.raises(error):
        robot.read("door")
    emulator.faults.clear()
    assert robot.read("door").value == "closed"
    robot.close()


@pytest.mark.parametrize("fault", ["drop", "garbage", "truncated", "wrong_echo"])
@pytest.mark.parametrize("command", [0, 1, 2])
def test_a_command_whose_answer_was_lost_is_looked_up_and_not_repeated(robot, emulator, vessels, fault, command):
    robot.prepare()
    before = emulator.state()["commands"]
    emulator.faults.arm(fault, after=3 + command)  # door, stop, runs
    robot.transfer("stock/A1", "plate/A1", 100.0)
    assert vessels.volumes == {"stock/A1": -100.0, "plate/A1": 100.0}
    assert emulator.state()["commands"] - before == 6


def test_a_command_that_the_robot_did_not_hear_is_told(robot, emulator, monkeypatch):
    robot.prepare()
    real = robot.web.request

    def deaf(method, path, **more):
        if method == "POST" and path.endswith("/commands"):
            raise CommunicationError("gone.", device="robot")
        return real(method, path, **more)

    monkeypatch.setattr(robot.web, "request", deaf)
    monkeypatch.setattr("instruments.drivers._opentrons_link.LOOKING", 0.3)
    before = emulator.state()["commands"]
    with pytest.raises(CommunicationError, match="gone"):
        robot.home()
    assert emulator.state()["commands"] == before


def test_a_recording_plays_back(emulator, tmp_path):
    with device(emulator, transcripts=tmp_path) as robot:
        said = [robot.read(name).value for name in ("door", "lights", "estop")]
    block = {"pipettes": {"right": "p300_single_gen2"}, "labware": DECK}
    played = OpentronsOptions(address=f"replay://{tmp_path / 'robot.jsonl'}", **block).build("robot", Wiring())
    with played as robot:
        assert [robot.read(name).value for name in ("door", "lights", "estop")] == said


# Parsers


def test_both_shapes_of_refusals_are_understood():
    new = b'{"errors":[{"id":"RunStopped","title":"Run Stopped","detail":"The run has already stopped.","errorCode":"4000"}]}'
    assert parse_refusal("r", 409, new).code == "RunStopped"
    old = b'{"message":"header.opentrons-version: field required","errorCode":"4000"}'
    assert "field required" in str(parse_refusal("r", 422, old))
    assert parse_refusal("r", 503, b"<html>").code == "503"


def _commands(shared_data):
    lines = (shared_data / "opentrons_transcript_8.1.0.txt").read_text().splitlines()
    bodies = [line.split(" -> 201 ", 1)[1] for line in lines if "/commands" in line and " -> 201 " in line]
    return [body for body in bodies if body.rstrip().endswith("}")]


def test_the_answers_of_a_real_robot_are_understood(shared_data):
    whole = []
    for body in _commands(shared_data):
        try:
            json.loads(body)
        except ValueError:
            continue  # the transcript's bodies are cut
        whole.append(parse_command("r", body.encode()))
    failed = [c for c in whole if c.status == "failed"]
    assert {c.error.error_type for c in failed} == {"InvalidDispenseVolumeError", "WellDoesNotExistError"}
    assert len(whole) >= 6


GOOD = json.dumps(
    {
        "data": {
            "id": "c4c89b98",
            "createdAt": "2026-11-22T18:10:47.885808+00:00",
            "commandType": "pickUpTip",
            "key": "sabatier-1",
            "status": "failed",
            "params": {"labwareId": "8be9", "wellName": "A1"},
            "error": {"errorType": "TipAttachedError", "errorCode": "4000", "detail": "it has one"},
            "result": {"tipVolume": 300.0},
        }
    }
).encode()


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_nothing_but_documented_exceptions_comes_of_malformed_answers(malformed, count):
    refused = 0
    for data in malformed(GOOD, count):
        try:
            parse_command("r", data)
        except ProtocolError:
            refused += 1
        assert isinstance(parse_refusal("r", 500, data), DeviceFault)
    assert refused > count / 2
