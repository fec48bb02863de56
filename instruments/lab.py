"""The laboratory's door: what crosses between the loop and anything that can execute an experiment.

Nothing here knows a store, a workflow engine or a model. A laboratory receives a :class:`Job` and a
:class:`Context`, and answers with an :class:`Outcome`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from instruments.errors import LabError, MetricError

if TYPE_CHECKING:
    import pandas as pd

Scalar: TypeAlias = float | int | str
Parameters: TypeAlias = Mapping[str, Scalar]
"""One experiment's settings by parameter column, such as ``{"x_Cu": 0.9, "x_Ag": 0.1, "potential": -1.0}``."""

FailureCause: TypeAlias = Literal["material", "condition", "equipment", "analysis", "planning", "unknown"]
VerdictName: TypeAlias = Literal["valid", "suspect", "invalid"]
StepKind: TypeAlias = Literal["idempotent", "non-repeatable", "needs-inspection"]
Censoring: TypeAlias = Literal["below", "above"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of merit.

    Attributes:
        value: in the metric's unit.
        sem: one standard uncertainty of the value in the same unit, without the electrode-to-electrode part;
            ``None`` where it was not assessed.
        censored: ``"below"`` or ``"above"`` where the value is only a bound.

    Raises:
        MetricError: for a value that is not finite, or a negative or infinite ``sem``.
    """

    value: float
    sem: float | None = None
    censored: Censoring | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise MetricError(f"a figure of merit must be finite, not {self.value}", field="value")
        if self.sem is not None and not (math.isfinite(self.sem) and self.sem >= 0):
            raise MetricError(f"a standard uncertainty must be finite and not negative, not {self.sem}", field="sem")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What quality control thinks of a measurement, with its named reasons."""

    name: VerdictName = "valid"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """An experiment to execute.

    Attributes:
        campaign: the campaign's name.
        experiment: the experiment's id within the campaign, from 1.
        parameters: the settings, in the units of the search space.
    """

    campaign: str
    experiment: int
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Measurement:
    """The raw signals of one attempt.

    Attributes:
        signals: tables by name (``"potentiostat"``, ``"chromatograph"``), each column named with its unit.
        metadata: what the reduction needs beside the signals (electrode area, electrolyte, calibrations); JSON values.
    """

    signals: Mapping[str, pd.DataFrame]
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """Figures of merit reduced from one measurement, and the verdict on it.

    ``measured`` holds inputs as determined after the fact (a composition by XRF), ``measured_sem`` their standard
    uncertainties; ``executed`` holds inputs as set, where they differ from what was asked; ``calibrations`` names the
    calibration records that the figures rest on; ``report`` is all that the reduction found (every check with its
    thresholds, versions, the covariance of the figures), as JSON values, kept beside the raw files.
    """

    figures: Mapping[str, Figure]
    verdict: Verdict = Verdict()
    executed: Parameters = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    measured_sem: Mapping[str, float] = field(default_factory=dict)
    calibrations: tuple[str, ...] = ()
    report: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """The experiment itself did not work: its cause, and what happened in words."""

    cause: FailureCause
    reason: str


@dataclass(frozen=True, slots=True)
class Use:
    """What an attempt had of a device that cells share.

    Attributes:
        seconds: for how long it occupied it, by the laboratory's clock.
        waited: for how long it had to wait for it before, s.
    """

    seconds: float
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an execution: an observation, a failure, or figures still to come.

    Attributes:
        observation: figures of merit, possibly not all of them.
        failure: set when the experiment failed; then ``observation`` is ``None``.
        measurement: the raw signals, where there are any.
        awaiting: metrics whose results come later by ``tell``.
        duration: how long it took, in seconds of the laboratory's clock.
        sample: the electrode that was used, where the laboratory decides that.
        used: the shared devices that it had, by name; those held by :meth:`Context.lease` alone need not be given.
        spent: why the electrode must not be used again, such as for what happened after its measurement; empty where
            it may.
    """

    observation: Observation | None = None
    failure: Failure | None = None
    measurement: Measurement | None = None
    awaiting: tuple[str, ...] = ()
    duration: float = 0.0
    sample: str | None = None
    used: Mapping[str, Use] = field(default_factory=dict)
    spent: str = ""

    def __post_init__(self) -> None:
        if self.failure is not None and self.observation is not None:
            raise LabError("an outcome is a failure or an observation, not both", field="failure")
        if self.failure is None and self.observation is None and not self.awaiting:
            raise LabError("an outcome says nothing: no observation, no failure, nothing awaited", field="observation")


@runtime_checkable
class Clock(Protocol):
    """The laboratory's time, in seconds since the campaign began."""

    @property
    def virtual(self) -> bool:
        """Whether time passes only in the simulation, so that nothing really waits."""

    def now(self) -> float:
        """Seconds since the campaign began."""


@runtime_checkable
class Context(Protocol):
    """What the loop hands down with a job."""

    @property
    def cell(self) -> str:
        """The electrolysis position that runs the job."""

    @property
    def sample(self) -> str:
        """The id of the physical electrode."""

    @property
    def attempt(self) -> int:
        """Which execution of the experiment this is, from 1."""

    @property
    def seed(self) -> int:
        """Derived from campaign seed and experiment id: the same however cells interleave and processes die."""

    @property
    def clock(self) -> Clock:
        """The laboratory's time."""

    @property
    def files(self) -> Path:
        """A folder of this attempt's own, for raw signals."""

    @property
    def cancelled(self) -> Event:
        """Set when the execution must end; every wait honours it."""

    @property
    def told(self) -> Event:
        """Set when somebody told this experiment's result; whoever waits for that raises :class:`ToldElsewhere`."""

    @property
    def over(self) -> Event:
        """Set with ``told``, and soon after ``cancelled``: for who has nothing else to wait for than one of them."""

    def journal(self, step: str, kind: StepKind) -> AbstractContextManager[None]:
        """Write down that a step begins, and that it has ended."""

    def lease(self, device: str) -> AbstractContextManager[None]:
        """Hold a shared device exclusively."""

    def keep(self, measurement: Measurement) -> None:
        """Write raw signals down, complete and for good; to be called before anything is computed from them.

        A laboratory that does not call it has them written when its outcome comes.

        Raises:
            LabError: the metadata are no JSON values.
            OSError: they could not be written.
        """


@runtime_checkable
class Lab(Protocol):
    """Anything that can execute an experiment."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the electrolysis positions; one job runs on each at a time."""

    @property
    def metrics(self) -> Mapping[str, str]:
        """The metrics that an observation may hold, each with its unit."""

    @property
    def repeat_is_safe(self) -> bool:
        """Whether a job may be run again unasked when its outcome is unknown."""

    def check(self, parameters: Parameters) -> None:
        """Raise :class:`LabError` where the laboratory cannot execute these settings; move nothing."""

    def execute(self, job: Job, context: Context) -> Outcome:
        """Run a job to its end in the calling thread, one a cell.

        Raises:
            ExecutionCancelled: when the context was cancelled.
            LabHolds: nothing can be started until a person has acted; nothing has moved.
            LabHalted: the laboratory has made itself safe, and stays so until a person resets it.
            InstrumentsError: a fault of the equipment; the job is tried again, within limits.
        """

    def make_safe(self) -> None:
        """Bring everything to its safe state. May be called at any time, and more than once."""


@runtime_checkable
class VirtualTime(Protocol):
    """What a laboratory adds to :class:`Lab` when its time passes in a simulation.

    Where ``virtual_time`` is true nothing waits: an outcome's ``duration`` says when, in virtual time, its cell is
    free, and results are learned in the order of virtual time. A laboratory without the attribute runs in real time.
    """

    @property
    def virtual_time(self) -> bool:
        """Whether time passes only in the simulation."""


@runtime_checkable
class Journaling(Protocol):
    """What a laboratory adds to :class:`Lab` when it journals every step that touches matter before it begins.

    A job of which the journal has no such step then never started, and is run again after a crash. Of a laboratory
    without the attribute a missing entry proves nothing.
    """

    @property
    def journals(self) -> bool:
        """Whether no matter is touched outside of :meth:`Context.journal`."""


@runtime_checkable
class Reducing(Protocol):
    """What a laboratory adds to :class:`Lab` when it can compute again what comes of raw signals.

    What was measured in full when a process died is then told from its files, and a reduction can be repeated.
    """

    def reduce(self, measurement: Measurement, job: Job, sample: str) -> Outcome:
        """What :meth:`Lab.execute` answers for these signals, with the present software.

        It is a function of its arguments alone: no device is touched, and the laboratory need not be open.

        Args:
            measurement: as the laboratory gave it, perhaps long ago.
            job: of which it is.
            sample: the electrode.

        Raises:
            InstrumentsError: nothing can be computed from them.
        """


@runtime_checkable
class Equipped(Protocol):
    """What a laboratory adds to :class:`Lab` when no two processes may command its devices at the same time."""

    @property
    def equipment(self) -> Sequence[str]:
        """Its devices, each as ``<laboratory>/<device>``: names that are the same wherever it is described."""


@runtime_checkable
class Fenced(Protocol):
    """What a laboratory adds to :class:`Lab` when it asks before each command whether it may still be given."""

    def fence(self, permits: Callable[[], bool]) -> None:
        """Ask this before every command from now on. Making safe needs no permission.

        Args:
            permits: whether this process still controls the campaign; cheap, and never raises.
        """


@runtime_checkable
class Resuming(Protocol):
    """What a laboratory adds to :class:`Lab` when its experiments go on while no process runs, as people do.

    What was running when a process ended is then not lost and not run again: the same attempt is waited for further.
    """

    @property
    def resumes(self) -> bool:
        """Whether a job that was under way is taken up where it is when it is executed again."""


@runtime_checkable
class Attended(Protocol):
    """What a laboratory adds to :class:`Lab` when it must be taken hold of before it can run, and let go after."""

    def open(self) -> None:
        """Make everything safe, connect, and check; called once before the first job of a sitting.

        Raises:
            LabHolds: a person must act first; nothing has moved.
            LabHalted: it was halted, and nobody has reset it.
            InstrumentsError: it cannot be reached.
        """

    def close(self) -> None:
        """Let go, after the last job and after :meth:`Lab.make_safe`; may be called more than once."""


@runtime_checkable
class Referred(Protocol):
    """What a laboratory adds to :class:`Lab` when a parameter's number means something that its unit does not say."""

    @property
    def references(self) -> Mapping[str, str]:
        """By column, what it refers to, such as a potential that has the ohmic drop in it."""


@runtime_checkable
class Selective(Protocol):
    """What a laboratory adds to :class:`Lab` when it cannot execute every point of a search space.

    What it cannot execute is never proposed.
    """

    def feasible(self, points: pd.DataFrame) -> Sequence[bool]:
        """Which points can be executed as the laboratory stands: within its limits, and makeable from its stock.

        Asked often, with many points, before and while it runs: it reads files at most, and moves nothing.

        Args:
            points: one row a point, with the columns of the search space.

        Returns:
            One truth value a row.
        """


@runtime_checkable
class Controlled(Protocol):
    """What a laboratory adds to :class:`Lab` when it can test itself; see :mod:`instruments.rig.controls`."""

    @property
    def controls(self) -> Sequence[Any]:
        """What is tested, and when: blocks like :class:`instruments.rig.controls.ControlBlock`."""

    def control(self, name: str, context: Context) -> Any:
        """Execute a control; where it belongs to a cell, on the context's.

        Returns:
            A :class:`instruments.rig.controls.ControlResult`.

        Raises:
            ExecutionCancelled, LabHolds, LabHalted: as of an experiment.
            InstrumentsError: it could not be executed.
        """

    def recalibrate(self, context: Context) -> None:
        """Calibrate anew what the check gas tests.

        Raises:
            ExecutionCancelled, LabHolds, LabHalted: as of an experiment.
            InstrumentsError: it could not be done; the former calibrations stay.
        """


@runtime_checkable
class Recontrolled(Controlled, Protocol):
    """What a laboratory adds to :class:`Controlled` when its controls may change while it runs."""

    def take_controls(self, controls: Sequence[Any]) -> None:
        """Have these controls from now on; one that is under way ends as it began.

        Args:
            controls: blocks like those of :attr:`Controlled.controls`.
        """


@dataclass(frozen=True, slots=True)
class LateResult:
    """Results of an analysis elsewhere that have come for one attempt.

    Attributes:
        campaign: its name.
        experiment: its id.
        attempt: which execution.
        measurement: given what the attempt measured, the same with the late results.
        observation: of that measurement: the figures that were awaited, and the verdict on all of it.
        keep: tells the laboratory that the results are recorded; called once all that came with them are.
    """

    campaign: str
    experiment: int
    attempt: int
    measurement: Callable[[Measurement], Measurement]
    observation: Callable[[Measurement], Observation]
    keep: Callable[[], None]


@runtime_checkable
class Belated(Protocol):
    """What a laboratory adds to :class:`Lab` when some of its results come hours later."""

    def late(self) -> Sequence[Sequence[LateResult]]:
        """What has come and is not kept yet, grouped by what came together (one file).

        Raises:
            InstrumentsError: it cannot be looked at.
        """


@runtime_checkable
class Controllable(Protocol):
    """What a laboratory's options add to :class:`LabOptions` when a campaign may name controls of its own."""

    def controlled(self, blocks: Sequence[Mapping[str, object]]) -> LabOptions:
        """The same options, with further controls.

        Args:
            blocks: of the campaign file, as plain data.
        """


@runtime_checkable
class Informed(Protocol):
    """What a laboratory's options add to :class:`LabOptions` when people are told what the campaign is about."""

    def informed(self, units: Mapping[str, str], metrics: Sequence[str]) -> LabOptions:
        """The same options, knowing that.

        Args:
            units: of the parameter columns that have one.
            metrics: that the campaign names.
        """


@runtime_checkable
class Located(Protocol):
    """What a laboratory's options add to :class:`LabOptions` when they name files that stay where they are.

    A table is copied into the store; a rig's file is not, since what it describes stands in one place.
    """

    def located(self, folder: Path) -> LabOptions:
        """The same options, paths made absolute.

        Args:
            folder: of the campaign file, which paths are relative to.
        """


@runtime_checkable
class Amendable(Protocol):
    """What a laboratory's options add to :class:`LabOptions` when some may change in the middle of a campaign.

    Without it, a campaign whose laboratory has other options is another campaign.
    """

    amendable: ClassVar[Collection[str]]
    """Options by which it stays the same laboratory."""


@runtime_checkable
class LabOptions(Protocol):
    """The ``lab:`` block of a campaign file: a validated record that can build its laboratory.

    Entry-point group ``sabatier.labs`` names classes of this kind by their ``type``.
    """

    @property
    def type(self) -> str:
        """The name in campaign files."""

    def tables(self) -> Mapping[str, str]:
        """Data files that the laboratory reads: option name to path, relative to the campaign file."""

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> Lab:
        """Build the laboratory for a search space with these parameter columns.

        Args:
            parameters: names of all parameter columns of the search space.
            tables: the content of the files named by :meth:`tables`, by option name.

        Raises:
            LabError: where options, tables and parameters do not fit together.
        """
