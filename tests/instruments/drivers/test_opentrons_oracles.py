"""The emulator against an independent client (opentrons-http-api-client 0.2.1), and the driver's commands against the
models of the robot's own software (opentrons 8.8.2, Apache-2.0) and, without runs of its own, against an independent
fake (labmcp-opentrons 0.1.3, Apache-2.0), each in an environment of its own."""

from __future__ import annotations

import json
import subprocess

import pytest

from instruments.device import Wiring
from instruments.drivers.opentrons import OpentronsOptions
from instruments.errors import DeviceError, DeviceFault
from simulators.emulators.alone import Vessels
from simulators.emulators.opentrons import OpentronsEmulator
from simulators.emulators.pace import Pace

CLIENT = """
import json, sys, urllib.error, urllib.parse, urllib.request
import ot_api
ot_api.set_host(sys.argv[1]); ot_api.set_port(int(sys.argv[2]))
run = ot_api.runs.create(); ot_api.set_run(run)
left, right = ot_api.lh.add_mounted_pipettes()
def add(name, slot):
    return ot_api.labware.add(load_name=name, namespace="opentrons", version=1, ot_location=slot,
                              display_name=name)["data"]["result"]["labwareId"]
tips, plate = add("opentrons_96_tiprack_300ul", 1), add("nest_96_wellplate_200ul_flat", 2)
pipette = right["pipetteId"]
ot_api.lh.pick_up_tip(tips, "A1", pipette)
ot_api.lh.aspirate(plate, "A1", 100.0, 50.0, pipette)
ot_api.lh.dispense(plate, "B1", 100.0, 50.0, pipette)
try:
    ot_api.lh.dispense(plate, "B1", 100.0, 50.0, pipette)
    failed = None
except Exception as problem:
    failed = str(problem)
ot_api.lh.move_to_addressable_area_for_drop_tip(pipette)
ot_api.lh.drop_tip_in_place(pipette)
print(json.dumps({"left": left, "right": right["name"], "failed": failed,
                  "health": ot_api.health.get()["robot_model"], "status": ot_api.runs.get_run(run)["status"]}))
"""

MODELS = """
import json, sys
from pydantic import TypeAdapter
from opentrons.protocol_engine.commands import CommandCreate
adapter, seen = TypeAdapter(CommandCreate), []
for body in json.loads(sys.stdin.read()):
    seen.append(adapter.validate_python(body).commandType)
print(json.dumps(seen))
"""


def test_an_independent_client_works_the_emulator(ask_oracle):
    vessels = Vessels()
    with OpentronsEmulator("robot", bench=vessels, pace=Pace(400.0)) as emulator:
        host, port = emulator.address.removeprefix("http://").split(":")
        said = ask_oracle("opentrons", CLIENT, host, port, package="ot_api")
    assert (said["left"], said["right"], said["status"]) == (None, "p300_single_gen2", "idle")
    assert said["failed"].startswith("Command failed with InvalidDispenseVolumeError")
    plate = "nest_96_wellplate_200ul_flat"
    assert vessels.volumes == {f"{plate}/A1": -100.0, f"{plate}/B1": 100.0}


class Kept(OpentronsEmulator):
    bodies: list[dict]

    def handle(self, request):
        if request.method == "POST" and request.path.endswith("/commands"):
            self.bodies.append(json.loads(request.body)["data"])
        return super().handle(request)


def test_the_robots_own_models_take_the_drivers_commands(ask_oracle):
    Kept.bodies = []
    deck = {
        "tips": {"slot": "1", "load_name": "opentrons_96_tiprack_300ul", "tips": "right"},
        "plate": {"slot": "2", "load_name": "nest_96_wellplate_200ul_flat"},
    }
    with Kept("robot", pace=Pace(400.0)) as emulator:
        options = OpentronsOptions(address=emulator.address, pipettes={"right": "p300_single_gen2"}, labware=deck)
        with options.build("robot", Wiring(pace=400.0)) as robot:
            robot.transfer("plate/A1", "plate/B1", 50.0)
            robot.home()
            robot.move_to("plate/C1", "right")
    seen = ask_oracle("opentrons", MODELS, package="opentrons.protocol_engine.commands", given=json.dumps(Kept.bodies))
    assert seen == [body["commandType"] for body in Kept.bodies]
    assert {"aspirate", "dispense", "pickUpTip", "blowout", "home", "moveToWell", "dropTipInPlace"} <= set(seen)


FAKE = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit
from labmcp_opentrons.simulator import FakeOpentronsRobot

robot = FakeOpentronsRobot("ot2", command_duration_s=60.0)
protocol = '''
from opentrons import protocol_api
metadata = {"apiLevel": "2.13"}
def run(protocol):
    tips = protocol.load_labware("opentrons_96_tiprack_300ul", 1)
    plate = protocol.load_labware("nest_96_wellplate_200ul_flat", 2)
    pipette = protocol.load_instrument("p300_single_gen2", "right", tip_racks=[tips])
    pipette.transfer(50, plate["A1"], plate["B1"])
'''
made = robot.request("POST", "/protocols", files=[("files", ("p.py", protocol.encode(), "text/x-python"))]).body
run = robot.request("POST", "/runs", json={"data": {"protocolId": made["data"]["id"]}}).body["data"]["id"]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = robot.request(self.command, parts.path, params=dict(parse_qsl(parts.query)),
                               json=json.loads(body) if body else None)
        data = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = do
    def log_message(self, *what): pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
pipettes = {one["mount"]: one["instrumentName"] for one in robot.request("GET", "/instruments").body["data"]
            if one.get("instrumentType") == "pipette"}
print(json.dumps({"port": server.server_address[1], "run": run, "pipettes": pipettes}), flush=True)
server.serve_forever()
"""


@pytest.fixture
def fake(oracle):
    """An independent robot with a run of another: its address and what it says of itself."""
    python = oracle("labmcp")
    if subprocess.run([python, "-c", "import labmcp_opentrons"], capture_output=True, check=False).returncode:
        pytest.skip("the environment 'labmcp' in SABATIER_ORACLES has no labmcp_opentrons")
    process = subprocess.Popen([python, "-c", FAKE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()[-2000:]
        said = json.loads(line)
        yield f"http://127.0.0.1:{said['port']}", said
    finally:
        process.terminate()
        process.communicate(timeout=20.0)


def test_an_independent_robot_is_read_and_made_safe(fake):
    address, said = fake
    options = OpentronsOptions(address=address, pipettes=said["pipettes"], labware={})
    with options.build("robot", Wiring()) as robot:
        assert robot.identify().model == "OT-2 Standard"
        assert robot.read("door").value == "closed"
        assert robot.read("estop").value == "notPresent"
        robot.set("lights", "on")
        assert robot.read("lights").value == "on"
        assert robot.read("state").value == "idle"
        robot._post(f"/runs/{said['run']}/actions", {"data": {"actionType": "play"}})
        assert robot.read("state").value == "running"
        with pytest.raises(DeviceFault) as caught:
            robot.prepare()
        assert caught.value.code == "busy"
        assert not robot.make_safe().confirmed  # another's run is left alone
        assert robot.read("state").value == "running"
    allowed = OpentronsOptions(address=address, pipettes=said["pipettes"], labware={}, stop_others=True)
    with allowed.build("robot", Wiring()) as robot:
        assert robot.make_safe().confirmed
        assert robot.read("state").value == "stopped"
    other = OpentronsOptions(address=address, pipettes={"left": "p50_single"}, labware={}).build("robot", Wiring())
    with pytest.raises(DeviceError, match="not p50_single"):
        other.connect()
    other.close()
