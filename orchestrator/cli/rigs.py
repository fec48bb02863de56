"""``sabatier rig``: look at a rig, calibrate it, stop it, reset it, fill it up, answer what it asks."""

from __future__ import annotations

import getpass
import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from instruments.errors import InstrumentsError, LabError
from instruments.rig.file import RigFile
from orchestrator.cli.display import JsonFormatter, LogFile
from orchestrator.cli.failures import DONE, FAILED
from orchestrator.cli.rig_words import found_lines, halt_lines, level_line
from orchestrator.config.problems import own_problem, refuse
from orchestrator.config.rigs import document_of, read_rig
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from instruments.rig.program import Program


def check(path: Path, *, as_json: bool) -> None:
    """Identify every device, check limits, calibrations and stock; moves nothing. Ends with status 1 where it fails."""
    from instruments.rig.check import check_rig

    file, program = _program(path)
    report = check_rig(file, path.parent, more=(lambda: _uncalibrated(program, path), lambda: _stock(program, path)))
    if as_json:
        _say(json.dumps(report.to_json(), indent=2))
        sys.exit(DONE if report.ok else FAILED)
    for line in found_lines(report):
        _say(line)
    sys.exit(DONE if report.ok else FAILED)


def preview(path: Path, cell: str | None) -> None:
    """The dry run of a campaign's first experiment: every step with its set points, checked against all limits.

    Ends with status 1 where a set point is not allowed.

    Raises:
        InputError: the campaign file is wrong, its laboratory is no rig, or there is no such cell.
    """
    import numpy as np

    from instruments.rig.lab import RigLab
    from orchestrator.config.load import load

    definition = load(path)
    lab = definition.build_lab()
    if not isinstance(lab, RigLab):
        raise InputError(f"{path}: the laboratory is no rig.", field="lab.type", mend="Only rigs have dry runs.")
    where = lab.cells[0] if cell is None else cell
    if where not in lab.cells:
        raise InputError(f"there is no cell {where!r}.", field="cell", mend=f"Known: {', '.join(lab.cells)}.")
    point = definition.space.to_frame(definition.space.design(1, np.random.default_rng(definition.file.seed)))
    parameters = {str(name): value for name, value in point.to_dict("records")[0].items()}
    found = lab.preview(parameters, where)
    _say(
        ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in parameters.items()
        )
    )
    _say(found.table)
    sys.exit(FAILED if found.problems else DONE)


def calibrate(path: Path, store: str | None) -> None:
    """Inject the standards of the rig file and write the calibration records.

    Raises:
        InputError: the file has no plan, or an impossible one.
        LeaseHeld: a campaign or another command uses a device; says which.
        InstrumentsError: it did not work; no record is written.
    """
    from instruments.rig.calibrating import calibrate as measure
    from instruments.rig.rig import Rig

    file, program = _program(path)
    if program.calibration is None:
        raise InputError(f"{path}: there are no standards.", field="calibration", mend="Give `calibration.standards`.")
    plan = program.calibration
    with (
        _logged(file, path),
        _progress(),
        _cancellable() as cancelled,
        _leased(file, store, "calibrate", cancelled),
        Rig(file, path.parent) as rig,
    ):
        records = measure(
            rig, plan, program.stock, program.calibrations(path.parent), cancelled=cancelled, today=_today
        )
    for record in records:
        fit = "" if record.r_squared is None else f", R2 {record.r_squared:.5f}"
        _say(f"{record.id}: {record.low:g} to {record.high:g}{fit}, until {record.expires}")


def reset(path: Path, who: str | None, store: str | None) -> None:
    """End the halted state, once every device has confirmed that it is safe; cells that were left unclean are free.

    Raises:
        LabError: nothing says what is in the cells; nothing was touched.
        InstrumentsError: a device did not confirm; the rig stays halted.
        LeaseHeld: a campaign or another command uses a device; says which.
    """
    from instruments.rig.mounted import MountedSamples
    from instruments.rig.rig import Rig

    file, _ = _program(path)
    mounted = MountedSamples(path.parent / f"{file.name}.cells.json")
    with _logged(file, path), _leased(file, store, "reset", Event()):
        Rig(file, path.parent).reset(who or getpass.getuser())
    freed = mounted.clear()
    _say(f"{file.name} is reset: every device confirmed that it is safe")
    if freed:
        _say(f"free again, with a fresh sample: {', '.join(freed)}")


def stop(path: Path, reason: str) -> None:
    """Stop a rig at once, whoever controls it. Ends with status 1 where a device did not confirm that it is safe."""
    from instruments.rig.calling import emergency_stop

    file, _ = _program(path)
    with _logged(file, path):
        halt = emergency_stop(file, path.parent, reason)
    for line in halt_lines(file.name, halt):
        _say(line)
    sys.exit(DONE if halt.unconfirmed == () else FAILED)


def refill(path: Path, item: str | None, amount: float | None, *, lot: str, expires: str | None, who: str) -> None:
    """Write down what is there after filling up; without an item, show what is there.

    Raises:
        InputError: the amount is missing, or the day is none.
        LabError: there is no such item, or the amount is impossible.
    """
    file, program = _program(path)
    ledger = _ledger(file, program, path)
    if item is None:
        for name, level in ledger.levels().items():
            _say(level_line(name, level))
        return
    if amount is None:
        raise InputError("nothing says how much is there now.", field="amount", mend="Give the amount after the item.")
    try:
        day = None if expires is None else date.fromisoformat(expires)
    except ValueError:
        raise InputError(f"{expires!r} is no day.", field="expires", mend="Write it like 2027-03-31.") from None
    _say(level_line(item, ledger.refill(item, amount, lot=lot, expires=day, who=who or getpass.getuser())))


def answer(path: Path, question: str | None, who: str | None) -> None:
    """Say that something that the rig asked for is done; without a question, show what it asks.

    Raises:
        LabError: there is no such question.
    """
    from instruments.rig.asking import answer as done
    from instruments.rig.asking import questions

    if question is not None:
        done(path.parent, question, who or getpass.getuser())
        _say(f"{question}: done")
        return
    asked = questions(path.parent)
    for one in asked:
        _say(f"{one.id}: {one.text} (since {one.asked})")
    if not asked:
        _say("nothing is asked")


# Inside


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@contextmanager
def _logged(file: RigFile, path: Path) -> Iterator[None]:
    """Write what the packages log to a file of the rig, and nothing to the terminal."""
    handler = LogFile(path.parent / f"{file.name}.commands.jsonl", JsonFormatter(rig=file.name))
    logger = logging.getLogger("instruments")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


@contextmanager
def _leased(file: RigFile, store: str | None, command: str, lost: Event) -> Iterator[None]:
    """Hold a rig's devices in the store, so that a campaign there is refused meanwhile, and the other way round.

    Where there is no store yet, nothing in it can have them; the rig's lock file is there in any case.
    """
    from orchestrator.errors import StoreUnreachable
    from orchestrator.loop.devices import using
    from orchestrator.store.opening import open_store

    try:
        kept = open_store(store, durable=False, create=False)
    except StoreUnreachable as problem:
        if store is not None:
            raise
        logging.getLogger("instruments.rig").info("devices are guarded by the rig's lock file alone: %s", problem)
        kept = None
    if kept is None:
        yield
        return
    try:
        with using(kept, file.equipment, f"sabatier rig {command}", lost):
            yield
    finally:
        kept.close()


@contextmanager
def _progress() -> Iterator[None]:
    """Say which standard is injected: it takes long."""
    handler, logger = logging.StreamHandler(), logging.getLogger("instruments.rig.calibrating")
    handler.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _program(path: Path) -> tuple[RigFile, Program]:
    from instruments.rig.program import Program

    file, _ = read_rig(path)
    with _placed(path):
        program = Program.of(file)
        program.procedure  # noqa: B018  checked when it is first asked for
    return file, program


@contextmanager
def _placed(path: Path, *base: str) -> Iterator[None]:
    """Let errors of a block name file and line."""
    try:
        yield
    except InstrumentsError as problem:
        document = document_of(path)
        raise refuse(document, [own_problem(problem, document, base)]) from problem


def _today() -> date:
    return datetime.now(UTC).date()


def _ledger(file: RigFile, program: Program, path: Path) -> Any:
    from instruments.rig.ledger import Ledger

    return Ledger(path.parent / f"{file.name}.stock.jsonl", program.stock.items(), today=_today)


def _stock(program: Program, path: Path) -> None:
    problems = _ledger(program.file, program, path).problems(_today())
    if problems:
        raise LabError(f"stock: {'; '.join(problems)}.", field="stock", mend="Run `sabatier rig refill`.")


def _uncalibrated(program: Program, path: Path) -> None:
    from instruments.rig import calibrating

    needs = getattr(program.procedure.options, "calibrated", ())
    problems = calibrating.valid(calibrating.load(program.calibrations(path.parent)), needs, _today())
    if problems:
        raise LabError(f"{'; '.join(problems)}.", field="calibrations", mend="Run `sabatier rig calibrate`.")


@contextmanager
def _cancellable() -> Iterator[Event]:
    """An event that the first signal sets."""
    cancelled = Event()
    former = {n: signal.signal(n, lambda *_: cancelled.set()) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancelled
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
