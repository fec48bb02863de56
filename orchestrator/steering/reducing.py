"""Reducing raw signals again, and accepting those of an experiment of which nobody knows how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from instruments.errors import InstrumentsError
from instruments.lab import Lab, Outcome, Reducing
from orchestrator.campaign import words
from orchestrator.errors import CampaignError, RawSignalsError
from orchestrator.loop.outcome import told_of
from orchestrator.loop.reducing import reduced
from orchestrator.steering.saying import too_late
from orchestrator.store.changes import Note, PutAttempt
from orchestrator.store.records import AttemptRecord, ExperimentRecord, ExperimentState

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign
    from orchestrator.campaign.told import Told
    from orchestrator.loop.keeping import Files

REDUCED: Final = "reduced again"
"""Why a record changes, in the log."""
WITH_RESULTS: Final[tuple[ExperimentState, ...]] = ("completed", "failed", "awaiting_analysis")


def reduce(campaign: Campaign, lab: Lab, files: Files, ids: Sequence[int], *, who: str, why: str = "") -> str:
    """Reduce the raw signals of experiments again, with the present software; no device is touched.

    What changes is an event that keeps the former values. A verdict by which a person, or a failed control, has judged
    the result since stays.

    Args:
        campaign: whose experiments.
        lab: its laboratory, which need not be open.
        files: where raw signals are kept.
        ids: of experiments.
        who: wants it.
        why: for the log.

    Returns:
        What changed, a line an experiment.

    Raises:
        CampaignError: an experiment has no result yet, its laboratory gives no raw signals, or nothing can be computed;
            of this experiment nothing is changed then.
        RawSignalsError: files are missing or have changed.
        UnknownRecord: there is no such experiment.
    """
    campaign.who = who
    return "\n".join(_again(campaign, lab, files, id, why) for id in dict.fromkeys(ids))


def accept(campaign: Campaign, lab: Lab, files: Files, id: int, *, who: str, why: str = "") -> str:
    """Take what an experiment of unknown outcome measured as its result.

    Args:
        campaign: whose experiment.
        lab: its laboratory, which need not be open.
        files: where raw signals are kept.
        id: of the experiment.
        who: accepts it.
        why: for the log.

    Raises:
        CampaignError: it is not waiting for that, its raw signals are not complete, or nothing can be computed.
        UnknownRecord: there is no such experiment.
    """
    store, name, campaign.who = campaign.store, campaign.name, who
    record = store.experiment(name, id)
    if record.state != "needs_inspection":
        raise too_late(store, name, "be accepted", id)
    try:
        attempt = _attempt(campaign, id)
        outcome = _outcome(campaign, lab, files, record, attempt)
    except (CampaignError, RawSignalsError) as problem:
        said = problem.args[0]
        raise CampaignError(
            f"experiment {id} cannot be accepted: {said}",
            field="experiment",
            mend=f"Enter what you know with `sabatier tell {name} FILE.csv`, or rerun or discard it.",
        ) from problem
    manifest = files.manifest(str(attempt.files))
    known = attempt.digest if manifest is None else manifest.digest
    ended = replace(attempt, digest=known)
    if attempt.state in ("running", "unknown"):
        duration = attempt.duration if manifest is None else manifest.duration
        ended = replace(ended, state="finished", finished=datetime.now(UTC), duration=duration)
    _report(files, attempt, outcome)
    text = why or "its raw signals are accepted"
    after = campaign.record(
        told_of(record, outcome, attempt.sample), PutAttempt(ended), _note(attempt, known, text), why=text
    )
    left = [r.id for r in store.experiments(name, states={"needs_inspection"})]
    rest = f"still to be inspected: {', '.join(map(str, left))}" if left else f"`sabatier resume {name}` goes on"
    return f"experiment {id} is {after.state}: {_figures(after)}; {rest}."


def _again(campaign: Campaign, lab: Lab, files: Files, id: int, why: str) -> str:
    store, name = campaign.store, campaign.name
    before = store.experiment(name, id)
    if before.state == "needs_inspection":
        raise CampaignError(
            f"nobody knows how experiment {id} ended.",
            field="experiment",
            mend=f"Take what it measured as its result with `sabatier resolve {name} {id} accept`.",
        )
    if before.state not in WITH_RESULTS:
        raise too_late(store, name, "be reduced again: it has no result", id)
    attempt = _attempt(campaign, id)
    outcome = _outcome(campaign, lab, files, before, attempt)
    told = _judged(campaign, before, told_of(before, outcome, None))
    if not _differs(before, told):
        return f"experiment {id} is what it was: {_figures(before)}."
    _report(files, attempt, outcome)
    text = f"{REDUCED}: {why}" if why else REDUCED
    note = _note(attempt, attempt.digest, text)
    after = campaign.record(told, note, amend=True, why=text)
    return f"experiment {id} was {_figures(before)}; it is {_figures(after)}."


def _attempt(campaign: Campaign, id: int) -> AttemptRecord:
    """The last attempt of an experiment that says where its raw signals are."""
    kept = [a for a in campaign.store.attempts(campaign.name, id) if a.files is not None]
    if not kept:
        raise RawSignalsError(
            f"experiment {id} has no raw signals.",
            field="experiment",
            mend="What is known otherwise can be entered with `sabatier tell`.",
        )
    return kept[-1]


def _outcome(campaign: Campaign, lab: Lab, files: Files, record: ExperimentRecord, attempt: AttemptRecord) -> Outcome:
    if not isinstance(lab, Reducing):
        raise CampaignError(
            f"the laboratory of campaign {campaign.name!r} cannot reduce raw signals again.",
            field="lab",
            mend="Enter what you know with `sabatier tell`.",
        )
    try:
        outcome = reduced(lab, files, campaign.name, record, attempt)
    except InstrumentsError as problem:
        raise _irreducible(record, str(problem)) from problem
    seen = outcome.observation
    if outcome.failure is not None and outcome.failure.cause == "analysis":
        raise _irreducible(record, outcome.failure.reason)
    if seen is not None and not seen.figures and not outcome.awaiting:
        raise _irreducible(record, "; ".join(seen.verdict.reasons))
    return outcome


def _irreducible(record: ExperimentRecord, why: str) -> CampaignError:
    return CampaignError(
        f"nothing can be computed from the raw signals of experiment {record.id}: {why.rstrip('.')}. "
        "Nothing was changed.",
        field="experiment",
    )


def _judged(campaign: Campaign, record: ExperimentRecord, told: Told) -> Told:
    """What is told, with the verdict of whoever has judged the result since it was measured."""
    judged = [
        event
        for event in campaign.store.events(campaign.name, kinds=("experiment",), experiment=record.id)
        if event.before == event.after
        and {"verdict", "verdict_reasons"} & set(event.data.get("was", ()))
        and not event.why.startswith(REDUCED)
        and (event.who, event.why) != ("campaign", "amended")
    ]
    if not judged:
        return told
    reasons = tuple(dict.fromkeys((*told.verdict_reasons, *record.verdict_reasons)))
    return replace(told, verdict=record.verdict, verdict_reasons=reasons)


def _differs(record: ExperimentRecord, told: Told) -> bool:
    """Whether a reduction gives anything else than is recorded, beyond the rounding of numbers."""
    if told.status == "failed":
        return (record.state, record.failure_cause) != ("failed", told.failure_cause)
    if record.state == "failed" or told.verdict != record.verdict or told.verdict_reasons != record.verdict_reasons:
        return True
    if any(metric not in record.values for metric in told.values):
        return True
    pairs = [(record.values[m].value, v.value) for m, v in told.values.items()]
    pairs += [(record.values[m].sem, v.sem) for m, v in told.values.items()]
    pairs += [(record.measured.get(name), value) for name, value in told.measured.items()]
    return any(not _same(old, new) for old, new in pairs)


def _same(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return abs(old - new) <= 1e-9 * max(abs(old), abs(new))


def _report(files: Files, attempt: AttemptRecord, outcome: Outcome) -> None:
    if attempt.files is not None and outcome.observation is not None and outcome.observation.report:
        files.report(attempt.files, outcome.observation.report)


def _note(attempt: AttemptRecord, digest: str | None, text: str) -> Note:
    data = {"attempt": attempt.number, "digest": digest, "version": version("sabatier")}
    return Note(words.REDUCTION, text, experiment=attempt.experiment, data=data)


def _figures(record: ExperimentRecord) -> str:
    if record.state == "failed":
        return f"failed ({record.failure_cause}: {record.failure_reason})"
    shown = [f"{metric} {value.value:.4g}" for metric, value in record.values.items() if value.value is not None]
    reasons = f" ({', '.join(record.verdict_reasons)})" if record.verdict_reasons else ""
    return f"{', '.join(shown) or 'without figures'}, {record.verdict}{reasons}"
