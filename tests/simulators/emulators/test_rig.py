"""All instruments of a rig file at once: wired by their roles, at their addresses, or none of them."""

import socket

import httpx
import pytest

from simulators.emulators.catalog import BUILDERS
from simulators.emulators.rig import EmulatedRig
from simulators.errors import EmulatorError


def _rig(**changes):
    data = {
        "name": "small",
        "pace": 100,
        "devices": {
            "co2-1": {"kind": "alicat", "port": "socket://127.0.0.1:0"},
            "outlet-1": {"kind": "bronkhorst", "port": "socket://127.0.0.1:0"},
            "bpr": {"kind": "bronkhorst", "port": "socket://127.0.0.1:0"},
            "valve": {"kind": "vici", "port": "socket://127.0.0.1:0"},
            "relay": {
                "kind": "numato_relay",
                "port": "socket://127.0.0.1:0",
                "contacts": {"cell-1": {"channel": 3, "rest": "closed"}},
            },
            "supply": {"kind": "scpi_supply", "resource": "TCPIP::127.0.0.1::0::SOCKET"},
            "node": {"kind": "madsci", "address": "http://127.0.0.1:0"},
        },
        "cells": {
            "cell-1": {
                "kind": "gde",
                "stream": 1,
                "roles": {
                    "gas": "co2-1",
                    "outlet": "outlet-1",
                    "back_pressure": "bpr",
                    "disconnect": "relay/cell-1",
                    "supply": "supply",
                },
            }
        },
        "shared": {"selector": "valve", "node": "node"},
        "emulation": {"chemistry": "gde_alloys", "mixtures": {2: {"h2": 0.01, "co2": 0.99}}},
    }
    return {**data, **changes}


def test_every_device_listens_and_the_file_with_true_addresses_names_them():
    with EmulatedRig(_rig(), free_ports=True) as rig:
        addresses = rig.addresses
        for address in addresses.values():
            host, _, port = address.removeprefix("socket://").removeprefix("http://").partition(":")
            socket.create_connection((host, int(port)), timeout=5).close()
        written = rig.data["devices"]
        assert written["co2-1"]["port"] == addresses["co2-1"]
        assert written["supply"]["resource"] == f"TCPIP::127.0.0.1::{addresses['supply'].rpartition(':')[2]}::SOCKET"
        assert written["node"]["address"] == addresses["node"]
        assert written["relay"]["contacts"] == _rig()["devices"]["relay"]["contacts"]


def test_roles_wire_the_instruments_to_one_cell():
    with EmulatedRig(_rig(), free_ports=True) as rig:
        built = rig._works.built
        built["co2-1"].flow.set(20.0)
        cell = rig.plant.cells["cell-1"]
        assert cell.around.gas["co2"] == pytest.approx(20.0, rel=0.02)
        assert cell.around.connected  # a normally closed contact
        built["relay"]._contacts.set(3, True)
        assert not cell.around.connected
        assert built["bpr"].kind == "pressure"
        assert built["outlet-1"].kind == "meter"
        rig.plant.cells["cell-1"]
        rig._works.valve.set(2)
        assert rig._works.valve.composition() == {"h2": 0.01, "co2": 0.99}


def test_the_control_desk_arms_tells_and_refuses():
    with (
        EmulatedRig(_rig(), free_ports=True) as rig,
        httpx.Client(base_url=rig.control.address, trust_env=False) as desk,
    ):
        devices = desk.get("/devices").json()
        assert set(devices) == set(rig.addresses)
        assert "silence" in devices["co2-1"]["faults"]
        assert desk.post("/faults", json={"device": "co2-1", "fault": "silence", "times": 2}).status_code == 200
        assert rig._works.built["co2-1"].faults.holds("silence")
        desk.delete("/faults", params={"device": "co2-1"})
        assert not rig._works.built["co2-1"].faults.holds("silence")
        assert "there is no fault 'fire'" in desk.post("/faults", json={"device": "bpr", "fault": "fire"}).text
        for wrong in (
            {},
            {"device": "none", "fault": "silence"},
            [],
            {"device": "bpr", "fault": "slow", "values": 1},
        ):
            assert desk.post("/faults", json=wrong).status_code == 400
        assert desk.get("/nothing").status_code == 404
        assert desk.get("/truth").json()["cell-1"]["current"] == 0.0


def test_a_taken_address_starts_none_of_them():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        data = _rig()
        data["devices"]["valve"] = {"kind": "vici", "port": f"socket://127.0.0.1:{port}"}
        rig = EmulatedRig(data)
        with pytest.raises(EmulatorError, match="valve cannot listen") as told:
            rig.start()
        assert told.value.field == "devices.valve"
        first = rig._works.built["co2-1"].address.rpartition(":")[2]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(first)), timeout=5)


@pytest.mark.parametrize(
    ("block", "field", "says"),
    [
        ({"emulation": {}}, "emulation.chemistry", "which chemistry"),
        ({"devices": {}}, "devices", "no devices"),
        ({"devices": {"a": {"kind": "toaster", "port": "socket://127.0.0.1:1"}}}, "devices.a.kind", "no emulator"),
        ({"devices": {"a": {"kind": "vici", "port": "/dev/ttyUSB0"}}}, "devices.a.port", "cannot listen"),
        ({"devices": {"a": {"kind": "vici", "port": "socket://192.168.0.1:5"}}}, "devices.a.port", "cannot listen"),
        ({"devices": {"a": {"kind": "vici"}}}, "devices.a", "no address"),
        ({"devices": [1]}, "devices", "a mapping is wanted"),
    ],
)
def test_a_file_that_cannot_be_emulated_is_refused(block, field, says):
    with pytest.raises(EmulatorError, match=says) as told:
        EmulatedRig(_rig(**block))
    assert told.value.field == field


def test_there_is_an_emulator_for_every_driver():
    from importlib.metadata import entry_points

    assert {point.name for point in entry_points(group="sabatier.drivers")} - set(BUILDERS) == {"handoff"}
