from copy import deepcopy
from typing import Any

import pytest
from devices import rig_data

from instruments.errors import LabError
from instruments.rig.address import is_emulated
from instruments.rig.file import RigFile
from instruments.rig.names import Place
from instruments.rig.rig import Rig


def changed(path: str, value: Any) -> dict[str, Any]:
    """The usual rig with one entry changed."""
    data = deepcopy(rig_data())
    *way, last = path.split(".")
    block = data
    for key in way:
        block = block.setdefault(key, {})
    block[last] = value
    return data


def test_a_whole_rig() -> None:
    file = RigFile.parse(rig_data(settings={"cation": "K"}, safety={"heartbeat": "2 s"}))
    assert file.cells["cell-1"].setup.area.value == pytest.approx(1e-4)
    assert file.cells["cell-1"].setup.cell == "gde"
    assert file.devices_of("potentiostat") == ("potentiostat-1", "potentiostat-2")
    assert file.devices_of("gas", "cell-2") == ("co2-2",)
    assert file.devices_of("bath", "cell-2") == ()
    assert file.cells_of("relay") == ("cell-1",)
    assert file.safety.heartbeat.value == 2.0
    assert file.options["co2-1"].limits["flow"].high == 60


def test_current_stops_first_and_every_device_is_in_one_stage() -> None:
    plan = RigFile.parse(rig_data()).safety_plan
    assert plan.stages == (
        ("potentiostat-1", "potentiostat-2"),
        ("bath",),
        ("pump-1", "pump-2"),
        ("co2-1", "co2-2"),
        ("valve",),
        ("relay", "co-detector"),
    )
    assert plan.disconnects == {"potentiostat-1": (Place("relay", "cell-1"),)}
    assert type(plan).of(plan.to_json()) == plan


def test_an_order_of_ones_own() -> None:
    order = ["potentiostat", ["gas", "electrolyte_pump"], "bath"]
    stages = RigFile.parse(rig_data(safety={"order": order})).safety_plan.stages
    assert stages[0] == ("potentiostat-1", "potentiostat-2")
    assert set(stages[1]) == {"co2-1", "co2-2", "pump-1", "pump-2"}
    assert stages[2] == ("bath",)


def test_what_a_potentiostat_tells_may_be_longer_in_coming() -> None:
    voltage = {"name": "voltage", "device": "potentiostat-1", "attribute": "cell_voltage", "high": 8}
    pressure = {"name": "pressure", "device": "co2-1", "attribute": "pressure", "high": 2.5}
    both = [voltage, pressure, {**voltage, "name": "impatient", "stale": "1 s"}]
    file = RigFile.parse(rig_data(safety={"interlocks": both}))
    assert [interlock.oldest for interlock in file.interlocks] == [30.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("name", "a/b", "name"),
        ("version", 2, "version"),
        ("surprise", 1, "surprise"),
        ("devices", {}, "devices"),
        ("cells", {}, "cells"),
        ("devices.pump-1.kind", "pomp", "devices.pump-1.kind"),
        ("devices.pump-1.kind", "devices:Nothing", "devices.pump-1.kind"),
        ("devices.pump-1.kind", "devices:Memory", "devices.pump-1.kind"),
        ("devices.pump-1.kind", "no_such_module:Options", "devices.pump-1.kind"),
        ("devices.pump-1.colour", "red", "devices.pump-1.colour"),
        ("devices.pump-1.limits", {"rate": {"low": 3, "high": 1}}, "devices.pump-1.limits.rate.low"),
        ("devices.pump-1", {"role": "pump"}, "devices.pump-1.kind"),
        ("cells.cell-1.area", "1 kg", "cells.cell-1.area"),
        ("cells.cell-1.kind", "bucket", "cells.cell-1.kind"),
        ("cells.cell-1.stream", 2, "cells.cell-2.stream"),
        ("cells.cell-2.roles.potentiostat", "potentiostat-1", "cells.cell-2.roles.potentiostat"),
        ("cells.cell-2.roles.gas", "co2-1", "cells.cell-2.roles.gas"),
        ("cells.cell-2.roles.electrolyte_pump", "pump-1", "cells.cell-2.roles.electrolyte_pump"),
        ("cells.cell-2.roles.disconnect", "relay/cell-1", "cells.cell-2.roles.disconnect"),
        ("cells.cell-2.roles.potentiostat", "potentiostat-2/current", "cells.cell-2.roles.potentiostat"),
        ("shared.potentiostat", "potentiostat-2", "shared.potentiostat"),
        ("cells.cell-1.roles.gas", "co2-3", "cells.cell-1.roles.gas"),
        ("cells.cell-1.roles.gasp", "co2-1", "cells.cell-1.roles.gasp"),
        ("cells.cell-1.roles.disconnect", "relay", "cells.cell-1.roles.disconnect"),
        ("devices.relay.contacts", {"cell-1": {"safe": "closed"}}, "devices.relay.contacts"),
        ("shared.selector", "valve-2", "shared.selector"),
        ("safety.heartbeat", 3, "safety.heartbeat"),
        ("safety.heartbeat", "3 kg", "safety.heartbeat"),
        ("safety.heartbeat", "0.1 s", "safety.heartbeat"),
        ("safety.order", ["gas", "potentiostat"], "safety.order"),
        ("safety.order", [["potentiostat", "electrolyte_pump"]], "safety.order"),
        ("safety.order", ["potentiostat", "gas", "gas"], "safety.order"),
        ("safety.order", ["potentiostat", "disconnect", "gas"], "safety.order"),
        ("safety.order", ["electrolyte_pump", "gas"], "safety.order"),
        ("pace", 10, "pace"),
        ("pace", 0, "pace"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, field: str) -> None:
    with pytest.raises(LabError) as problem:
        RigFile.parse(changed(path, value))
    assert (problem.value.field or "").startswith(field)


def test_what_drives_a_current_has_an_address_of_its_own() -> None:
    data = rig_data()
    for name in ("potentiostat-1", "potentiostat-2"):
        data["devices"][name]["address"] = "socket://127.0.0.1:5101"
    with pytest.raises(LabError, match="address of") as problem:
        RigFile.parse(data)
    assert (problem.value.field or "").startswith("devices.potentiostat-")


def test_two_cells_have_two_seats() -> None:
    data = rig_data()
    for cell in data["cells"].values():
        cell["seat"] = "cells/A1"
    with pytest.raises(LabError, match="the seat of cell-1") as problem:
        RigFile.parse(data)
    assert problem.value.field == "cells.cell-2.seat"


@pytest.mark.parametrize(
    ("interlock", "field"),
    [
        ({"device": "co2-9"}, "device"),
        ({"attribute": "presure"}, "attribute"),
        ({"low": 3.0}, "low"),
        ({"must_be": "open"}, "must_be"),
        ({"high": None}, "low"),
        ({"high": None, "must_be": "open"}, "must_be"),
        ({"device": "co-detector", "attribute": "state", "high": None, "must_be": "shut"}, "must_be"),
        ({"device": "co-detector", "attribute": "state"}, "low"),
        ({"every": "0 s"}, "every"),
        ({"stale": "0.1 s"}, "stale"),
        ({"cell": "cell-1"}, "cell"),
        ({"cell": "cell-9", "when": "current"}, "cell"),
        ({"when": "sometimes"}, "when"),
    ],
)
def test_what_is_wrong_with_an_interlock_is_named(interlock: dict[str, Any], field: str, tmp_path) -> None:
    whole = {"name": "pressure", "device": "co2-1", "attribute": "pressure", "high": 2.5, **interlock}
    with pytest.raises(LabError) as problem:
        Rig(RigFile.parse(rig_data(safety={"interlocks": [whole]})), tmp_path, guarded=False)
    assert problem.value.field == f"safety.interlocks.0.{field}"


def test_limits_are_of_attributes_that_are_there(tmp_path) -> None:
    data = changed("devices.co2-1.limits", {"flaw": {"high": 3}})
    with pytest.raises(LabError, match="Did you mean 'flow'") as problem:
        Rig(RigFile.parse(data), tmp_path, guarded=False)
    assert problem.value.field == "devices.co2-1.limits.flaw"


def test_a_disconnecting_contact_can_be_opened(tmp_path) -> None:
    file = RigFile.parse(changed("cells.cell-1.roles.disconnect", "valve/position"))
    with pytest.raises(LabError, match="no contact that can be opened"):
        Rig(file, tmp_path, guarded=False)


def test_time_runs_faster_only_where_all_instruments_are_emulated(tmp_path) -> None:
    data = rig_data(pace=20)
    for number, block in enumerate(data["devices"].values()):
        block["address"] = f"socket://127.0.0.1:{5101 + number}"
    assert RigFile.parse(data).pace == 20
    data["devices"]["pump-2"]["address"] = "socket://192.168.0.7:5101"
    with pytest.raises(LabError, match=r"pump-2 at socket://192\.168\.0\.7:5101"):
        RigFile.parse(data)


@pytest.mark.parametrize(
    "address",
    [
        "socket://127.0.0.1:5000",
        "socket://localhost:5000",
        "http://localhost:31950",
        "http://[::1]:31950",
        "TCPIP::127.0.0.1::5025::SOCKET",
        "TCPIP0::localhost::inst0::INSTR",
        "ASRL/dev/pts/7::INSTR",
        "/dev/pts/3",
        "replay://run.jsonl",
    ],
)
def test_emulators_are_on_this_computer(address: str) -> None:
    assert is_emulated(address)


@pytest.mark.parametrize(
    "address",
    [
        "/dev/ttyUSB0",
        "COM3",
        "socket://10.0.0.3:5000",
        "socket://127.0.0.1.example.org:5000",
        "http://robot.local:31950",
        "rfc2217://192.168.0.2:4000",
        "TCPIP::192.168.0.20::5025::SOCKET",
        "ASRL/dev/ttyUSB0::INSTR",
        "USB0::0x05E6::0x2450::04096331::INSTR",
        "",
    ],
)
def test_real_instruments_are_not_taken_for_emulators(address: str) -> None:
    assert not is_emulated(address)


def test_a_link_to_a_pseudo_terminal_is_one(tmp_path) -> None:
    link = tmp_path / "pump"
    link.symlink_to("/dev/pts/4")
    assert is_emulated(str(link))
    link.unlink()
    link.symlink_to("/dev/ttyUSB4")
    assert not is_emulated(str(link))
