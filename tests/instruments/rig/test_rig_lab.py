"""A rig as a laboratory: from a job to figures of merit, on two cells that share what they share."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bench import EFFICIENCY, TODAY, WORLDS, Attempt, World, bench, bench_data, records, world_of
from ruamel.yaml import YAML

from instruments.electrochemistry.setup import Setup
from instruments.errors import Interlocked, LabError, LabHolds
from instruments.lab import (
    Attended,
    Fenced,
    Job,
    Journaling,
    Lab,
    LabOptions,
    Located,
    Measurement,
    Observation,
    Outcome,
    Reducing,
    Selective,
)
from instruments.rig.assembly import awaited, metrics_of
from instruments.rig.calibrating import save
from instruments.rig.lab import RigLab
from instruments.rig.late import completed, results, with_liquids
from instruments.rig.mounted import Mounted, MountedSamples
from instruments.rig.options import RigOptions
from instruments.rig.stock import StockShort

SETTINGS = {"x_Cu": 0.9, "x_Ag": 0.1, "current_density": 100.0}


def job(number: int = 1, **changed: Any) -> Job:
    return Job("camp", number, {**SETTINGS, **changed})


def observed(outcome: Outcome) -> Observation:
    assert outcome.failure is None
    assert outcome.observation is not None
    return outcome.observation


def stored(measurement: Measurement) -> Measurement:
    """As files give it back."""
    signals = {name: pd.read_parquet(io.BytesIO(frame.to_parquet())) for name, frame in measurement.signals.items()}
    return Measurement(signals, json.loads(json.dumps(measurement.metadata)))


def procedure(folder: Path, **changed: Any) -> Mapping[str, Any]:
    block: dict[str, Any] = bench_data(str(folder))["procedure"]
    return {**block, **changed}


def test_it_is_what_the_loop_expects(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    assert isinstance(lab, Lab)
    assert isinstance(lab, Attended)
    assert isinstance(lab, Selective)
    options = RigOptions(file="rig.yaml")
    assert isinstance(options, LabOptions)
    assert isinstance(options, Located)
    assert isinstance(lab, Reducing)
    assert lab.cells == ("cell-1", "cell-2")
    assert not lab.repeat_is_safe
    assert {"fe_co", "fe_h2", "j_co", "e_rhe", "u_cell", "spc_co2"} <= set(lab.metrics)
    assert "fe_hcoo" not in lab.metrics


def test_two_cells_at_once_give_the_figures_of_their_cells(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    outcomes: dict[str, Outcome] = {}
    contexts = {cell: Attempt(tmp_path / cell, cell=cell, sample=f"s-{cell}") for cell in lab.cells}
    densities = {"cell-1": 100.0, "cell-2": 60.0}
    lab.open()
    try:

        def execute(cell: str) -> None:
            outcomes[cell] = lab.execute(job(current_density=densities[cell]), contexts[cell])

        threads = [threading.Thread(target=execute, args=(cell,)) for cell in lab.cells]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60.0)
    finally:
        lab.make_safe()
        lab.close()
    for cell, density in densities.items():
        seen = observed(outcomes[cell])
        for species, share in EFFICIENCY.items():
            figure = seen.figures[f"fe_{species}"]
            assert figure.sem is not None
            assert abs(figure.value - share) < 3 * figure.sem
        assert seen.figures["j_total"].value == pytest.approx(density, rel=1e-3)
        assert seen.verdict.name == "valid"
        assert seen.executed == {"x_Cu": 0.9, "x_Ag": 0.1}
        assert all("co" in name or "h2" in name for name in seen.calibrations)
        measurement = outcomes[cell].measurement
        assert measurement is not None
        assert set(measurement.signals) == {"potentiostat", "open_circuit", "impedance", "chromatograph", "flow"}
        assert set(measurement.signals["chromatograph"]["injection"]) == {1, 2, 3}
        assert contexts[cell].kept == [measurement]
        again = lab.reduce(stored(measurement), job(current_density=density), f"s-{cell}")
        first = outcomes[cell]
        assert replace(again, measurement=measurement, duration=first.duration, used=first.used) == first
        assert set(first.used) == {"robot", "node", "chromatograph", "selector"}
        setup = Setup.from_metadata(measurement.metadata)
        assert setup.resistance is not None
        assert setup.resistance.value == pytest.approx(2.0)
        assert setup.ph_source == "measured"
        assert setup.date == TODAY.isoformat()
        assert json.dumps(measurement.metadata)
        about: Any = measurement.metadata["rig"]
        assert about["composition"] == {"x_Cu": 0.9, "x_Ag": 0.1}
        assert 0.0 < about["composition_sem"]["x_Ag"] < 0.01
        assert set(contexts[cell].leased) == {"robot", "node", "chromatograph", "selector"}
    gc = [outcomes[cell].used["chromatograph"] for cell in lab.cells]
    assert min(use.seconds for use in gc) > 0.0
    assert max(use.waited for use in gc) > 0.0  # the injections of one had to wait for those of the other
    assert sum(use.seconds for use in gc) <= max(outcome.duration for outcome in outcomes.values())
    world = world_of(lab)
    runs = [what.split()[0] for what in world.of("chromatograph") if what.split()[0] in ("inject", "done")]
    assert runs == ["inject", "done"] * 6  # never two at once, and none was refused
    overlap = [world.when(f"potentiostat-{n}", "begin ChronoPotentiometry") for n in (1, 2)]
    ends = [world.when(f"potentiostat-{n}", "end ChronoPotentiometry") for n in (1, 2)]
    assert max(overlap) < min(ends)  # the cells did run side by side


def test_an_injection_that_others_make_late_is_flagged(tmp_path: Path) -> None:
    lab, outcomes = bench(tmp_path), list[Outcome]()
    lab.open()
    try:
        thread = threading.Thread(target=lambda: outcomes.append(lab.execute(job(), Attempt(tmp_path / "a"))))
        thread.start()
        world = world_of(lab)
        while not any("begin ChronoPotentiometry" in what for _, _, what in list(world.events)):
            assert thread.is_alive()
            thread.join(0.002)
        with lab._leases.hold("chromatograph", lambda: None):  # as a control does that takes too long
            first = lab.rig.clock.now() + 240.0
            while lab.rig.clock.now() < first + 80.0:
                thread.join(0.002)
        thread.join(60.0)
    finally:
        lab.make_safe()
        lab.close()
    seen = observed(outcomes[0])
    assert seen.verdict.name == "suspect"
    (reason,) = [reason for reason in seen.verdict.reasons if reason.startswith("slot [Q16]")]
    assert "> 60" in reason
    assert outcomes[0].used["chromatograph"].waited > 60.0


def test_stock_that_is_short_holds_before_anything_moves(tmp_path: Path) -> None:
    data = bench_data(str(tmp_path))["stock"]
    lab = bench(tmp_path, stock={**data, "rinse": {"volume": "4 mL"}})
    lab.open()
    try:
        before = len(world_of(lab).events)
        with pytest.raises(StockShort, match=r"rinse: 5 mL are needed, 4 mL are there") as caught:
            lab.execute(job(), Attempt(tmp_path / "a"))
        assert isinstance(caught.value, LabHolds)
        assert len(world_of(lab).events) == before
        lab.stock.refill("rinse", 1000.0, lot="R2", who="ada")
        observed(lab.execute(job(), Attempt(tmp_path / "b")))
    finally:
        lab.close()
    levels = lab.stock.levels()
    assert levels["rinse"].amount == pytest.approx(995.0)
    assert levels["waste"].amount == pytest.approx(4995.0)
    assert levels["precursors.Cu"].amount == pytest.approx(15.0 - 0.18)
    assert levels["gases.co2"].amount == pytest.approx(5e5 - 20 * (120 + 900 + 150) / 60)


@pytest.mark.parametrize(
    ("written", "text"), [([], "h2 is not calibrated"), (records(expires="2026-04-30"), "expired on 2026-04-30")]
)
def test_calibrations_that_do_not_hold_block_a_start(tmp_path: Path, written: list[Any], text: str) -> None:
    save(tmp_path / "calibrations", written)
    lab = bench(tmp_path, calibrated=False)
    with pytest.raises(LabHolds, match=text) as caught:
        lab.open()
    assert "sabatier rig calibrate" in str(caught.value)
    assert not any("=" in what or "begin" in what for _, _, what in world_of(lab).events)
    lab.close()


def test_a_calibration_that_expires_meanwhile_holds_the_next_experiment(tmp_path: Path) -> None:
    day = [TODAY]
    lab = bench(tmp_path)
    lab._today = lambda: day[0]
    lab.open()
    try:
        day[0] = date(2026, 6, 1)
        with pytest.raises(LabHolds, match="expired"):
            lab.execute(job(), Attempt(tmp_path / "a"))
    finally:
        lab.close()


def test_whoever_lost_the_campaign_commands_nothing_but_may_make_safe(tmp_path: Path) -> None:
    lab, controls = bench(tmp_path), [True]
    assert isinstance(lab, Fenced)
    assert isinstance(lab, Journaling)
    lab.fence(lambda: controls[0])
    lab.open()
    try:
        lab.rig.device("pump-1").set("rate", 1.0)
        controls[0] = False
        with pytest.raises(Interlocked, match="lease"):
            lab.rig.device("pump-1").set("rate", 2.0)
        lab.make_safe()
        assert lab.rig.device("pump-1").read("rate").number == 0.0
    finally:
        lab.close()


def test_a_chromatograph_with_its_own_calibration_needs_no_records(tmp_path: Path) -> None:
    lab = bench(tmp_path, calibrated=False, procedure=procedure(tmp_path, calibrated=[]))
    lab.open()
    lab.close()


def test_only_what_can_be_executed_is_proposed(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    points = pd.DataFrame(
        {
            "x_Cu": [0.9, 0.999, 0.5, 0.5, 1.0],
            "x_Ag": [0.1, 0.001, 0.5, 0.5, 0.0],
            "current_density": [100.0, 100.0, 600.0, 300.0, 50.0],
        }
    )
    assert list(lab.feasible(points)) == [True, False, False, True, True]
    assert list(lab.feasible(points[::-1])) == [True, True, False, False, True]
    assert not world_of(lab).events
    with pytest.raises(LabError, match="no setting 'x_Pt'"):
        bench(tmp_path, parameters=("x_Pt",))


def test_a_measurement_that_cannot_be_reduced_is_kept_and_is_no_failure(tmp_path: Path) -> None:
    data = bench_data(str(tmp_path))
    for cell in data["cells"].values():
        del cell["flow_reference"]
    lab = bench(tmp_path, cells=data["cells"])
    lab.open()
    try:
        outcome = lab.execute(job(), Attempt(tmp_path / "a"))
    finally:
        lab.close()
    seen = observed(outcome)
    assert seen.figures == {}
    assert seen.verdict.name == "invalid"
    assert "flow_reference" in seen.verdict.reasons[0]
    assert outcome.measurement is not None
    assert len(outcome.measurement.signals["chromatograph"])


def test_a_second_experiment_on_a_sample_does_not_make_it_again(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    lab.open()
    try:
        observed(lab.execute(job(), Attempt(tmp_path / "a")))
        again = Attempt(tmp_path / "b")
        second = observed(lab.execute(job(2, current_density=200.0), again))
        fresh = Attempt(tmp_path / "c", sample="s-2")
        observed(lab.execute(job(3), fresh))
    finally:
        lab.close()
    assert next(name for what, name, _ in again.steps if what == "begin") == "electrolyte"
    assert second.executed == {"x_Cu": 0.9, "x_Ag": 0.1}
    assert fresh.steps[0][1] == "prepare composition"
    assert lab.stock.levels()["blanks"].amount == 10
    assert world_of(lab).vessels["holder/B1"].keys() == {"rack/A1", "rack/A2"}  # wells are counted by column


def test_what_is_mounted_outlives_the_program(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    MountedSamples(path).put("cell-1", Mounted("s-7", {"x_Cu": 1.0}, {"x_Cu": 0.01}, spoiled=True))
    again = MountedSamples(path)
    assert again.at("cell-1") == Mounted("s-7", {"x_Cu": 1.0}, {"x_Cu": 0.01}, spoiled=True)
    assert again.at("cell-2") == Mounted()
    path.write_text("[")
    with pytest.raises(LabError, match="cannot be read"):
        MountedSamples(path)


def test_a_bath_of_all_cells_has_one_temperature(tmp_path: Path) -> None:
    data = bench_data(str(tmp_path))
    bath = {"kind": "bench:BenchOptions", "role": "bath", "world": str(tmp_path)}
    devices, shared = {**data["devices"], "bath": bath}, {**data["shared"], "bath": "bath"}
    lab = bench(tmp_path, devices=devices, shared=shared)
    with pytest.raises(LabError, match="shares its bath") as caught:
        lab.check({**SETTINGS, "temperature": 310.0})
    assert caught.value.field == "temperature"
    lab = bench(tmp_path, devices=devices, shared=shared, settings={"temperature": 308.15})
    lab.open()
    try:
        outcome = lab.execute(job(), Attempt(tmp_path / "a"))
    finally:
        lab.close()
    observed(outcome)
    assert outcome.measurement is not None
    setup = Setup.from_metadata(outcome.measurement.metadata)
    assert setup.temperature is not None
    assert setup.temperature.value == pytest.approx(308.15)
    assert world_of(lab).of("bath")[1:3] == ["setpoint = 35", "control = on"]


# Liquids


def test_liquids_come_later_and_complete_the_figures(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    data = bench_data(str(tmp_path))
    mapping = {
        "sample": "vial",
        "columns": {"formate": {"species": "hcoo", "unit": "mmol/L", "compartment": "catholyte"}},
    }
    handoff = {"kind": "handoff", "folder": str(tmp_path / "results"), "mapping": mapping, "settle": 0.0}
    lab = bench(
        tmp_path,
        devices={**data["devices"], "analyst": handoff},
        shared={**data["shared"], "handoff": "analyst"},
        procedure=procedure(
            tmp_path, sample={"volume": "200 uL", "source": {"cell-1": "out/A1"}, "products": ["hcoo"]}
        ),
    )
    assert "fe_hcoo" in lab.metrics
    lab.open()
    try:
        outcome = lab.execute(job(), Attempt(tmp_path / "a"))
        seen = observed(outcome)
        assert set(outcome.awaiting) == {"fe_hcoo", "j_hcoo", "ee_hcoo", "fe_total"}
        assert not set(outcome.awaiting) & set(seen.figures)
        assert outcome.measurement is not None
        again = lab.reduce(stored(outcome.measurement), job(), "s-1")
        assert (again.observation, again.awaiting) == (seen, outcome.awaiting)
        label = outcome.measurement.metadata["rig"]["label"]  # type: ignore[index]
        assert world_of(lab).of("robot")[-1] == "out/A1 > vials/A1: 200"
        (tmp_path / "results" / "run.csv").write_text(f"vial,formate\n{label},1.5\n")
        device = lab.rig.device("analyst")
        found = list(results(device)) or list(results(device))
        (late,) = found
        assert (late.campaign, late.experiment, late.attempt, late.sample) == ("camp", 1, 1, "s-1")
        device.keep(late.taken)  # type: ignore[attr-defined]
        assert list(results(device)) == []
    finally:
        lab.close()
    whole = lab.reduce(with_liquids(outcome.measurement, late.liquid), job(), "s-1")
    assert whole.awaiting == ()
    told = completed(outcome.measurement, late.liquid, outcome.awaiting)
    assert set(observed(whole).figures) == {*seen.figures, *told.figures}
    assert told.figures.items() <= observed(whole).figures.items()
    charge = 0.1 * 900.0
    expected = 2 * 96485.33 * 1.5e-3 * 20e-3 / charge
    assert set(told.figures) == set(outcome.awaiting)
    assert told.figures["fe_hcoo"].value == pytest.approx(expected, rel=0.02)
    assert told.figures["fe_total"].value == pytest.approx(1.0 + expected, rel=0.02)


def test_sums_wait_for_what_is_missing_in_them() -> None:
    metrics = metrics_of(["h2", "co"], ["hcoo", "c2h5oh"], outlet=True, voltage=True)
    later = awaited(["hcoo", "c2h5oh"], metrics)
    assert {"fe_total", "fe_c2plus", "j_c2plus", "fe_hcoo", "ee_c2h5oh"} <= set(later)
    assert not {"fe_co", "j_total", "e_rhe"} & set(later)
    assert awaited([], metrics) == ()
    assert "u_cell" not in metrics_of(["co"], [], outlet=False, voltage=False)


# From files


def written(folder: Path, data: Mapping[str, Any]) -> Path:
    path = folder / "rig.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(json.loads(json.dumps(data)), file)
    return path


def test_options_of_a_campaign_build_it_from_its_file(tmp_path: Path) -> None:
    WORLDS.setdefault(str(tmp_path), World())
    written(tmp_path, bench_data(str(tmp_path)))
    located = RigOptions(file="rig.yaml").located(tmp_path)
    assert Path(located.file).is_absolute()
    lab = located.build(["x_Cu", "x_Ag", "current_density"], {})
    assert isinstance(lab, RigLab)
    assert lab.folder == tmp_path
    with pytest.raises(LabError, match="no setting 'mood'"):
        located.build(["mood"], {})


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "no YAML"), ("- a", "holds no blocks"), ("name: x\n", "devices"), (None, "cannot be read")],
)
def test_a_rig_file_that_is_none(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "rig.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabError, match=message):
        RigOptions(file=str(path)).build([], {})


def test_a_campaign_on_a_rig_proposes_only_what_it_can_make(tmp_path: Path) -> None:
    from orchestrator.config.load import load

    WORLDS.setdefault(str(tmp_path), World())
    written(tmp_path, bench_data(str(tmp_path)))
    (tmp_path / "campaign.yaml").write_text(
        "name: on-a-rig\n"
        "space:\n"
        "  parameters:\n"
        "    - {type: composition, name: x, components: [Cu, Ag], stage: preparation}\n"
        "    - {type: continuous, name: current_density, low: 50, high: 900, unit: mA cm-2}\n"
        "objectives: [{metric: fe_co}]\n"
        "strategy: random\n"
        "lab: {type: rig, file: rig.yaml}\n"
        "stop: {experiments: 5}\n"
    )
    definition = load(tmp_path / "campaign.yaml")
    lab = definition.build_lab()
    drawn = pd.DataFrame(definition.space.sample(64, np.random.default_rng(0)), columns=list(definition.space.columns))
    assert all(lab.feasible(drawn))  # type: ignore[attr-defined]
    assert 400.0 < drawn["current_density"].max() <= 500.0


def test_attempts_are_told_apart_in_everything_that_leaves_a_trace(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    lab.open()
    try:
        context = replace(Attempt(tmp_path / "a"), attempt=3)
        observed(lab.execute(job(7), context))
    finally:
        lab.close()
    assert "inject camp-7-3-1" in world_of(lab).of("chromatograph")
    events = [json.loads(line) for line in (tmp_path / "bench.stock.jsonl").read_text().splitlines()]
    assert {event["by"] for event in events if event["event"] == "reserved"} == {"camp/7/3"}
    assert events[-1]["event"] == "settled"
    assert (tmp_path / "a" / "injection-1.json").is_file()
