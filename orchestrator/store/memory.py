"""A store that lives and dies with the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from threading import RLock
from types import MappingProxyType
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.store import codec, leases
from orchestrator.store.changes import Change
from orchestrator.store.codec import Row
from orchestrator.store.creation import (
    campaign_exists,
    campaign_rows,
    check_blobs,
    unknown_campaign,
    unknown_experiment,
    verified_blob,
)
from orchestrator.store.glance import ExperimentRow, FigureRow, Kind
from orchestrator.store.leases import CAMPAIGN, Clock, SystemClock, Terms
from orchestrator.store.planning import Plan, plan
from orchestrator.store.records import (
    AskRecord,
    AttemptRecord,
    AttemptState,
    CampaignRecord,
    EventRecord,
    ExperimentRecord,
    ExperimentState,
    Hold,
    Lease,
    Owner,
)
from orchestrator.store.states import EXPERIMENT_STATES


@dataclass(slots=True)
class _Kept:
    """One campaign's rows. They are never changed in place, only replaced; callers get what is decoded from them."""

    campaign: Row
    asks: dict[int, Row] = field(default_factory=dict)
    experiments: dict[int, Row] = field(default_factory=dict)
    attempts: dict[tuple[int, int], Row] = field(default_factory=dict)
    results: dict[str, dict[int, Row]] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    lease: Row | None = None

    def has_ask(self, number: int) -> bool:
        return number in self.asks

    def experiment(self, id: int) -> Row | None:
        return self.experiments.get(id)

    def attempt(self, experiment: int, number: int) -> Row | None:
        return self.attempts.get((experiment, number))

    def write(self, done: Plan) -> None:
        self.campaign = self.campaign | done.campaign
        self.asks |= done.asks
        self.experiments |= done.experiments
        self.attempts |= done.attempts
        for (metric, id), row in done.results.items():
            if row is None:
                self.results[metric].pop(id, None)
            else:
                self.results.setdefault(metric, {})[id] = row
        self.events += done.events


class MemoryStore:
    """Keeps campaigns in this process. Same behaviour as on disk, see :class:`orchestrator.store.Store`.

    Args:
        clock: what events and leases take their times from.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.url = "memory:"
        self._clock = clock or SystemClock()
        self._terms = Terms(self._clock)
        self._lock = RLock()
        self._closed = False
        self._campaigns: dict[str, _Kept] = {}
        self._blobs: dict[str, bytes] = {}
        self._things: dict[tuple[str, str], Row] = {}

    def create(self, record: CampaignRecord, blobs: Mapping[str, bytes] = {}, *, who: str = "sabatier") -> None:
        """Add a campaign and the contents that its definition refers to."""
        row, event = campaign_rows(record, who, self._clock)
        check_blobs(blobs)
        with self._open():
            if row["name"] in self._campaigns:
                raise campaign_exists(record.name)
            self._campaigns[row["name"]] = _Kept(row, events=[event])
            self._blobs |= blobs

    def campaigns(self) -> list[CampaignRecord]:
        """All campaigns, in the order of their creation."""
        with self._open():
            return [codec.campaign_record(kept.campaign) for kept in self._campaigns.values()]

    def campaign(self, name: str) -> CampaignRecord:
        """One campaign."""
        with self._open():
            return codec.campaign_record(self._kept(name).campaign)

    def blob(self, digest: str) -> bytes:
        """A content by its SHA-256 in hexadecimal, which is verified."""
        with self._open():
            return verified_blob(digest, self._blobs.get(digest))

    def asks(self, name: str) -> list[AskRecord]:
        """All asks by number."""
        with self._open():
            rows = sorted(self._kept(name).asks.items())
        return [codec.ask_record(row) for _, row in rows]

    def experiments(
        self,
        name: str,
        *,
        ids: Collection[int] | None = None,
        states: Collection[ExperimentState] | None = None,
    ) -> list[ExperimentRecord]:
        """Experiments by id, all or those of some ids and states."""
        with self._open():
            rows = sorted(self._kept(name).experiments.items())
        wanted = None if ids is None else frozenset(ids)
        return [
            codec.experiment_record(row)
            for id, row in rows
            if (wanted is None or id in wanted) and (states is None or row["state"] in states)
        ]

    def experiment(self, name: str, id: int) -> ExperimentRecord:
        """One experiment."""
        with self._open():
            row = self._kept(name).experiments.get(id)
        if row is None:
            raise unknown_experiment(name, id)
        return codec.experiment_record(row)

    def figures(self, name: str, metrics: Collection[str]) -> list[FigureRow]:
        """The figures of some metrics."""
        with self._open():
            kept = self._kept(name)
            rows = [
                row
                for metric in dict.fromkeys(map(codec.text, metrics))
                for _, row in sorted(kept.results.get(metric, {}).items())
            ]
        return [FigureRow(*(row[field] for field in FigureRow._fields)) for row in rows]

    def values(
        self, name: str, metrics: Collection[str], states: Collection[ExperimentState]
    ) -> dict[str, dict[int, float]]:
        """What was measured."""
        found: dict[str, dict[int, float]] = {codec.text(metric): {} for metric in metrics}
        for row in self.figures(name, metrics):
            if row.state in states and row.verdict != "invalid":
                found[row.metric][row.experiment] = row.value
        return found

    def experiment_rows(self, name: str) -> list[ExperimentRow]:
        """All experiments in short, by id."""
        with self._open():
            rows = sorted(self._kept(name).experiments.items())
        return [ExperimentRow(*(row[field] for field in ExperimentRow._fields)) for _, row in rows]

    def attempts(
        self,
        name: str,
        experiment: int | None = None,
        *,
        states: Collection[AttemptState] | None = None,
        newest: int | None = None,
    ) -> list[AttemptRecord]:
        """Attempts by experiment and number."""
        with self._open():
            rows = sorted(self._kept(name).attempts.items())
        found = [
            row for (of, _), row in rows if experiment in (None, of) and (states is None or row["state"] in states)
        ]
        return [codec.attempt_record(row) for row in found[0 if newest is None else max(len(found) - newest, 0) :]]

    def clock(self, name: str) -> float | None:
        """When the last attempt ended."""
        with self._open():
            rows = list(self._kept(name).attempts.values())
        ended = (row for row in rows if row["state"] in ("finished", "failed"))
        return max((row["clock_started"] + (row["duration"] or 0.0) for row in ended), default=None)

    def events(
        self,
        name: str,
        after: int = 0,
        limit: int | None = None,
        *,
        kinds: Collection[str] | None = None,
        experiment: int | None = None,
        newest: bool = False,
    ) -> list[EventRecord]:
        """The log behind an event's sequence number, oldest first."""
        wanted = None if kinds is None else frozenset(map(codec.text, kinds))
        with self._open():
            rows = self._kept(name).events[max(after, 0) :]
        found = (
            row
            for row in (reversed(rows) if newest else rows)
            if (wanted is None or row["kind"] in wanted) and experiment in (None, row["experiment"])
        )
        events = [codec.event_record(row) for row in islice(found, None if limit is None else max(limit, 0))]
        return events[::-1] if newest else events

    def last_event(self, name: str) -> int:
        """Sequence number of the last event."""
        with self._open():
            return len(self._kept(name).events)

    def tally(self, name: str) -> dict[Kind, int]:
        """How many experiments are alike."""
        with self._open():
            rows = list(self._kept(name).experiments.values())
        return dict(Counter(Kind(*(row[field] for field in Kind._fields)) for row in rows))

    def counts(self, name: str) -> dict[ExperimentState, int]:
        """How many experiments are in each state."""
        counts: dict[ExperimentState, int] = dict.fromkeys(EXPERIMENT_STATES, 0)
        with self._open():
            for row in self._kept(name).experiments.values():
                counts[row["state"]] += 1
        return counts

    def apply(self, name: str, changes: Sequence[Change], *, who: str, token: int | None = None) -> int:
        """Do all changes, or none."""
        with self._open():
            kept = self._kept(name)
            if token is not None:
                leases.check_token(kept.lease, CAMPAIGN, name, token)
            if not (wanted := tuple(changes)):
                return 0
            sequence, now = len(kept.events), self._clock.now()
            done = plan(kept.campaign, wanted, kept, who=who, sequence=sequence, now=now)
            kept.write(done)
            self._blobs |= done.blobs
            return len(kept.events)

    def acquire(self, name: str, owner: Owner, ttl: float = 30.0) -> Lease:
        """Take control of a campaign for ``ttl`` seconds."""
        with self._open():
            kept = self._kept(name)
            before, kept.lease = kept.lease, leases.acquired(kept.lease, CAMPAIGN, name, owner, ttl, self._terms)
            kept.events.append(leases.event(before, kept.lease, len(kept.events), self._clock))
            return leases.lease_of(name, kept.lease)

    def renew(self, lease: Lease, ttl: float = 30.0) -> Lease:
        """Keep control for ``ttl`` seconds from now."""
        with self._open():
            kept = self._kept(lease.campaign)
            kept.lease = leases.renewed(kept.lease, CAMPAIGN, lease.campaign, lease.token, ttl, self._clock)
            return leases.lease_of(lease.campaign, kept.lease)

    def holder(self, name: str) -> Lease | None:
        """Who controls a campaign now."""
        with self._open():
            kept = self._kept(name).lease
            return leases.lease_of(name, kept) if kept is not None and leases.in_force(kept, self._terms) else None

    def release(self, lease: Lease) -> None:
        """Give control up."""
        with self._open():
            kept = self._kept(lease.campaign)
            if leases.holds(kept.lease, lease.token) and kept.lease is not None:
                before, kept.lease = kept.lease, kept.lease | {"held": False}
                kept.events.append(leases.event(before, kept.lease, len(kept.events), self._clock))

    def hold(
        self, kind: str, name: str, owner: Owner, ttl: float = 30.0, *, data: Mapping[str, Any] = MappingProxyType({})
    ) -> Hold:
        """Take something that several want for ``ttl`` seconds."""
        kind, name = leases.thing(kind, name)
        with self._open():
            row = leases.acquired(self._things.get((kind, name)), kind, name, owner, ttl, self._terms, data)
            self._things[kind, name] = row
            return leases.hold_of(kind, name, row)

    def keep(self, hold: Hold, ttl: float = 30.0) -> Hold:
        """Keep it for ``ttl`` seconds from now."""
        at = leases.thing(hold.kind, hold.name)
        with self._open():
            self._things[at] = leases.renewed(self._things.get(at), *at, hold.token, ttl, self._clock)
            return leases.hold_of(*at, self._things[at])

    def check(self, hold: Hold) -> None:
        """Refuse whoever does not hold it any more."""
        at = leases.thing(hold.kind, hold.name)
        with self._open():
            leases.check_token(self._things.get(at), *at, hold.token)

    def drop(self, hold: Hold) -> None:
        """Give it back."""
        at = leases.thing(hold.kind, hold.name)
        with self._open():
            if leases.holds(kept := self._things.get(at), hold.token) and kept is not None:
                self._things[at] = kept | {"held": False}

    def held(self, kind: str | None = None) -> list[Hold]:
        """What is held now."""
        with self._open():
            known = self._things | {
                (CAMPAIGN, name): kept.lease for name, kept in self._campaigns.items() if kept.lease
            }
        return [
            leases.hold_of(*at, kept)
            for at, kept in sorted(known.items(), key=lambda item: item[0])
            if kind in (None, at[0]) and leases.in_force(kept, self._terms)
        ]

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            self._campaigns.clear()
            self._blobs.clear()
            self._things.clear()

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise StoreError("the store in memory was closed.", field="store", mend="Make a new one.")
            yield

    def _kept(self, name: str) -> _Kept:
        kept = self._campaigns.get(codec.text(name))
        if kept is None:
            raise unknown_campaign(name, self._campaigns)
        return kept
