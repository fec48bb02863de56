"""The emulated robot, against the robot-server's own OpenAPI document where it is there."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from simulators.emulators.alone import Vessels
from simulators.emulators.opentrons import OpentronsEmulator
from simulators.emulators.opentrons_engine import REQUIRED
from simulators.emulators.opentrons_labware import PIPETTES, definition
from simulators.emulators.pace import Pace

HEADERS = {"Opentrons-Version": "3"}


class Kept(OpentronsEmulator):
    """Keeps what it was asked and what it answered."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.kept = []

    def handle(self, request):
        answer = super().handle(request)
        self.kept.append(
            (request.method, request.path, request.body, answer.status, json.loads(answer.encoded or b"null"))
        )
        return answer


@pytest.fixture
def vessels():
    return Vessels()


@pytest.fixture
def emulator(vessels):
    with Kept("robot", bench=vessels, pace=Pace(400.0)) as running:
        yield running


@pytest.fixture
def client(emulator):
    with httpx.Client(base_url=emulator.address, headers=HEADERS, trust_env=False, timeout=10.0) as client:
        yield client


def command(client, run, kind, **params):
    body = {"data": {"commandType": kind, "params": params, "intent": "setup"}}
    return client.post(f"/runs/{run}/commands?waitUntilComplete=true&timeout=60000", json=body)


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


@pytest.fixture
def run(client):
    return client.post("/runs", json={"data": {}}).json()["data"]["id"]


@pytest.fixture
def loaded(client, run):
    pipette = command(client, run, "loadPipette", pipetteName="p300_single_gen2", mount="right")
    tips = command(
        client,
        run,
        "loadLabware",
        location={"slotName": "1"},
        loadName="opentrons_96_tiprack_300ul",
        namespace="opentrons",
        version=1,
    )
    plate = command(
        client,
        run,
        "loadLabware",
        location={"slotName": "2"},
        loadName="nest_96_wellplate_200ul_flat",
        namespace="opentrons",
        version=2,
        displayName="plate",
    )
    return [
        one.json()["data"]["result"].get(key)
        for one, key in ((pipette, "pipetteId"), (tips, "labwareId"), (plate, "labwareId"))
    ]


BOTTOM = {"origin": "bottom", "offset": {"x": 0, "y": 0, "z": 1}}


def error_of(response):
    assert response.status_code == 201
    data = response.json()["data"]
    assert data["status"] == "failed"
    return data["error"]


# As the transcript of a real robot shows


def test_versions(client):
    missing = httpx.get(f"{client.base_url}/health", trust_env=False)
    assert missing.status_code == 422
    assert missing.json() == {"message": "header.opentrons-version: field required", "errorCode": "4000"}
    old = client.get("/health", headers={"Opentrons-Version": "1"})
    assert (old.status_code, old.json()["errors"][0]["id"]) == (400, "OutdatedAPIVersion")
    new = client.get("/health", headers={"Opentrons-Version": "99"})
    assert (new.status_code, new.headers["opentrons-version"], new.headers["opentrons-min-version"]) == (200, "4", "2")
    assert client.get("/health", headers={"Opentrons-Version": "*"}).headers["opentrons-version"] == "4"


def test_a_failed_command_is_created(client, run, loaded, vessels):
    pipette, tips, plate = loaded
    assert (
        command(client, run, "pickUpTip", pipetteId=pipette, labwareId=tips, wellName="A1").json()["data"]["result"][
            "tipVolume"
        ]
        == 300.0
    )
    place = {"pipetteId": pipette, "labwareId": plate, "wellLocation": BOTTOM, "flowRate": 50.0, "volume": 100.0}
    assert command(client, run, "aspirate", wellName="A1", **place).json()["data"]["status"] == "succeeded"
    assert command(client, run, "dispense", wellName="B1", **place).json()["data"]["status"] == "succeeded"
    assert vessels.volumes == {"plate/A1": -100.0, "plate/B1": 100.0}
    nothing = error_of(command(client, run, "dispense", wellName="B1", **place))
    assert nothing["errorType"] == "InvalidDispenseVolumeError"
    assert nothing["detail"] == "Cannot dispense 100.0 µL when only 0 µL has been aspirated."
    absent = error_of(command(client, run, "aspirate", wellName="Z1", **place))
    assert (absent["errorType"], absent["detail"]) == ("WellDoesNotExistError", f"Z1 does not exist in {plate}.")
    much = error_of(command(client, run, "aspirate", wellName="A1", **{**place, "volume": 301.0}))
    assert much["errorType"] == "InvalidAspirateVolumeError"
    again = error_of(command(client, run, "pickUpTip", pipetteId=pipette, labwareId=tips, wellName="B1"))
    assert again["errorType"] == "TipAttachedError"
    command(client, run, "dropTipInPlace", pipetteId=pipette)
    assert error_of(command(client, run, "aspirate", wellName="A1", **place))["errorType"] == "TipNotAttachedError"


def test_without_a_place_in_the_well_it_takes_air(client, run, loaded, vessels):
    pipette, tips, plate = loaded
    command(client, run, "pickUpTip", pipetteId=pipette, labwareId=tips, wellName="A1")
    place = {"pipetteId": pipette, "labwareId": plate, "flowRate": 50.0, "volume": 100.0}
    command(client, run, "aspirate", wellName="A1", **place)
    command(client, run, "dispense", wellName="B1", **place)
    assert vessels.volumes == {}


def test_a_used_tip_takes_nothing_and_the_robot_does_not_notice(client, run, loaded, vessels):
    pipette, tips, plate = loaded
    place = {"pipetteId": pipette, "labwareId": plate, "wellLocation": BOTTOM, "flowRate": 50.0, "volume": 100.0}
    for _ in range(2):
        command(client, run, "pickUpTip", pipetteId=pipette, labwareId=tips, wellName="A1")
        command(client, run, "aspirate", wellName="A1", **place)
        command(client, run, "blowout", wellName="B1", **{k: v for k, v in place.items() if k != "volume"})
        command(client, run, "dropTip", pipetteId=pipette, labwareId=tips, wellName="A1")
    assert vessels.volumes == {"plate/A1": -100.0, "plate/B1": 100.0}


def test_requests_that_are_not_as_they_should_be(client, run):
    for body in (
        {},
        {"data": {"commandType": "bogus", "params": {}}},
        {"data": {"commandType": "aspirate", "params": {}}},
    ):
        answer = client.post(f"/runs/{run}/commands", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["id"]) == (422, "InvalidRequest")
    assert client.post(f"/runs/{run}/commands", content=b"{").status_code == 422
    for path in ("/runs/none", "/runs/none/commands"):
        assert client.get(path).json()["errors"][0]["id"] == "RunNotFound"
    assert client.get(f"/runs/{run}/commands/none").json()["errors"][0]["id"] == "CommandNotFound"
    assert client.get("/nothing").json()["errors"][0]["id"] == "BadRequest"
    estop = client.get("/robot/control/estopStatus")
    assert (estop.status_code, estop.json()["errors"][0]["id"]) == (403, "NotSupportedOnOT2")


def test_a_run_without_a_protocol_ends_when_it_is_played(client, run):
    assert client.post(f"/runs/{run}/actions", json={"data": {"actionType": "play"}}).status_code == 201
    assert client.get(f"/runs/{run}").json()["data"]["status"] == "succeeded"
    again = client.post(f"/runs/{run}/actions", json={"data": {"actionType": "pause"}})
    assert (again.status_code, again.json()["errors"][0]["errorCode"]) == (409, "3000")
    late = command(client, run, "home")
    assert (late.status_code, late.json()["errors"][0]["id"]) == (409, "RunStopped")
    assert client.patch(f"/runs/{run}", json={"data": {"current": False}}).json()["data"]["current"] is False
    assert client.delete(f"/runs/{run}").status_code == 200
    assert client.get(f"/runs/{run}").status_code == 404


def test_one_run_is_current(client, run, emulator):
    other = client.post("/runs", json={"data": {}}).json()["data"]["id"]
    assert client.get("/runs").json()["links"]["current"]["href"] == f"/runs/{other}"
    assert client.get(f"/runs/{run}").json()["data"]["current"] is False
    body = {"data": {"commandType": "home", "params": {}}}
    assert client.post(f"/runs/{other}/commands", json=body).json()["data"]["status"] == "queued"
    emulator.faults.arm("slow_motion", factor=3000.0)
    client.post(f"/runs/{other}/actions", json={"data": {"actionType": "play"}})
    until(lambda: emulator.state()["moving"] == "home")
    assert client.post("/runs", json={"data": {}}).json()["errors"][0]["id"] == "RunAlreadyActive"
    assert command(client, other, "home").json()["errors"][0]["id"] == "SetupCommandNotAllowed"
    assert client.delete(f"/runs/{other}").json()["errors"][0]["id"] == "RunNotIdle"
    client.post(f"/runs/{other}/actions", json={"data": {"actionType": "stop"}})
    until(lambda: emulator.state()["status"] == "stopped")


def test_a_motion_outside_of_a_protocol_is_not_broken_off_and_tips_stay(client, run, loaded, emulator):
    pipette, tips, _ = loaded
    command(client, run, "pickUpTip", pipetteId=pipette, labwareId=tips, wellName="A1")
    emulator.faults.arm("slow_motion", factor=30.0)
    body = {"data": {"commandType": "home", "params": {}, "intent": "setup"}}
    moving, waiting = (client.post(f"/runs/{run}/commands", json=body).json()["data"]["id"] for _ in range(2))
    until(lambda: emulator.state()["moving"] == "home")
    client.post(f"/runs/{run}/actions", json={"data": {"actionType": "stop"}})
    assert emulator.state()["status"] == "stop-requested"
    until(lambda: emulator.state()["status"] == "stopped")
    assert client.get(f"/runs/{run}/commands/{moving}").json()["data"]["status"] == "succeeded"
    assert client.get(f"/runs/{run}/commands/{waiting}").json()["data"]["status"] == "queued"
    assert emulator.state()["tipped"] == ["right"]
    other = client.post("/runs", json={"data": {}}).json()["data"]["id"]
    again = command(client, other, "loadPipette", pipetteName="p300_single_gen2", mount="right").json()
    place = {"location": {"slotName": "1"}, "namespace": "opentrons", "version": 1}
    rack = command(client, other, "loadLabware", loadName="opentrons_96_tiprack_300ul", **place).json()
    on = {"pipetteId": again["data"]["result"]["pipetteId"], "labwareId": rack["data"]["result"]["labwareId"]}
    assert command(client, other, "pickUpTip", wellName="B1", **on).json()["data"]["status"] == "succeeded"
    assert emulator.state()["collisions"] == 1


def test_the_latest_commands_are_listed(client, run):
    keys = [command(client, run, "comment", message=str(i)).json()["data"]["key"] for i in range(5)]
    page = client.get(f"/runs/{run}/commands?pageLength=2").json()
    assert [one["key"] for one in page["data"]] == keys[-2:]
    assert page["meta"] == {"cursor": 3, "totalLength": 5}
    assert page["links"]["current"]["meta"]["index"] == 4
    assert "result" not in page["data"][0]
    first = client.get(f"/runs/{run}/commands?pageLength=2&cursor=0").json()
    assert [one["key"] for one in first["data"]] == keys[:2]


def test_a_long_command_is_answered_before_its_end(client, run, emulator):
    emulator.faults.arm("slow_motion", factor=100.0)
    body = {"data": {"commandType": "home", "params": {}, "intent": "setup"}}
    began = client.post(f"/runs/{run}/commands?waitUntilComplete=true&timeout=100", json=body).json()["data"]
    assert began["status"] == "running"
    path = f"/runs/{run}/commands/{began['id']}"
    until(lambda: client.get(path).json()["data"]["status"] == "succeeded")


@pytest.mark.parametrize(
    ("name", "wells", "volume"),
    [
        ("opentrons_96_tiprack_300ul", 96, 300.0),
        ("opentrons_flex_96_tiprack_1000ul", 96, 1000.0),
        ("nest_12_reservoir_15ml", 12, 15000.0),
        ("corning_24_wellplate_3.4ml_flat", 24, 3400.0),
        ("opentrons_24_tuberack_nest_1.5ml_snapcap", 24, 1500.0),
        ("agilent_1_reservoir_290ml", 1, 290000.0),
    ],
)
def test_labware_is_made_from_its_name(name, wells, volume):
    made = definition(name, "opentrons", 1)
    assert len(made["wells"]) == wells
    assert made["wells"]["A1"]["totalLiquidVolume"] == pytest.approx(volume)
    assert definition("nothing", "opentrons", 1) is None
    assert definition(name, "custom", 1) is None


# Against the OpenAPI document


@pytest.fixture(scope="module")
def document():
    from pathlib import Path

    path = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "opentrons_openapi_8.1.0.json"
    if not path.is_file():
        pytest.skip("the robot-server's OpenAPI document is not beside this project")
    return json.loads(path.read_text())


def check(document, schema, instance, where):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    whole = {**schema, "components": document["components"]}
    errors = sorted(jsonschema.Draft202012Validator(whole).iter_errors(instance), key=lambda e: len(e.path))
    assert not errors, f"{where}: {errors[0].message[:400]} at {list(errors[0].path)}"


def operation(document, method, path):
    for template, operations in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            return operations[method.lower()]
    return None


def test_what_is_answered_and_asked_is_as_the_document_has_it(client, run, loaded, emulator, document):
    pipette, tips, plate = loaded
    place = {"pipetteId": pipette, "labwareId": plate, "wellName": "A1", "wellLocation": BOTTOM, "flowRate": 50.0}
    for path in (
        "/health",
        "/instruments",
        "/modules",
        "/robot/door/status",
        "/robot/control/estopStatus",
        "/runs",
        f"/runs/{run}",
    ):
        client.get(path)
    client.post("/robot/lights", json={"on": True})
    client.get("/robot/lights")
    client.post("/robot/home", json={"target": "robot"})
    command(client, run, "home")
    command(client, run, "pickUpTip", pipetteId=pipette, labwareId=tips, wellName="A1")
    for kind, volume in (("aspirate", 100.0), ("dispense", 60.0), ("dispense", 90.0)):
        command(client, run, kind, volume=volume, **place)
    command(client, run, "blowout", **place)
    command(client, run, "moveToWell", **{k: v for k, v in place.items() if k != "flowRate"})
    command(client, run, "moveToAddressableAreaForDropTip", pipetteId=pipette, addressableAreaName="fixedTrash")
    command(client, run, "dropTipInPlace", pipetteId=pipette)
    client.get(f"/runs/{run}/commands?pageLength=20")
    client.get(f"/runs/{run}/commands/none")
    client.get("/runs/none")
    client.post(f"/runs/{run}/actions", json={"data": {"actionType": "stop"}})
    until(lambda: emulator.state()["status"] == "stopped")
    client.post(f"/runs/{run}/actions", json={"data": {"actionType": "stop"}})
    command(client, run, "home")
    client.patch(f"/runs/{run}", json={"data": {"current": False}})
    client.delete(f"/runs/{run}")
    checked = 0
    for method, path, asked, status, answered in emulator.kept:
        of = operation(document, method, path)
        assert of is not None, path
        assert str(status) in of["responses"], (path, status)
        check(
            document,
            of["responses"][str(status)]["content"]["application/json"]["schema"],
            answered,
            f"{method} {path} {status}",
        )
        if asked:
            check(
                document,
                of["requestBody"]["content"]["application/json"]["schema"],
                json.loads(asked),
                f"{method} {path}",
            )
        checked += 1
    assert checked > 30


def test_the_driver_asks_as_the_document_wants(emulator, vessels, document):
    from instruments.device import Wiring
    from instruments.drivers.opentrons import OpentronsOptions

    deck = {
        "tips": {"slot": "1", "load_name": "opentrons_96_tiprack_300ul", "tips": "right"},
        "plate": {"slot": "2", "load_name": "nest_96_wellplate_200ul_flat"},
    }
    options = OpentronsOptions(address=emulator.address, pipettes={"right": "p300_single_gen2"}, labware=deck)
    with options.build("robot", Wiring(pace=400.0)) as robot:
        robot.transfer("plate/A1", "plate/B1", 50.0)
        robot.home()
        robot.move_to("plate/C1", "right")
        robot.set("lights", "on")
        assert robot.make_safe().confirmed
    asked = [one for one in emulator.kept if one[2]]
    assert len(asked) > 10
    for method, path, body, status, _ in asked:
        assert status < 300
        of = operation(document, method, path)
        check(
            document, of["requestBody"]["content"]["application/json"]["schema"], json.loads(body), f"{method} {path}"
        )


def test_the_check_finds_what_is_wrong(document):
    with pytest.raises(AssertionError, match="required"):
        check(document, {"$ref": "#/components/schemas/SimpleBody_Run_"}, {"data": {"id": "x"}}, "a run")


def test_what_it_takes_is_in_the_document(document):
    kinds = json.dumps(document["components"]["schemas"]["RequestModelWithCommandCreate"])
    for kind in REQUIRED:
        name = {"blowout": "BlowOut"}.get(kind, kind[0].upper() + kind[1:])
        schema = document["components"]["schemas"][f"{name}Create"]
        assert kind in json.dumps(schema)
        assert f"{name}Create" in kinds
    known = document["components"]["schemas"]["Pipette"]["properties"]["instrumentName"]["enum"]
    assert set(PIPETTES) <= set(known)
