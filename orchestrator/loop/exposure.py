"""Which samples are not to be used again for what happened to them.

A sample is given up where an attempt on it ended without its result and current may have flowed by then, or where the
laboratory was tripped: nobody knows what it has been through. That is written together with the end of the attempt. A
laboratory whose experiments may be repeated unasked has no such samples.
"""

from __future__ import annotations

from collections.abc import Iterable

from instruments.lab import Journaling, Lab, Outcome
from orchestrator.campaign import words
from orchestrator.loop.executing import Unfinished
from orchestrator.loop.journal import REPEATABLE, Step, steps_of
from orchestrator.loop.listener import Listener, told
from orchestrator.loop.work import Work
from orchestrator.store.changes import Change, Note
from orchestrator.store.records import AttemptRecord

USES_UP = "non-repeatable"
"""Kind of the steps that use a sample up."""


def exposed(begun: Iterable[Step], *, tripped: bool = False) -> bool:
    """Whether current may have flowed through a sample, or it was left in a state that nobody knows.

    Args:
        begun: the steps of an attempt, those of controls before it among them: these do not count.
        tripped: the laboratory was: then any step is enough.
    """
    own = [step for step in begun if not step.control]
    return any(tripped or step.kind == USES_UP or (step.kind != REPEATABLE and not step.ended) for step in own)


def given_up(attempt: AttemptRecord, why: str) -> list[Change]:
    """The note that a sample is not to be used again; none where the attempt has no sample."""
    if not attempt.sample:
        return []
    said = f"{why} (experiment {attempt.experiment}, attempt {attempt.number})"
    return [Note(words.SAMPLE, said, data={"sample": attempt.sample, "usable": False})]


def tell_given_up(listeners: Iterable[Listener], changes: Iterable[Change]) -> None:
    """Tell the listeners which samples are given up by these changes, and why."""
    for change in changes:
        if isinstance(change, Note) and change.kind == words.SAMPLE:
            told(listeners, "noticed", words.SAMPLE, f"{change.data['sample']} is not used again: {change.why}")


def journals(lab: Lab) -> bool:
    """Whether a laboratory journals every step that touches matter."""
    return isinstance(lab, Journaling) and lab.journals


class Exposure:
    """Judges what became of a sample when an attempt on it has ended.

    Args:
        work: what is in hand.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def failed(self, attempt: AttemptRecord, outcome: Outcome) -> list[Change]:
        """Of an attempt with an outcome: it failed, or its laboratory says that the sample is spent."""
        if outcome.spent:
            return given_up(attempt, outcome.spent)
        failure = outcome.failure
        if failure is None or failure.cause == "planning" or not self._flowed(attempt):
            return []
        return given_up(attempt, f"current may have flowed before this failure: {failure.cause}: {failure.reason}")

    def unfinished(self, attempt: AttemptRecord, how: Unfinished) -> list[Change]:
        """Of an attempt without an outcome."""
        if how.untouched or not self._flowed(attempt, tripped=how.ends == "halted"):
            return []
        what = "the laboratory was tripped" if how.ends == "halted" else "it broke off while current may have flowed"
        return given_up(attempt, f"{what}: {how.message}")

    def _flowed(self, attempt: AttemptRecord, *, tripped: bool = False) -> bool:
        """Whether current may have flowed, by the journal; where there is none, it may."""
        work = self._work
        if work.lab.repeat_is_safe:
            return False
        if work.virtual or not journals(work.lab):
            return True
        campaign = work.campaign
        events = campaign.store.events(campaign.name, kinds=(words.STEP,), experiment=attempt.experiment)
        return exposed(steps_of(events).get((attempt.experiment, attempt.number), ()), tripped=tripped)
