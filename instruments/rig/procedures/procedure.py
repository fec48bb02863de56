"""The protocol of procedures, and how one is run: step after step, each in the journal, safe on every way out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from instruments.electrochemistry._schema import Declared
from instruments.errors import (
    DeviceError,
    ExecutionCancelled,
    InstrumentsError,
    LabHalted,
    LabHolds,
    LimitError,
)
from instruments.lab import FailureCause
from instruments.rig.procedures.errors import ExperimentFailed, NeedsInspection
from instruments.rig.procedures.step import Request, SetPoint, Site, Step

if TYPE_CHECKING:
    from instruments.rig.procedures.execution import Execution
    from instruments.rig.program import Program

logger = logging.getLogger(__name__)


class Options(Declared):
    """Of a procedure, from the block ``procedure`` of a rig file without its ``name``."""


class Procedure(ABC):
    """How a rig runs one experiment.

    A laboratory writes its own by a subclass: ``Options`` are what its block of the rig file may say, ``settings`` the
    parameters that it understands, and ``plan`` the steps for one experiment. Compositions are understood by the
    recipe of the rig file.

    Args:
        options: checked.
        program: of the rig.
    """

    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Any, program: Program) -> None:
        self.options, self.program = options, program

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, str]:
        """Parameters that it understands, each with its unit; compositions are not among them."""

    @abstractmethod
    def plan(self, request: Request, site: Site) -> tuple[Step, ...]:
        """The steps of one experiment, to their last set point. Moves nothing; the same request gives the same plan.

        Raises:
            LabError: the settings are impossible for this cell.
        """

    def demands(self, request: Request, site: Site) -> Iterable[SetPoint]:
        """All set points of the plan: asked for every candidate of a campaign, so that a shortcut pays."""
        return [point for step in self.plan(request, site) for point in step.sets]

    def setup(self, execution: Execution) -> Mapping[str, Any]:
        """What is known of the experiment beside the cell's block: fields of
        :class:`~instruments.electrochemistry.Setup`.
        """
        return execution.notes

    @property
    def awaiting(self) -> tuple[str, ...]:
        """Products whose analysis comes later."""
        return ()


@dataclass
class Course:
    """How a plan went.

    Attributes:
        done: steps that have ended.
        begun: steps that have begun.
        unclean: why a person must look at the cell, although the results stand; empty where nobody must.
    """

    done: list[Step] = field(default_factory=list)
    begun: list[Step] = field(default_factory=list)
    unclean: str = ""

    @property
    def touched(self) -> str:
        """The step that forbids to begin again unasked; empty where there is none."""
        settled = [step for step in self.done if step.kept]
        return next((s.name for s in self.begun if s.kind != "idempotent" and s not in settled), "")


def run_plan(plan: Sequence[Step], execution: Execution, course: Course) -> None:
    """Run steps in their order. On any way out but the planned one the cell is made safe, current before flow.

    Where a closing step fails, what was measured stands: the cell is made safe, and ``course.unclean`` says why a
    person must look at it.

    Args:
        plan: of a procedure, checked by a dry run.
        execution: what the steps work with.
        course: is filled in.

    Raises:
        ExperimentFailed: the experiment did not work, or a device failed and the experiment may be run again.
        NeedsInspection: it broke off where it must not be run again unasked.
        ExecutionCancelled: it was cancelled; ``untouched`` says whether it may be run again.
        LabHalted: the rig was tripped.
    """
    for step in plan:
        try:
            execution.go_on()
            course.begun.append(step)
            execution.enter(step)
            with execution.journal(step.name, step.kind), execution.holding(step.leases):
                step.action(execution)
            course.done.append(step)
        except BaseException as problem:
            execution.make_safe(problem)
            if step.closing and isinstance(problem, InstrumentsError):
                course.unclean = f"{step.name}: {problem}"
                logger.error("%s: %s; what was measured before stands", execution.cell, course.unclean)
                return
            raise _told(problem, step, execution, course) from problem


def _told(problem: BaseException, step: Step, execution: Execution, course: Course) -> BaseException:
    """What an execution's end means to the loop."""
    touched = course.touched
    if not isinstance(problem, InstrumentsError) or isinstance(problem, LabHalted | LabHolds):
        return problem
    halted = execution.halted()
    if halted is not None:
        return halted
    if isinstance(problem, NeedsInspection | ExperimentFailed):
        return problem
    if isinstance(problem, ExecutionCancelled) or execution.context.cancelled.is_set():
        return ExecutionCancelled(f"{step.name}: {problem.args[0]}", untouched=not touched)
    why = f"{step.name}: {problem}"
    if touched:
        return NeedsInspection(
            f"{why} This came in or after the step {touched!r}, which must not be repeated unasked.",
            mend=f"Look at {execution.cell}, then say what became of the experiment.",
        )
    cause: FailureCause = "planning" if isinstance(problem, LimitError) else "equipment"
    if not isinstance(problem, DeviceError):
        cause = "unknown"
    return ExperimentFailed(why, cause=cause)
