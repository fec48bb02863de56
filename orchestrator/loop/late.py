"""Results that come hours after their experiment: they find it, complete its figures, and are kept once recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from instruments.errors import InstrumentsError
from instruments.lab import Belated, Lab, LateResult, Outcome
from orchestrator.campaign import Campaign
from orchestrator.errors import RawSignalsError
from orchestrator.loop.keeping import Files
from orchestrator.loop.outcome import told_of
from orchestrator.store.changes import Note, PutAttempt
from orchestrator.store.records import AttemptRecord

logger = logging.getLogger(__name__)

BETWEEN: Final = 5.0
"""Real seconds between looks."""
NOTE: Final = "late"
"""Kind of the events that tell of results that could not be used."""


class LateResults:
    """Takes what has come for one campaign.

    Args:
        campaign: whose experiments wait.
        lab: where results come back; one where none do is never asked.
        files: where raw signals are kept.
    """

    def __init__(self, campaign: Campaign, lab: Lab, files: Files) -> None:
        self._campaign, self._files = campaign, files
        self._lab: Belated | None = lab if isinstance(lab, Belated) else None
        self._looked = time.monotonic()
        self._useless: set[tuple[int, int]] = set()

    def take_at_times(self) -> None:
        """Take what has come, if that was not looked at just now."""
        if time.monotonic() - self._looked >= BETWEEN:
            self.take()

    def take(self) -> None:
        """Take what has come. What cannot be looked at now is looked at later."""
        if self._lab is None:
            return
        self._looked = time.monotonic()
        try:
            groups = self._lab.late()
        except InstrumentsError as problem:
            logger.warning("late results cannot be looked at: %s", problem)
            return
        for group in groups:
            self._take(group)

    def _take(self, group: Sequence[LateResult]) -> None:
        """Record one file's results; it is kept once nobody else has to see it."""
        mine = [result for result in group if result.campaign == self._campaign.name]
        attempts = (
            {(a.experiment, a.number): a for a in self._campaign.store.attempts(self._campaign.name)} if mine else {}
        )
        used = [self._used(result, attempts.get((result.experiment, result.attempt))) for result in mine]
        if used and all(used) and len(used) == len(group):
            mine[0].keep()

    def _used(self, result: LateResult, attempt: AttemptRecord | None) -> bool:
        """Record a result, unless that was done before; whether it is recorded."""
        if attempt is None or attempt.files is None:
            self._say(result, "there is no such attempt with raw signals")
            return False
        if self._campaign.store.experiment(self._campaign.name, result.experiment).state != "awaiting_analysis":
            return True
        return self._record(result, attempt, attempt.files)

    def _record(self, result: LateResult, attempt: AttemptRecord, location: str) -> bool:
        before = self._campaign.store.experiment(self._campaign.name, result.experiment)
        try:
            measured = self._files.read(attempt)
            observation = result.observation(measured)
            whole = result.measurement(measured)
        except (InstrumentsError, RawSignalsError, OSError) as problem:
            self._say(result, str(problem))
            return False
        outcome = Outcome(observation)
        revised, manifest = self._files.revise(location, whole)  # before anything is recorded of it
        if observation.report:
            self._files.report(revised, observation.report)
        told = told_of(before, outcome, attempt.sample)
        changed = replace(attempt, files=revised, digest=manifest.digest)
        self._campaign.record(told, PutAttempt(changed), amend=True)
        return True

    def _say(self, result: LateResult, why: str) -> None:
        """Write down once that results could not be used."""
        key = (result.experiment, result.attempt)
        if key in self._useless:
            return
        self._useless.add(key)
        text = f"late results of experiment {result.experiment}, attempt {result.attempt}, could not be used: {why}"
        logger.warning("%s", text)
        self._campaign.put(Note(NOTE, text, data={"experiment": result.experiment, "attempt": result.attempt}))
