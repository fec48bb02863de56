"""Commands about a rig, on an emulated one over real sockets."""

import json
import math
import os

import pytest
from rig_bench import RigBench

from simulators.signals import RESPONSE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

PACE = 300.0
SPECIES = {"h2", "co", "ch4", "c2h4"}


@pytest.mark.soak
def test_a_calibration_over_the_wire_finds_the_response_of_the_emulated_chromatograph(bench, tmp_path):
    rig = RigBench(tmp_path / "bench", pace=PACE)
    with rig.emulated():
        done = bench.run("rig", "calibrate", rig.rig)
    assert done.stderr.splitlines() == ["injecting low", "injecting middle", "injecting high"]
    records = [json.loads(path.read_bytes()) for path in (rig.rig.parent / "calibrations").glob("*.json")]
    assert {record["species"] for record in records} == SPECIES
    assert len(done.stdout.splitlines()) == len(records)
    for record in records:
        true = RESPONSE[record["species"]]
        sem = math.sqrt(record["covariance"][1][1])
        assert abs(record["coefficients"][1] - true) < 3.0 * sem, record
        assert sem < 0.03 * true


def test_a_reset_that_cannot_tell_what_is_in_the_cells_touches_nothing(bench, tmp_path):
    rig = RigBench(tmp_path / "bench", pace=PACE)  # no instrument is there to be touched
    (rig.wanted.parent / "twin-cells.cells.json").write_text("[1]")
    done = bench.run("rig", "reset", rig.wanted, status=2)
    assert "twin-cells.cells.json cannot be read" in done.stderr
    assert not (rig.wanted.parent / "twin-cells.lock").exists()


def test_stopping_halts_until_the_reset_and_says_what_each_device_confirmed(bench, tmp_path):
    rig = RigBench(tmp_path / "bench", pace=PACE)
    with rig.emulated():
        assert bench.run("rig", "check", rig.rig).stdout.startswith("twin-cells can start\n")
        stopped = bench.run("rig", "stop", rig.rig, "--reason", "a test").stdout.splitlines()
        assert stopped[0].endswith("devices confirmed that they are safe")
        assert stopped[-1].startswith("why: a test ")
        assert "is halted: a test" in bench.run("rig", "check", rig.rig, status=1).stdout
        assert "is halted: a test" in bench.run("rig", "calibrate", rig.rig, status=1).stderr
        bench.run("rig", "reset", rig.rig, "--who", "somebody")
        report = json.loads(bench.run("rig", "check", rig.rig, "--json").stdout)
        assert report["ok"]
        assert all(report["devices"].values())


def _impatient(data):
    data["safety"] |= {"tries": 1, "bound": "1 s"}


@pytest.mark.soak
def test_a_rig_of_which_nothing_answers_is_told_in_a_line_a_device(bench, tmp_path):
    rig = RigBench(tmp_path / "bench", pace=PACE, changes=_impatient)
    with rig.emulated():
        number = len(json.loads(bench.run("rig", "check", rig.rig, "--json").stdout)["devices"])
    lines = bench.run("rig", "check", rig.rig, status=1).stdout.splitlines()
    assert lines[0].startswith(f"twin-cells cannot start: {number} of {number} devices are not there")
    assert len(lines) <= number + 5
    assert max(map(len, lines)) <= 160
    refused = bench.run("rig", "calibrate", rig.rig, status=1).stderr.splitlines()
    able = number - 2  # meters can do no harm, whether they answer or not
    assert refused[0].startswith(f"sabatier: the rig twin-cells: {able} of {number} devices did not confirm")
    assert len(refused) == able + 1
    assert max(map(len, refused[1:])) <= 162


def test_filling_up_is_written_down(bench, tmp_path):
    rig = RigBench(tmp_path / "bench")
    rig.wanted.replace(rig.rig)
    words = ("--lot", "B2", "--expires", "2099-03-31", "--who", "somebody")
    said = bench.run("rig", "refill", rig.rig, "precursors.Cu", "1.2", *words).stdout
    assert said == "precursors.Cu: 1.2 mL, lot B2, until 2099-03-31\n"
    assert said in bench.run("rig", "refill", rig.rig).stdout
    assert "Give the amount" in bench.run("rig", "refill", rig.rig, "precursors.Cu", status=2).stderr
    assert "not in stock" in bench.run("rig", "refill", rig.rig, "precursors.Xx", "1", status=2).stderr
    assert bench.run("rig", "answer", rig.rig).stdout == "nothing is asked\n"
    assert "nobody asks" in bench.run("rig", "answer", rig.rig, "q-1", status=2).stderr
