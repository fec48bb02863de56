"""Checks a sequence of changes against what a store holds and says what is to be written.

The rules live here alone, so that every store has the same: a store reads what is asked through :class:`View`,
under a lock on the campaign, and writes the finished :class:`Plan` in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from orchestrator.errors import StaleWrite, UnknownRecord, UnstorableValue
from orchestrator.store import codec
from orchestrator.store.changes import Amend, Change, Note, PutAsk, PutAttempt, PutExperiment, SetCampaignState
from orchestrator.store.codec import Row
from orchestrator.store.creation import check_blobs
from orchestrator.store.records import CampaignState, EventRecord, ExperimentRecord
from orchestrator.store.states import CAMPAIGN_ENDED, check_attempt, check_campaign, check_experiment

Kept = Mapping[str, Any]


class View(Protocol):
    """What planning reads of one campaign in a store: the rows as they are before the changes."""

    def has_ask(self, number: int) -> bool:
        """Whether an ask has this number."""

    def experiment(self, id: int) -> Kept | None:
        """Row of an experiment."""

    def attempt(self, experiment: int, number: int) -> Kept | None:
        """Row of an attempt."""


@dataclass(slots=True)
class Plan:
    """What is to be written, as rows.

    Attributes:
        campaign: the columns of the campaign's row that change.
        asks: new ones by number.
        experiments: new or changed, as they finally are, by id.
        attempts: new or changed, as they finally are, by experiment and number.
        results: figures that are new, changed, or no longer there (``None``), by metric and experiment.
        new_experiments: ids of those that are new.
        new_attempts: keys of those that are new.
        events: in their order.
        blobs: contents that a definition refers to, by their hash; the store may have some of them.
    """

    campaign: Row = field(default_factory=dict)
    asks: dict[int, Row] = field(default_factory=dict)
    experiments: dict[int, Row] = field(default_factory=dict)
    attempts: dict[tuple[int, int], Row] = field(default_factory=dict)
    results: dict[tuple[str, int], Row | None] = field(default_factory=dict)
    new_experiments: set[int] = field(default_factory=set)
    new_attempts: set[tuple[int, int]] = field(default_factory=set)
    events: list[Row] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)


def plan(campaign: Kept, changes: Sequence[Change], view: View, *, who: str, sequence: int, now: datetime) -> Plan:
    """Check changes in their order, each against the state that those before it leave.

    Args:
        campaign: the campaign's row.
        changes: what is wanted, at least one.
        view: the store.
        who: does it.
        sequence: number of the campaign's last event.
        now: time of the events.

    Raises:
        StaleWrite: something is not in the state that the change expects.
        IllegalTransition: the lifecycle has no such change of state.
        UnknownRecord: a change refers to an ask or experiment that does not exist.
        UnstorableValue: a record holds what cannot be kept.
    """
    planner = _Planner(campaign, view, who, sequence, now)
    for change in changes:
        if type(change) not in _RULES:
            raise TypeError(f"{change!r} is no change of a campaign")
        _RULES[type(change)](planner, change)
    planner.plan.campaign["updated"] = now
    return planner.plan


class _Planner:
    """The state that the changes checked so far would leave."""

    def __init__(self, campaign: Kept, view: View, who: str, sequence: int, now: datetime) -> None:
        self.plan = Plan()
        self._campaign = campaign
        self._view = view
        self._who = who
        self._sequence = sequence
        self._now = now

    def ask(self, change: PutAsk) -> None:
        record = change.record
        _positive(record.number, "ask.number")
        if self._has_ask(record.number):
            raise StaleWrite(f"ask {record.number} is recorded already.", field="number", mend="Read the store again.")
        self.plan.asks[record.number] = codec.ask_row(record)
        data = {"number": record.number, "requested": record.requested}
        self._event("ask", why=change.why, data=data)

    def experiment(self, change: PutExperiment) -> None:
        record = change.record
        _positive(record.id, "experiment.id")
        before = self._experiment(record.id)
        state = before["state"] if before else None
        if state != change.expected:
            raise StaleWrite(
                f"experiment {record.id} is {state or 'not in the store'}, not {change.expected or 'new'} as expected.",
                field="state",
                mend="Read the store again.",
            )
        if change.former is not None and before is not None and codec.experiment_record(before) != change.former:
            raise StaleWrite(
                f"experiment {record.id} has changed since it was read.", field="former", mend="Read the store again."
            )
        check_experiment(record.id, state, record.state)
        known = None if before is None else before["ask"]  # was looked for when it was written
        if record.ask not in (None, known) and not self._has_ask(record.ask):
            raise UnknownRecord(
                f"experiment {record.id} refers to ask {record.ask}, which is not recorded.", field="ask"
            )
        row = codec.experiment_row(record)
        self.plan.experiments[record.id] = row
        self._results(record, before)
        if before is None:
            self.plan.new_experiments.add(record.id)
        reason = record.reason if before is None else record.failure_reason if record.state == "failed" else None
        self._event(
            "experiment",
            experiment=record.id,
            before=state,
            after=record.state,
            why=change.why or reason or "",
            data=_overwritten(before, row),
        )

    def _results(self, record: ExperimentRecord, before: Kept | None) -> None:
        """The figures that a change of an experiment changes."""
        old = {} if before is None else codec.result_rows(codec.experiment_record(before))
        new = codec.result_rows(record)
        changed = [metric for metric in old | new if old.get(metric) != new.get(metric)]
        self.plan.results |= {(metric, record.id): new.get(metric) for metric in changed}

    def attempt(self, change: PutAttempt) -> None:
        record = change.record
        _positive(record.number, "attempt.number")
        if self._experiment(record.experiment) is None:
            raise UnknownRecord(
                f"attempt {record.number} is of experiment {record.experiment}, which is not recorded.",
                field="experiment",
            )
        key = (record.experiment, record.number)
        before = self.plan.attempts.get(key) or self._view.attempt(*key)
        state = before["state"] if before else None
        check_attempt(record.experiment, record.number, state, record.state)
        row = codec.attempt_row(record)
        self.plan.attempts[key] = row
        if before is None:
            self.plan.new_attempts.add(key)
        self._event(
            "attempt",
            experiment=record.experiment,
            before=state,
            after=record.state,
            why=change.why or record.message,
            data={"number": record.number, "cell": record.cell, **_overwritten(before, row)},
        )

    def campaign(self, change: SetCampaignState) -> None:
        state: CampaignState = self.plan.campaign["state"] if "state" in self.plan.campaign else self._campaign["state"]
        expected = (change.before,) if isinstance(change.before, str) else tuple(change.before)
        if state not in expected:
            name = self._campaign["name"]
            raise StaleWrite(
                f"campaign {name!r} is {state}, not {' or '.join(expected)} as expected.",
                field="state",
                mend="Read the store again.",
            )
        check_campaign(self._campaign["name"], state, change.after)
        self.plan.campaign.update(state=change.after, reason=codec.text(change.why))
        if change.after == "running" and self._campaign["started"] is None:
            self.plan.campaign.setdefault("started", self._now)
        if (change.after in CAMPAIGN_ENDED) != (state in CAMPAIGN_ENDED):
            self.plan.campaign["finished"] = self._now if change.after in CAMPAIGN_ENDED else None
        self._event("campaign", before=state, after=change.after, why=change.why)

    def amend(self, change: Amend) -> None:
        present: Kept = {**self._campaign, **self.plan.campaign}
        if present["definition_hash"] != change.expected_hash:
            raise StaleWrite(
                f"the definition of campaign {present['name']!r} has changed meanwhile.",
                field="definition",
                mend="Read the store again.",
            )
        check_blobs(change.blobs)
        self.plan.blobs |= change.blobs
        former = codec.campaign_record(present)
        version = former.version + 1
        document = codec.campaign_document(change.definition, former.seed, version)
        self.plan.campaign.update(definition_hash=change.definition_hash, document=document)
        was = {
            block: former.definition.get(block)
            for block in dict.fromkeys([*former.definition, *change.definition])
            if former.definition.get(block) != change.definition.get(block)
        }
        self._event("amendment", why=change.why, data={"version": version, "was": was})

    def note(self, change: Note) -> None:
        if change.experiment is not None and self._experiment(change.experiment) is None:
            raise UnknownRecord(
                f"a note refers to experiment {change.experiment}, which is not recorded.", field="experiment"
            )
        self._event(change.kind, experiment=change.experiment, why=change.why, data=change.data)

    def _has_ask(self, number: int) -> bool:
        return number in self.plan.asks or self._view.has_ask(number)

    def _experiment(self, id: int) -> Kept | None:
        return self.plan.experiments.get(id) or self._view.experiment(id)

    def _event(
        self,
        kind: str,
        *,
        why: str,
        experiment: int | None = None,
        before: str | None = None,
        after: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        self._sequence += 1
        event = EventRecord(
            sequence=self._sequence,
            time=self._now,
            who=self._who,
            kind=kind,
            experiment=experiment,
            before=before,
            after=after,
            why=why,
            data=data or {},
        )
        self.plan.events.append(codec.event_row(event))


_RULES: dict[type, Callable[[_Planner, Any], None]] = {
    PutAsk: _Planner.ask,
    PutExperiment: _Planner.experiment,
    PutAttempt: _Planner.attempt,
    SetCampaignState: _Planner.campaign,
    Amend: _Planner.amend,
    Note: _Planner.note,
}


def _positive(number: int, what: str) -> None:
    if number < 1:
        raise UnstorableValue(f"{what} must be 1 or larger, not {number}.", field=what)


def _overwritten(before: Kept | None, row: Row) -> dict[str, Any]:
    """What the change takes from the record, so that the log alone can tell the history of every figure."""
    if before is None:
        return {}
    was = {
        key: before[key].isoformat() if isinstance(before[key], datetime) else before[key]
        for key, value in row.items()
        if key not in ("document", "state", "updated") and before[key] is not None and before[key] != value
    }
    if before["document"] != row["document"]:
        new = codec.decode(row["document"])
        was |= {
            key: value
            for key, value in codec.decode(before["document"]).items()
            if value not in (None, "", [], {}) and value != new.get(key)
        }
    return {"was": was} if was else {}
