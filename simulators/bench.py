"""One virtual experiment from its settings to an outcome: electrode, run, readings, figures of merit or raw signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import torch

from instruments.electrochemistry.potentials import nernst_slope
from instruments.errors import InstrumentsError
from instruments.lab import Context, Failure, Job, Measurement, Observation, Outcome, Parameters
from simulators import faults, signals
from simulators._torch import one_thread
from simulators.batch import Batch, Circumstances, Floats, average_batch, figures
from simulators.calibrated import calibrations, today
from simulators.constants import FIGURES, MA_PER_CM2
from simulators.course import HARDWARE, IS_GAS, Course
from simulators.degradation import CLEAN_PRESSURE_DROP
from simulators.failures import COMPLIANCE, Stress, failure_of, out_of_compliance
from simulators.history import drowning, evolving, steady
from simulators.materials import Elements
from simulators.measurement import Declared, measured
from simulators.readings import Readings, read
from simulators.variability import (
    ASSEMBLY,
    COMPOSITION_ANALYSIS,
    PERIOD,
    PH_ERROR,
    REFERENCE_ERROR,
    TEMPERATURE_ERROR,
    Offsets,
    Run,
    analysed_composition,
    calibration_errors,
    individual,
)

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry
    from simulators.settings import Layout
    from simulators.simulated import SimulatedOptions

DAY: Final = 86400.0
ANALYSED, ANALYSED_SEM = "composition_measured", "composition_measured_sem"
"""Metadata of raw signals: the composition as analysed afterwards, and its standard uncertainty."""


@dataclass(frozen=True)
class HiddenTruth:
    """What truly happened in an experiment; a laboratory never sees it.

    Attributes:
        figures: true figures of merit of this electrode in this run, time averages.
        fractions: element to atomic fraction, as the electrode was made.
        faults: gross errors of the record.
        failure: why the experiment failed, if it did.
    """

    figures: Mapping[str, float]
    fractions: Mapping[str, float]
    faults: tuple[str, ...]
    failure: Failure | None


@dataclass(frozen=True)
class _Experiment:
    """Everything about one execution before an instrument reads anything."""

    batch: Batch
    course: Course
    run: Run
    faults: tuple[str, ...]
    potential_error: float
    slopes: Floats
    days: float
    failure: tuple[Failure, float] | None


class Bench:
    """Executes experiments of one chemistry with one set of options."""

    def __init__(self, chemistry: Chemistry, layout: Layout, options: SimulatedOptions) -> None:
        self._chemistry, self._layout, self._options = chemistry, layout, options
        self._offsets = Offsets.drawn(options.seed, options.bias)
        self._declared = Declared.of(options.noise, options.bias)

    @cached_property
    def _elements(self) -> Elements:
        return self._chemistry.elements(self._layout.elements)

    @cached_property
    def _stability_of(self) -> str:
        """The efficiency behind the chemistry's target, of a gas: chromatograms follow it in time."""
        product = self._chemistry.definition.target.partition("_")[2]
        return f"fe_{'c2h4' if product == 'c2plus' else product}"

    def duration(self, seed: int) -> float:
        """How long an experiment takes that runs to its end, s."""
        return Run.drawn(seed).duration

    def execute(self, job: Job, context: Context) -> Outcome:
        """Run one experiment in no time; what gives raw signals is not reduced yet.

        Raises:
            ConvergenceError: it has no steady state.
        """
        with one_thread(), torch.no_grad():
            experiment = self._experiment(job, context)
            run = experiment.run
            if experiment.failure is not None:
                failure, share = experiment.failure
                spent = ASSEMBLY + share * run.seconds if share < 1.0 else run.duration
                return Outcome(failure=failure, duration=spent)
            readings = self._read(experiment)
            if self._options.signals == "raw":
                return self._signals(experiment, readings, context)
            seen = measured(readings, experiment.course, self._declared)
            observation = self._with_composition(Observation(seen), experiment, context)
            return Outcome(observation, duration=run.duration)

    def reveal(self, job: Job, context: Context) -> HiddenTruth:
        """What truly happens in an experiment.

        Raises:
            ConvergenceError: it has no steady state.
        """
        with one_thread(), torch.no_grad():
            experiment = self._experiment(job, context)
        course, seconds = experiment.course, experiment.run.seconds

        def mean(values: Floats) -> Floats:
            return course.mean(values, 0.0, seconds)

        beside = Circumstances(
            potential=mean(course.potential),
            voltage=mean(course.voltage),
            inlet=course.inlet / course.area,
            absorbed=mean(course.carbonate),
            ph=course.ph,
        )
        values = figures(mean(course.currents) / course.area / MA_PER_CM2, beside)
        return HiddenTruth(
            figures=dict(zip(FIGURES, values.tolist(), strict=True)),
            fractions=self._fractions(experiment.batch),
            faults=experiment.faults,
            failure=experiment.failure[0] if experiment.failure else None,
        )

    # What happens

    def _experiment(self, job: Job, context: Context) -> _Experiment:
        options, run = self._options, Run.drawn(context.seed)
        names = faults.drawn(options.faults, context.seed)
        batch = self._electrode(job.parameters, context.sample)
        scale_error = self._scale_error(batch, run, names)
        batch = self._as_run(batch, run, scale_error)
        course = self._course(batch, run, names, context, float(self._temperature(job.parameters)))
        days = context.clock.now() / DAY if options.drift else 0.0
        stress = self._stress(batch, course, run)
        limited = options.failures or options.drift or options.signals == "raw"
        failure = out_of_compliance(stress) if limited else None
        if options.failures and failure is None:
            failure = failure_of(stress, (options.seed, context.sample), self._execution(context))
        return _Experiment(
            batch=batch,
            course=course,
            run=run,
            faults=names,
            potential_error=scale_error,
            slopes=calibration_errors((options.seed, job.campaign), options.noise, days if options.drift else None),
            days=days,
            failure=failure,
        )

    def _electrode(self, parameters: Parameters, sample: str) -> Batch:
        points = {name: [parameters[name]] for name in self._layout.columns}
        batch = average_batch(self._chemistry, self._elements, self._layout, points)
        if self._options.noise > 0.0:
            batch = individual(batch, (self._options.seed, sample), self._options.noise, self._options.scatter)
        return batch

    def _temperature(self, parameters: Parameters) -> float:
        points = {name: [parameters[name]] for name in self._layout.columns}
        return float(self._layout.numbers(points, "temperature")[0])

    def _scale_error(self, batch: Batch, run: Run, names: tuple[str, ...]) -> float:
        """Reported minus true potential on the reversible hydrogen scale, V."""
        noise = self._options.noise
        slope = float(nernst_slope(float(batch.run.temperature[0])))
        return float(
            noise * (slope * PH_ERROR * run.ph + REFERENCE_ERROR * run.reference)
            - self._offsets.potential
            - sum(faults.FAULTS[name].potential for name in names)
        )

    def _as_run(self, batch: Batch, run: Run, scale_error: float) -> Batch:
        """The batch under the conditions that it really has."""
        conditions = batch.run
        warmer = self._options.noise * TEMPERATURE_ERROR * run.temperature
        changed = replace(
            conditions,
            temperature=conditions.temperature + warmer,
            potential=conditions.potential - scale_error,
            current=conditions.current / (1.0 + self._offsets.area),
            inlet=conditions.inlet * (1.0 + self._offsets.flow) / (1.0 + self._offsets.area),
        )
        return replace(batch, run=changed)

    def _course(self, batch: Batch, run: Run, names: tuple[str, ...], context: Context, temperature: float) -> Course:
        area = HARDWARE[batch.run.cell].area * (1.0 + self._offsets.area)
        flooded = max((faults.FAULTS[name].flooded for name in names), default=0.0)
        if flooded <= 0.0 and not self._options.drift:
            return steady(batch, area, temperature)
        if batch.run.control == "potential":
            fresh = steady(batch, area, temperature)
            if fresh.voltage.max() > COMPLIANCE:  # the potentiostat gives up before anything changes
                return fresh
        if flooded > 0.0:
            return drowning(batch, area, temperature, run.seconds, flooded)
        return evolving(batch, area, temperature, run.seconds, (self._options.seed, context.sample))

    def _execution(self, context: Context) -> tuple[object, ...]:
        """What names an execution: a failed one that is tried again later need not fail again."""
        again = context.clock.now() if context.clock.virtual else context.attempt
        return (context.seed, again)

    def _stress(self, batch: Batch, course: Course, run: Run) -> Stress:
        density = course.currents / course.area / MA_PER_CM2
        return Stress(
            kind=course.kind,
            fractions=self._fractions(batch),
            potential=float(course.potential.mean()),
            gas_current=float(density[:, IS_GAS].sum(-1).mean()),
            voltage=float(course.voltage.max()),
            pressure_rise=float(course.pressure_drop.max()) / CLEAN_PRESSURE_DROP,
            hours=run.seconds / 3600.0,
        )

    def _fractions(self, batch: Batch) -> dict[str, float]:
        return dict(zip(batch.elements.names, batch.fractions[0].tolist(), strict=True))

    # What is seen

    def _read(self, experiment: _Experiment) -> Readings:
        return read(
            experiment.course,
            experiment.run,
            self._offsets,
            experiment.slopes,
            experiment.potential_error,
            self._options.noise,
        )

    def _signals(self, experiment: _Experiment, readings: Readings, context: Context) -> Outcome:
        """Raw signals, of which figures are still to be computed."""
        made = signals.draft(
            experiment.course, readings, experiment.run, self._declared, context.seed, self._stability_of
        )
        faults.commit(experiment.faults, made, context.seed)
        records = calibrations(self._declared, int(experiment.days // PERIOD))
        made.setup["date"] = today(experiment.days * DAY).isoformat()
        seen = self._with_composition(Observation({}), experiment, context)
        found = {} if not seen.measured else {ANALYSED: dict(seen.measured), ANALYSED_SEM: dict(seen.measured_sem)}
        measurement = Measurement(made.tables(), {**made.metadata(records), **found})
        return Outcome(measurement=measurement, awaiting=FIGURES, duration=experiment.run.duration)

    def reduced(self, measurement: Measurement) -> Outcome:
        """What comes of raw signals, with the calibrations and the analysed composition in their metadata."""
        from instruments.electrochemistry.reduction import reduce

        try:
            reduction = reduce(measurement, rules=self._options.quality)
        except InstrumentsError as problem:  # the signals are kept: they may be reduced again
            return Outcome(failure=Failure("analysis", f"the raw signals could not be reduced: {problem}"))
        known: Mapping[str, Any] = measurement.metadata
        return Outcome(
            replace(
                reduction.observation,
                report=reduction.report(),
                measured=dict(known.get(ANALYSED, {})),
                measured_sem=dict(known.get(ANALYSED_SEM, {})),
            )
        )

    def _with_composition(self, observation: Observation, experiment: _Experiment, context: Context) -> Observation:
        """With the composition as analysed, where syntheses miss theirs by much."""
        options = self._options
        if options.scatter == "typical" or not self._layout.fractions or options.noise == 0.0:
            return observation
        names = experiment.batch.elements.names
        made = experiment.batch.fractions[0].numpy()
        seen = analysed_composition(made, (options.seed, context.sample), options.noise)
        columns = [self._layout.fractions[name] for name in names]
        sem = options.noise * COMPOSITION_ANALYSIS
        return replace(
            observation,
            measured=dict(zip(columns, seen.tolist(), strict=True)),
            measured_sem={column: sem for column, share in zip(columns, made, strict=True) if share > 0.0},
        )
