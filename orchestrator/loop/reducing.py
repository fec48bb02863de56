"""From raw signals in files to an outcome, without the laboratory that measured them."""

from __future__ import annotations

import logging
from dataclasses import replace

from instruments.errors import InstrumentsError
from instruments.lab import Job, Lab, Observation, Outcome, Reducing, Verdict
from orchestrator.errors import RawSignalsError
from orchestrator.loop.keeping import Files
from orchestrator.loop.raw import Manifest
from orchestrator.store.records import AttemptRecord, ExperimentRecord

logger = logging.getLogger(__name__)


def complete(files: Files, attempt: AttemptRecord | None) -> Manifest | None:
    """The manifest of an attempt whose raw signals are complete; ``None`` where they are not, or cannot be read."""
    if attempt is None or attempt.files is None:
        return None
    try:
        return files.manifest(attempt.files)
    except RawSignalsError as problem:
        logger.warning("experiment %d: %s", attempt.experiment, problem)
        return None


def reduced(lab: Reducing, files: Files, campaign: str, record: ExperimentRecord, attempt: AttemptRecord) -> Outcome:
    """What comes of the raw signals of an attempt.

    Args:
        lab: whose signals they are; it need not be open.
        files: where they are kept.
        campaign: its name.
        record: the experiment.
        attempt: with complete signals.

    Raises:
        RawSignalsError: files are missing or have changed, or are out of reach.
        InstrumentsError: nothing can be computed from them.
    """
    measurement = files.read(attempt)
    job = Job(campaign, record.id, dict(record.asked or {}))
    outcome = lab.reduce(measurement, job, attempt.sample or "")
    return replace(outcome, measurement=measurement, sample=outcome.sample or attempt.sample)


def finished(
    lab: Lab, files: Files, campaign: str, record: ExperimentRecord, attempt: AttemptRecord | None
) -> tuple[Outcome, Manifest] | None:
    """What an attempt measured before its process died; ``None`` where that is not complete, or nothing reduces it.

    Signals of which nothing can be computed are an invalid result, as they are in the laboratory: their reduction can
    be repeated.

    Raises:
        RawSignalsError, OSError: they have changed, or are out of reach.
    """
    if attempt is None or attempt.files is None or not isinstance(lab, Reducing):
        return None
    if (manifest := files.manifest(attempt.files)) is None:
        return None
    try:
        outcome = reduced(lab, files, campaign, record, attempt)
    except InstrumentsError as problem:
        outcome = unreduced(problem)
    return replace(outcome, duration=manifest.duration), manifest


def unreduced(problem: InstrumentsError) -> Outcome:
    """The outcome of signals of which nothing could be computed; they are kept, and can be reduced again."""
    return Outcome(Observation({}, Verdict("invalid", (f"reduction: {problem}",))))
