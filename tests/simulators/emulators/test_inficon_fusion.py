from __future__ import annotations

import json
import time

import httpx
import numpy as np
import pytest

from simulators.emulators.alone import Gas, Settable
from simulators.emulators.chromatogram import MODULES, detectors
from simulators.emulators.inficon_fusion import InficonFusionEmulator, Series
from simulators.emulators.pace import Pace
from simulators.signals import RESPONSE, RETENTION

STATUS = "/v1/scm/sessions/system-manager/publicConfiguration"
COMMAND = "/v1/scm/sessions/system-manager!cmd."


@pytest.fixture
def emulator():
    series = {"three": Series("CO2RR", 3, 230.0)}
    with InficonFusionEmulator(
        "gc", selector=Settable(4.0), pace=Pace(1000.0), methods=("CO2RR", "B"), sequences=series
    ) as running:
        yield running


@pytest.fixture
def client(emulator):
    with httpx.Client(base_url=emulator.address, trust_env=False) as client:
        yield client


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.002)


def test_states_come_in_the_order_sequence_and_system(client):
    assert client.get(STATUS).json() == ["public:sequence-not-loaded", "public:ready"]


def test_paths_work_with_and_without_their_prefix(client):
    for path in ("/methods/userMethods/CO2RR", "/system/systemInfo/systemSerialNumber", "/lastRun"):
        assert client.get(path).json() == client.get(f"/v1{path}").json()
    assert client.get("/v1/runData/storageLimit").json() == "ok"
    assert client.get("/nothing").status_code == 404


def test_a_run_goes_through_its_states_to_a_new_last_run(client, emulator):
    assert client.get("/v1/lastRun").json() == {}
    assert client.post(
        f"{COMMAND}run", json={"runWhenReady": True, "annotations": {"name": "n", "tags": ["t"]}}
    ).is_success
    assert client.post(f"{COMMAND}run", json={}).status_code == 500
    assert client.get(f"{COMMAND}loadMethod?methodLocation=/methods/userMethods/B").status_code == 500
    until(lambda: emulator.state()["system"] == "method-running")
    until(lambda: emulator.state()["runs"])
    name = client.get("/v1/lastRun").json()["dataLocation"]
    document = client.get(f"/runData/{name}").json()
    assert document["$id"] == name
    assert document["annotations"] == {
        "name": "n",
        "tags": ["t"],
        "valcoPosition": 4,
        "valcoPositionName": "Position 4",
    }
    until(lambda: emulator.state()["system"] == "ready")


def test_a_run_waits_until_the_instrument_is_ready(client, emulator):
    client.get(f"{COMMAND}loadMethod?methodLocation=/methods/userMethods/B")
    assert emulator.state()["system"] != "ready"
    assert client.post(f"{COMMAND}run", json={"runWhenReady": False}).status_code == 500
    assert client.post(f"{COMMAND}run", json={"runWhenReady": True}).is_success
    assert client.post(f"{COMMAND}run", json={"runWhenReady": True}).status_code == 500
    until(lambda: emulator.state()["runs"])
    assert client.get("/runData?allData=True").json()["runs"][0]["methodName"] == "B"
    client.post(f"{COMMAND}run", json={"runWhenReady": True})
    client.get(f"{COMMAND}abort")
    until(lambda: emulator.state()["system"] == "ready")
    assert len(emulator.state()["runs"]) == 1


def test_a_sequence_runs_its_runs(client, emulator):
    assert client.get(f"{COMMAND}loadSequence?sequenceLocation=/sequences/three").is_success
    assert client.get(f"{COMMAND}run?runWhenReady=true").is_success
    until(lambda: len(emulator.state()["runs"]) == 3)
    until(lambda: emulator.state()["sequence"] == "sequence-loaded")
    stamps = [run["runTimeStamp"] for run in client.get("/runData?allData=True").json()["runs"]]
    assert stamps == sorted(stamps)
    seconds = (
        np.diff([np.datetime64(stamp.removesuffix("Z")) for stamp in stamps]).astype("timedelta64[ms]").astype(float)
        / 1e3
    )
    assert seconds == pytest.approx(230.0, abs=30.0)
    listed = client.get("/runData?limit=2&sortByDate=DESC&allData=True").json()
    assert listed["totalCount"] == 3
    assert [run["runTimeStamp"] for run in listed["runs"]] == stamps[:0:-1]
    assert client.get("/runData?text=CO2RR").json()["totalCount"] == 3
    assert client.get("/runData?text=nothing").json()["totalCount"] == 0


def test_the_gas_is_sampled_when_it_is_injected():
    gas = Gas({"h2": 0.01})
    with (
        InficonFusionEmulator("gc", analyser=gas, pace=Pace(100.0), lag=0.0) as emulator,
        httpx.Client(base_url=emulator.address, trust_env=False) as client,
    ):
        client.get(f"{COMMAND}run")
        until(lambda: emulator.state()["system"] == "method-running")
        sampled = emulator._pace.now() + 30.0
        until(lambda: emulator._pace.now() > sampled)
        gas.fractions = {"h2": 0.05}
        until(lambda: emulator.state()["runs"])
        run = client.get("/runData?allData=True").json()["runs"][0]
    areas = {p.get("label"): p["area"] for p in run["detectors"]["moduleA:tcd"]["analysis"]["peaks"]}
    assert areas["H2"] == pytest.approx(0.01 * RESPONSE["h2"], rel=0.05)


def test_bakeout_and_abort(client, emulator):
    client.get(f"{COMMAND}bakeout?duration=1800s")
    assert emulator.state()["system"] == "bakeout"
    assert client.get(f"{COMMAND}run").status_code == 500
    client.get(f"{COMMAND}abort")
    until(lambda: emulator.state()["system"] == "ready")


def test_an_unknown_method_is_an_error_of_the_system(client, emulator):
    client.get(f"{COMMAND}loadMethod?methodLocation=/methods/userMethods/none")
    assert emulator.state()["system"] == "error-method-load-failed"


def test_the_selector_takes_positions_only(client, emulator):
    assert client.put("/valcoSelector/position", json=9).json() == 9
    assert client.put("/valcoSelector/position", json="a").status_code == 400
    assert client.put("/valcoSelector/position", content=b"{").status_code == 400
    assert emulator.state()["position"] == 9


def test_areas_and_retentions_are_those_of_the_virtual_laboratory():
    gas = {"h2": 0.02, "o2": 0.01, "n2": 0.05, "ch4": 0.003, "co": 0.06, "co2": 0.8, "c2h4": 0.04}
    found = detectors(gas, np.random.default_rng(3))
    peaks = {p["label"]: p for one in found.values() for p in one["analysis"]["peaks"] if "label" in p}
    for module in MODULES:
        for compound in module.compounds:
            peak = peaks[compound.label]
            assert peak["area"] == pytest.approx(RESPONSE[compound.species] * gas[compound.species], rel=0.04)
            assert peak["top"] == pytest.approx(RETENTION[compound.species], rel=0.01)
            assert peak["concentration"] == pytest.approx(100 * gas[compound.species], rel=0.04)
    assert sum(p["normalizedConcentration"] for p in peaks.values()) == pytest.approx(100.0)


def test_areas_repeat_within_the_scatter_of_the_loop():
    generator = np.random.default_rng(1)
    areas = []
    for _ in range(40):
        peaks = detectors({"co": 0.03}, generator)["moduleA:tcd"]["analysis"]["peaks"]
        areas.append(next(p["area"] for p in peaks if p.get("label") == "CO"))
    assert 0.003 < np.std(areas) / np.mean(areas) < 0.008


def test_what_is_not_there_is_reported_with_nothing():
    peaks = detectors({}, np.random.default_rng(0))["moduleA:tcd"]["analysis"]["peaks"]
    assert {p["label"]: p["area"] for p in peaks if "label" in p} == dict.fromkeys(("H2", "O2", "N2", "CH4", "CO"), 0)
    assert [p for p in peaks if "label" not in p and "concentration" not in p]


def test_a_document_has_the_form_of_a_real_one(client, emulator, shared_data):
    real = json.loads((shared_data / "instrument_files" / "fusion_gc_15p_cu_10ma.fusion-data.json").read_text())
    client.get(f"{COMMAND}run")
    until(lambda: emulator.state()["runs"])
    made = client.get("/runData?allData=True").json()["runs"][0]
    assert set(made) <= set(real)
    assert set(real) - set(made) == {"sequence"}
    for name, one in made["detectors"].items():
        assert set(one) == set(real["detectors"][name])
        assert len(one["values"]) == one["nValuesExpected"] == real["detectors"][name]["nValuesExpected"]
        known = {key for peak in real["detectors"][name]["analysis"]["peaks"] for key in peak}
        assert {key for peak in one["analysis"]["peaks"] for key in peak} <= known


def test_what_is_not_retained_has_no_name_and_may_be_negative():
    generator = np.random.default_rng(5)
    found = detectors({"co2": 0.9}, generator)
    fronts = {name: next(p for p in one["analysis"]["peaks"] if "label" not in p) for name, one in found.items()}
    assert fronts["moduleA:tcd"]["area"] < 0.0 < fronts["moduleB:tcd"]["area"]
