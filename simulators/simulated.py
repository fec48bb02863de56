"""A laboratory whose cells are virtual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from instruments.errors import ExecutionCancelled, LabError
from instruments.lab import Context, Failure, Figure, Job, Observation, Outcome, Parameters
from instruments.metrics import METRICS
from simulators._schema import CONFIG, nearest, speaks_lab_error
from simulators.chemistries import CHEMISTRIES, FIGURES, Chemistry, chemistry
from simulators.elements import element_names
from simulators.errors import ConvergenceError
from simulators.worlds import WorldName

if TYPE_CHECKING:
    import pandas as pd

    from simulators.materials import Elements
    from simulators.measurement import Run


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
        speed: ``instant``: time passes only in the outcomes' durations.
        noise: factor on all errors and spreads; 0 gives the truth.

    Raises:
        LabError: there is no such chemistry.
    """

    chemistry: str
    cells: int = Field(default=1, ge=1, le=1000)
    world: WorldName = "nominal"
    world_seed: int = 0
    seed: int = 0
    speed: Literal["instant"] = "instant"
    noise: float = Field(default=1.0, ge=0.0, le=3.0)
    type: Literal["simulated"] = Field(default="simulated", kw_only=True)

    def __post_init__(self) -> None:
        if self.chemistry not in CHEMISTRIES:
            raise LabError(
                f"there is no chemistry {self.chemistry!r}.",
                field="chemistry",
                mend=nearest(self.chemistry, CHEMISTRIES),
            )

    def tables(self) -> Mapping[str, str]:
        """A simulated laboratory reads no files."""
        return {}

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> SimulatedLab:  # noqa: ARG002
        """Build the laboratory.

        Raises:
            LabError: a parameter column means nothing to the chemistry.
        """
        return SimulatedLab(
            chemistry(self.chemistry, world=self.world, seed=self.world_seed),
            parameters,
            cells=self.cells,
            seed=self.seed,
            noise=self.noise,
        )


class SimulatedLab:
    """Runs experiments on virtual electrodes and measures them with realistic errors.

    An outcome depends on the settings, the electrode's id and the experiment's seed only: not on the order of
    experiments, the cell, or anything that ran before.

    Args:
        chemistry: the physics.
        parameters: columns of the search space: fractions named ``<prefix>_<element>`` or ``metal``, and any of
            ``potential``, ``cation``, ``temperature``, ``concentration``, ``co2_pressure`` and ``boundary_layer``.
        cells: how many experiments run at a time.
        seed: which of the laboratories.
        noise: factor on all errors and spreads.

    Raises:
        LabError: a column means nothing to the chemistry.
    """

    def __init__(
        self, chemistry: Chemistry, parameters: Sequence[str], *, cells: int = 1, seed: int = 0, noise: float = 1.0
    ) -> None:
        self._chemistry = chemistry
        self._layout = chemistry.layout(parameters)
        self._seed = seed
        self._noise = noise
        self._cells = tuple(f"cell-{number}" for number in range(1, cells + 1))

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the positions."""
        return self._cells

    @property
    def metrics(self) -> Mapping[str, str]:
        """All figures of merit, each with its unit."""
        return {name: METRICS[name].unit for name in FIGURES}

    @property
    def repeat_is_safe(self) -> bool:
        """A virtual electrode is never used up."""
        return True

    @property
    def virtual_time(self) -> bool:
        """Run times are counted, not waited for."""
        return True

    def check(self, parameters: Parameters) -> None:
        """Raise where the virtual cell cannot be set like this.

        Raises:
            LabError: a setting is missing, unknown, of the wrong type, not finite, or out of range.
        """
        self._layout.check(parameters, element_names())

    def execute(self, job: Job, context: Context) -> Outcome:
        """Run one experiment; virtual time passes, real time does not.

        Raises:
            LabError: the settings are impossible.
            ExecutionCancelled: the context was cancelled.
        """
        self.check(job.parameters)
        if context.cancelled.is_set():
            raise ExecutionCancelled("the experiment was cancelled before it began.")
        from simulators.measurement import Run

        run = Run.drawn(context.seed)
        try:
            figures = self._figures(job.parameters, context.sample, run)
        except ConvergenceError as problem:
            return Outcome(failure=Failure("unknown", str(problem)), duration=run.duration)
        return Outcome(observation=Observation(figures), duration=run.duration)

    def make_safe(self) -> None:
        """Nothing virtual is dangerous."""

    @cached_property
    def _elements(self) -> Elements:
        from simulators.materials import elements_of

        return elements_of(self._layout.elements(element_names()), self._chemistry.world)

    def _figures(self, parameters: Parameters, sample: str, run: Run) -> dict[str, Figure]:
        import torch

        from simulators._torch import one_thread
        from simulators.batch import average_batch
        from simulators.measurement import individual, measure

        points = {name: [parameters[name]] for name in self._layout.columns}
        with one_thread(), torch.no_grad():
            batch = average_batch(self._chemistry.world, self._elements, self._layout, points)
            if self._noise > 0.0:
                batch = individual(batch, (self._seed, sample), self._noise)
            reduced = measure(batch, run, self._noise)
        return {
            name: Figure(value, sem)
            for name, value, sem in zip(FIGURES, reduced.values.tolist(), reduced.uncertainties.tolist(), strict=True)
        }
