"""One execution in the laboratory, and how it can end without an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from instruments.errors import ExecutionCancelled, InstrumentsError, LabHalted, LabHolds, ToldElsewhere
from instruments.lab import Failure, Job, Lab, Outcome
from orchestrator.loop.context import AttemptContext
from orchestrator.loop.controls import Controls
from orchestrator.loop.engine import Running
from orchestrator.store.records import AttemptRecord, ExperimentRecord


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An execution that ended without an outcome.

    Attributes:
        message: why.
        untouched: whether nothing had moved, so that it may be run again unasked.
        ends: the state in which the campaign must wait for a person; empty where it need not.
        told: whether the store has its result, from somebody else.
    """

    message: str
    untouched: bool = False
    ends: Literal["", "holding", "halted"] = ""
    told: bool = False


@dataclass(frozen=True, slots=True)
class Flight:
    """An attempt under way."""

    record: ExperimentRecord
    attempt: AttemptRecord
    context: AttemptContext
    running: Running[Outcome | Unfinished]


def execute(lab: Lab, controls: Controls | None, job: Job, context: AttemptContext) -> Outcome | Unfinished:
    """What came of a job, after the controls that are due before it. Runs in a thread of its own."""
    try:
        if controls is not None:
            controls.before(context)
        return lab.execute(job, context)
    except ToldElsewhere as ended:
        return Unfinished(str(ended), told=True)
    except ExecutionCancelled as problem:
        return Unfinished(str(problem), problem.untouched)
    except LabHolds as problem:
        return Unfinished(str(problem), untouched=True, ends="holding")
    except LabHalted as problem:
        return Unfinished(str(problem), ends="halted")
    except InstrumentsError as problem:
        return Outcome(failure=Failure("equipment", str(problem)))
