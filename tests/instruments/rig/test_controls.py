"""Controls: when they are due, what they find, and what their results mean."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from bench import Attempt, World, bench, bench_data, world_of
from hypothesis import given
from hypothesis import strategies as st

from instruments.errors import LabError, LabHalted
from instruments.lab import Figure, Job
from instruments.rig.asking import answer, questions
from instruments.rig.controls import (
    BOUNDS,
    ControlBlock,
    ControlResult,
    Done,
    due,
    judge,
    latest,
    note,
    since_last_good,
)
from instruments.rig.testing import of_figures

CHECK = {"kind": "check_gas", "gas": "check", "stream": 3, "every_experiments": 10, "injections": 2, "flush": "10 s"}
LEAK = {"kind": "leak_test", "every_hours": 24, "readings": 5, "settle": "10 s"}
REFERENCE = {"kind": "reference_check", "every_hours": 24, "expected": "-0.5 V", "settle": "20 s"}
BLANK = {
    "kind": "argon_blank",
    "every_experiments": 20,
    "parameters": {"x_Cu": 1.0, "current_density": 100.0},
    "changes": [{"role": "gas", "attribute": "gas", "value": "Ar", "after": "CO2"}],
}
STANDARD = {
    "kind": "standard_electrode",
    "every_experiments": 20,
    "parameters": {"x_Ag": 1.0, "current_density": 100.0},
    "metric": "fe_co",
    "expected": "0.8 +/- 0.01",
}


def block(**fields: Any) -> ControlBlock:
    return ControlBlock(**fields)


# The block


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "leak_test"}, "every_experiments"),
        ({"kind": "check_gas", "every_hours": 1}, "gas"),
        ({**STANDARD, "metric": None}, "metric"),
        ({**STANDARD, "expected": None}, "expected"),
        ({**BLANK, "changes": []}, "changes"),
        ({**LEAK, "on_fail": "recalibrate"}, "on_fail"),
        ({**LEAK, "every_hours": 0}, "every_hours"),
        ({**LEAK, "kind": "leek_test"}, "kind"),
    ],
)
def test_controls_that_cannot_be(fields: Mapping[str, Any], field: str) -> None:
    with pytest.raises(LabError) as caught:
        block(**fields)
    assert field in (caught.value.field or "")


def test_two_controls_of_a_name_are_refused_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        bench(tmp_path, controls=[LEAK, {**LEAK, "every_hours": 3}])
    assert caught.value.field == "controls.1.name"
    with pytest.raises(LabError) as caught:
        bench(tmp_path, controls=[LEAK, {"kind": "leak_test"}])
    assert caught.value.field == "controls.1.every_experiments"


# When


def test_a_control_is_due_first_of_all_and_then_in_its_turn() -> None:
    schedule = [block(**CHECK), block(**LEAK)]
    cells = {"cell-1": 0, "cell-2": 0}
    first = due(schedule, [], cells, 0.0)
    assert [(d.name, d.cell) for d in first] == [("check_gas", ""), ("leak_test", "cell-1"), ("leak_test", "cell-2")]
    history = [Done(d.name, d.cell, 0, 0.0, "good") for d in first]
    assert due(schedule, history, {"cell-1": 5, "cell-2": 4}, 23.9) == ()
    (by_count,) = due(schedule, history, {"cell-1": 5, "cell-2": 5}, 1.0)
    assert (by_count.name, by_count.why) == ("check_gas", "10 experiments since the last one")
    by_time = due(schedule, history, {"cell-1": 5, "cell-2": 4}, 24.0)
    assert {(d.name, d.cell) for d in by_time} == {("leak_test", "cell-1"), ("leak_test", "cell-2")}


def test_only_the_named_cells_have_a_control() -> None:
    schedule = [block(**LEAK, cells=["cell-2"])]
    assert [d.cell for d in due(schedule, [], {"cell-1": 9, "cell-2": 9}, 0.0)] == ["cell-2"]


@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(0.0, 500.0)), max_size=8),
    st.integers(0, 200),
    st.floats(0.0, 500.0),
)
def test_nothing_is_due_right_after_it_was_done_and_all_is_long_after(
    done: list[tuple[int, float]], experiments: int, hours: float
) -> None:
    schedule = [block(**{**LEAK, "every_experiments": 10})]
    history = [Done("leak_test", "c", count, at, "good") for count, at in sorted(done)]
    now = [*history, Done("leak_test", "c", experiments, hours, "good")]
    assert due(schedule, now, {"c": experiments}, hours) == ()
    for verdict in ("failed", "undecided"):
        bad = [*history, Done("leak_test", "c", experiments, hours, verdict)]
        assert [d.why for d in due(schedule, bad, {"c": experiments}, hours)] == ["it was not good last time"]
        flagging = [block(**{**LEAK, "every_experiments": 10, "on_fail": "flag_since_last_good"})]
        assert due(flagging, bad, {"c": experiments}, hours) == ()
    assert len(due(schedule, now, {"c": experiments + 10}, hours)) == 1
    assert len(due(schedule, now, {"c": experiments}, hours + 24.0)) == 1


def test_what_is_flagged_reaches_back_to_the_last_good_one() -> None:
    history = [
        Done("check_gas", "", 0, 0.0, "good"),
        Done("check_gas", "", 10, 5.0, "good"),
        Done("check_gas", "", 20, 9.0, "undecided"),
        Done("check_gas", "", 30, 12.0, "failed"),
    ]
    assert since_last_good(history, "check_gas", "") == 10
    assert since_last_good(history, "leak_test", "cell-1") == 0


# What a result means


@pytest.mark.parametrize(
    ("value", "sem", "verdict"),
    [
        (0.01, 0.005, "good"),
        (-0.01, 0.005, "good"),
        (0.08, 0.01, "failed"),
        (-0.08, 0.01, "failed"),
        (0.08, None, "failed"),
        (0.06, 0.04, "good"),  # off, but not surely, and the bound is wider than the uncertainty
        (0.01, 0.2, "undecided"),
        (0.9, 0.2, "failed"),
    ],
)
def test_verdicts_of_a_check_gas(value: float, sem: float | None, verdict: str) -> None:
    result = judge(block(**CHECK), "", value, sem)
    assert result.verdict == verdict
    assert bool(result.reasons) == (verdict != "good")
    assert result.on_fail == "hold"


def test_a_standard_electrode_is_compared_with_what_is_expected_of_it() -> None:
    standard = block(**STANDARD)
    assert of_figures(standard, "c", {"fe_co": Figure(0.82, 0.01)}).verdict == "good"
    failed = of_figures(standard, "c", {"fe_co": Figure(0.60, 0.01)})
    assert failed.verdict == "failed"
    assert failed.value == 0.60
    assert "off by 0.2" in failed.reasons[0]
    assert of_figures(standard, "c", {}).verdict == "undecided"
    assert of_figures(standard, "c", {"fe_co": Figure(0.01, None, "below")}).verdict == "undecided"


def test_a_blank_may_find_no_carbon() -> None:
    argon = block(**BLANK)
    assert of_figures(argon, "c", {"fe_co": Figure(0.001, None, "below"), "fe_h2": Figure(1.0, 0.01)}).verdict == "good"
    failed = of_figures(argon, "c", {"fe_co": Figure(0.05, 0.002), "fe_h2": Figure(0.9, 0.01)})
    assert (failed.verdict, failed.value) == ("failed", 0.05)
    assert of_figures(argon, "c", {"fe_h2": Figure(0.9, 0.01)}).verdict == "undecided"


@given(st.floats(-1.0, 1.0), st.floats(0.0, 1.0))
def test_what_failed_is_off_by_more_than_bound_and_uncertainty(value: float, sem: float) -> None:
    result = judge(block(**CHECK), "", value, sem)
    if result.verdict == "failed":
        assert abs(value) > BOUNDS["check_gas"]
        assert abs(value) > 2 * sem
    if result.verdict == "good":
        assert abs(value) <= max(BOUNDS["check_gas"], 2 * sem)


def test_the_record_gives_the_latest_value_of_a_cell(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    assert latest(path, "leak_test", "cell-1") is None
    for cell, value in (("cell-1", 0.1), ("cell-2", 0.2), ("cell-1", 0.3), ("cell-1", None)):
        note(path, ControlResult("leak", "leak_test", cell, value, "1", None, "good"), "2026-05-01T00:00:00+00:00")
    with path.open("a") as file:
        file.write('{"cut')
    assert latest(path, "leak_test", "cell-1") == 0.3
    assert latest(path, "leak_test", "cell-2") == 0.2
    assert latest(path, "check_gas", "cell-1") is None


# On a rig


def run(folder: Path, control: Mapping[str, Any], prepare: Any = None, cell: str = "cell-1") -> ControlResult:
    lab = bench(folder, controls=[control])
    world = world_of(lab)
    world.streams[3] = {"h2": 0.01, "co": 0.01, "co2": 0.98}
    if prepare is not None:
        prepare(world)
    lab.open()
    try:
        found = lab.control(control.get("name", control["kind"]), Attempt(folder / "control", cell=cell))
        assert world.cells["cell-1"].current == 0.0
        return found
    finally:
        lab.close()


def test_a_check_gas_is_found_as_certified(tmp_path: Path) -> None:
    result = run(tmp_path, CHECK)
    assert result.verdict == "good"
    assert result.value == pytest.approx(0.0, abs=1e-6)
    assert result.sem == pytest.approx(math.hypot(0.01, 0.01), rel=0.01)  # certificate, and slope of the calibration
    assert (result.cell, result.unit) == ("", "1")


def test_a_check_gas_that_is_off_names_the_species(tmp_path: Path) -> None:
    result = run(tmp_path, CHECK, lambda world: world.streams.update({3: {"h2": 0.01, "co": 0.012}}))
    assert result.verdict == "failed"
    assert result.value == pytest.approx(0.2, rel=1e-6)
    assert result.details["species"] == "co"


def test_a_check_gas_without_peaks_decides_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, CHECK, lambda world: world.streams.update({3: {"n2": 1.0}}))
    assert (result.verdict, result.value) == ("undecided", None)


@pytest.mark.parametrize(("leak", "verdict"), [(0.0, "good"), (0.05, "failed")])
def test_a_leak_is_found(tmp_path: Path, leak: float, verdict: str) -> None:
    result = run(tmp_path, LEAK, lambda world: setattr(world.cells["cell-1"], "leak", leak))
    assert result.verdict == verdict
    assert result.value == pytest.approx(leak, abs=1e-9)
    assert result.cell == "cell-1"
    lab = bench(tmp_path, controls=[LEAK])
    assert lab._checks("cell-1") == {"leak": repr(result.value)}  # quality control sees it from now on
    assert lab._checks("cell-2") == {}


@pytest.mark.parametrize(("expected", "verdict"), [("-0.5 V", "good"), ("-0.48 V", "failed")])
def test_a_reference_electrode_is_compared_with_a_master(tmp_path: Path, expected: str, verdict: str) -> None:
    result = run(tmp_path, {**REFERENCE, "expected": expected})
    assert result.verdict == verdict
    assert result.value == pytest.approx(-0.5)
    assert result.unit == "V"


def test_a_person_connects_the_master_first(tmp_path: Path) -> None:
    def help_out() -> None:
        end = time.monotonic() + 10.0
        while not questions(tmp_path) and time.monotonic() < end:
            threading.Event().wait(0.01)
        for question in questions(tmp_path):
            answer(tmp_path, question.id, "ada")

    thread = threading.Thread(target=help_out)
    thread.start()
    result = run(tmp_path, {**REFERENCE, "ask": "Connect the master electrode."})
    thread.join()
    assert result.verdict == "good"


def test_an_argon_blank_changes_the_gas_and_changes_it_back(tmp_path: Path) -> None:
    result = run(tmp_path, BLANK)
    assert result.verdict == "good"
    assert result.value is not None
    assert result.value < 0.01
    lab = bench(tmp_path)
    gas = [what for what in world_of(lab).of("co2-1") if what.startswith(("gas", "setpoint"))]
    assert gas == ["gas = Ar", "setpoint = 20", "setpoint = 0", "gas = CO2"]
    assert world_of(lab).cells["cell-1"].gas == "co2"


def test_a_standard_electrode_is_an_experiment_that_no_budget_counts(tmp_path: Path) -> None:
    result = run(tmp_path, STANDARD, cell="cell-2")
    assert result.verdict == "good"
    assert result.value == pytest.approx(0.8, abs=0.01)
    assert result.cell == "cell-2"


def test_a_control_on_a_halted_rig_is_refused(tmp_path: Path) -> None:
    lab = bench(tmp_path, controls=[LEAK])
    lab.open()
    lab.rig.trip("a test", "a test")
    with pytest.raises(LabHalted):
        lab.control("leak_test", Attempt(tmp_path / "control"))
    lab.close()
    with pytest.raises(LabError, match="no control"):
        lab.control("leek_test", Attempt(tmp_path / "control"))


def test_checks_of_a_rig_reach_the_quality_control_of_experiments(tmp_path: Path) -> None:
    data = bench_data(str(tmp_path))["procedure"]
    lab = bench(tmp_path, controls=[LEAK], procedure={**data, "purge": "20 s"})
    world: World = world_of(lab)
    lab.open()
    try:
        world.cells["cell-1"].leak = 0.05
        assert lab.control("leak_test", Attempt(tmp_path / "control")).verdict == "failed"
        world.cells["cell-1"].leak = 0.0
        outcome = lab.execute(Job("camp", 1, {"x_Cu": 1.0, "current_density": 100.0}), Attempt(tmp_path / "a"))
    finally:
        lab.close()
    assert outcome.observation is not None
    assert outcome.observation.verdict.name == "invalid"
    reasons: Sequence[str] = outcome.observation.verdict.reasons
    assert any("leak" in reason for reason in reasons)


def test_other_controls_while_it_runs(tmp_path: Path) -> None:
    """Those that are gone are still known to whoever was about to do them."""
    lab = bench(tmp_path, controls=[LEAK])
    lab.open()
    try:
        lab.take_controls([ControlBlock(**{**LEAK, "name": "again"})])
        assert [control.name for control in lab.controls] == ["again"]
        for name in ("again", "leak_test"):
            assert lab.control(name, Attempt(tmp_path / name)).name == name
    finally:
        lab.close()
