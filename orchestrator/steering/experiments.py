"""What people decide about single experiments: approve, reject, edit, add, call off, mark, remark, resolve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from acquisition.errors import AcquisitionError
from instruments.errors import LabError
from instruments.lab import Lab
from orchestrator.campaign import words
from orchestrator.campaign.ledger import seed_of
from orchestrator.campaign.made import name_of
from orchestrator.errors import CampaignError, InputError, StaleWrite
from orchestrator.steering.saying import say, too_late
from orchestrator.store.changes import Note, PutExperiment
from orchestrator.store.protocol import Store
from orchestrator.store.records import ExperimentRecord, ExperimentState

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign

Decision: TypeAlias = Literal["rerun", "discard"]
"""See :func:`orchestrator.steering.reducing.accept` for the third."""
Mark: TypeAlias = Literal["wrong", "suspect", "valid"]

VERDICTS: Final[Mapping[Mark, str]] = {"wrong": "invalid", "suspect": "suspect", "valid": "valid"}
NOT_STARTED: Final[tuple[ExperimentState, ...]] = ("proposed", "approved", "queued")
MOST_TRIES: Final = 5


def approve(store: Store, name: str, ids: Sequence[int] | None, *, who: str, why: str = "") -> str:
    """Let proposals be started.

    Args:
        store: where the campaign is.
        name: of the campaign.
        ids: of the experiments; ``None``: all that wait.
        who: says so.
        why: for the log.

    Returns:
        What happened, as a sentence.

    Raises:
        CampaignError: one does not wait for approval any more; nothing is changed then.
        UnknownRecord: there is no such experiment.
    """
    if ids is None:
        ids = [record.id for record in store.experiments(name, states={"proposed"})]
        if not ids:
            return "no proposal waits for approval."
    return _moved(store, name, ids, ("proposed",), "approved", who=who, why=why, doing="be approved")


def reject(store: Store, name: str, ids: Sequence[int], *, who: str, why: str = "") -> str:
    """Turn proposals down; others are proposed in their place. Raises as :func:`approve`."""
    return _moved(store, name, ids, ("proposed", "approved"), "rejected", who=who, why=why, doing="be rejected")


def cancel(store: Store, name: str, ids: Sequence[int], *, running: bool = False, who: str, why: str = "") -> str:
    """Call off experiments that have not begun. Raises as :func:`approve`.

    Args:
        store: where the campaign is.
        name: of the campaign.
        ids: of the experiments.
        running: also those that run, where a person runs them and need not be stopped by a process.
        who: says so.
        why: for the log.
    """
    before: tuple[ExperimentState, ...] = ("approved", "queued", "running") if running else ("approved", "queued")
    return _moved(store, name, ids, before, "cancelled", who=who, why=why, doing="be called off")


def resolve(store: Store, name: str, id: int, decision: Decision, *, who: str, why: str = "") -> str:
    """Say what is to become of an experiment of which nobody knows how it ended.

    Args:
        store: where the campaign is.
        name: of the campaign.
        id: of the experiment.
        decision: ``rerun`` it on another sample, or ``discard`` it.
        who: says so.
        why: for the log.

    Raises:
        CampaignError: it is not waiting for that.
        UnknownRecord: there is no such experiment.
    """
    record = store.experiment(name, id)
    if record.state != "needs_inspection":
        raise too_late(store, name, "be resolved", id)
    rerun = decision == "rerun"
    after: ExperimentState = "queued" if rerun else "cancelled"
    changed = replace(record, state=after, updated=datetime.now(UTC))
    if rerun:  # what its sample has been through is not known
        number = len(store.attempts(name, id)) + 1
        changed = replace(changed, sample=f"{name_of(name, store.campaign(name).seed, id)}.{number}")
    text = why or ("it is run again" if rerun else "it is given up")
    say(
        store,
        name,
        [PutExperiment(changed, "needs_inspection", text, record)],
        who=who,
        doing="be resolved",
        experiment=id,
    )
    left = [r.id for r in store.experiments(name, states={"needs_inspection"})]
    rest = f"still to be inspected: {', '.join(map(str, left))}" if left else f"`sabatier resume {name}` goes on"
    return f"experiment {id} is {'queued again' if rerun else 'called off'}; {rest}."


def mark(store: Store, name: str, id: int, how: Mark, *, who: str, why: str) -> str:
    """Judge a result anew; a model forgets what is ``wrong``, and trusts less what is ``suspect``.

    Raises:
        CampaignError: it has no result.
        InputError: no reason is given.
        UnknownRecord: there is no such experiment.
    """
    if not why.strip():
        raise InputError("a result is judged anew without a reason.", field="--why", mend="Say why, for the log.")
    for _ in range(MOST_TRIES):
        record = store.experiment(name, id)
        if record.state not in ("completed", "awaiting_analysis"):
            raise too_late(store, name, "be judged: it has no result", id)
        reasons = (*record.verdict_reasons, f"{who}: {why}")
        changed = replace(record, verdict=VERDICTS[how], verdict_reasons=reasons, updated=datetime.now(UTC))
        try:
            store.apply(name, [PutExperiment(changed, record.state, why, record)], who=who)
        except StaleWrite:
            continue
        return f"experiment {id} is {VERDICTS[how]} now, it was {record.verdict}."
    raise too_late(store, name, "be judged", id)


def comment(store: Store, name: str, text: str, id: int | None = None, *, who: str) -> str:
    """Write a remark into the log, on an experiment or on the campaign.

    Raises:
        InputError: it is empty.
        UnknownRecord: there is no such experiment.
    """
    if not text.strip():
        raise InputError("the remark is empty.", field="text")
    store.apply(name, [Note(words.COMMENT, text, experiment=id)], who=who)
    return "it is in the log."


def edit(campaign: Campaign, lab: Lab, id: int, values: Mapping[str, str], *, who: str, why: str = "") -> str:
    """Change the settings of an experiment that has not begun.

    Args:
        campaign: as its definition says, in its store.
        lab: that is to execute it.
        id: of the experiment.
        values: by column, as a person writes them.
        who: says so.
        why: for the log.

    Raises:
        InputError: a value or a column is none of the space, or the laboratory cannot execute it.
        CampaignError: it has begun.
    """
    store, name = campaign.store, campaign.name
    record = store.experiment(name, id)
    if record.state not in NOT_STARTED:
        raise too_late(store, name, "be edited", id)
    asked = _settings(campaign, lab, {**(record.asked or {}), **values})
    _same_sample(campaign, record, asked)
    changed = replace(record, asked=asked, prediction={}, gain=None, updated=datetime.now(UTC))
    text = why or f"edited by {who}"
    say(store, name, [PutExperiment(changed, record.state, text, record)], who=who, doing="be edited", experiment=id)
    return f"experiment {id} is {_shown(asked)} now."


def _same_sample(campaign: Campaign, record: ExperimentRecord, asked: Mapping[str, Any]) -> None:
    """Refuse another preparation for a sample that other experiments have, too.

    Raises:
        InputError: names the first column that would differ.
    """
    if campaign.conditions_per_sample is None or record.sample is None:
        return
    from acquisition.strategies.two_stage import preparation_columns

    made, before = preparation_columns(campaign.space), record.asked or {}
    changed = [column for column in made if asked[column] != before.get(column)]
    if changed:
        raise InputError(
            f"{changed[0]} belongs to sample {record.sample}, which other experiments share.",
            field=changed[0],
            mend="Reject or cancel this experiment, and add one of your own.",
        )


def add(campaign: Campaign, lab: Lab, values: Mapping[str, str], *, priority: int, who: str, why: str = "") -> str:
    """Add an experiment of one's own. It is in nobody's budget, and may equal an earlier one.

    Args:
        campaign: as its definition says, in its store.
        lab: that is to execute it.
        values: of all columns, as a person writes them.
        priority: larger goes first; what a loop proposes has 0.
        who: says so.
        why: for the log.

    Raises:
        InputError: a value is missing or none of the space, or the laboratory cannot execute it.
    """
    store, name = campaign.store, campaign.name
    asked = _settings(campaign, lab, values)

    def record(id: int) -> ExperimentRecord:
        seed = seed_of(campaign.seed, id)
        return ExperimentRecord(id=id, state="queued", origin="manual", asked=asked, seed=seed, priority=priority)

    id = _added(store, name, record, who, why or f"added by {who}")
    return f"experiment {id} is queued: {_shown(asked)}."


def _added(store: Store, name: str, record: Callable[[int], ExperimentRecord], who: str, why: str) -> int:
    """Write a new experiment under the next free id, which a running loop may take first."""
    for _ in range(MOST_TRIES):
        id = max((row.id for row in store.experiment_rows(name)), default=0) + 1
        try:
            store.apply(name, [PutExperiment(record(id), None, why)], who=who)
        except StaleWrite:
            continue
        return id
    raise CampaignError(f"campaign {name!r} changes too fast to add to it.", field="name", mend="Try again.")


def _moved(
    store: Store,
    name: str,
    ids: Sequence[int],
    before: tuple[ExperimentState, ...],
    after: ExperimentState,
    *,
    who: str,
    why: str,
    doing: str,
) -> str:
    changes, now = [], datetime.now(UTC)
    for id in dict.fromkeys(ids):
        record = store.experiment(name, id)
        if record.state not in before:
            raise too_late(store, name, doing, id)
        changes.append(PutExperiment(replace(record, state=after, updated=now), record.state, why, record))
    try:
        say(store, name, list(changes), who=who, doing=doing)
    except CampaignError:
        for change in changes:  # which of them somebody else was faster with
            if store.experiment(name, change.record.id).state != change.expected:
                raise too_late(store, name, doing, change.record.id) from None
        raise
    shown = ", ".join(str(change.record.id) for change in changes)
    return f"{'experiment' if len(changes) == 1 else 'experiments'} {shown}: {after}."


def _settings(campaign: Campaign, lab: Lab, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the space has them, checked against it and against the laboratory."""
    import pandas as pd

    columns = campaign.space.columns
    for column in values:
        if column not in columns:
            raise InputError(
                f"{column!r} is no column of the space.", field=column, mend=f"It has {', '.join(columns)}."
            )
    missing = [column for column in columns if column not in values]
    if missing:
        raise InputError(f"{missing[0]} is missing.", field=missing[0], mend=f"Give {missing[0]}=VALUE.")
    row = {column: _number(values[column]) for column in columns}
    try:
        point = campaign.space.to_array(pd.DataFrame([row]))
        why = campaign.space.violations(point)[0]
        if why:
            raise InputError(f"the settings are outside the space: {why}.", field="parameters")
        asked = {str(k): v for k, v in campaign.space.to_frame(point).to_dict("records")[0].items()}
        lab.check(asked)
    except (AcquisitionError, LabError) as problem:
        raise InputError(str(problem), field=problem.field or "parameters") from problem
    return asked


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _shown(asked: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {v:.6g}" if isinstance(v, float) else f"{k} {v}" for k, v in asked.items() if v != 0)
