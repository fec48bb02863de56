from __future__ import annotations

import io
import json
import threading
import time
from zipfile import ZipFile

import pytest

from instruments.device import Wiring
from instruments.drivers._madsci_answers import parse_created, parse_info, parse_outcome, parse_refusal, unpack
from instruments.drivers.madsci import MadsciOptions, Ticket
from instruments.errors import (
    CommunicationError,
    DeviceError,
    DeviceFault,
    DeviceTimeout,
    ExecutionCancelled,
    Interlocked,
    LimitError,
    ProtocolError,
)
from simulators.emulators.madsci import MadsciEmulator
from simulators.emulators.madsci_actions import NodeAction, Parameter
from simulators.emulators.pace import Pace

PACE = 100.0


class Kitchen:
    """What the node's actions have done."""

    def __init__(self):
        self.done = []

    def mix(self, arguments, files):
        self.done.append(dict(arguments))
        return arguments["volume"] * 2, {}

    def read(self, arguments, files):
        return len(files["recipe"]), {"out.csv": files["recipe"] + b"!", "log.txt": b"fine"}


@pytest.fixture
def kitchen():
    return Kitchen()


def node(kitchen, **more):
    actions = (
        NodeAction(
            "mix",
            kitchen.mix,
            (
                Parameter("volume", "float"),
                Parameter("times", "int", required=False, default=1),
                Parameter("names", "list[str]", required=False),
                Parameter("gentle", "bool", required=False, default=True),
            ),
            seconds=6.0,
        ),
        NodeAction("read", kitchen.read, (Parameter("recipe", "file"),), seconds=1.0),
    )
    return MadsciEmulator("node", actions=actions, state=lambda: {"speed": 3.5, "word": "x"}, pace=Pace(PACE), **more)


@pytest.fixture
def emulator(kitchen):
    with node(kitchen) as running:
        yield running


def device(emulator, *, permit=None, transcripts=None, **options):
    wiring = Wiring(pace=PACE, transcripts=transcripts)
    if permit is not None:
        wiring = Wiring(permit=permit, pace=PACE, transcripts=transcripts)
    block = {"timeout": 2.0, "readings": {"speed": "rpm", "word": ""}, **options}
    return MadsciOptions(address=emulator.address, **block).build("node", wiring)


@pytest.fixture
def connected(emulator):
    with device(emulator) as one:
        yield one


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


# What it says


def test_what_a_node_announces_becomes_actions_and_attributes(connected):
    assert connected.identify().model == "emulated_node"
    assert set(connected.actions) == {"mix", "read"}
    assert connected.actions["mix"].args["times"].default == 1
    assert connected.attributes["action"].choices == ("mix", "read")
    assert {"mix.volume", "mix.times"} < set(connected.attributes)
    assert connected.read("state").value == "ready"
    speed = connected.read("speed")
    assert (speed.value, speed.unit) == (3.5, "rpm")
    with pytest.raises(ProtocolError, match="no number"):
        connected.read("word")
    with pytest.raises(LimitError):
        connected.read("mix.volume")


def test_another_node_is_refused(emulator):
    other = device(emulator, serial_number="01")
    with pytest.raises(DeviceError) as caught:
        other.connect()
    assert caught.value.field == "serial_number"
    other.close()


# Actions


def test_an_action_gives_its_result(connected, kitchen):
    result = connected.call("mix", volume=2.5, names=["a"])
    assert (result.value, result.files) == (5.0, ())
    assert kitchen.done == [{"volume": 2.5, "names": ["a"], "times": 1, "gentle": True}]


def test_files_go_up_and_come_down(connected, tmp_path):
    recipe = tmp_path / "recipe.txt"
    recipe.write_bytes(b"two eggs\r\nflour")
    result = connected.call("read", files={"recipe": recipe})
    assert result.value == len(b"two eggs\r\nflour")
    written = {path.name: path.read_bytes() for path in connected.download(result, tmp_path / "out")}
    assert written == {"out.csv": b"two eggs\r\nflour!", "log.txt": b"fine"}
    nothing = connected.call("mix", volume=1.0)
    with pytest.raises(DeviceFault, match="no file results"):
        connected.download(nothing, tmp_path)


@pytest.mark.parametrize(
    ("action", "arguments", "field"),
    [
        ("stir", {}, "action"),
        ("mix", {}, "volume"),
        ("mix", {"volume": "much"}, "volume"),
        ("mix", {"volume": True}, "volume"),
        ("mix", {"volume": float("nan")}, "volume"),
        ("mix", {"volume": 10**400}, "volume"),
        ("mix", {"volume": 1.0, "times": 1.5}, "times"),
        ("mix", {"volume": 1.0, "names": "a"}, "names"),
        ("mix", {"volume": 1.0, "names": [{1}]}, "names"),
        ("mix", {"volume": 1.0, "gentle": 1}, "gentle"),
        ("mix", {"volume": 1.0, "spice": 1}, "spice"),
        ("mix", {"volume": 99.0}, "mix.volume"),
        ("read", {}, "recipe"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(emulator, tmp_path, action, arguments, field):
    limits = {"mix.volume": {"low": 0.5, "high": 10.0}}
    with device(emulator, limits=limits, transcripts=tmp_path) as connected:
        with pytest.raises(LimitError) as caught:
            connected.start(action, arguments)
        assert caught.value.field == field
    assert "POST" not in (tmp_path / "node.jsonl").read_text()


def test_a_file_that_is_not_there_is_refused(connected, tmp_path):
    with pytest.raises(LimitError, match="no file"):
        connected.call("read", files={"recipe": tmp_path / "none"})
    with pytest.raises(LimitError, match="no file 'menu'"):
        connected.call("mix", volume=1.0, files={"menu": tmp_path})


def test_before_it_is_connected_no_action_is_known(emulator):
    other = device(emulator)
    with pytest.raises(LimitError, match="Connect first"):
        other.call("mix", volume=1.0)
    other.close()


def test_what_the_rig_forbids_does_not_go_over_the_wire(emulator, tmp_path):
    def never(device, attribute, value):
        raise Interlocked("not now.", device=device)

    with device(emulator, permit=never, transcripts=tmp_path) as connected:
        for forbidden in (lambda: connected.call("mix", volume=1.0), lambda: connected.admin("reset")):
            with pytest.raises(Interlocked):
                forbidden()
    assert "POST" not in (tmp_path / "node.jsonl").read_text()


def test_a_busy_node_refuses(connected, emulator):
    emulator.faults.arm("stuck")
    connected.start("mix", {"volume": 1.0})
    with pytest.raises(DeviceFault) as caught:
        connected.start("mix", {"volume": 1.0})
    assert caught.value.code == "busy"
    with pytest.raises(DeviceTimeout, match="readiness"):
        connected.wait_ready(timeout=10.0)
    connected.admin("cancel")


def test_a_failed_action_leaves_an_error_until_it_is_reset(connected, emulator):
    emulator.faults.arm("action_fails")
    with pytest.raises(DeviceFault, match="emulated failure") as caught:
        connected.call("mix", volume=1.0)
    assert caught.value.code == "RuntimeError"
    assert connected.read("state").value == "errored"
    with pytest.raises(DeviceFault, match="in an error"):
        connected.wait_ready()
    with pytest.raises(DeviceFault, match="errored"):
        connected.call("mix", volume=1.0)
    connected.admin("reset")
    connected.wait_ready()
    assert connected.call("mix", volume=1.0).value == 2.0


def test_an_action_that_takes_too_long(connected, emulator):
    emulator.faults.arm("stuck")
    with pytest.raises(DeviceTimeout, match="the end of mix"):
        connected.call("mix", volume=1.0, timeout=10.0)


def test_a_cancelled_wait_cancels_the_action(connected, emulator, kitchen):
    emulator.faults.arm("stuck")
    ticket, cancelled = connected.start("mix", {"volume": 1.0}), threading.Event()
    threading.Timer(0.1, cancelled.set).start()
    with pytest.raises(ExecutionCancelled) as caught:
        connected.wait(ticket, cancelled)
    assert not hasattr(caught.value, "__notes__")
    until(lambda: emulator.state()["running"] == [])
    with pytest.raises(DeviceFault) as ended:
        connected.wait(ticket)
    assert ended.value.code == "cancelled"
    assert kitchen.done == []


def test_a_node_that_cannot_cancel_is_told_of(kitchen):
    with node(kitchen, admin=()) as emulator, device(emulator) as connected:
        emulator.faults.arm("stuck")
        ticket, cancelled = connected.start("mix", {"volume": 1.0}), threading.Event()
        cancelled.set()
        with pytest.raises(ExecutionCancelled) as caught:
            connected.wait(ticket, cancelled)
        assert "goes on" in caught.value.__notes__[0]


def test_a_restarted_node_does_not_know_the_action(connected, emulator):
    ticket = connected.start("mix", {"volume": 1.0})
    emulator.faults.arm("restart")
    with pytest.raises(DeviceFault) as caught:
        connected.wait(ticket)
    assert caught.value.code == "unknown"


def test_admin_commands(connected, emulator):
    for command, state in (("pause", "paused"), ("resume", "ready"), ("lock", "locked"), ("unlock", "ready")):
        connected.admin(command)
        assert connected.read("state").value == state


# Safety


@pytest.mark.parametrize("state", ["ready", "running", "errored", "locked"])
def test_it_is_made_safe_in_every_state(emulator, state):
    with device(emulator) as connected:
        if state == "running":
            emulator.faults.arm("stuck")
            connected.start("mix", {"volume": 1.0})
        if state == "locked":
            connected.admin("lock")
        if state == "errored":
            emulator.faults.arm("action_fails")
            with pytest.raises(DeviceFault):
                connected.call("mix", volume=1.0)
    fresh = device(emulator)
    for _ in range(2):
        assert fresh.make_safe().confirmed
    assert emulator.state()["stopped"] is True
    assert emulator.state()["running"] == []
    fresh.close()


def test_a_node_without_a_safety_stop_is_never_confirmed(kitchen):
    with node(kitchen, admin=("cancel",)) as emulator, device(emulator) as connected:
        emulator.faults.arm("stuck")
        connected.start("mix", {"volume": 1.0})
        safety = connected.make_safe()
        assert not safety.confirmed
        assert "no safety_stop" in safety.detail
        assert emulator.state()["running"] == []  # what it has was used
    with node(kitchen, admin=()) as emulator, device(emulator) as connected:
        emulator.faults.arm("stuck")
        connected.start("mix", {"volume": 1.0})
        assert connected.make_safe().detail.endswith("an action still runs")
        with pytest.raises(DeviceFault) as caught:
            connected.admin("safety_stop")
        assert caught.value.code == "AdminCommandNotImplemented"


@pytest.mark.parametrize("fault", ["garbage", "drop", "truncated"])
def test_it_is_made_safe_although_the_answer_is_lost(connected, emulator, fault):
    emulator.faults.arm(fault)
    assert connected.make_safe().confirmed
    assert emulator.state()["stopped"] is True


def test_a_node_that_is_off_is_not_said_to_be_safe(kitchen):
    emulator = node(kitchen)
    with emulator:
        connected = device(emulator)
    with pytest.raises(CommunicationError):
        connected.make_safe()
    connected.close()


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
        ("too_often", CommunicationError),
    ],
)
def test_faults_on_the_wire_are_told_and_over_at_the_next_question(emulator, fault, error):
    connected = device(emulator, timeout=0.15)
    assert connected.read("state").value == "ready"
    emulator.faults.arm(fault, times=4, seconds=0.4)
    with pytest.raises(error):
        connected.read("state")
    emulator.faults.clear()
    assert connected.read("state").value == "ready"
    connected.close()


@pytest.mark.parametrize("fault", ["drop", "garbage", "truncated"])
@pytest.mark.parametrize("after", [2, 3, 4])
def test_an_action_whose_start_or_end_was_not_answered_is_executed_once(connected, emulator, kitchen, fault, after):
    emulator.faults.arm(fault, after=after)  # status, create, start, first look, second look
    assert connected.call("mix", volume=1.0).value == 2.0
    assert len(kitchen.done) == 1


@pytest.mark.parametrize("fault", ["drop", "garbage"])
def test_an_action_that_was_not_created_does_not_begin(connected, emulator, kitchen, fault):
    emulator.faults.arm(fault, after=1)
    with pytest.raises((CommunicationError, ProtocolError)):
        connected.call("mix", volume=1.0)
    assert kitchen.done == []
    assert connected.call("mix", volume=1.0).value == 2.0


def test_a_start_that_the_node_did_not_hear_is_told(connected, kitchen, monkeypatch):
    real = connected.web.request

    def deaf(method, path, **more):
        if path.endswith("/start"):
            raise CommunicationError("gone.", device="node")
        return real(method, path, **more)

    monkeypatch.setattr(connected.web, "request", deaf)
    with pytest.raises(CommunicationError, match="gone"):
        connected.call("mix", volume=1.0)
    assert kitchen.done == []


def test_a_recording_plays_back(emulator, tmp_path):
    with device(emulator, transcripts=tmp_path) as connected:
        said = [connected.read(name).value for name in ("state", "speed")]
    block = {"readings": {"speed": "rpm"}}
    played = MadsciOptions(address=f"replay://{tmp_path / 'node.jsonl'}", **block).build("node", Wiring())
    with played as connected:
        assert [connected.read(name).value for name in ("state", "speed")] == said


# Parsers


def test_refusals_are_understood():
    detail = b'{"detail":[{"type":"missing","loc":["body","args","a"],"msg":"Field required","input":{}}]}'
    assert "body.args.a: Field required" in str(parse_refusal("n", 422, detail))
    assert "Not Found" in str(parse_refusal("n", 404, b'{"detail":"Not Found"}'))
    assert parse_refusal("n", 500, b"Internal Server Error").code == "500"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"action_id":"../x"}', b'{"action_id":""}', b'{"action_id":1}'])
def test_what_are_no_ids(data):
    with pytest.raises(ProtocolError):
        parse_created("n", data)


def test_files_stay_in_their_folder(tmp_path):
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("../../escape.txt", b"a")
        archive.writestr("c:\\deep\\win.txt", b"b")
        archive.writestr("folder/", b"")
    written = unpack("n", packed.getvalue(), tmp_path / "in")
    assert {path.relative_to(tmp_path / "in").as_posix() for path in written} == {"escape.txt", "win.txt"}
    for damaged in (b"", b"PK\x03\x04", packed.getvalue()[:-30], packed.getvalue().replace(b"a", b"z", 1)):
        with pytest.raises(ProtocolError):
            unpack("n", damaged, tmp_path / "in")


def test_a_ticket_is_what_is_waited_for(connected):
    with pytest.raises(DeviceFault, match="any more"):
        connected.wait(Ticket("mix", "01NEVER"))


INFO = json.dumps(
    {
        "node_name": "n",
        "node_id": "01",
        "capabilities": {"admin_commands": ["lock"]},
        "actions": {
            "add": {
                "name": "add",
                "args": {"a": {"name": "a", "argument_type": "float", "required": True, "default": None}},
                "files": {},
                "results": {"json_result": {"result_type": "json"}},
            }
        },
    }
).encode()
OUTCOME = (
    b'{"action_id":"01A","status":"failed","errors":[{"message":"because","error_type":"RuntimeError"}],"files":["a"]}'
)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_nothing_but_documented_exceptions_comes_of_malformed_answers(malformed, count):
    for good, parse in ((INFO, parse_info), (OUTCOME, parse_outcome)):
        refused = 0
        for data in malformed(good, count // 2):
            try:
                parse("n", data)
            except ProtocolError:
                refused += 1
            assert isinstance(parse_refusal("n", 500, data), DeviceFault)
        assert refused > count / 4
