"""The write-ahead journal of steps, in the campaign's log: what a crash may have left half done stands there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from instruments.lab import StepKind
from orchestrator.campaign import Campaign, words
from orchestrator.errors import LeaseLost, StoreError
from orchestrator.store.changes import Note
from orchestrator.store.records import EventRecord

logger = logging.getLogger(__name__)

Phase: TypeAlias = Literal["begin", "end"]
REPEATABLE: Final = "idempotent"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that an attempt had begun.

    Attributes:
        name: of the step.
        kind: whether it may be repeated.
        ended: whether its end was written, too.
        control: that it belongs to; empty for the experiment itself.
    """

    name: str
    kind: str
    ended: bool = False
    control: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}, {'ended' if self.ended else 'its end was not written'})"


@dataclass(frozen=True)
class Journal:
    """The journal of one attempt.

    It is written past the campaign's lock: a cell does not wait for the fit of a model.

    Args:
        campaign: whose log it is in.
        experiment: id.
        attempt: number.
        control: that runs before the experiment; empty for the experiment itself.
    """

    campaign: Campaign
    experiment: int
    attempt: int
    control: str = ""

    def __call__(self, step: str, kind: StepKind, phase: Phase) -> None:
        """Write that a step begins, or has ended.

        Raises:
            LeaseLost: this process no longer controls the campaign.
            StoreError: a beginning could not be written.
        """
        campaign = self.campaign
        campaign.fence()
        data = {"attempt": self.attempt, "step": step, "kind": kind, "phase": phase}
        if self.control:
            data["control"] = self.control
        note = Note(words.STEP, f"{phase} {step}", experiment=self.experiment, data=data)
        try:
            campaign.store.apply(campaign.name, [note], who="campaign", token=campaign.token)
        except LeaseLost:
            raise
        except StoreError as problem:
            if phase == "begin":
                raise
            # it has happened: what it measured counts more; recovery takes a missing end as the worse case
            logger.warning(
                "the end of step %r of experiment %d could not be written: %s", step, self.experiment, problem
            )


def steps_of(events: Iterable[EventRecord]) -> Mapping[tuple[int, int], list[Step]]:
    """The steps that were begun, by experiment and attempt, in the order of their beginnings."""
    found: dict[tuple[int, int], list[Step]] = {}
    for event in events:
        if event.kind != words.STEP or event.experiment is None:
            continue
        data: Mapping[str, Any] = event.data
        steps = found.setdefault((event.experiment, int(data["attempt"])), [])
        if data["phase"] == "begin":
            steps.append(Step(str(data["step"]), str(data["kind"]), control=str(data.get("control", ""))))
        elif steps and steps[-1].name == data["step"]:
            steps[-1] = replace(steps[-1], ended=True)
    return found
