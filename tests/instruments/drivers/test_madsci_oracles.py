"""The driver against a real node, and the emulator against the maker's client (madsci 0.8.1, MIT licence)."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

import httpx
import pytest

from instruments.device import Wiring
from instruments.drivers.madsci import MadsciOptions
from instruments.errors import DeviceFault, ExecutionCancelled, LimitError
from simulators.emulators.madsci import MadsciEmulator
from simulators.emulators.madsci_actions import NodeAction, Parameter
from simulators.emulators.pace import Pace

NODE = '''
import sys, time, tempfile
from pathlib import Path
from typing import Annotated, Any, Optional
from madsci.common.types.node_types import RestNodeConfig
from madsci.node_module.helpers import action
from madsci.node_module.rest_node_module import RestNode

class Config(RestNodeConfig):
    enable_registry_resolution: bool = False

class Node(RestNode):
    config: Config = Config()
    config_model = Config
    stop_now = False
    def startup_handler(self): pass
    def shutdown_handler(self): pass
    def state_handler(self): self.node_state = {"speed": 3.5}

    @action
    def add(self, a: float, b: Annotated[int, "the second"] = 2) -> float:
        """Add."""
        return a + b

    @action
    def wait(self, seconds: float) -> str:
        """Wait, as long as nobody stops it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stop_now:
            time.sleep(0.02)
        return "stopped" if self.stop_now else "done"

    @action
    def fail(self, why: str) -> str:
        """Fail."""
        raise RuntimeError(why)

    @action
    def measure(self, recipe: Path, names: list[str], opts: Optional[dict[str, Any]] = None) -> Path:
        """Read a file and give one back."""
        out = Path(tempfile.mkdtemp()) / "out.csv"
        out.write_text(recipe.read_text() + ",".join(names))
        return out

def safety_stop(self):
    self.stop_now = True
    self.node_status.stopped = True
    return True

if __name__ == "__main__":
    if sys.argv[2] == "stoppable":
        Node.safety_stop = safety_stop
    Node(node_config=Config(node_url=sys.argv[1], node_name="tester")).start_node()
'''

CLIENT = """
import json, sys, tempfile, pathlib
from madsci.client.node.rest_node_client import RestNodeClient
from madsci.common.types.action_types import ActionRequest
client = RestNodeClient(url=sys.argv[1])
info, status = client.get_info(), client.get_status()
added = client.send_action(ActionRequest(action_name="add", args={"a": 1.5}))
recipe = pathlib.Path(tempfile.mkdtemp()) / "r.txt"
recipe.write_text("hello")
read = client.send_action(ActionRequest(action_name="read", args={}, files={"recipe": recipe}))
try:
    client.send_action(ActionRequest(action_name="add", args={}))
    refused = None
except Exception as problem:
    refused = str(problem)
stopped = client.send_admin_command("safety_stop")
location = client.send_admin_command("get_location")
late = client.send_action(ActionRequest(action_name="add", args={"a": 1.0}))
print(json.dumps({
    "name": info.node_name, "actions": sorted(info.actions), "ready": status.ready,
    "argument": info.actions["add"].args["b"].argument_type,
    "added": [added.status.value, added.json_result], "read": [read.status.value, read.json_result],
    "file": pathlib.Path(next(iter(read.files.model_dump().values())) if hasattr(read.files, "model_dump") else read.files).read_text(),
    "refused": refused, "stopped": stopped.success, "location": [location.success, location.errors[0].error_type],
    "late": [late.status.value, late.errors[0].error_type],
}))
"""


@pytest.fixture(scope="module", params=["plain", "stoppable"])
def real(request, oracle, tmp_path_factory):
    """Address and kind of a real node."""
    python = oracle("madsci")
    if subprocess.run([python, "-c", "import madsci.node_module"], capture_output=True, check=False).returncode:
        pytest.skip("the environment 'madsci' in SABATIER_ORACLES has no madsci.node_module")
    folder = tmp_path_factory.mktemp("node")
    (folder / "node.py").write_text(NODE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = (folder / "log").open("w")
    process = subprocess.Popen([python, "node.py", f"{address}/", request.param], cwd=folder, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60.0
        while True:
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < end, "the node did not start"
            try:
                if httpx.get(f"{address}/status", trust_env=False).json()["ready"]:
                    break
            except (httpx.TransportError, ValueError):
                time.sleep(0.1)
        yield address, request.param
    finally:
        process.terminate()
        process.wait(20.0)
        log.close()


def test_a_real_node_is_driven(real, tmp_path):
    address, kind = real
    options = MadsciOptions(address=address, poll=0.2, readings={"speed": "rpm"})
    with options.build("node", Wiring()) as node:
        assert set(node.actions) == {"add", "wait", "fail", "measure"}
        assert node.call("add", a=1.5).value == 3.5
        assert node.call("add", a=1.0, b=5).value == 6.0
        with pytest.raises(LimitError):
            node.call("add", a="x")
        recipe = tmp_path / "recipe.txt"
        recipe.write_text("eggs")
        result = node.call("measure", files={"recipe": recipe}, names=["a", "b"])
        (written,) = node.download(result, tmp_path / "out")
        assert written.read_text() == "eggsa,b"
        assert node.call("wait", seconds=1.5).value == "done"
        cancelled = threading.Event()
        threading.Timer(0.3, cancelled.set).start()
        with pytest.raises(ExecutionCancelled) as stopped:
            node.call("wait", cancelled=cancelled, seconds=1.5)
        assert "goes on" in stopped.value.__notes__[0]
        with pytest.raises(DeviceFault, match="busy"):
            node.start("add", {"a": 1.0})
        safety = node.make_safe()
        assert safety.confirmed is (kind == "stoppable")
        if kind == "stoppable":
            assert node.read("state").value == "stopped"
            node.admin("reset")
        node.wait_ready()
        with pytest.raises(DeviceFault, match="because") as failed:
            node.call("fail", why="because")
        assert failed.value.code == "RuntimeError"
        assert node.read("state").value == "errored"
        node.admin("reset")
        node.wait_ready()
        node.admin("lock")
        assert node.read("state").value == "locked"
        node.admin("unlock")
        assert node.read("speed").value == 3.5


def test_the_makers_client_works_the_emulator(ask_oracle):
    actions = (
        NodeAction(
            "add",
            lambda arguments, files: (arguments["a"] + arguments["b"], {}),
            (Parameter("a"), Parameter("b", "int", required=False, default=2)),
        ),
        NodeAction(
            "read",
            lambda arguments, files: (len(files["recipe"]), {"out.txt": files["recipe"]}),
            (Parameter("recipe", "file"),),
        ),
    )
    with MadsciEmulator("tester", actions=actions, pace=Pace(20.0)) as emulator:
        said = ask_oracle("madsci", CLIENT, emulator.address, package="madsci.client")
    assert (said["name"], said["actions"], said["ready"], said["argument"]) == ("tester", ["add", "read"], True, "int")
    assert said["added"] == ["succeeded", 3.5]
    assert (said["read"], said["file"]) == (["succeeded", 5], "hello")
    assert "422" in said["refused"]
    assert said["stopped"] is True
    assert said["location"] == [False, "AdminCommandNotImplemented"]
    assert said["late"] == ["not_ready", "NodeNotReady"]
