"""What comes of each fault at each step of an experiment, on instruments over the wire: run, judged, written as a page.

``python tests/system/fault_matrix.py --write docs/reference/fault-matrix.md`` runs all of it, some four minutes, and
writes the page. ``--only WORD`` runs the rows whose fault has the word in it.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from fault_bench import OUTCOMES, Fault, FaultBench, Result
from fault_rig import ANSWER, PACE, UNDER_CURRENT

AFTER: Final = "resistance after"
STEPS: Final = (
    "purge",
    "connect",
    "open circuit",
    "resistance",
    "electrolysis",
    UNDER_CURRENT,
    AFTER,
    "shut down",
)
"""The steps of an experiment in their order; the electrolysis counts as two, before its current flows and after."""
SOON: Final = 1.0
"""Real s from the detection of a fault within which the cell must be off."""

ELECTRICAL: Final = ("connect", "open circuit", "resistance", "electrolysis", UNDER_CURRENT, AFTER)
LIVE: Final = ("resistance", UNDER_CURRENT, AFTER)
FED: Final = ("purge", "electrolysis", UNDER_CURRENT, "shut down")
ANALYSED: Final = (UNDER_CURRENT,)
SWITCHED: Final = ("connect", "shut down")


@dataclass(frozen=True)
class Row:
    """A fault, and the steps that ask its device for something.

    Attributes:
        device: for people.
        text: what goes wrong.
        faults: of the emulators.
        steps: at whose beginning it begins.
    """

    device: str
    text: str
    faults: tuple[Fault, ...]
    steps: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.device}: {self.text}"


def _rows(device: str, steps: tuple[str, ...], **texts: str) -> Iterator[Row]:
    """Rows of one device. A keyword is the emulator's fault; one that ends with ``_once`` happens once."""
    for name, text in texts.items():
        fault = Fault(device, name.removesuffix("_once"), 1 if name.endswith("_once") else None)
        yield Row(device, text, (fault,), steps)


def _together(text: str, *faults: Fault) -> Row:
    return Row("potentiostat and relay", text, faults, LIVE)


ROWS: Final = (
    *_rows(
        "potentiostat",
        ELECTRICAL,
        silence="says nothing, but hears",
        freeze="hears nothing and goes on with what it does",
        garbage="random bytes instead of answers",
        truncated="every answer is cut",
        truncated_once="one answer is cut",
        drop_once="the connection is lost once",
        runtime_error_once="an error ends its script, the cell stays on",
        overload="flags all that it measures as overloaded",
        no_cell_off="refuses to switch the cell off",
        reset_once="starts anew",
    ),
    _together(
        "hears nothing; the relay says nothing, but hears", Fault("potentiostat", "freeze"), Fault("relay", "silence")
    ),
    _together("hears nothing; the relay is stuck", Fault("potentiostat", "freeze"), Fault("relay", "stuck")),
    *_rows("relay", SWITCHED, silence="says nothing, but hears", stuck="is stuck, and says so"),
    *_rows(
        "co2",
        FED,
        silence="says nothing, but hears",
        stuck_flow="its valve is stuck",
        status_mov="flags its flow as beyond its range",
        status_ovr="flags its totalizer as beyond its range",
        drop_once="the connection is lost once",
    ),
    *_rows("outlet", ANALYSED, silence="says nothing, but hears"),
    *_rows("selector", ANALYSED, silence="says nothing, but hears", stuck="does not turn"),
    *_rows(
        "chromatograph",
        ANALYSED,
        refuse_run="refuses to run",
        refuse_run_once="refuses one run",
        lost_run="runs, and has no results",
        error_state="is in an error",
        silence="says nothing",
        garbage="random bytes instead of answers",
    ),
)


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix.

    Attributes:
        row: name of the fault.
        step: at which it begins.
        result: of the experiment.
        next: how an experiment went after the fault was mended.
    """

    row: str
    step: str
    result: Result
    next: str

    @property
    def problems(self) -> tuple[str, ...]:
        """What must not be."""
        result, found = self.result, list(self.result.invented)
        if result.off == math.inf:
            if "potentiostat" not in result.outcome or result.reported != "unsafe_unconfirmed":
                found.append(f"the cell is on, and the rig says {result.outcome}, {result.reported}")
        elif result.broken_off and result.off is not None and result.off > SOON:
            found.append(f"the cell was off {result.off:.2f} s after the fault was detected")
        if result.gas_last is False:
            found.append("the gas stopped before the current")
        if not self.next.startswith("yes"):
            found.append(f"the next experiment: {self.next}")
        return tuple(found)


def cell(bench: FaultBench, row: Row, step: str) -> Cell:
    """Run one cell of the matrix."""
    result = bench.run(row.faults, step)
    return Cell(row.name, step, result, bench.recover())


def run_row(row: Row) -> list[Cell]:
    """Run all cells of a row on one bench."""
    try:
        with tempfile.TemporaryDirectory() as folder, FaultBench(Path(folder)) as bench:
            return [cell(bench, row, step) for step in row.steps]
    except Exception as problem:  # noqa: BLE001  not all exceptions come through to another process
        raise RuntimeError(f"{row.name}: {type(problem).__name__}: {problem}") from None


def run(rows: Sequence[Row], workers: int) -> Iterator[list[Cell]]:
    """Run rows in processes of their own; they come as they are done."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        longest_first = sorted(rows, key=lambda row: -len(row.steps))
        for done in as_completed([pool.submit(run_row, row) for row in longest_first]):
            yield done.result()


# The page

MATRIX: Final = "## The matrix"
TIMES: Final = "## Times"


def page(cells: Iterable[Cell]) -> str:
    """The page, from all cells."""
    found = {(one.row, one.step): one for one in cells}
    whole = [found[row.name, step] for row in ROWS for step in row.steps]
    live = [one for one in whole if one.result.broken_off and one.result.off is not None]
    longest = max(one.result.off for one in live if one.result.off not in (None, math.inf))
    resets = sum("reset" in one.next for one in whole)
    lines = [
        "# Fault matrix",
        "",
        "What comes of an experiment when an instrument fails: each fault at each step, on emulated instruments over TCP, with what",
        "the virtual cell itself says of its current, and what its instruments truly saw. This page is written by",
        "`python tests/system/fault_matrix.py --write docs/reference/fault-matrix.md`, and a test compares it with what happens.",
        "",
        f"{len(whole)} experiments had a fault; {len(live)} of them broke off after a current had begun to flow. Where the potentiostat or the relay",
        f"could be reached, the cell was off at most {longest:.2f} s after the fault was detected. The gas never stopped before the current. No point, no flow",
        "and no figure was recorded that was not measured. Once the instrument was mended the next experiment was measured as it should be,",
        f"after {resets} of the faults only after a reset.",
        "",
        "| outcome | meaning |",
        "| --- | --- |",
        *(f"| {name} | {meaning} |" for name, meaning in OUTCOMES.items() if any(_is(one, name) for one in whole)),
        "",
        MATRIX,
        "",
        "A fault begins when the step begins and lasts until the experiment has ended, or happens once where that is said. A resistance begins when its",
        "potential is applied; the electrolysis has two columns: as it begins, and when its current flows. – : the device is not asked for",
        "anything in this step.",
        "",
        f"| fault | {' | '.join(STEPS)} |",
        f"| --- |{' --- |' * len(STEPS)}",
        *(_line(row, found) for row in ROWS),
        "",
        TIMES,
        "",
        "Of experiments that broke off after a current had begun to flow, in real seconds. Detected is a fault when the log says first that it is acted",
        "on: the driver gives up waiting or reads an error, an interlock does not hold, a step fails.",
        "",
        f"The emulated laboratory is {PACE:g} times as fast as a real one, and the potentiostat's driver waits {ANSWER:g} s for an answer instead of 1 s. A",
        "potentiostat that falls silent under current is given up after twice the interval of its points and five answers' time: 9 s with points",
        "every 2 s, during which it does what it was told to. What comes after the detection does not depend on these: one that does not answer is cut",
        "off after `disconnect_after`, 0.5 s, while its driver still tries.",
        "",
        "| fault | step | detected after, s | then off after, s | by | reported as |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_times(one) for one in live),
    ]
    return "\n".join(lines) + "\n"


def _is(one: Cell, name: str) -> bool:
    """Whether an entry of the legend is this outcome."""
    outcome, (known, more, _) = one.result.outcome, name.partition("...")
    return outcome.startswith(known) and outcome not in OUTCOMES if more else outcome == known


def _line(row: Row, found: dict[tuple[str, str], Cell]) -> str:
    cells = [found[row.name, step].result.outcome if step in row.steps else "–" for step in STEPS]
    return f"| {row.name} | {' | '.join(cells)} |"


def _times(one: Cell) -> str:
    result = one.result
    detected = "" if result.detected is None else f"{result.detected:.2f}"
    off = "it stays on" if result.off == math.inf else f"{result.off:.2f}"
    return f"| {one.row} | {one.step} | {detected} | {off} | {result.off_by or 'nothing'} | {result.reported} |"


def told(text: str) -> dict[tuple[str, str], str]:
    """The outcomes that a page tells, by fault and step."""
    block = text.split(MATRIX)[1].split(TIMES, maxsplit=1)[0]
    table = [[entry.strip() for entry in line.strip("| ").split("|")] for line in block.splitlines() if "|" in line]
    return {
        (name, step): outcome
        for name, *outcomes in table[2:]
        for step, outcome in zip(table[0][1:], outcomes, strict=True)
        if outcome != "–"
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the page")
    parser.add_argument("--only", default="", help="rows whose fault has this in it")
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    cells: list[Cell] = []
    for row in run([row for row in ROWS if given.only in row.name], given.workers):
        for one in row:
            cells.append(one)
            result = one.result
            times = f"{result.detected or math.nan:.2f} + {math.nan if result.off is None else result.off:.2f} s"
            print(f"{one.row} | {one.step}: {result.outcome}, {times} {result.off_by}; next: {one.next}", flush=True)
            print(f"    {result.detail}", flush=True)
            for problem in one.problems:
                print(f"    PROBLEM: {problem}", flush=True)
    bad = [one for one in cells if one.problems]
    if given.write and not given.only and not bad:  # what the page says in prose is true only then
        given.write.write_text(page(cells), encoding="utf-8")
    print(f"{len(cells)} cells, {len(bad)} with problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
