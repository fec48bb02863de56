"""Campaigns in the virtual laboratory: every chemistry through the command, and what quality control keeps from the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from acquisition import Objective
from instruments.electrochemistry import Setup, reduce
from instruments.lab import Job
from orchestrator import Campaign
from orchestrator.config.load import load
from orchestrator.loop import Loop, ThreadEngine, raw
from orchestrator.loop.assembly import assemble, register
from orchestrator.loop.context import AttemptContext, VirtualClock
from orchestrator.loop.keeping import Files
from orchestrator.store import open_store
from simulators import CHEMISTRIES, chemistry


def campaign_file(folder: Path, name: str, experiments: int, initial: int = 6, **lab: object) -> Path:
    definition = CHEMISTRIES[name]
    path = folder / f"{name}.yaml"
    content = {
        "name": name.replace("_", "-"),
        "space": chemistry(name).space,
        "objectives": [{"metric": definition.target, "goal": "maximize"}],
        "metrics": ["fe_h2", "u_cell"],
        "strategy": {"name": "auto", "initial": initial},
        "lab": {"type": "simulated", "chemistry": name, **lab},
        "stop": {"experiments": experiments},
    }
    path.write_text(json.dumps(content))  # which is YAML too
    return path


@pytest.mark.parametrize("name", sorted(CHEMISTRIES))
def test_every_chemistry_runs_through_the_command(name, bench):
    signals = "raw" if name in ("gde_alloys", "gde_conditions") else "figures"
    campaign_file(bench.folder, name, 8, initial=5, cells=2, signals=signals)
    done = bench.run("run", f"{name}.yaml", "--engine", "threads")
    assert done.stderr == ""
    state = json.loads(bench.run("status", name.replace("_", "-"), "--json").stdout)
    assert state["state"] == "completed"
    assert state["experiments"]["completed"] + state["experiments"]["failed"] == 8
    assert sum(state["verdicts"].values()) == state["experiments"]["completed"]
    value = state["best"][0]["metrics"][CHEMISTRIES[name].target]
    assert 0.0 < value <= 1.3 * chemistry(name).optimum(CHEMISTRIES[name].target)["value"]


def test_status_tells_what_quality_control_thinks(bench):
    campaign_file(bench.folder, "cu_alloys", 6, initial=6, signals="raw", faults={"leak": 0.5})
    bench.run("run", "cu_alloys.yaml", "--engine", "threads", "-q")
    verdicts = json.loads(bench.run("status", "cu-alloys", "--json").stdout)["verdicts"]
    assert set(verdicts) == {"valid", "suspect", "invalid"}
    assert verdicts["invalid"] >= 1
    assert f"{verdicts['invalid']} invalid of " in bench.run("status", "cu-alloys").stdout


def run_through(folder: Path, path: Path, cells: int = 1) -> Campaign:
    store = open_store(folder / "s.db")
    definition = load(path)
    register(store, definition)
    parts = assemble(store, definition.file.name, definition)
    budget = definition.file.stop.experiments
    Loop(parts.campaign, parts.lab, experiments=budget, engine=ThreadEngine(cells), files=folder / "files").run()
    return parts.campaign


@pytest.mark.parametrize(
    ("name", "fault", "rule"),
    [("cu_alloys", "wrong_reference", "Q20"), ("cu_alloys", "leak", "Q11"), ("gde_alloys", "flooding", "Q27")],
)
def test_what_went_wrong_gets_its_verdict_and_stays_out_of_the_model(name, fault, rule, tmp_path):
    path = campaign_file(tmp_path, name, 10, signals="raw", faults={fault: 0.5})
    campaign = run_through(tmp_path, path)
    records = [r for r in campaign.experiments() if r.state == "completed"]
    lab = assemble(campaign.store, campaign.name).lab
    blamed, healthy = [], []
    for record in records:
        moment = AttemptContext(
            cell="cell-1", sample=record.sample, attempt=1, seed=record.seed, clock=VirtualClock(0.0),
            keeper=Files(tmp_path, tmp_path), location=str(tmp_path), cancelled=None, devices={},
        )  # fmt: skip
        truth = lab.reveal(Job(campaign.name, record.id, record.asked), moment)
        (blamed if truth.faults else healthy).append(record)
    assert len(blamed) >= 2
    assert len(healthy) >= 2
    assert all(record.verdict == "invalid" for record in blamed)
    assert all(any(rule in reason for reason in record.verdict_reasons) for record in blamed)
    assert not any(rule in reason for record in healthy for reason in record.verdict_reasons)

    # a campaign that never heard of the blamed ones believes the very same
    target = CHEMISTRIES[name].target
    known = [record for record in records if record.verdict != "invalid"]
    table = pd.DataFrame(
        [
            {
                **r.executed,
                **{f"{name}_measured": value for name, value in r.measured.items()},
                **{f"{name}_measured_sem": sem for name, sem in r.measured_sem.items()},
                target: r.values[target].value,
                f"{target}_sem": r.values[target].sem,
                f"{target}_censored": r.values[target].censored,
                "verdict": r.verdict,
                "sample": r.sample,
            }
            for r in known
        ]
    )
    other = Campaign(load(path).space, Objective(target), seed=campaign.seed)
    other.tell(table)
    points = pd.DataFrame([chemistry(name).optimum(target)["parameters"]])
    pd.testing.assert_frame_equal(other.predict(points), campaign.predict(points), rtol=1e-6)


def test_raw_files_alone_give_the_same_observation_again(tmp_path):
    campaign = run_through(tmp_path, campaign_file(tmp_path, "gde_alloys", 2, signals="raw"))
    files = Files(tmp_path, tmp_path)
    for attempt in campaign.store.attempts(campaign.name):
        record = campaign.store.experiment(campaign.name, attempt.experiment)
        again = reduce(files.read(attempt))
        report = json.loads((Path(attempt.files) / raw.REPORT).read_text())
        assert report == json.loads(json.dumps(again.report()))
        assert {"closure", "reference_drift"} <= {check["name"] for check in report["checks"]}
        assert all("thresholds" in check for check in report["checks"])
        assert record.calibrations == again.observation.calibrations
        assert len(record.calibrations) >= 5
        for name, figure in again.figures.items():
            kept = record.values[name]
            assert (kept.value, kept.sem, kept.censored) == (figure.value, figure.sem, figure.censored), name
        # another electrode area, noticed later: every current density is another
        kept = files.read(attempt)
        setup = Setup.from_metadata(kept.metadata)
        larger = Setup(**{**setup.model_dump(mode="json", exclude_none=True), "area": "2.0 cm2"})
        corrected = reduce(replace(kept, metadata={**kept.metadata, **larger.to_metadata()}))
        assert corrected.figures["j_total"].value == pytest.approx(0.5 * again.figures["j_total"].value)


def space_filling(folder: Path, cells: int, **lab: object) -> pd.DataFrame:
    """A campaign whose proposals need no result, as a table without times."""
    folder.mkdir()
    path = campaign_file(folder, "cu_alloys", 8, initial=8, cells=cells, signals="raw", **lab)
    table = run_through(folder, path, cells).to_dataframe()
    assert not table["fe_c2h4"].isna().all()
    return table.drop(columns=[column for column in table if "predicted" in column or "time" in column])


def test_it_does_not_matter_how_many_cells_work(tmp_path):
    one, four = (space_filling(tmp_path / str(cells), cells) for cells in (1, 4))
    pd.testing.assert_frame_equal(one, four[one.columns], check_exact=True)


def test_it_does_not_matter_which_cell_is_first(tmp_path):
    first, again = (space_filling(tmp_path / turn, 4, failures=True, drift=True) for turn in ("a", "b"))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not first.equals(space_filling(tmp_path / "c", 4))
