"""The emulated node, as a real one (madsci-node-module 0.8.1) was seen to answer."""

from __future__ import annotations

import time

import httpx
import pytest

from simulators.emulators.alone import Settable
from simulators.emulators.madsci import MadsciEmulator
from simulators.emulators.madsci_actions import NodeAction, Parameter
from simulators.emulators.pace import Pace


def add(arguments, files):
    return arguments["a"] + arguments["b"], {}


ACTIONS = (
    NodeAction("add", add, (Parameter("a"), Parameter("b", "int", required=False, default=2)), seconds=2.0),
    NodeAction("wait", add, (Parameter("a"), Parameter("b")), seconds=1e6),
    NodeAction("read", lambda arguments, files: (None, {"out.csv": files["recipe"]}), (Parameter("recipe", "file"),)),
)


@pytest.fixture
def emulator():
    with MadsciEmulator("tester", actions=ACTIONS, pace=Pace(100.0), admin=("cancel",)) as running:
        yield running


@pytest.fixture
def client(emulator):
    with httpx.Client(base_url=emulator.address, trust_env=False) as client:
        yield client


def create(client, action, **arguments):
    return client.post(f"/action/{action}", json={"args": arguments}).json()["action_id"]


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


def test_status_and_info(client):
    assert client.get("/status").json() == {
        "busy": False,
        "running_actions": [],
        "paused": False,
        "locked": False,
        "stopped": False,
        "errored": False,
        "disconnected": False,
        "errors": [],
        "initializing": False,
        "waiting_for_config": [],
        "config_values": {},
        "ready": True,
        "description": "Node is ready",
    }
    info = client.get("/info").json()
    assert info["actions"]["add"]["args"]["b"] == {
        "name": "b",
        "description": "",
        "argument_type": "int",
        "required": False,
        "default": 2,
    }
    assert info["actions"]["read"]["files"]["recipe"]["argument_type"] == "file"
    assert info["capabilities"]["admin_commands"] == ["cancel", "lock", "reset", "shutdown", "unlock"]


def test_wrong_arguments_are_unprocessable(client):
    for arguments, place in (({"a": "x"}, ["body", "args", "a"]), ({}, ["body", "args", "a"])):
        answer = client.post("/action/add", json={"args": arguments})
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, place)
    assert client.post("/action/add", content=b"{").status_code == 422
    assert client.post("/action/none", json={"args": {}}).json() == {"detail": "Not Found"}
    assert client.post("/action/add", json={"args": {"a": 1, "z": 2}}).status_code == 200


def test_an_action_is_unknown_until_it_is_started_and_starts_once(client):
    name = create(client, "add", a=1.5)
    assert len(name) == 26
    assert client.get(f"/action/add/{name}/status").json() == "unknown"
    assert client.get(f"/action/add/{name}/result").json()["errors"][0]["error_type"] == "ActionHistoryNotFound"
    client.post(f"/action/add/{name}/start")
    until(lambda: client.get(f"/action/{name}/status").json() == "succeeded")
    assert client.get(f"/action/{name}/result").json()["json_result"] == 3.5
    assert client.get(f"/action/add/{name}/download").status_code == 404
    again = client.post(f"/action/add/{name}/start").json()
    assert (again["status"], again["errors"][0]["error_type"]) == ("failed", "NotFound")
    assert [one["status"] for one in client.get("/action").json()[name]] == ["not_started", "running", "succeeded"]


def test_a_busy_and_a_locked_node_are_not_ready(client, emulator):
    running = create(client, "wait", a=1, b=1)
    assert client.post(f"/action/wait/{running}/start").json()["status"] == "running"
    second = create(client, "add", a=1.0)
    answer = client.post(f"/action/add/{second}/start").json()
    assert (answer["status"], answer["errors"][0]["message"]) == ("not_ready", "Node is not ready: Node is busy")
    assert client.post("/admin/cancel").json()["success"] is True
    until(lambda: client.get(f"/action/{running}/status").json() == "cancelled")
    client.post("/admin/lock")
    third = create(client, "add", a=1.0)
    assert client.post(f"/action/add/{third}/start").json()["errors"][0]["message"].endswith("Node is locked")


def test_files_go_up_and_come_down(client):
    name = create(client, "read")
    assert client.post(f"/action/read/{name}/upload/none", files={"file": b"x"}).status_code == 404
    assert client.post(f"/action/read/{name}/upload/recipe", files={"other": b"x"}).status_code == 422
    assert client.post("/action/read/none/upload/recipe", files={"file": b"x"}).status_code == 500
    client.post(f"/action/read/{name}/upload/recipe", files={"file": ("r.csv", b"a\r\nb")})
    client.post(f"/action/read/{name}/start")
    until(lambda: client.get(f"/action/{name}/status").json() == "succeeded")
    assert client.get(f"/action/{name}/result").json()["files"] == ["out"]
    packed = client.get(f"/action/read/{name}/download")
    assert packed.headers["content-type"] == "application/zip"
    assert packed.content.startswith(b"PK")


def test_a_failed_action_leaves_the_node_in_an_error(client, emulator):
    name = create(client, "read")
    client.post(f"/action/read/{name}/start")
    until(lambda: client.get(f"/action/{name}/status").json() == "failed")
    assert client.get(f"/action/{name}/download").status_code == 400
    assert client.get("/status").json()["errored"] is True
    assert client.post("/admin/reset").json()["success"] is True
    assert client.get("/status").json()["ready"] is True


def test_commands_that_the_author_did_not_write(client):
    answer = client.post("/admin/safety_stop").json()
    assert (answer["success"], answer["errors"][0]["error_type"]) == (False, "AdminCommandNotImplemented")
    assert client.post("/admin/bogus").status_code == 422


def test_a_node_without_actions_of_its_own_reads_its_probe():
    with (
        MadsciEmulator("ph", probe=Settable(6.8), pace=Pace(100.0)) as emulator,
        httpx.Client(base_url=emulator.address, trust_env=False) as client,
    ):
        name = create(client, "measure")
        client.post(f"/action/measure/{name}/start")
        until(lambda: client.get(f"/action/{name}/status").json() == "succeeded")
        assert client.get(f"/action/{name}/result").json()["json_result"] == 6.8
        assert client.get("/state").json() == {"value": 6.8}
