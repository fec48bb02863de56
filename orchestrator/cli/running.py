"""``sabatier run`` and ``sabatier resume``: a campaign in a thread, signals in this one."""

from __future__ import annotations

import contextvars
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import NoReturn

from rich.console import Console

from acquisition.errors import AcquisitionError
from instruments.errors import InstrumentsError
from instruments.lab import Resuming
from orchestrator.campaign import text
from orchestrator.campaign.confirmation import confirmation, in_words
from orchestrator.campaign.defining import definition_of
from orchestrator.campaign.places import files_of
from orchestrator.campaign.words import LINK
from orchestrator.cli.display import Display, JsonFormatter, JsonLog, LogFile, Sentence
from orchestrator.cli.failures import DONE, FAILED, INTERRUPTED, refuse
from orchestrator.cli.guard import PACKAGES
from orchestrator.cli.terminal import Terminal
from orchestrator.config.definition import Definition
from orchestrator.config.load import load
from orchestrator.errors import InputError, LeaseHeld, NothingTold, OrchestratorError
from orchestrator.flows.sitting import Sitting, sit
from orchestrator.loop.assembly import Assembly, assemble, kept_by, loop_of, open_for, register
from orchestrator.loop.engine import ThreadEngine
from orchestrator.loop.listener import Listener
from orchestrator.notify.telling import check_people, notifying
from orchestrator.store.opening import default_url, open_store
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignState

STATUS = {"completed": DONE, "stopped": DONE, "interrupted": INTERRUPTED, "paused": INTERRUPTED}


def run_file(
    file: Path,
    *,
    table: Path | None,
    name: str | None,
    seed: int | None,
    store: str | None,
    files: str | None,
    engine: str,
    report: Path | None,
    quiet: bool,
) -> NoReturn:
    """Load, register and run a campaign file; ends the process with the campaign's exit status."""
    definition = load(file, table, name=name, seed=seed)
    for notice in definition.notices:
        sys.stderr.write(f"note: {notice}\n")
    check_people(definition.file.notify)
    refuse_memory(store)
    kept = open_for(store, definition.build_lab())
    name = definition.file.name
    try:
        new = register(kept, definition)
        if new and definition.file.after is not None:
            sys.stderr.write("".join(f"note: {event.why}\n" for event in kept.events(name, kinds=(LINK,))))
        with _logging(_log_path(kept, name), name):
            _run(kept, name, definition, files=files, engine=engine, report=report, quiet=quiet, new=new)
    finally:
        kept.close()


def resume_campaign(
    name: str, *, store: str | None, files: str | None, engine: str, report: Path | None, quiet: bool
) -> NoReturn:
    """Continue a campaign of a store; ends the process with the campaign's exit status."""
    refuse_memory(store)
    reading = open_store(store, durable=False, create=False)
    try:
        definition = definition_of(reading, name)
    finally:
        reading.close()
    check_people(definition.file.notify)
    kept = open_for(store, definition.build_lab(), create=False)
    try:
        with _logging(_log_path(kept, name), name):
            _run(kept, name, definition, files=files, engine=engine, report=report, quiet=quiet, new=False)
    finally:
        kept.close()


def refuse_memory(store: str | None) -> None:
    """Raise unless a store outlives the command."""
    if not (store or default_url()).startswith(("memory", ":memory")):
        return
    raise InputError("a store in memory is gone with the command.", field="--store", mend="Name a file.")


def _log_path(store: Store, name: str) -> Path:
    return files_of(store).parent / "logs" / f"{name}.jsonl"


def _run(
    store: Store,
    name: str,
    definition: Definition,
    *,
    files: str | None,
    engine: str,
    report: Path | None,
    quiet: bool,
    new: bool,
) -> NoReturn:
    parts = assemble(store, name, definition)
    kept_by(store, parts.lab, files)  # an address that cannot be used is refused before anything moves
    folder = files_of(store).parent
    console = Terminal()
    file = definition.file
    rule = file.stop.rule()
    display = Display(
        console,
        rule.most,
        parts.campaign.experiments(),
        file.objectives,
        file.outcome_constraints,
        file.metric_names,
        text.fractions_of(definition.space.parameters),
        quiet,
        by_people=isinstance(parts.lab, Resuming) and parts.lab.resumes,
    )
    listeners = (display, JsonLog(_log_path(store, name), name))
    if not quiet:
        verb = "runs" if new else "continues"
        how = f"{file.search().text()}, strategy {file.strategy.name}, store {store.url}"
        console.print(f"campaign {name} {verb}: {how}", markup=False, highlight=False, soft_wrap=True)
    cancelled = Event()
    try:
        with display.live():
            ended = _in_thread(lambda: _sit(engine, parts, store, files, cancelled, listeners), cancelled, console)
    except LeaseHeld:
        raise
    except (OrchestratorError, AcquisitionError, InstrumentsError, OSError) as problem:
        refuse(f"the campaign failed: {problem} What was recorded is kept; `sabatier resume {name}` continues.", FAILED)
    _conclude(store, name, ended.state, report or folder / "reports" / f"{name}.html", console)
    status = STATUS.get(ended.state, FAILED)
    if ended.orderly:
        sys.exit(status)
    sys.stderr.write(f"note: Prefect's server went away; the campaign is not affected (see {folder / 'logs'}).\n")
    store.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Prefect's threads would wait for that server for ever


def _sit(
    engine: str, parts: Assembly, store: Store, files: str | None, cancelled: Event, listeners: tuple[Listener, ...]
) -> Sitting:
    if engine == "prefect":
        logs = files_of(store).parent / "logs"
        return sit(parts.campaign.name, store.url, files=files, cancelled=cancelled, listeners=listeners, logs=logs)
    with notifying(parts, listeners) as people:
        listeners = (*listeners, *people)
        engine_here = ThreadEngine(len(parts.lab.cells))
        loop = loop_of(parts, store, engine=engine_here, files=files, cancelled=cancelled, listeners=listeners)
        return Sitting(loop.run(), orderly=True)


def _in_thread(work: Callable[[], Sitting], cancelled: Event, console: Console) -> Sitting:
    """Run in a thread, where no engine can install signal handlers of its own; signals only say that it is to end."""
    result: list[Sitting] = []
    problems: list[BaseException] = []
    signals: list[int] = []

    def body() -> None:
        try:
            result.append(work())
        except BaseException as problem:  # noqa: BLE001  handed to the main thread, which raises it
            problems.append(problem)

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        cancelled.set()
        signals.append(number)

    with _handlers(on_signal):
        thread = Thread(target=contextvars.copy_context().run, args=(body,), name="campaign")
        thread.start()
        said = 0
        while thread.is_alive():
            thread.join(0.2)  # a join without limit would keep signals waiting on Windows
            if len(signals) > said and thread.is_alive():
                word = "still waiting for" if said else "interrupted: waiting for"
                console.print(f"{word} what runs to end in its safe state", markup=False, highlight=False)
                said = len(signals)
    if problems:
        raise problems[0]
    return result[0]


@contextmanager
def _handlers(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    names = [n for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, n)]
    if "SIGHUP" in names and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        names.remove("SIGHUP")  # started under nohup: meant to outlive its terminal
    former = {name: signal.signal(getattr(signal, name), handler) for name in names}
    try:
        yield
    finally:
        for name, was in former.items():
            signal.signal(getattr(signal, name), was)


@contextmanager
def _logging(path: Path, campaign: str) -> Iterator[None]:
    """Write what the house's packages log to the campaign's log file, and warnings to stderr too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = LogFile(path, JsonFormatter(campaign=campaign))
    to_stderr = logging.StreamHandler()
    to_stderr.setLevel(logging.WARNING)
    to_stderr.setFormatter(Sentence())
    packages = [logging.getLogger(name) for name in PACKAGES]
    for package in packages:
        package.handlers = [to_file, to_stderr]
        package.setLevel(logging.INFO)
        package.propagate = False  # Prefect's own handlers would print every line once more
    try:
        yield
    finally:
        for package in packages:
            package.handlers = []
            package.propagate = True
        to_file.close()


def _conclude(store: Store, name: str, state: CampaignState, report: Path, console: Console) -> None:
    """Say how it ended, what is best, and where the report is."""
    from orchestrator.export.report import write_report

    record = store.campaign(name)
    parts = assemble(store, name)  # anew: its definition may have been amended
    campaign = parts.campaign
    console.print(f"campaign {name} is {state}: {record.reason}", markup=False, highlight=False, soft_wrap=True)
    try:
        best = campaign.best()
    except NothingTold as nothing:
        best = None
        console.print(f"no best point: {nothing}", markup=False, highlight=False, soft_wrap=True)
    if best is not None and best.empty:
        console.print("no executed experiment is expected to keep the outcome constraints", highlight=False)
    elif best is not None:
        fractions = text.fractions_of(campaign.space.parameters)
        for id, row in best.head(10).iterrows():
            point = text.settings({column: row[column] for column in campaign.space.columns}, fractions)
            values = ", ".join(text.quantity(m, row[f"{m}_mean"], row[f"{m}_std"]) for m in campaign.metrics)
            console.print(f"best: experiment {id}: {point}", markup=False, highlight=False, soft_wrap=True)
            console.print(f"      {values} (by the model)", markup=False, highlight=False, soft_wrap=True)
    for line in in_words([point.plain() for point in confirmation(store, name) or ()]):
        console.print(f"checked: {line}", markup=False, highlight=False, soft_wrap=True)
    try:
        path = write_report(campaign, record, report, notices=parts.definition.notices)
    except (OSError, OrchestratorError) as problem:  # the campaign is what it is without its report
        sys.stderr.write(f"sabatier: the report could not be written: {problem}\n")
        return
    console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)
    if state in ("interrupted", "paused"):
        console.print(f"continue with: sabatier resume {name}", markup=False, highlight=False)
