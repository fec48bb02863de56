"""What comes of a campaign when processes, instruments, disks and clocks fail: happens to real processes, written as a page.

``python tests/system/crash_table.py --write docs/reference/crashes.md`` does all of it, some six minutes, and writes the
page. ``--only WORD`` does the rows whose fault has the word in it, ``--seed`` draws other points.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import crash_scenarios as scenarios
from crash_scenarios import Found, Skipped

TABLE: Final = "## The table"
END: Final = "## What is judged"
SEED: Final = 1

Scenario = Callable[..., Found]


@dataclass(frozen=True)
class Row:
    """A fault.

    Attributes:
        fault: for people.
        laboratory: in which it happens.
        meanwhile: what the program does about it; the scenario sees to it that this is true.
        scenario: lets it happen.
    """

    fault: str
    laboratory: str
    meanwhile: str
    scenario: Scenario

    @property
    def name(self) -> str:
        return f"{self.fault} ({self.laboratory})"


VIRTUAL, RIG = "virtual", "rig"
GUARDIAN: Final = "the guardian switches the cell off, then the gas"
ROWS: Final = (
    Row(
        "the process is killed before, in or after one of its writes",
        VIRTUAL,
        "the results are those of an undisturbed campaign",
        scenarios.killed_around_writes,
    ),
    Row("the process is killed before, in or after one of its writes", RIG, GUARDIAN, scenarios.killed_on_the_rig),
    Row(
        "two processes begin the same campaign at once",
        VIRTUAL,
        "one is refused, with the name of the other",
        scenarios.two_at_once,
    ),
    Row(
        "the process is stopped past its lease, and wakes after another has taken over",
        VIRTUAL,
        "it writes nothing more and ends",
        scenarios.asleep,
    ),
    Row(
        "the process is stopped under current past its lease, and wakes after another has taken over",
        RIG,
        f"{GUARDIAN}; the process that wakes commands and writes nothing more",
        scenarios.asleep_on_the_rig,
    ),
    Row(
        "all instruments lose their power under current",
        RIG,
        "the rig is halted, what does not answer is reported as unconfirmed",
        scenarios.instruments_killed,
    ),
    Row(
        "the potentiostat's serial lead is pulled under current",
        RIG,
        "the relay disconnects the cell",
        scenarios.lead_pulled,
    ),
    Row("the disk is full", VIRTUAL, "the process says so and ends", scenarios.full_disk),
    Row(
        "the disk is full under current",
        RIG,
        "the rig is made safe, the process says so and ends",
        scenarios.full_disk_on_the_rig,
    ),
    Row(
        "the clock is set a day ahead, then two days back, under current, and another process wants control",
        RIG,
        "nothing: the other is refused, times are taken from a clock that nobody sets",
        scenarios.clock_jumps,
    ),
    Row(
        "Prefect's server is killed",
        VIRTUAL,
        "the process says so, and goes on without it",
        scenarios.prefect_killed,
    ),
    Row(
        "a worker is killed with all that it started",
        VIRTUAL,
        "another worker takes over and goes on",
        scenarios.worker_killed,
    ),
    Row(
        "PostgreSQL is killed in the middle of a transaction, and starts again",
        VIRTUAL,
        "the transaction is done once, the process goes on, the results are those of an undisturbed campaign",
        scenarios.database_killed,
    ),
)


@dataclass(frozen=True)
class Done:
    """A row that has happened."""

    row: Row
    found: Found
    seconds: float


def run(row: Row, seed: int, **how: int) -> Done:
    """Let a fault happen in a folder of its own; ``times``: that often, instead of as often as the page has it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        found = row.scenario(Path(folder) / "site", Random(f"{seed} {row.name}"), **how)
    return Done(row, found, time.monotonic() - began)


ACTS: Final = {"rig reset": "resets the rig", "resolve": "says what becomes of the experiment"}


@dataclass(frozen=True)
class Line:
    """A row of the page.

    Attributes:
        times: how often the fault happened.
        meanwhile: what the program does about it.
        then: what people had to do until the campaign was completed.
        off: real s until current and gas were off, where a current had flowed.
    """

    times: int
    meanwhile: str
    then: str
    off: float | None

    @classmethod
    def of(cls, row: Row, found: Found) -> Line:
        """Of what has happened."""
        said = [text for act, text in ACTS.items() if act in found.acts]
        then = f"a person {' and '.join(said)}; then it goes on" if said else "it goes on by itself"
        return cls(found.times, row.meanwhile, then, found.off)

    def __str__(self) -> str:
        off = "" if self.off is None else f"{self.off:.1f}"
        return " | ".join((str(self.times), self.meanwhile, self.then, off))


def told(text: str) -> dict[str, Line]:
    """The rows of a page, by name."""
    block = text.split(TABLE)[1].split(END, maxsplit=1)[0]
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines() if line.startswith("|")]
    return {
        f"{fault} ({laboratory})": Line(int(times), meanwhile, then, float(off) if off else None)
        for fault, laboratory, times, meanwhile, then, off in table[2:]
    }


def page(found: Mapping[str, Line]) -> str:
    """The page, of all rows."""
    rows = [(row, found[row.name]) for row in ROWS]
    off = max(line.off for _, line in rows if line.off is not None)
    lines = [
        "# Faults and what comes of them",
        "",
        "What comes of a campaign when its process, its instruments, the disk or the clock fail: each fault happens to real processes, in the",
        "virtual laboratory and on a rig whose instruments are emulated over TCP and a serial port. This page is written by",
        "`python tests/system/crash_table.py --write docs/reference/crashes.md`, and a test compares it with what happens.",
        "What single instruments do wrong is in the [fault matrix](fault-matrix.md); how to go on is in [Go on after a crash](../how-to/recover.md).",
        "",
        f"{sum(line.times for _, line in rows)} faults; each campaign was completed afterwards. Every result was there once, nothing was repeated unasked, and current and gas",
        f"were off at most {off:.1f} s after the fault, where a current had flowed.",
        "",
        TABLE,
        "",
        "| fault | laboratory | times | meanwhile | then | off after, s |",
        "| --- | --- | --- | --- | --- | --- |",
        *(f"| {row.fault} | {row.laboratory} | {line} |" for row, line in rows),
        "",
        END,
        "",
        "- The campaign is completed after `sabatier run` and what people are asked for, and nothing else.",
        "- Each experiment was measured to its end exactly once. In the virtual laboratory, where repeating is safe, proposals, samples and results are those",
        "  of a campaign that nothing happened to; on the rig the number of electrolyses that the instruments saw is that of the journal, and each beyond the",
        "  first of an experiment was asked for by a person.",
        "- The log has no gap, each change of state begins where the one before ended, and the last one is what the record says.",
        "- The raw signals of each measurement are complete and have the hash that the store has of them; the database passes its own checks; nothing holds a",
        "  lease any more.",
        "- On the rig no current and no gas flows at the end, and none a few seconds after its controller is gone.",
        "",
        "The writes are the transactions of the store, the files of raw signals and the lines of the journal; in a write means that the transaction is not",
        "committed, or that half of the file is written. Which of them it is, and other moments, are drawn from a seed (`--seed`).",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the page; rows that do not happen now stay as they stand there")
    parser.add_argument("--only", default="", help="rows whose fault or laboratory has this in it")
    parser.add_argument("--seed", type=int, default=SEED, help="draws the points")
    given = parser.parse_args()
    lines, bad = dict[str, Line](), 0
    for row in ROWS:
        if given.only not in row.name:
            continue
        try:
            one = run(row, given.seed)
        except Skipped as why:
            print(f"{row.name}: NOT SHOWN: {why}", flush=True)
            bad += 1
            continue
        except Exception:  # noqa: BLE001  the other rows are told all the same
            print(f"{row.name}: PROBLEM:\n{traceback.format_exc()}", flush=True)
            bad += 1
            continue
        lines[row.name] = Line.of(row, one.found)
        bad += bool(one.found.problems)
        print(f"{row.name} | {lines[row.name]} | took {one.seconds:.0f} s", flush=True)
        for problem in one.found.problems:
            print(f"    PROBLEM: {problem}", flush=True)
    print(f"{len(lines)} rows, {bad} with problems or not shown; seed {given.seed}")
    if given.write and not bad:
        former = told(given.write.read_text(encoding="utf-8")) if given.write.exists() else {}
        given.write.write_text(page(former | lines), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
