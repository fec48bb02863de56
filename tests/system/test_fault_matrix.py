"""What comes of each fault at each step of an experiment over the wire: a sample of it always, all of it in the long suites."""

import math
import os
from pathlib import Path

import pytest
from fault_bench import Fault, FaultBench
from fault_matrix import ROWS, SOON, Cell, run, told
from fault_rig import UNDER_CURRENT

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fault-matrix.md"
SAMPLE = [
    ("relay: is stuck, and says so", "connect"),  # first, while it is still open
    ("potentiostat: an error ends its script, the cell stays on", UNDER_CURRENT),
    ("potentiostat: refuses to switch the cell off", "resistance"),
    ("potentiostat: the connection is lost once", "electrolysis"),
    ("co2: says nothing, but hears", "electrolysis"),
    ("chromatograph: refuses to run", UNDER_CURRENT),
]
FROZEN, STUCK = Fault("potentiostat", "freeze"), Fault("relay", "stuck")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="timing of POSIX sockets")
one_bench = pytest.mark.xdist_group("fault matrix")


@pytest.fixture(scope="module")
def outcomes():
    return told(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with FaultBench(tmp_path_factory.mktemp("faults")) as bench:
        yield bench


def test_the_page_tells_of_every_fault_at_every_step(outcomes):
    assert set(outcomes) == {(row.name, step) for row in ROWS for step in row.steps}


@one_bench
@pytest.mark.parametrize(("name", "step"), SAMPLE)
def test_a_fault_ends_as_the_page_says_with_the_cell_off(bench, outcomes, name, step):
    result = bench.run(next(row.faults for row in ROWS if row.name == name), step)
    bench.restore()
    assert Cell(name, step, result, "yes").problems == (), result
    assert result.outcome == outcomes[name, step], result


@one_bench
def test_a_potentiostat_that_hears_nothing_is_disconnected(bench):
    result = bench.run((FROZEN,), UNDER_CURRENT)
    bench.restore()
    assert (result.outcome, result.reported, result.off_by) == ("needs inspection", "disconnected", "relay"), result
    assert 0.3 < result.off < SOON
    assert result.gas_last
    assert result.invented == ()


@one_bench
def test_a_cell_that_nothing_switches_off_is_never_told_as_off(bench):
    result = bench.run((FROZEN, STUCK), "resistance")
    bench.restore()
    assert (result.outcome, result.reported) == ("unconfirmed: potentiostat, relay", "unsafe_unconfirmed"), result
    assert result.off == math.inf


@one_bench
def test_after_all_that_an_experiment_is_measured_as_it_should_be(bench):
    assert bench.recover() == "yes"


@pytest.mark.soak
@pytest.mark.skipif(
    "SABATIER_FAULT_MATRIX" not in os.environ, reason="takes an idle computer: set SABATIER_FAULT_MATRIX"
)
def test_the_whole_matrix_is_as_the_page_says(outcomes):
    cells = [cell for row in run(ROWS, workers=4) for cell in row]
    assert {(one.row, one.step) for one in cells} == set(outcomes)
    others = {one.row for one in cells if differs(one, outcomes)}
    # the laboratory is much faster than a real one: a computer that is busy for a moment is seen as a fault of its own
    again = [cell for row in run([row for row in ROWS if row.name in others], workers=1) for cell in row]
    assert [(one, one.problems, outcomes[one.row, one.step]) for one in again if differs(one, outcomes)] == []


def differs(cell, outcomes):
    return bool(cell.problems) or cell.result.outcome != outcomes[cell.row, cell.step]


@pytest.mark.soak
def test_with_the_usual_time_of_an_answer_a_frozen_potentiostat_is_cut_off_as_soon(tmp_path):
    with FaultBench(tmp_path, potentiostat={"timeout": 1.0}) as bench:
        result = bench.run((FROZEN,), UNDER_CURRENT)
        assert (result.outcome, result.reported, result.off_by) == ("needs inspection", "disconnected", "relay"), result
        assert result.off < SOON
        assert bench.recover() == "yes"
