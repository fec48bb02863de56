"""Shows on the terminal what a loop does, and writes it to a log file as JSON lines."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.campaign import text
from orchestrator.campaign.merit import incumbent
from orchestrator.campaign.progress import ended
from orchestrator.cli.orders import order_of
from orchestrator.config.definition import Definition
from orchestrator.loop.listener import Listener
from orchestrator.store.records import AttemptRecord, CampaignState, ExperimentRecord


class Display(Listener):
    """A progress bar with the best so far, and a line for each proposal and each result."""

    def __init__(
        self,
        console: Console,
        budget: int | None,
        records: Sequence[ExperimentRecord],
        objectives: Sequence[Objective],
        constraints: Sequence[OutcomeConstraint],
        metrics: Collection[str],
        fractions: Collection[str],
        quiet: bool,
        by_people: bool = False,
    ) -> None:
        self._by_people = by_people
        self._console, self._quiet, self._metrics, self._fractions = console, quiet, metrics, fractions
        self._objectives, self._constraints = objectives, constraints
        self._known = {record.id: record for record in records}
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=budget, completed=self._done())

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the bar while the block runs."""
        with self._progress:
            yield

    def proposed(self, records: list[ExperimentRecord]) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        for record in records:
            self._line(f"{record.id:>4}  proposed  {text.settings(record.asked, self._fractions)}  ({record.reason})")

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        if self._by_people:
            self._line(f"{record.id:>4}  to do     on {attempt.cell}, sample {attempt.sample}: {order_of(attempt)}")

    def state_changed(self, state: CampaignState, why: str) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        if state in ("paused", "stopping"):
            self._line(f"      {state}  {why}".rstrip())

    def amended(self, version: int, definition: Definition) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        file, search = definition.file, definition.file.search()
        self._constraints, self._metrics = file.outcome_constraints, file.metric_names
        self._progress.update(self._task, total=file.stop.rule().most)
        self._line(
            f"      amended  version {version} of the definition; {search.text()}, strategy {file.strategy.name}"
        )

    def noticed(self, kind: str, text: str) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        self._line(f"      {kind}  {text}")

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        self._known[record.id] = record
        best = incumbent(list(self._known.values()), self._objectives, self._constraints)
        star = "  <- best so far" if record.id in {r.id for r in best} else ""
        self._line(f"{record.id:>4}  measured  {text.result(record, self._metrics)}{star}")
        self._progress.update(self._task, completed=self._done(), description=self._best(best))

    def _best(self, best: Sequence[ExperimentRecord]) -> str:
        if not best:
            return "nothing feasible yet"
        if len(self._objectives) > 1:
            return f"{len(best)} on the front"
        metric = self._objectives[0].metric
        value = best[0].values[metric]
        return f"best {text.quantity(metric, value.value or 0.0, censored=value.censored)}"

    def _done(self) -> int:
        return ended(self._known.values())

    def _line(self, line: str) -> None:
        if not self._quiet:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class JsonLog(Listener):
    """Appends one JSON line for each thing that happens."""

    def __init__(self, path: Path, campaign: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._campaign = path, campaign

    def proposed(self, records: list[ExperimentRecord]) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        for r in records:
            self._write("proposed", r.id, parameters=r.asked, why=r.reason, expected=r.prediction)

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        self._write("started", record.id, attempt=attempt.number, cell=attempt.cell, sample=attempt.sample)

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        values = {m: {"value": v.value, "sem": v.sem} for m, v in record.values.items()}
        self._write(
            "learned", record.id, attempt=attempt.number, state=record.state, metrics=values, verdict=record.verdict
        )

    def state_changed(self, state: CampaignState, why: str) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        self._write("state", None, state=state, why=why)

    def amended(self, version: int, definition: Definition) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        self._write("amended", None, version=version, hash=definition.hash)

    def noticed(self, kind: str, text: str) -> None:
        """See :class:`orchestrator.loop.Listener`."""
        self._write(kind, None, text=text)

    def _write(self, event: str, experiment: int | None, **data: Any) -> None:
        line = {"time": datetime.now(UTC).isoformat(), "campaign": self._campaign, "experiment": experiment}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "event": event, **data}) + "\n")


class LogFile(logging.FileHandler):
    """A log file. One that cannot be written, as on a full disk, says so once and ends nothing."""

    def __init__(self, path: Path, formatter: logging.Formatter) -> None:
        super().__init__(path, encoding="utf-8")
        self.setFormatter(formatter)
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  as logging names it
        """Say on the terminal that the file is incomplete."""
        problem = sys.exc_info()[1]
        if isinstance(problem, OSError):
            self._tell(problem)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; what could not be written is lost."""
        try:
            super().close()
        except OSError as problem:  # what was left to write
            self._tell(problem)

    def _tell(self, problem: OSError) -> None:
        if not self._told:
            self._told = True
            sys.stderr.write(
                f"sabatier: {self.baseFilename} cannot be written ({problem.strerror}); the log has gaps.\n"
            )


class Sentence(logging.Formatter):
    """Log records of the libraries for people: what went wrong in a sentence, without the places in the program."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or as many as the message has."""
        problem = record.exc_info[1] if record.exc_info else None
        why = f": {problem or type(problem).__name__}" if problem is not None else ""
        return f"{record.levelname}: {record.getMessage()}{why}"


class JsonFormatter(logging.Formatter):
    """Log records of the libraries as JSON lines, with the places in the program.

    Args:
        about: what they are about, such as ``campaign="cu-alloys"``.
    """

    def __init__(self, **about: str) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(), **self._about}
        line |= {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        return json.dumps(line | ({"traceback": self.formatException(record.exc_info)} if record.exc_info else {}))
