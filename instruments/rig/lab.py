"""A rig as a laboratory: experiments run on its free cells in parallel, from reserved stock to figures of merit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from instruments.device import Value
from instruments.electrochemistry.calibration import Calibrations
from instruments.electrochemistry.quality import DEFAULT_RULES
from instruments.electrochemistry.rules import QualityRules
from instruments.errors import InstrumentsError, LabError, LabHolds
from instruments.lab import Context, Failure, Job, LateResult, Measurement, Outcome, Parameters
from instruments.rig import calibrating, testing
from instruments.rig import late as analyses
from instruments.rig.assembly import assemble, awaited, metrics_of, outcome, reduced
from instruments.rig.controls import ControlBlock, ControlKind, ControlResult, latest, note, unmeasured
from instruments.rig.errors import RigUnsafe
from instruments.rig.feasible import Feasibility
from instruments.rig.file import RigFile
from instruments.rig.gate import always
from instruments.rig.leases import Leases
from instruments.rig.ledger import Ledger
from instruments.rig.mounted import MountedSamples
from instruments.rig.names import Place, near
from instruments.rig.procedures.errors import ExperimentFailed
from instruments.rig.procedures.execution import Execution
from instruments.rig.procedures.preview import Preview, preview
from instruments.rig.procedures.procedure import Course, run_plan
from instruments.rig.procedures.recorder import Recorder
from instruments.rig.procedures.step import Request, Site, Step
from instruments.rig.program import Program
from instruments.rig.rig import Rig
from instruments.rig.slots import Calendar

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def utc_today() -> date:
    """The day by which calibrations and stock are judged."""
    return datetime.now(UTC).date()


class RigLab:
    """Runs experiments on the cells of a rig.

    Args:
        file: the rig file.
        folder: where the rig keeps its state: stock, calibrations, what is mounted.
        parameters: columns of the search space.
        quality: rules of quality control.
        today: the day by which calibrations and stock are judged.
        guarded: whether a guardian watches; see :class:`~instruments.rig.rig.Rig`.
        controls: of the campaign, beside those of the rig file.

    Raises:
        LabError: a block of the file is wrong, or a parameter means nothing to the rig.
    """

    def __init__(
        self,
        file: RigFile,
        folder: Path,
        parameters: Sequence[str] = (),
        *,
        quality: QualityRules = DEFAULT_RULES,
        today: Callable[[], date] = utc_today,
        guarded: bool = True,
        controls: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.program = Program.of(file, controls)
        self._former: dict[str, ControlBlock] = {}
        self._permits: Callable[[], bool] = always
        self.rig = Rig(file, folder, ready=self._ready, guarded=guarded, fence=self._permitted)
        self.folder = folder
        self._rules, self._today = quality, today
        self._leases, self._calendars, self._lock = Leases(), dict[str, Calendar](), Lock()
        self._feasibility = Feasibility(self.program, self._allowed)
        self._stock: Ledger | None = None
        self._mounted: MountedSamples | None = None
        self._feasibility.columns(parameters)

    # What it is

    @property
    def cells(self) -> tuple[str, ...]:
        """Of the rig file."""
        return tuple(self.program.file.cells)

    @property
    def metrics(self) -> Mapping[str, str]:
        """Figures of merit that its analyses can give, each with its unit."""
        procedure, cells = self.program.procedure, [Site(cell, self.program) for cell in self.cells]
        gases = getattr(procedure.options, "products", ())
        voltage = all(site.has("potentiostat") or site.has("cell_voltage") for site in cells)
        outlet = all(site.has("outlet") for site in cells)
        return metrics_of(gases, procedure.awaiting, outlet=outlet, voltage=voltage)

    @property
    def references(self) -> Mapping[str, str]:
        """A potential that is applied has the ohmic drop in it."""
        applied = getattr(self.program.procedure.options, "scale", "target") == "applied"
        return {"potential": "applied"} if applied else {}

    @property
    def equipment(self) -> tuple[str, ...]:
        """Its devices, by the name of the rig."""
        return self.program.file.equipment

    @property
    def repeat_is_safe(self) -> bool:
        """Never: matter is used up."""
        return False

    @property
    def journals(self) -> bool:
        """Always: a procedure's steps are journaled one by one."""
        return True

    @property
    def stock(self) -> Ledger:
        """What is left of everything; its file is opened when it is first asked for."""
        with self._lock:
            if self._stock is None:
                path = self.folder / f"{self.program.file.name}.stock.jsonl"
                self._stock = Ledger(path, self.program.stock.items(), today=self._today)
            return self._stock

    @property
    def mounted(self) -> MountedSamples:
        """Which sample is in which cell."""
        with self._lock:
            if self._mounted is None:
                self._mounted = MountedSamples(self.folder / f"{self.program.file.name}.cells.json")
            return self._mounted

    def calibrations(self) -> Calibrations:
        """The records of the rig's folder, as they are now.

        Raises:
            CalibrationError: a file holds no record.
        """
        return calibrating.load(self.program.calibrations(self.folder))

    # What it can do

    def check(self, parameters: Parameters) -> None:
        """Raise where the rig cannot execute these settings: a dry run for every cell, which moves nothing.

        Raises:
            LabError: a setting is unknown, another than this rig always has, out of a limit, or cannot be made.
        """
        self._feasibility.check(parameters)

    def preview(self, parameters: Parameters, cell: str) -> Preview:
        """The dry run of an experiment with a fresh sample; its ``table`` is for people.

        Raises:
            LabError: the settings are impossible, or their composition cannot be made.
        """
        return self._feasibility.preview(parameters, cell)

    def feasible(self, points: pd.DataFrame) -> Sequence[bool]:
        """Which points can be executed: within limits for every cell, and makeable by the recipe."""
        return self._feasibility.of(points)

    def _allowed(self, device: str, attribute: str, value: Value) -> None:
        self.rig.device(device).check(attribute, value)

    # Life

    def fence(self, permits: Callable[[], bool]) -> None:
        """Ask before every command whether this process still controls the campaign."""
        self._permits = permits

    def _permitted(self) -> bool:
        return self._permits()

    def open(self) -> None:
        """Take hold of the rig: make it safe, identify everything, check calibrations and stock.

        Raises:
            LabHolds: a calibration is missing or has expired, or another process controls the rig.
            LabHalted: it is halted.
            InstrumentsError: a device cannot be reached, or did not confirm that it is safe.
        """
        self.rig.start()

    def close(self) -> None:
        """Make everything safe and let go."""
        self.rig.close()

    def make_safe(self) -> None:
        """Make everything safe, current before flow.

        Raises:
            RigUnsafe: a device did not confirm it.
        """
        report = self.rig.make_safe()
        if not report.confirmed:
            names = tuple(report.unconfirmed)
            raise RigUnsafe(f"not confirmed as safe: {', '.join(names)}.", devices=names, mend="Look at the rig.")

    def _ready(self) -> None:
        """Before anything may move."""
        self.refuse_uncalibrated()
        for owner in self.stock.settle_dead():
            logger.warning("the stock that %s had begun to take counts as used", owner)
        for problem in self.stock.problems(self._today()):
            logger.warning("stock: %s", problem)

    def refuse_uncalibrated(self) -> None:
        """Raise where a calibration that the procedure needs is missing or has expired.

        Raises:
            LabHolds: names them.
            CalibrationError: a file holds no record.
        """
        needs = getattr(self.program.procedure.options, "calibrated", ())
        problems = calibrating.valid(self.calibrations(), needs, self._today())
        if problems:
            raise LabHolds(
                f"the rig {self.program.file.name} cannot start: {'; '.join(problems)}.",
                field="calibrations",
                mend="Run `sabatier rig calibrate`.",
            )

    # Experiments

    def execute(self, job: Job, context: Context) -> Outcome:
        """Run one experiment on the context's cell.

        Raises:
            ExecutionCancelled: it was cancelled, or a person must look at the cell (:class:`NeedsInspection`).
            LabHolds: stock is short, a calibration has expired, the cell is unclean, or the rig holds.
            LabHalted: the rig is halted or was tripped.
        """
        self.rig.ready()
        self.mounted.refuse_unclean(context.cell)
        self.refuse_uncalibrated()
        site = Site(context.cell, self.program, self.mounted.at(context.cell))
        try:
            self._feasibility.columns(tuple(job.parameters))
            self._feasibility.settings(job.parameters)
            plan = self.program.procedure.plan(Request(job.parameters, context.sample), site)
            dry = preview(plan, self._allowed)
            dry.refuse()
        except LabError as problem:
            return Outcome(failure=Failure("planning", str(problem)))
        return self._executed(plan, dry, site, job, context)

    def _executed(self, plan: tuple[Step, ...], dry: Preview, site: Site, job: Job, context: Context) -> Outcome:
        with self._execution(dry.takes, site, job, context) as run:
            course = Course()
            try:
                run_plan(plan, run, course)
            except ExperimentFailed as problem:
                run.failure = Failure(problem.cause, str(problem))
            except InstrumentsError:
                self._left(site.name, course, lost=True)
                raise
            self._left(site.name, course, lost=run.failure is not None)
            return replace(self._outcome(run, context), spent=course.unclean)

    @contextmanager
    def _execution(self, takes: Mapping[str, float], site: Site, job: Job, context: Context) -> Iterator[Execution]:
        """An execution with its stock, which is settled at the end.

        Raises:
            StockShort: there is too little; nothing has moved.
        """
        owner = f"{job.campaign}/{job.experiment}/{context.attempt}"
        with self.stock.reserve(takes, owner, self._today()) as reserved:
            yield Execution(
                self.rig,
                site,
                job,
                context,
                reserved,
                self._leases,
                Recorder(context.files),
                self._calendar,
                self.mounted,
            )

    def _left(self, cell: str, course: Course, *, lost: bool) -> None:
        """Remember in which state a cell was left; that its sample is used up was written down before it was."""
        if course.unclean:
            self.mounted.change(cell, unclean=course.unclean)
        if not lost:
            self.mounted.change(cell, spoiled=False)

    def _outcome(self, run: Execution, context: Context) -> Outcome:
        on = self._today()
        if run.failure is not None and not run.recorder.tables():
            return Outcome(failure=run.failure, duration=run.now(), used=run.used)
        notes = self.program.procedure.setup(run)
        later = awaited(self.program.procedure.awaiting if run.label_of_vial else (), self.metrics)
        measurement = assemble(run, notes, self.calibrations(), on, self._checks(run.cell), later)
        context.keep(measurement)
        return replace(self.reduce(measurement, run.job, context.sample), duration=run.now(), used=run.used)

    def reduce(self, measurement: Measurement, job: Job, sample: str) -> Outcome:
        """What comes of raw signals: by the quality rules of the campaign, the calibrations that they came with.

        What cannot be reduced is an invalid result, which says why.
        """
        return replace(outcome(measurement, job.parameters, self._rules), sample=sample)

    def _calendar(self, device: str) -> Calendar:
        with self._lock:
            return self._calendars.setdefault(device, Calendar())

    def late(self) -> Sequence[Sequence[LateResult]]:
        """Liquid analyses that have come back, by file.

        Raises:
            DeviceError: the folder of the hand-over cannot be read.
        """
        if "handoff" not in self.program.file.shared:
            return ()
        handoff = self.rig.shared.handoff
        files: dict[int, list[LateResult]] = {}
        for found in analyses.results(handoff):
            files.setdefault(id(found.taken), []).append(self._late(found, handoff))
        return tuple(files.values())

    def _late(self, found: analyses.Late, handoff: Any) -> LateResult:
        waits = awaited(self.program.procedure.awaiting, self.metrics)
        return LateResult(
            found.campaign,
            found.experiment,
            found.attempt,
            measurement=lambda measured: analyses.with_liquids(measured, found.liquid),
            observation=lambda measured: analyses.completed(measured, found.liquid, waits, self._rules),
            keep=lambda: handoff.keep(found.taken),
        )

    # Controls

    @property
    def controls(self) -> tuple[ControlBlock, ...]:
        """Those of the rig file; :func:`~instruments.rig.controls.due` says which are due."""
        return tuple(self.program.controls.values())

    def take_controls(self, controls: Sequence[ControlBlock]) -> None:
        """Have these controls from now on; a former one that is about to be done is still known."""
        self._former |= self.program.controls
        self.program = replace(self.program, controls={block.name: block for block in controls})

    def control(self, name: str, context: Context) -> ControlResult:
        """Execute a control; where it belongs to a cell, on the context's.

        Raises:
            LabError: there is no such control.
            ExecutionCancelled: it was cancelled.
            LabHolds: stock is short, or the rig holds.
            LabHalted: the rig is halted or was tripped.
            ExperimentFailed: a device failed.
        """
        block = self.program.controls.get(name) or self._former.get(name)
        if block is None:
            raise LabError(f"there is no control {name!r}.", field="controls", mend=near(name, self.program.controls))
        self.rig.ready()
        found = list[ControlResult]()
        job = Job(f"control-{name}", 1, block.parameters)
        site = Site(context.cell, self.program, self.mounted.at(context.cell))
        plan = self._control_plan(block, site, job, context, found)
        dry = preview(plan, self._allowed)
        dry.refuse()
        with self._execution(dry.takes, site, job, context) as run:
            run_plan(plan, run, Course())
            if not found:
                found.append(self._judged(block, run))
        note(self._control_file, found[0], datetime.now(UTC).isoformat(timespec="seconds"))
        return found[0]

    def recalibrate(self, context: Context) -> None:
        """Inject the standards of the rig file, and write new calibration records.

        Raises:
            LabHolds: the file names no standards.
            CalibrationError: the answers make no line; the former records stay.
            ExecutionCancelled, LabHalted, DeviceError: as of an experiment.
        """
        plan = self.program.calibration
        if plan is None:
            raise LabHolds("there are no standards to calibrate with.", field="calibration", mend="Give `calibration`.")
        shared = {role: Place.of(place).device for role, place in self.program.file.shared.items()}
        with ExitStack() as held:
            for device in sorted({shared[role] for role in ("chromatograph", "selector") if role in shared}):
                held.enter_context(self._leases.hold(device, lambda: self.rig.go_on(context.cancelled)))
            calibrating.calibrate(
                self.rig,
                plan,
                self.program.stock,
                self.program.calibrations(self.folder),
                cancelled=context.cancelled,
                today=self._today,
            )

    @property
    def _control_file(self) -> Path:
        return self.folder / f"{self.program.file.name}.controls.jsonl"

    def _control_plan(
        self, block: ControlBlock, site: Site, job: Job, context: Context, found: list[ControlResult]
    ) -> tuple[Step, ...]:
        match block.kind:
            case "check_gas":
                return testing.check_gas_step(block, site, self.calibrations(), self._today(), found.append)
            case "leak_test":
                return testing.leak_step(block, site, found.append)
            case "reference_check":
                return testing.reference_step(block, site, found.append)
        plan = self.program.procedure.plan(Request(job.parameters, context.sample), site)
        return testing.with_changes(block, site, plan)

    def _judged(self, block: ControlBlock, run: Execution) -> ControlResult:
        """The result of a control that is an electrolysis."""
        if run.failure is not None:
            return unmeasured(block, run.cell, run.failure.reason)
        notes = dict(self.program.procedure.setup(run))
        if block.kind == "argon_blank":
            notes["feed"] = {"ar": 1.0}
        measurement = assemble(run, notes, self.calibrations(), self._today(), {})
        run.context.keep(measurement)
        found = reduced(measurement, self._rules)
        if found.reduction is None:
            return unmeasured(block, run.cell, f"{block.name}: {found.problem}")
        return testing.of_figures(block, run.cell, found.reduction.figures)

    def _checks(self, cell: str) -> dict[str, str]:
        """What the last controls found, for quality control."""
        kinds: Mapping[str, ControlKind] = {
            "leak": "leak_test",
            "check_gas": "check_gas",
            "blank_efficiency": "argon_blank",
        }
        values = {field: latest(self._control_file, kind, cell) for field, kind in kinds.items()}
        return {field: repr(value) for field, value in values.items() if value is not None}
