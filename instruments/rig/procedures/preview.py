"""The dry run: every set point of a plan against every limit, before anything moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from instruments.device import Value
from instruments.errors import InstrumentsError, LabError
from instruments.rig.procedures.step import SetPoint, Step


@dataclass(frozen=True, slots=True)
class Problem:
    """A set point that is not allowed.

    Attributes:
        step: its name.
        point: what would be set.
        error: why it may not be.
    """

    step: str
    point: SetPoint
    error: InstrumentsError

    def __str__(self) -> str:
        return f"{self.step}: {self.error}"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan will do, and what speaks against it.

    Attributes:
        steps: of the plan.
        problems: set points that are not allowed.
    """

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...]

    @property
    def seconds(self) -> float:
        """That the plan takes, as far as is known, s of the laboratory."""
        return sum(step.seconds for step in self.steps)

    @property
    def takes(self) -> Mapping[str, float]:
        """What the plan takes from stock, in mL or pieces."""
        total: dict[str, float] = {}
        for step in self.steps:
            for name, amount in step.takes.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    @property
    def table(self) -> str:
        """For people: one line a step."""
        rows = [("step", "kind", "time", "sets", "takes", "holds")]
        rows += [
            (
                step.name,
                step.kind,
                _time(step.seconds),
                ", ".join(map(str, step.sets)),
                ", ".join(f"{amount:g} {name}" for name, amount in step.takes.items()),
                ", ".join((*step.leases, *(f"({name})" for name in step.uses))),
            )
            for step in self.steps
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *(f"not allowed: {problem}" for problem in self.problems)])

    def refuse(self) -> None:
        """Raise where something is not allowed.

        Raises:
            LabError: the first problem, with its device and attribute.
        """
        for problem in self.problems[:1]:
            raise LabError(
                f"{problem.step}: {problem.error.args[0]}",
                field=f"{problem.point.device}.{problem.point.attribute}",
                mend=problem.error.mend,
            )


def preview(plan: Sequence[Step], check: Callable[[str, str, Value], None]) -> Preview:
    """Go through a plan without moving anything.

    Args:
        plan: of a procedure.
        check: raises where a device's attribute may not have a value; sends nothing.
    """
    problems = tuple(
        Problem(step.name, point, problem) for step in plan for point, problem in refused(step.sets, check)
    )
    return Preview(tuple(plan), problems)


def refused(
    points: Iterable[SetPoint], check: Callable[[str, str, Value], None]
) -> Iterable[tuple[SetPoint, InstrumentsError]]:
    """Set points that are not allowed, each with the first reason."""
    for point in points:
        for value in point.ends:
            try:
                check(point.device, point.attribute, value)
            except InstrumentsError as problem:
                yield point, problem
                break


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120.0 else f"{seconds / 60.0:.4g} min"
