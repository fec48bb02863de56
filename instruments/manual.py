"""A laboratory in which a person runs the experiments and enters the results."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass as options_dataclass

from instruments.errors import ExecutionCancelled, LabError, ToldElsewhere
from instruments.lab import Context, Job, Outcome, Parameters
from instruments.metrics import METRICS, unit_of

if TYPE_CHECKING:
    import pandas as pd

ORDER: Final = "work-order"
"""The name of the files for the person, without their ends ``.txt`` and ``.json``."""

MOST_CELLS: Final = 1000

_NAME = re.compile(r"\w([\w .-]*[\w.-])?")
_WIDE = 24


@options_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ManualOptions:
    """The ``lab:`` block of a laboratory in which a person runs the experiments.

    Attributes:
        cells: how many experiments may be under way at a time, or the names of the benches or persons.
        metrics: what is entered, each with its unit; without it what the campaign names. A metric without a standard
            unit has the one that is given here.
        instructions: what a person must know beside the settings; a part of every work order.
    """

    cells: Annotated[int, Field(ge=1, le=MOST_CELLS)] | tuple[str, ...] = 1
    metrics: dict[str, str] = Field(default_factory=dict)
    instructions: str = ""
    type: Literal["manual"] = Field(default="manual", kw_only=True)
    amendable: ClassVar[frozenset[str]] = frozenset({"cells", "metrics", "instructions"})
    """Options that may change in a campaign, while no process runs it."""

    @field_validator("cells", mode="before")
    @classmethod
    def _benches(cls, cells: object) -> object:
        if isinstance(cells, int) and not isinstance(cells, bool):
            if not 1 <= cells <= MOST_CELLS:
                raise LabError(f"there cannot be {cells} benches.", mend=f"Give a number from 1 to {MOST_CELLS}.")
            return cells
        if not isinstance(cells, list | tuple) or not all(isinstance(name, str) for name in cells):
            raise LabError(f"{cells!r} says neither how many nor which.", mend="Give a number, or a list of names.")
        if not cells:
            raise LabError("a laboratory without a bench runs nothing.", mend="Name one, or give a number.")
        for name in cells:
            if not _NAME.fullmatch(name):
                raise LabError(f"{name!r} cannot name a bench.", mend="Use letters, digits, spaces and . _ -.")
        again = next((name for name, count in Counter(cells).items() if count > 1), None)
        if again is not None:
            raise LabError(f"{again!r} is there twice.", mend="Every bench has a name of its own.")
        return tuple(cells)

    @field_validator("metrics")
    @classmethod
    def _standard(cls, metrics: dict[str, str]) -> dict[str, str]:
        for name, unit in metrics.items():
            if name in METRICS and unit != unit_of(name):
                raise LabError(
                    f"{name} is given in {unit!r}, but its unit is {unit_of(name)!r} everywhere.",
                    field=name,
                    mend=f"Write `{name}: {json.dumps(unit_of(name))}`, and enter the results so.",
                )
        return metrics

    def tables(self) -> Mapping[str, str]:
        """A person reads no tables."""
        return {}

    def informed(self, units: Mapping[str, str], metrics: Sequence[str]) -> _Informed:
        """The same, knowing what the campaign is about."""
        return _Informed(self, units, tuple(metrics))

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> ManualLab:  # noqa: ARG002
        """Build the laboratory of a campaign of which no units and metrics are known."""
        return self.built(parameters, {}, ())

    def built(self, parameters: Sequence[str], units: Mapping[str, str], metrics: Sequence[str]) -> ManualLab:
        """The laboratory.

        Args:
            parameters: names of all parameter columns.
            units: of those that have one.
            metrics: that the campaign names.
        """
        cells = tuple(f"bench-{n}" for n in range(1, self.cells + 1)) if isinstance(self.cells, int) else self.cells
        entered = self.metrics or {name: unit_of(name) or "" for name in metrics}
        return ManualLab(parameters, cells=cells, metrics=entered, units=units, instructions=self.instructions)


@dataclass(frozen=True)
class _Informed:
    """Options that know what the campaign is about."""

    options: ManualOptions
    units: Mapping[str, str]
    metrics: tuple[str, ...]
    type: str = "manual"

    def tables(self) -> Mapping[str, str]:
        return {}

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> ManualLab:  # noqa: ARG002
        return self.options.built(parameters, self.units, self.metrics)


class ManualLab:
    """Writes a work order for each experiment, and waits until somebody has told its result.

    It measures nothing itself: results come by ``tell`` from whoever runs the experiment, also from another process and
    while none runs the campaign.

    Args:
        parameters: names of all parameter columns.
        cells: benches or persons, each with one experiment at a time.
        metrics: what is entered, each with its unit.
        units: of the parameter columns that have one.
        instructions: what a person must know beside the settings.
    """

    def __init__(
        self,
        parameters: Sequence[str],
        *,
        cells: Sequence[str] = ("bench-1",),
        metrics: Mapping[str, str],
        units: Mapping[str, str] | None = None,
        instructions: str = "",
    ) -> None:
        self._parameters, self._cells = tuple(parameters), tuple(cells)
        self._metrics, self._units = dict(metrics), dict(units or {})
        self._instructions = instructions.strip()

    @property
    def cells(self) -> tuple[str, ...]:
        """Benches or persons."""
        return self._cells

    @property
    def metrics(self) -> Mapping[str, str]:
        """What is entered."""
        return dict(self._metrics)

    @property
    def repeat_is_safe(self) -> bool:
        """What a person has begun is never begun again unasked."""
        return False

    @property
    def resumes(self) -> bool:
        """A person goes on while no process runs."""
        return True

    def check(self, parameters: Parameters) -> None:
        """Raise where a setting is missing or infinite.

        Raises:
            LabError: it is.
        """
        for name in self._parameters:
            value = parameters.get(name)
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                raise LabError(f"the setting {name!r} is {value}, which nobody can set.", field=name)

    def execute(self, job: Job, context: Context) -> Outcome:
        """Write the work order, and wait.

        Raises:
            ToldElsewhere: somebody told the result.
            ExecutionCancelled: the campaign's process ends. Whoever runs the experiment knows nothing of it.
            LabError: a setting is missing.
        """
        self.check(job.parameters)
        if not context.over.is_set():
            with context.journal("write the work order", "idempotent"):
                write_order(self.order(job, context), context.files)
        context.over.wait()
        if context.told.is_set():
            raise ToldElsewhere(f"somebody said what became of experiment {job.experiment}.")
        raise ExecutionCancelled(f"nobody waits any more for the result of experiment {job.experiment}.")

    def order(self, job: Job, context: Context) -> WorkOrder:
        """What a person is to do."""
        return WorkOrder(
            campaign=job.campaign,
            experiment=job.experiment,
            attempt=context.attempt,
            cell=context.cell,
            sample=context.sample,
            parameters={name: (job.parameters[name], self._units.get(name, "")) for name in self._parameters},
            metrics=self._metrics,
            instructions=self._instructions,
        )

    def make_safe(self) -> None:
        """Nothing here moves anything: whoever runs an experiment makes it safe."""


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What a person is to do.

    Attributes:
        campaign: its name.
        experiment: its id.
        attempt: which execution it is, from 1.
        cell: the bench or person.
        sample: the id that the electrode is to be labelled with.
        parameters: settings and their units by column.
        metrics: what is to be entered, each with its unit.
        instructions: what must be known beside the settings.
    """

    campaign: str
    experiment: int
    attempt: int
    cell: str
    sample: str
    parameters: Mapping[str, tuple[float | int | str, str]]
    metrics: Mapping[str, str] = field(default_factory=dict)
    instructions: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "schema": 1,
            "campaign": self.campaign,
            "experiment": self.experiment,
            "attempt": self.attempt,
            "cell": self.cell,
            "sample": self.sample,
            "parameters": [{"name": n, "value": v, "unit": unit or None} for n, (v, unit) in self.parameters.items()],
            "metrics": [{"name": name, "unit": unit or None} for name, unit in self.metrics.items()],
            "instructions": self.instructions,
        }

    def text(self) -> str:
        """For a person."""
        again = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        lines = [f"Experiment {self.experiment} of {self.campaign}{again}", ""]
        lines += [f"{'where':<{_WIDE}} {self.cell}", f"{'sample':<{_WIDE}} {self.sample}", "", "Set"]
        lines += [
            f"  {name:<{_WIDE - 2}} {_shown(v)} {_unit(unit)}".rstrip() for name, (v, unit) in self.parameters.items()
        ]
        lines += ["", "Enter"]
        lines += [f"  {name:<{_WIDE - 2}} {_asked(unit)}".rstrip() for name, unit in self.metrics.items()]
        lines += ["", "into a table with these columns, or one that `sabatier sheet` writes, and then"]
        lines += [f"  sabatier tell {self.campaign} FILE.csv", ""]
        lines += [f"  {','.join(('experiment', 'sample', *self.metrics))}"]
        lines += [f"  {self.experiment},{self.sample}{',' * len(self.metrics)}"]
        if self.instructions:
            lines += ["", self.instructions]
        return "\n".join(lines) + "\n"


def write_order(order: WorkOrder, folder: Path) -> None:
    """Write a work order as text and as JSON; whoever reads meanwhile finds the whole or nothing."""
    texts = {".txt": order.text(), ".json": json.dumps(order.plain(), indent=2, ensure_ascii=False) + "\n"}
    for end, text in texts.items():
        part = folder / f".{ORDER}{end}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / f"{ORDER}{end}")


def _shown(value: float | int | str) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def _asked(unit: str) -> str:
    if unit == "1":
        return "as a fraction: 0.25, not 25 %"
    return f"in {unit}" if unit else ""
