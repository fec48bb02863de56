"""A command of this house in a process of its own, which ends at a chosen one of its writes as if the power had gone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from orchestrator import cli
from orchestrator.loop import context, holding, loop, raw
from orchestrator.store.repeating import RepeatingTransactions
from orchestrator.store.transactions import SerialTransactions, Transaction, Transactions

for _name in (
    "torch",
    "plotly.graph_objects",
    "pyarrow.pandas_compat",
    "sqlalchemy.dialects.sqlite",
    "acquisition.criteria.integrated",
    "acquisition.strategies.model_based",
    "acquisition.strategies.space_filling",
    "instruments.rig.lab",
    "orchestrator.cli.app",
    "orchestrator.cli.people_app",
    "orchestrator.cli.running",
    "orchestrator.export.figures",
    "orchestrator.export.report",
    "orchestrator.loop.assembly",
    "simulators.calibrated",
    "simulators.simulated",
    "surrogates.gaussian_process",
):
    import_module(_name)  # once for all processes, which are forks of one

Phase = Literal["before", "inside", "after"]
PHASES: Final[tuple[Phase, ...]] = ("before", "inside", "after")


@dataclass(frozen=True, slots=True)
class Death:
    """When a process ends by SIGKILL, or falls asleep.

    Attributes:
        write: the number of its write, from 1: a transaction of the store, a file of raw signals, a line of a journal.
        phase: before that write; in its middle, where a transaction is not committed and a file is half; or after it.
        sleep: it is stopped, as by a debugger, and may be woken.
    """

    write: int
    phase: Phase
    sleep: bool = False

    def __str__(self) -> str:
        return f"{self.phase} write {self.write}"


class Reaper:
    """Counts the writes of this process, and ends it at one of them."""

    def __init__(self, death: Death | None) -> None:
        self.writes, self._death, self._lock = 0, death, Lock()

    def next(self) -> int:
        with self._lock:
            self.writes += 1
            return self.writes

    def at(self, number: int, phase: Phase) -> None:
        death = self._death
        if death is not None and (death.write, death.phase) == (number, phase):
            self._death = None  # a transaction may be tried again
            os.kill(os.getpid(), signal.SIGSTOP if death.sleep else signal.SIGKILL)

    def halves(self, number: int) -> bool:
        return self._death is not None and (self._death.write, self._death.phase) == (number, "inside")

    def attend(self) -> None:
        """From now on see every write."""
        put, append = raw._put, context._append

        def in_transactions(kind: type) -> None:
            write = kind.write

            def counted(store: Transactions, work: Callable[[Transaction], Any]) -> Any:
                number = self.next()

                def watched(at: Transaction) -> Any:
                    done = work(at)
                    self.at(number, "inside")
                    return done

                self.at(number, "before")
                done = write(store, watched)
                self.at(number, "after")
                return done

            kind.write = counted

        for kind in (SerialTransactions, RepeatingTransactions):
            in_transactions(kind)

        def of_file(path: Path, content: bytes, durable: bool) -> None:
            number = self.next()
            self.at(number, "before")
            if self.halves(number):
                put(path, content[: len(content) // 2], durable)
                self.at(number, "inside")
            put(path, content, durable)
            self.at(number, "after")

        def of_line(path: Path, line: str) -> None:
            number = self.next()
            self.at(number, "before")
            if self.halves(number):
                append(path, line[: len(line) // 2])
                self.at(number, "inside")
            append(path, line)
            self.at(number, "after")

        raw._put, context._append = of_file, of_line


def command(
    words: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    output: str,
    *,
    death: Death | None = None,
    lease: float | None = None,
) -> None:
    """Run a command here; ends the process.

    Args:
        words: of the command line, without the program's name.
        folder: in which it is run.
        environment: more of it.
        output: a file for what it prints; beside it, with the suffix ``.writes``, the number of its writes.
        death: when it ends, if at all.
        lease: how long its leases last, s; they are renewed five times in that time.
    """
    out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.update(environment)
    if lease is not None:
        loop.holding = partial(holding.holding, ttl=lease, every=lease / 5.0)  # type: ignore[attr-defined]
    reaper = Reaper(death)
    reaper.attend()
    sys.argv = ["sabatier", *words]
    try:
        cli.main()
    finally:
        Path(output).with_suffix(".writes").write_text(str(reaper.writes))
