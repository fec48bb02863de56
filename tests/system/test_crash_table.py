"""What comes of faults of processes, instruments, disks and clocks: each row in the long suites, and always that page and program agree."""

import os
from pathlib import Path

import crash_faults
import crash_scenarios as scenarios
import pytest
from crash_table import ROWS, SEED, Line, run, told

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "crashes.md"
NEEDS_COMPILER = (scenarios.clock_jumps,)
WITH_PREFECT = (scenarios.prefect_killed, scenarios.worker_killed)
FEWER = {scenarios.killed_around_writes: 16, scenarios.killed_on_the_rig: 6}
"""The page is made with more deaths than there is time for in every run of the long suites."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def _alone(row):
    """There is one server of Prefect at a time."""
    return [pytest.mark.xdist_group("prefect")] if row.scenario in WITH_PREFECT else []


def test_the_page_tells_of_every_fault_what_the_program_says():
    page = told(PAGE.read_text(encoding="utf-8"))
    assert {name: line.meanwhile for name, line in page.items()} == {row.name: row.meanwhile for row in ROWS}


@pytest.mark.soak
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=_alone(row)) for row in ROWS])
def test_each_fault_ends_as_the_page_says(row):
    if row.scenario in NEEDS_COMPILER and crash_faults.COMPILER is None:
        pytest.skip("needs a C compiler")
    try:
        one = run(row, SEED, **({"times": FEWER[row.scenario]} if row.scenario in FEWER else {}))
    except scenarios.Skipped as why:
        pytest.skip(str(why))
    assert one.found.problems == (), f"seed {SEED}"
    line, page = Line.of(row, one.found), told(PAGE.read_text(encoding="utf-8"))[row.name]
    assert (line.meanwhile, line.then) == (page.meanwhile, page.then), f"seed {SEED}"
