"""Campaigns on an emulated rig over real sockets, in real processes: that they measure the truth, and end safely."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from rig_bench import RigBench, drawing, gas_on, last

from orchestrator.loop.assembly import assemble
from orchestrator.store.opening import open_store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

GASES = ("h2", "co", "c2h4")
QUICK = {
    "duration": "24 min",
    "purge": "4 min",
    "injections": {"first": "8 min", "every": "6 min", "flush": "60 s"},
}
LONG = {"duration": "5 h", "purge": "2 min", "injections": {"first": "15 min", "every": "12 min"}}
"""Nothing ends by itself while a test looks."""


def _frame(bench):
    store = open_store(bench.store, durable=False, create=False)
    try:
        return assemble(store, "rig-emulated").campaign.to_dataframe()
    finally:
        store.close()


def _status(bench):
    return json.loads(bench.run("status", "rig-emulated", "--json").stdout)


def _pulls(frame, cells):
    """How far measured efficiencies are from the virtual cell's own, in stated standard uncertainties."""
    used = [truth for cell in cells.values() for truth in [*cell["past"], cell] if truth["charge"] > 0.0]
    assert len(used) == len(frame)
    pulls = []
    for _, row in frame.iterrows():
        asked = {element: row[f"x_{element}"] for element in ("Cu", "Ag", "Zn")}
        off = [max(abs(truth["fractions"].get(e, 0.0) - x) for e, x in asked.items()) for truth in used]
        truth = used[int(np.argmin(off))]
        assert min(off) < 0.005  # dispensed volumes are rounded
        pulls += [(row[f"fe_{gas}"] - truth["fe"][gas]) / row[f"fe_{gas}_sem"] for gas in GASES]
    return np.array(pulls)


def _campaign(bench, folder, experiments, **changes):
    rig = RigBench(folder / "bench", experiments=experiments, **changes)
    with rig.emulated():
        done = bench.run("run", rig.folder / "campaign.yaml", "--engine", "threads", timeout=580)
        cells = rig.cells()
    assert f"the budget of {experiments} experiments is used" in done.stdout
    return rig, _frame(bench), cells, done


def test_a_campaign_over_the_wire_measures_what_truly_happens(bench, tmp_path):
    _, frame, cells, done = _campaign(bench, tmp_path, 2, pace=60.0, procedure=QUICK)
    assert set(frame["state"]) == {"completed"}
    assert set(frame["verdict"]) <= {"valid", "suspect"}, done.stdout
    pulls = _pulls(frame, cells)
    assert np.abs(pulls).max() < 4.0, pulls
    assert drawing(cells) == []
    assert gas_on(cells) == []
    for cell in cells.values():
        assert last(cell, "gas") > last(cell, "off")  # current before flow
    raw = list(Path(bench.store.removeprefix("sqlite:///")).parent.glob("files/rig-emulated/*/*/*.parquet"))
    assert {path.stem for path in raw} >= {"potentiostat", "chromatograph", "flow", "open_circuit", "impedance"}


@pytest.mark.soak
def test_ten_experiments_on_two_cells_agree_with_the_virtual_cell_within_the_stated_uncertainty(bench, tmp_path):
    _, frame, cells, done = _campaign(bench, tmp_path, 10, pace=60.0)
    assert len(frame) == 10
    assert set(frame["state"]) == {"completed"}
    assert set(frame["verdict"]) <= {"valid", "suspect"}, done.stdout
    pulls = _pulls(frame, cells)
    assert np.abs(pulls).max() < 4.0, pulls
    assert np.sqrt((pulls**2).mean()) < 1.6, pulls


@pytest.fixture
def running(bench, tmp_path):
    """Two cells in the middle of a long electrolysis, the command that runs them, and their rig."""
    rig = RigBench(tmp_path / "bench", pace=60.0, procedure=LONG)
    with rig.emulated():
        process = bench.start("run", rig.folder / "campaign.yaml", "--engine", "threads")
        try:
            rig.until(lambda cells: len(drawing(cells)) == 2)
            assert len(_pumping(rig)) == 2
            yield rig, process
        finally:
            process.kill()
            process.communicate(timeout=60)


def _off(rig, longest):
    return rig.until(lambda cells: not drawing(cells) and not gas_on(cells), longest)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_a_signal_switches_both_cells_off_before_the_command_ends(bench, running, number):
    rig, process = running
    process.send_signal(number)
    cells = _off(rig, 20.0)
    for cell in cells.values():
        assert last(cell, "gas") > last(cell, "off")
    assert process.wait(timeout=60) == 130
    assert _status(bench)["state"] == "interrupted"
    assert _status(bench)["experiments"]["needs_inspection"] == 2


def test_a_killed_controller_is_outlived_by_the_guardian(bench, running):
    rig, process = running
    process.kill()
    process.wait()
    cells = _off(rig, 20.0)
    for cell in cells.values():
        assert last(cell, "gas") > last(cell, "off")
    rig.until(lambda _: not _pumping(rig), 20.0)
    halted = json.loads((rig.rig.parent / "twin-cells.halted.json").read_text())
    assert "controller" in halted["reason"] or "heartbeat" in halted["reason"], halted
    again = bench.run("run", rig.folder / "campaign.yaml", "--engine", "threads", status=1)
    assert "sabatier rig reset" in again.stdout + again.stderr
    bench.run("rig", "check", rig.rig, status=1)
    bench.run("rig", "reset", rig.rig)
    bench.run("rig", "check", rig.rig)
    after = bench.run("resume", "rig-emulated", "--engine", "threads", status=1)
    assert "a person must say what became of experiment" in after.stdout


@pytest.mark.soak
def test_without_controller_and_guardian_the_scripts_end_themselves(bench, tmp_path):
    rig = RigBench(
        tmp_path / "bench",
        pace=60.0,
        procedure=LONG | {"duration": "20 min", "injections": {"first": "8 min", "every": "6 min"}},
    )
    with rig.emulated():
        process = bench.start("run", rig.folder / "campaign.yaml", "--engine", "threads")
        cells = rig.until(lambda cells: len(drawing(cells)) == 2)
        began = {name: last(cell, "current") for name, cell in cells.items()}
        guardians = [p for p in psutil.process_iter(["cmdline"]) if _guards(p, rig)]
        assert guardians
        for victim in (*guardians, psutil.Process(process.pid)):
            victim.kill()
        process.communicate(timeout=60)
        cells = rig.until(lambda cells: not drawing(cells))
        for name, cell in cells.items():
            assert last(cell, "off") - began[name] == pytest.approx(1200.0, abs=60.0)
        assert len(gas_on(cells)) == 2  # nobody is left to stop it: current before flow
        assert len(_pumping(rig)) == 2
        rig.until(lambda _: not _pumping(rig))  # their watchdogs
        bench.run("rig", "reset", rig.rig)
        assert gas_on(rig.cells()) == []


def _pumping(rig):
    return [name for name in ("pump-1", "pump-2") if rig.device(name)["running"]]


def _guards(process, rig):
    words = process.info["cmdline"] or []
    return any("instruments.rig.guardian" in word for word in words) and any(str(rig.rig.parent) in w for w in words)
