"""The write-ahead journal of steps, in the campaign's log: what a crash may have left half done stands there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from instruments.lab import StepKind
from orchestrator.campaign import Campaign, words
from orchestrator.errors import LeaseLost, StoreError
from orchestrator.store.changes import Note
from orchestrator.store.records import EventRecord

logger = logging.getLogger(__name__)

Phase: TypeAlias = Literal["begin", "end"]
Log: TypeAlias = Callable[[str, StepKind, Phase], None]
"""Writes that a step begins or has ended."""
REPEATABLE: Final = "idempotent"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that an attempt had begun.

    Attributes:
        name: of the step.
        kind: whether it may be repeated.
        ended: whether its end was written, too.
    """

    name: str
    kind: str
    ended: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}, {'ended' if self.ended else 'its end was not written'})"


def journal_of(campaign: Campaign, experiment: int, attempt: int) -> Log:
    """The journal of one attempt.

    It is written past the campaign's lock: a cell does not wait for the fit of a model.
    """

    def write(step: str, kind: StepKind, phase: Phase) -> None:
        campaign.fence()
        data = {"attempt": attempt, "step": step, "kind": kind, "phase": phase}
        note = Note(words.STEP, f"{phase} {step}", experiment=experiment, data=data)
        try:
            campaign.store.apply(campaign.name, [note], who="campaign", token=campaign.token)
        except LeaseLost:
            raise
        except StoreError as problem:
            if phase == "begin":
                raise
            # it has happened: what it measured counts more; recovery takes a missing end as the worse case
            logger.warning("the end of step %r of experiment %d could not be written: %s", step, experiment, problem)

    return write


def steps_of(events: Iterable[EventRecord]) -> Mapping[tuple[int, int], list[Step]]:
    """The steps that were begun, by experiment and attempt, in the order of their beginnings."""
    found: dict[tuple[int, int], list[Step]] = {}
    for event in events:
        if event.kind != words.STEP or event.experiment is None:
            continue
        data: Mapping[str, Any] = event.data
        steps = found.setdefault((event.experiment, int(data["attempt"])), [])
        if data["phase"] == "begin":
            steps.append(Step(str(data["step"]), str(data["kind"])))
        elif steps and steps[-1].name == data["step"]:
            steps[-1] = Step(steps[-1].name, steps[-1].kind, ended=True)
    return found
