"""A laboratory whose cells are virtual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from instruments.electrochemistry.rules import QualityRules
from instruments.errors import ExecutionCancelled, LabError
from instruments.lab import Context, Failure, Job, Measurement, Outcome, Parameters
from instruments.metrics import METRICS
from simulators._schema import CONFIG, nearest, speaks_lab_error
from simulators.chemistries import CHEMISTRIES, Chemistry, chemistry
from simulators.constants import FIGURES
from simulators.errors import ConvergenceError
from simulators.worlds import WorldName

if TYPE_CHECKING:
    import pandas as pd

    from simulators.bench import Bench, HiddenTruth

Speed: TypeAlias = Literal["instant", "60x", "real"]
SPEEDS: Final[Mapping[Speed, float]] = MappingProxyType({"60x": 60.0, "real": 1.0})
"""Laboratory seconds a real second, where time really passes."""


RAW_FIGURES: Final = ("stability_slope", "t80")
"""Figures that raw signals give beside :data:`FIGURES`, from three injections on."""


@speaks_lab_error
@dataclass(frozen=True, config=CONFIG)
class SimulatedOptions:
    """The ``lab:`` block of a simulated laboratory.

    Attributes:
        chemistry: a named chemistry, see :data:`simulators.CHEMISTRIES`.
        cells: how many experiments run at a time.
        world: ``nominal``, ``shifted`` or ``null``.
        world_seed: which of the shifted worlds.
        seed: which of the laboratories; electrodes of the same name differ between laboratories.
        speed: ``instant``: time passes only in the outcomes' durations; ``60x`` and ``real``: a run takes its time.
        noise: factor on all errors and spreads; 0 gives the truth.
        bias: factor on this laboratory's systematic offsets (potential scale, flows, areas, chromatograph); 0 has none.
        signals: ``figures``: figures of merit at once; ``raw``: traces, peaks, flows and concentrations, which go
            through the data reduction and its quality control.
        failures: whether experiments fail, with their causes. With raw signals or drift a cell that needs more voltage
            than the potentiostat has fails in any case.
        drift: whether electrodes and instruments change with time.
        faults: gross errors, each with its probability a run, see :data:`simulators.faults.FAULTS`.
        scatter: how well a synthesis meets its composition: ``typical``, or ``ocx24``, off by 5.5 at% in the median;
            then the composition is measured afterwards.
        quality: rules of quality control that differ from their defaults; for raw signals.

    Raises:
        LabError: there is no such chemistry or fault, or options contradict one another.
    """

    chemistry: str
    cells: int = Field(default=1, ge=1, le=1000)
    world: WorldName = "nominal"
    world_seed: int = 0
    seed: int = 0
    speed: Speed = "instant"
    noise: float = Field(default=1.0, ge=0.0, le=3.0)
    bias: float = Field(default=0.0, ge=0.0, le=3.0)
    signals: Literal["figures", "raw"] = "figures"
    failures: bool = False
    drift: bool = False
    faults: dict[str, float] = Field(default_factory=dict)
    scatter: Literal["typical", "ocx24"] = "typical"
    quality: QualityRules = Field(default_factory=QualityRules)
    type: Literal["simulated"] = Field(default="simulated", kw_only=True)
    amendable: ClassVar[frozenset[str]] = frozenset({"cells", "speed"})
    """Options that may change in a campaign, while no process runs it."""

    def __post_init__(self) -> None:
        if self.chemistry not in CHEMISTRIES:
            raise LabError(
                f"there is no chemistry {self.chemistry!r}.",
                field="chemistry",
                mend=nearest(self.chemistry, CHEMISTRIES),
            )
        if self.faults:
            self._check_faults()
        if self.quality != QualityRules() and self.signals != "raw":
            raise LabError(
                "quality rules judge raw signals, and this laboratory gives figures of merit at once.",
                field="quality",
                mend="Set `signals: raw`.",
            )

    def _check_faults(self) -> None:
        from simulators.faults import FAULTS

        kind = CHEMISTRIES[self.chemistry].cell
        if self.signals != "raw":
            raise LabError(
                "faults live in raw signals, and this laboratory gives figures of merit at once.",
                field="faults",
                mend="Set `signals: raw`.",
            )
        for name, rate in self.faults.items():
            if name not in FAULTS:
                raise LabError(f"there is no fault {name!r}.", field=f"faults.{name}", mend=nearest(name, FAULTS))
            if not 0.0 <= rate <= 1.0:
                raise LabError(f"{rate:g} is no probability.", field=f"faults.{name}", mend="Give 0 to 1.")
            if kind not in FAULTS[name].kinds:
                raise LabError(f"a cell of this kind ({kind}) cannot have the fault {name!r}.", field=f"faults.{name}")

    def tables(self) -> Mapping[str, str]:
        """A simulated laboratory reads no files."""
        return {}

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> SimulatedLab:  # noqa: ARG002
        """Build the laboratory.

        Raises:
            LabError: a parameter column means nothing to the chemistry.
        """
        return SimulatedLab(parameters, self)


class SimulatedLab:
    """Runs experiments on virtual electrodes and measures them with realistic errors.

    An outcome depends on the settings, the electrode's id, the campaign's name (whose calibration it has) and the
    experiment's seed only: not on the order of experiments, the cell, or anything that ran before. With ``drift`` and
    ``failures`` it also depends on the time at which the experiment begins, which virtual time makes repeatable.

    Args:
        parameters: columns of the search space: fractions named ``<prefix>_<element>`` or ``metal``, and any of the
            settings that the chemistry's kind of cell knows.
        options: of the laboratory.

    Raises:
        LabError: a column means nothing to the chemistry.
    """

    def __init__(self, parameters: Sequence[str], options: SimulatedOptions) -> None:
        self._options = options
        self._chemistry = chemistry(options.chemistry, world=options.world, seed=options.world_seed)
        self._layout = self._chemistry.layout(parameters)
        self._cells = tuple(f"cell-{number}" for number in range(1, options.cells + 1))

    @property
    def chemistry(self) -> Chemistry:
        """The physics."""
        return self._chemistry

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the positions."""
        return self._cells

    @property
    def metrics(self) -> Mapping[str, str]:
        """All figures of merit, each with its unit."""
        names = dict.fromkeys(FIGURES)
        if self._options.signals == "raw":
            names |= dict.fromkeys(RAW_FIGURES)
        return {name: METRICS[name].unit for name in names}

    @property
    def repeat_is_safe(self) -> bool:
        """A virtual electrode is never used up."""
        return True

    @property
    def virtual_time(self) -> bool:
        """Whether run times are counted, not waited for."""
        return self._options.speed == "instant"

    def check(self, parameters: Parameters) -> None:
        """Raise where the virtual cell cannot be set like this.

        Raises:
            LabError: a setting is missing, unknown, of the wrong type, not finite, or out of range.
        """
        self._layout.check(parameters)

    def execute(self, job: Job, context: Context) -> Outcome:
        """Run one experiment; in virtual time at once, else for as long as it takes.

        Raises:
            LabError: the settings are impossible.
            ExecutionCancelled: the context was cancelled.
        """
        self.check(job.parameters)
        if context.cancelled.is_set():
            raise ExecutionCancelled("the experiment was cancelled before it began.")
        try:
            outcome = self._bench.execute(job, context)
        except ConvergenceError as problem:
            outcome = Outcome(failure=Failure("unknown", str(problem)), duration=self._bench.duration(context.seed))
        if not self.virtual_time:
            outcome = self._waited(outcome, context)
        if outcome.measurement is None:
            return outcome
        context.keep(outcome.measurement)
        return replace(
            self._bench.reduced(outcome.measurement), measurement=outcome.measurement, duration=outcome.duration
        )

    def reduce(self, measurement: Measurement, job: Job, sample: str) -> Outcome:  # noqa: ARG002
        """What comes of raw signals; see :class:`instruments.lab.Reducing`.

        Raises:
            InstrumentsError: nothing can be computed from them.
        """
        return self._bench.reduced(measurement)

    def reveal(self, job: Job, context: Context) -> HiddenTruth:
        """What truly happens in an experiment: for scoring, never for a strategy.

        Raises:
            LabError: the settings are impossible.
            ConvergenceError: the experiment has no steady state.
        """
        self.check(job.parameters)
        return self._bench.reveal(job, context)

    def make_safe(self) -> None:
        """Nothing virtual is dangerous."""

    @cached_property
    def _bench(self) -> Bench:
        from simulators.bench import Bench

        return Bench(self._chemistry, self._layout, self._options)

    def _waited(self, outcome: Outcome, context: Context) -> Outcome:
        """The outcome, after its time has passed."""
        seconds = outcome.duration / SPEEDS[self._options.speed]
        if context.cancelled.wait(seconds):
            raise ExecutionCancelled("the experiment was cancelled while it ran.")
        return replace(outcome, duration=seconds)
