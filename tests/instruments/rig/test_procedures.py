"""Procedures: what a dry run refuses, and in which state a cell is left whatever goes wrong in which step."""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import pytest
from bench import Attempt, World, bench, bench_data, world_of
from hypothesis import assume, given
from hypothesis import strategies as st

from instruments.errors import ExecutionCancelled, LabError, LabHalted, LabHolds
from instruments.lab import Job
from instruments.rig.asking import answer, questions
from instruments.rig.lab import RigLab
from instruments.rig.leases import Holder, Leases
from instruments.rig.mounted import MountedSamples
from instruments.rig.procedures import NeedsInspection, Options, Procedure, Request, SetPoint, Site, Step
from instruments.rig.procedures.registry import procedure_class
from instruments.rig.procedures.scales import DropSearch, current_of, on_reference, with_drop
from instruments.rig.slots import Calendar

SETTINGS = {"x_Cu": 0.9, "x_Ag": 0.1, "current_density": 100.0}


@contextmanager
def opened(lab: RigLab) -> Iterator[World]:
    lab.open()
    try:
        yield world_of(lab)
    finally:
        lab.close()


def job(**changed: Any) -> Job:
    return Job("camp", 1, {**SETTINGS, **changed})


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        threading.Event().wait(0.005)


# What will be done


def test_a_plan_says_everything_beforehand(tmp_path: Path) -> None:
    dry = bench(tmp_path).preview(SETTINGS, "cell-1")
    assert [step.name for step in dry.steps] == [
        "prepare composition",
        "mount",
        "electrolyte",
        "purge",
        "connect",
        "open circuit",
        "resistance",
        "electrolysis",
        "resistance after",
        "rinse",
        "shut down",
    ]
    assert not dry.problems
    assert dry.takes["precursors.Cu"] == pytest.approx(0.18)
    assert dry.takes["gases.co2"] == pytest.approx(20 * (120 + 900 + 150) / 60)
    assert dry.seconds > 900
    assert "potentiostat-1.current = -0.1" in dry.table
    assert "non-repeatable" in dry.table
    assert "(chromatograph)" in dry.table


@pytest.mark.parametrize(
    ("settings", "field", "text"),
    [
        ({"current_density": 600.0}, "potentiostat-1.current", "the rig allows"),
        ({"current_density": 2000.0}, "potentiostat-1.current", "the device takes"),
        ({"gas_flow": 150.0}, "co2-1.setpoint", "the device takes"),
        ({"electrolyte_flow": 30.0}, "pump-1.rate", "the device takes"),
        ({"current_density": -5.0}, "current_density", "positive"),
        ({"x_Cu": 0.999, "x_Ag": 0.001}, "x_Ag", "at least 2 uL"),
        ({"humidity": 3.0}, "humidity", "no setting 'humidity'"),
        ({"cation": "Cs"}, "cation", "always has cation = K"),
    ],
)
def test_nothing_moves_for_what_the_dry_run_refuses(
    tmp_path: Path, settings: dict[str, Any], field: str, text: str
) -> None:
    lab = bench(tmp_path)
    lab.check({**SETTINGS, "cation": "K"})
    with pytest.raises(LabError, match=text) as caught:
        lab.check({**SETTINGS, **settings})
    assert caught.value.field == field
    with opened(lab) as world:
        before = len(world.events)
        outcome = lab.execute(job(**settings), Attempt(tmp_path / "a"))
        assert outcome.failure is not None
        assert outcome.failure.cause == "planning"
        assert len(world.events) == before
    assert lab.stock.levels()["tips"].amount == 960


@pytest.mark.parametrize(
    ("block", "field", "text"),
    [
        ({"name": "constant_curent"}, "procedure.name", "Did you mean 'constant_current'"),
        ({"name": "nowhere:Nothing"}, "procedure.name", "cannot be loaded"),
        ({"name": "pathlib:Path"}, "procedure.name", "no procedure"),
        ({}, "procedure.name", "has no name"),
        ({"name": "constant_current", "purgee": "3 s"}, "procedure.purgee", "purgee"),
        ({"name": "constant_current", "duration": "100 s"}, "procedure.injections", "do not fit"),
        ({"name": "constant_current", "duration": "1e12 h"}, "procedure.injections", "more than 1000"),
        (
            {"name": "constant_current", "injections": {"every": "100 s"}},
            "procedure.injections.every",
            "leaves no time",
        ),
        (
            {"name": "constant_potential", "impedance": None, "ir": {"mode": "iterate"}},
            "procedure.impedance",
            "without a resistance",
        ),
        ({"name": "constant_current", "sample": {"products": ["gold"]}}, "procedure.sample.products", "no product"),
    ],
)
def test_blocks_that_cannot_be_are_refused_with_their_place(
    tmp_path: Path, block: dict[str, Any], field: str, text: str
) -> None:
    with pytest.raises(LabError, match=text) as caught:
        bench(tmp_path, procedure=block)
    assert caught.value.field == field


def test_a_step_sets_only_what_it_has_announced(tmp_path: Path) -> None:
    point = SetPoint("co2-1", "setpoint", 5.0, 20.0)
    assert point.covers("co2-1", "setpoint", 12.0)
    assert not point.covers("co2-1", "setpoint", 21.0)
    assert not point.covers("co2-2", "setpoint", 12.0)
    lab = bench(tmp_path, procedure={"name": "test_procedures:Careless"})
    with opened(lab) as world:
        outcome = lab.execute(Job("camp", 1, {}), Attempt(tmp_path / "a"))
        assert outcome.failure is not None
        assert "not among what this step has announced" in outcome.failure.reason
        assert not any("setpoint" in what for what in world.of("co2-1"))


def test_a_shared_device_that_is_not_held_is_refused(tmp_path: Path) -> None:
    lab = bench(tmp_path, procedure={"name": "test_procedures:Greedy"})
    with opened(lab) as world:
        outcome = lab.execute(Job("camp", 1, {}), Attempt(tmp_path / "a"))
        assert outcome.failure is not None
        assert "not held" in outcome.failure.reason
        assert "position = 1" not in world.of("selector")


class Careless(Procedure):
    """Sets what it has not announced."""

    settings: ClassVar[dict[str, str]] = {}

    def plan(self, request: Request, site: Site) -> tuple[Step, ...]:
        return (Step("flow", "idempotent", lambda run: run.set("gas", 20.0), (site.sets("gas", 10.0),)),)


class Greedy(Procedure):
    """Uses a shared device without holding it."""

    settings: ClassVar[dict[str, str]] = {}

    def plan(self, request: Request, site: Site) -> tuple[Step, ...]:
        return (Step("turn", "idempotent", lambda run: run.set("selector", 1.0), (site.sets("selector", 1.0),)),)


class WithOptions(Options):
    """Of the procedure below."""

    flow: float


class Own(Procedure):
    """What a laboratory may write."""

    Options = WithOptions
    settings: ClassVar[dict[str, str]] = {}

    def plan(self, request: Request, site: Site) -> tuple[Step, ...]:
        return (Step("flow", "idempotent", lambda run: None, (site.sets("gas", self.options.flow),)),)


def test_a_procedure_of_ones_own_has_options_of_its_own(tmp_path: Path) -> None:
    assert procedure_class("test_procedures:Own") is Own or procedure_class("test_procedures:Own").__name__ == "Own"
    lab = bench(tmp_path, procedure={"name": "test_procedures:Own", "flow": 7})
    assert [str(point) for step in lab.preview({}, "cell-2").steps for point in step.sets] == ["co2-2.setpoint = 7"]
    with pytest.raises(LabError, match="flow"):
        bench(tmp_path, procedure={"name": "test_procedures:Own"})


PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "own-procedure.md"


def test_the_procedure_of_the_page_runs_on_a_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"<!-- file: my_procedures.py -->\n```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.M)
    (tmp_path / "my_procedures.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_procedures", raising=False)
    data = bench_data(str(tmp_path))["procedure"]
    lab = bench(tmp_path, procedure={**data, "name": "my_procedures:Cleaned", "scans": 2})
    with opened(lab) as world:
        context = Attempt(tmp_path / "a")
        outcome = lab.execute(job(), context)
        assert outcome.observation is not None
        assert outcome.observation.figures["fe_co"].value == pytest.approx(0.8, abs=0.01)
        assert outcome.measurement is not None
        assert len(outcome.measurement.signals["cleaning"]) == 40
        assert ("end", "clean", "non-repeatable") in context.steps
        assert world.of("potentiostat-1").count("begin CyclicVoltammetry") == 1
    poor = bench(tmp_path, procedure={**data, "name": "my_procedures:Cleaned", "least": 1.0})
    with opened(poor):
        failed = poor.execute(job(), Attempt(tmp_path / "b", sample="s-2"))
    assert failed.failure is not None
    assert (failed.failure.cause, failed.failure.reason) == ("material", "no current: the film has come off")
    monkeypatch.delitem(sys.modules, "my_procedures", raising=False)


# Whatever goes wrong


def safe_in_order(world: World, since: int) -> bool:
    """Whether the current was made safe before the gas, and nothing flows."""
    names = [name for _, name, what in world.events[since:] if what == "safe"]
    return world.cells["cell-1"].current == 0.0 and names.index("potentiostat-1") < names.index("co2-1")


@pytest.mark.parametrize(
    ("device", "fault", "retried"),
    [
        ("robot", {"fails at": "plate/A1"}, False),
        ("robot", {"fails at": "holder/A1"}, False),
        ("node", {"refuses": "mount"}, False),
        ("pump-1", {"refuses": "rate = 5"}, True),
        ("co2-1", {"refuses": "setpoint = 20"}, True),
        ("potentiostat-1", {"refuses": "OpenCircuit"}, True),
        ("potentiostat-1", {"refuses": "Impedance"}, True),
        ("potentiostat-1", {"refuses": "ChronoPotentiometry"}, False),
        ("potentiostat-1", {"breaks": 100.0}, False),
    ],
)
def test_a_device_that_fails_leaves_the_cell_safe(
    tmp_path: Path, device: str, fault: dict[str, Any], retried: bool
) -> None:
    lab = bench(tmp_path)
    with opened(lab) as world:
        world.faults[device] = fault
        since, context = len(world.events), Attempt(tmp_path / "a1")
        if retried:
            outcome = lab.execute(job(), context)
            assert outcome.failure is not None
            assert outcome.failure.cause == "equipment"
            assert context.steps[-1][1] in outcome.failure.reason
        else:
            with pytest.raises(NeedsInspection) as caught:
                lab.execute(job(), context)
            assert not caught.value.untouched
            assert "cell-1" in str(caught.value)
        assert context.steps[-1][0] == "begin"  # the journal shows where it ended
        assert safe_in_order(world, since)
        levels = lab.stock.levels()
        assert all(level.promised == 0.0 for level in levels.values())
    again = lab.program.procedure.plan(Request(SETTINGS, "s-1"), Site("cell-1", lab.program, lab.mounted.at("cell-1")))
    assert (again[0].name == "prepare composition") is not retried  # a sample whose history is not known is not used


def test_what_is_tried_again_takes_the_sample_that_is_mounted(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    with opened(lab) as world:
        world.faults["co2-1"] = {"refuses": "setpoint = 20"}
        assert lab.execute(job(), Attempt(tmp_path / "a1")).failure is not None
        world.faults.clear()
        outcome = lab.execute(job(), Attempt(tmp_path / "a2", attempt=2))
        assert outcome.observation is not None
        assert outcome.observation.executed == {"x_Cu": 0.9, "x_Ag": 0.1}
    assert lab.stock.levels()["blanks"].amount == 11


def dies(world: World, potentiostat: str) -> threading.Thread:
    """The potentiostat falls silent once its current flows."""

    def watch() -> None:
        wait_for(lambda: "begin ChronoPotentiometry" in world.of(potentiostat))
        world.faults[potentiostat] = {"dead": True, "breaks": 0.0}

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_potentiostat_that_falls_silent_halts_the_rig_where_nothing_cuts_it_off(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    lab.open()
    thread = dies(world_of(lab), "potentiostat-2")
    with pytest.raises(LabHalted):
        lab.execute(job(), Attempt(tmp_path / "a", cell="cell-2"))
    thread.join()
    with pytest.raises(LabHalted):
        lab.execute(job(), Attempt(tmp_path / "b"))
    lab.close()
    assert (tmp_path / "bench.halted.json").is_file()
    assert lab.mounted.at("cell-2").spoiled


def test_a_potentiostat_that_falls_silent_is_cut_off_by_its_relay(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    lab.open()
    world = world_of(lab)
    thread = dies(world, "potentiostat-1")
    with pytest.raises((NeedsInspection, LabHalted)):
        lab.execute(job(), Attempt(tmp_path / "a"))
    thread.join()
    cell = world.cells["cell-1"]
    assert not cell.connected
    assert (cell.current, cell.flow) == (0.0, 0.0)
    assert lab.mounted.at("cell-1").spoiled
    lab.close()


@pytest.mark.parametrize(
    ("step", "untouched"), [("purge", True), ("open circuit", True), ("electrolysis", False), ("prepare", False)]
)
def test_cancelling_leaves_the_cell_safe(tmp_path: Path, step: str, untouched: bool) -> None:
    lab = bench(tmp_path)
    with opened(lab) as world:
        context = Attempt(tmp_path / "a")
        if step == "prepare":
            world.faults["robot"] = {}
            context.cancelled.set()

        def cancel() -> None:
            wait_for(lambda: any(name == step and what == "begin" for what, name, _ in context.steps))
            if step == "electrolysis":
                wait_for(lambda: world.cells["cell-1"].current < 0.0)
            context.cancelled.set()

        if step == "prepare":
            with pytest.raises(ExecutionCancelled) as caught:
                lab.execute(job(), context)
            assert caught.value.untouched  # before its first step nothing was touched
            return
        thread = threading.Thread(target=cancel)
        thread.start()
        since, began = len(world.events), time.monotonic()
        with pytest.raises(ExecutionCancelled) as caught:
            lab.execute(job(), context)
        thread.join()
        assert caught.value.untouched is untouched
        assert safe_in_order(world, since)
        assert time.monotonic() - began < 5.0
        assert lab.mounted.at("cell-1").spoiled is not untouched


def test_what_is_refused_after_a_cancelling_is_cancelled_too(tmp_path: Path) -> None:
    """The loop cancels, then makes the laboratory safe: whatever a step meets then is no fault of the equipment."""
    lab = bench(tmp_path)
    lab.open()
    context = Attempt(tmp_path / "a")

    def stop() -> None:
        wait_for(lambda: any(step == "electrolysis" for _, step, _ in context.steps))
        context.cancelled.set()
        lab.make_safe()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(ExecutionCancelled) as caught:
        lab.execute(job(), context)
    thread.join()
    assert not isinstance(caught.value, NeedsInspection)
    assert not (tmp_path / "bench.halted.json").exists()
    lab.close()


def test_a_trip_ends_what_runs_on_both_cells(tmp_path: Path) -> None:
    block = bench_data("long")["procedure"]
    # injections of one fit between those of the other, so that both draw for most of the time
    apart = {**block["injections"], "every": "600 s"}
    lab = bench(tmp_path, procedure={**block, "duration": "20000 s", "injections": apart})
    lab.open()
    world = world_of(lab)
    ends: dict[str, BaseException] = {}

    def execute(cell: str) -> None:
        try:
            lab.execute(job(), Attempt(tmp_path / cell, cell=cell, sample=cell))
        except LabHalted as problem:
            ends[cell] = problem

    threads = [threading.Thread(target=execute, args=(cell,)) for cell in lab.cells]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(cell.current < 0.0 for cell in world.cells.values()))
    on_disk = MountedSamples(tmp_path / "bench.cells.json").at("cell-1")
    assert on_disk.spoiled  # a crash now would not let the sample pass for a fresh one
    lab.rig.trip("CO in the room", "a test")
    for thread in threads:
        thread.join(10.0)
    assert set(ends) == {"cell-1", "cell-2"}
    assert "CO in the room" in str(ends["cell-1"])
    assert all(cell.current == 0.0 and cell.flow == 0.0 for cell in world.cells.values())
    lab.close()


def test_a_closing_step_that_fails_keeps_the_results_and_waits_for_a_person(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    with opened(lab) as world:
        world.faults["rinse-1"] = {"refuses": "rate = 10"}
        outcome = lab.execute(job(), Attempt(tmp_path / "a1"))
        assert outcome.observation is not None
        assert outcome.observation.figures["fe_co"].value == pytest.approx(0.8, abs=0.01)
        world.faults.clear()
        before = len(world.events)
        assert outcome.spent.startswith("rinse: "), "the sample is not used again either"
        with pytest.raises(LabHolds, match="rinse"):
            lab.execute(job(), Attempt(tmp_path / "a2"))
        assert len(world.events) == before
        assert lab.execute(job(), Attempt(tmp_path / "b", cell="cell-2")).failure is None
        assert lab.mounted.clear() == ("cell-1",)
        assert lab.execute(job(), Attempt(tmp_path / "a3")).failure is None


def test_one_lost_injection_is_noted_and_too_many_fail_the_analysis(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    with opened(lab) as world:
        world.faults["chromatograph"] = {"lost": ["-2"]}
        outcome = lab.execute(job(), Attempt(tmp_path / "a1"))
        assert outcome.observation is not None
        assert outcome.measurement is not None
        assert sorted(set(outcome.measurement.signals["chromatograph"]["injection"])) == [1, 3]
        assert "injection 2" in str(outcome.measurement.metadata["rig"])
        world.faults["chromatograph"] = {"lost": ["-1", "-2"]}
        context = Attempt(tmp_path / "a2", sample="s-2")
        outcome = lab.execute(job(), context)
        assert outcome.failure is not None
        assert outcome.failure.cause == "analysis"
        assert "1 of 3 injections" in outcome.failure.reason
        assert outcome.measurement is not None  # what was seen is kept
        assert context.steps[-1] == ("end", "shut down", "idempotent")  # in good order all the same
        assert lab.mounted.at("cell-1").spoiled  # its history is no longer that of a fresh sample


def test_raw_lines_are_on_disk_while_it_runs(tmp_path: Path) -> None:
    lab = bench(tmp_path)
    with opened(lab) as world:
        world.faults["potentiostat-1"] = {"breaks": 300.0}
        with pytest.raises(NeedsInspection):
            lab.execute(job(), Attempt(tmp_path / "a"))
    lines = (tmp_path / "a" / "potentiostat.jsonl").read_text().splitlines()
    assert len(lines) >= 100
    assert '"current/A": -0.1' in lines[0]


# A person


def test_a_person_is_asked_and_waited_for(tmp_path: Path) -> None:
    data = bench_data(str(tmp_path))["procedure"]
    lab = bench(tmp_path, procedure={**data, "mount": {"by": "person"}})
    with opened(lab) as world:
        done: list[Any] = []
        thread = threading.Thread(target=lambda: done.append(lab.execute(job(), Attempt(tmp_path / "a"))))
        thread.start()
        wait_for(lambda: questions(tmp_path))
        (question,) = questions(tmp_path)
        assert question.text == "Mount sample s-1 from holder/A1 in cell-1."
        assert not world.of("co2-1")[1:]  # nothing goes on meanwhile
        with pytest.raises(LabError, match="nobody asks"):
            answer(tmp_path, "nothing", "ada")
        answer(tmp_path, question.id, "ada")
        thread.join(20.0)
        assert done
        assert done[0].failure is None
        assert questions(tmp_path) == ()


# Scales


def test_potentials_are_those_of_the_reduction(tmp_path: Path) -> None:
    setup = bench(tmp_path).program.file.cells["cell-1"].setup
    held = on_reference(-0.7, setup, "cell-1", ph=7.0)
    assert held == pytest.approx(-0.7 - 0.210 - 0.059159 * 7.0, abs=1e-4)
    assert on_reference(-0.7, setup, "cell-1") == pytest.approx(held - 0.059159 * 0.2, abs=1e-4)
    assert current_of(100.0, setup, "cell-1") == pytest.approx(-0.1)
    assert with_drop(-1.2, -0.1, 2.0, 0.9) == pytest.approx(-1.38)  # cathodic: more negative


@given(st.floats(0.05, 0.2), st.floats(0.5, 20.0), st.floats(0.5, 1.0))
def test_the_drop_is_found_in_a_few_stages(tafel: float, resistance: float, share: float) -> None:
    """An electrode with a Tafel line behind its resistance, A for V: the current at each held potential by bisection."""

    def current(held: float) -> float:
        low, high = 0.0, 2.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            reached = -1.0 - tafel * math.log10(max(middle, 1e-9) / 1e-3) - middle * resistance
            low, high = (middle, high) if reached > held else (low, middle)
        return -low

    search = DropSearch(-1.15, share)
    held = -1.15
    for _ in range(6):
        held = search.next(held, current(held), resistance)
    assume(abs(current(held) * resistance) < 0.5)  # what procedures make up for at most
    assert held == pytest.approx(with_drop(-1.15, current(held), resistance, share), abs=2e-3)


@pytest.mark.parametrize("mode", ["iterate", "post"])
def test_a_target_potential_is_met_without_its_ohmic_drop(tmp_path: Path, mode: str) -> None:
    data = bench_data(str(tmp_path))["procedure"]
    block = {**data, "name": "constant_potential", "ir": {"mode": mode, "share": 1.0, "stages": 4, "stage": "20 s"}}
    lab = bench(tmp_path, procedure=block)
    settings = {"x_Cu": 1.0, "x_Ag": 0.0, "potential": -0.65}
    with opened(lab):
        outcome = lab.execute(Job("camp", 1, settings), Attempt(tmp_path / "a"))
    assert outcome.observation is not None
    found = outcome.observation.measured["potential"]
    assert outcome.observation.measured_sem["potential"] > 0.0
    assert outcome.observation.figures["e_rhe"].value == found
    if mode == "iterate":
        assert found == pytest.approx(-0.65, abs=0.004)
    else:
        assert found > -0.64  # the drop was not made up for, and is told
    assert outcome.measurement is not None
    times = outcome.measurement.signals["potentiostat"]["time/s"]
    assert times.is_monotonic_increasing
    assert times.is_unique


def test_a_drop_beyond_what_is_made_up_for_is_a_condition_that_cannot_be(tmp_path: Path) -> None:
    data = bench_data(str(tmp_path))["procedure"]
    lab = bench(tmp_path, procedure={**data, "name": "constant_potential", "ir": {"most": "20 mV", "stage": "20 s"}})
    with opened(lab) as world:
        since = len(world.events)
        outcome = lab.execute(Job("camp", 1, {"x_Cu": 1.0, "potential": -0.7}), Attempt(tmp_path / "a"))
        assert outcome.failure is not None
        assert outcome.failure.cause == "condition"
        assert safe_in_order(world, since)


# Shared devices


def test_leases_are_given_in_the_order_of_asking() -> None:
    leases, order = Leases(), list[int]()
    with leases.hold("gc", lambda: None):
        threads = []
        for number in range(5):
            thread = threading.Thread(target=_take, args=(leases, order, number))
            thread.start()
            threads.append(thread)
            wait_for(lambda n=number: leases.waiting("gc") == n + 2)  # type: ignore[misc]
    for thread in threads:
        thread.join(5.0)
    assert order == [0, 1, 2, 3, 4]


def _take(leases: Leases, order: list[int], number: int) -> None:
    with leases.hold("gc", lambda: None):
        order.append(number)


def test_who_gives_up_leaves_the_queue() -> None:
    leases = Leases()

    def give_up() -> None:
        raise ExecutionCancelled("enough.")

    with leases.hold("gc", lambda: None):
        with pytest.raises(ExecutionCancelled), leases.hold("gc", give_up):
            pytest.fail("it was held twice")
        assert leases.waiting("gc") == 1
    assert leases.waiting("gc") == 0


def test_no_circle_of_waiting_can_close() -> None:
    leases = Leases()
    holder = Holder(leases, lambda name: leases.hold(f"outer {name}", lambda: None), lambda: None, time.monotonic)
    with holder.hold(["selector", "chromatograph"]):
        assert holder.held == ("chromatograph", "selector")
        with pytest.raises(LabError, match="wait for each other"), holder.hold(["balance"]):
            pytest.fail("it was given")
        with holder.hold(["selector", "valve"]):
            assert holder.held == ("chromatograph", "selector", "valve")
    assert holder.held == ()
    assert leases.waiting("chromatograph") == leases.waiting("outer chromatograph") == 0


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(0.0, 3600.0), min_size=1, max_size=4, unique=True),
            st.floats(0.0, 5000.0),
        ),
        min_size=1,
        max_size=6,
    ),
    st.floats(10.0, 400.0),
)
def test_booked_slots_never_overlap_and_come_as_early_as_they_can(
    wanted: list[tuple[list[float], float]], length: float
) -> None:
    calendar, booked = Calendar(), []
    for offsets, not_before in wanted:
        booking = calendar.book(offsets, length, not_before)
        assert booking.start >= not_before
        assert [begin - booking.start for begin, _ in booking.slots] == pytest.approx(offsets, abs=1e-6)
        booked.append((not_before, booking))
    alive = [booking for _, booking in booked if booking.start >= max(n for n, _ in booked)]
    for first, second in combinations(alive, 2):
        for begin, end in first.slots:
            assert all(b >= end - 1e-6 or e <= begin + 1e-6 for b, e in second.slots)
    ends = {end for _, booking in booked for _, end in booking.slots}
    for not_before, booking in booked:  # no later than it must be: at once, or right after another's slot
        touches = any(abs(begin - end) < 1e-6 for begin, _ in booking.slots for end in ends)
        assert booking.start == not_before or touches


def test_slots_that_are_given_back_are_free_again() -> None:
    calendar = Calendar()
    first = calendar.book([0.0, 500.0], 200.0, 0.0)
    second = calendar.book([0.0, 500.0], 200.0, 0.0)
    assert (first.start, second.start) == (0.0, 200.0)  # between each other's
    calendar.release(first)
    assert calendar.book([0.0], 200.0, 0.0).start == 0.0
