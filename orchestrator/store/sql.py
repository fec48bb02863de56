"""A store in an SQL database."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from orchestrator.store import codec, leases, looks
from orchestrator.store import statements as sql
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
from orchestrator.store.migrate import prepare_sqlite
from orchestrator.store.planning import Kept, plan
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
from orchestrator.store.rows import (
    CampaignView,
    all_rows,
    campaign_key,
    campaign_row,
    carry_out,
    first_row,
    lease_row,
    leased,
    logged,
    put_blobs,
    put_lease,
)
from orchestrator.store.sqlite import BUSY_TIMEOUT, prepare_path, sqlite_engine
from orchestrator.store.transactions import SerialTransactions, Transaction, Transactions

T = TypeVar("T")

MOST_IDS: Final = 500
"""So many ids go into one statement: databases bound their parameters."""
MOST_ROWS: Final = 2**31 - 1
"""No campaign has more of anything: ids and other numbers are kept in four bytes."""


def open_sqlite(
    path: Path,
    *,
    durable: bool = True,
    create: bool = True,
    timeout: float = BUSY_TIMEOUT,
    clock: Clock | None = None,
) -> SqlStore:
    """Open a store in an SQLite file, see :func:`orchestrator.store.open_store`.

    Args:
        path: absolute path of the file.
        durable: every write waits for the disk.
        create: whether the file may be made.
        timeout: for how many seconds a write waits for another process's.
        clock: what events and leases take their times from.
    """
    prepare_path(path, create=create)
    engine = sqlite_engine(path, durable=durable, timeout=timeout)
    try:
        prepare_sqlite(engine, path, create=create)
    except BaseException:
        engine.dispose()
        raise
    transactions = SerialTransactions(engine, os.fspath(path), Terms(clock or SystemClock()))
    return SqlStore(transactions, f"sqlite:///{path.as_posix()}")


class SqlStore:
    """Keeps campaigns in a database. Behaviour: see :class:`orchestrator.store.Store`.

    Args:
        transactions: of a database that has the newest schema.
        url: its address.
    """

    def __init__(self, transactions: Transactions, url: str) -> None:
        self.url = url
        self._in = transactions

    def create(self, record: CampaignRecord, blobs: Mapping[str, bytes] = {}, *, who: str = "sabatier") -> None:
        """Add a campaign and the contents that its definition refers to."""
        check_blobs(blobs)

        def work(at: Transaction) -> None:
            row, event = campaign_rows(record, who, at.terms.clock)
            if first_row(at.connection, sql.CAMPAIGN_BY_NAME, {"of": row["name"]}) is not None:
                raise campaign_exists(record.name)
            at.connection.execute(sql.ADD_CAMPAIGN, row | {"last_event": 1})
            key = campaign_key(at.connection, record.name)
            at.connection.execute(sql.ADD_EVENT, event | {"campaign": key})
            put_blobs(at.connection, blobs)
            at.proof = logged(key, event)

        self._in.write(work)

    def campaigns(self) -> list[CampaignRecord]:
        """All campaigns, in the order of their creation."""
        rows = self._in.read(lambda at: all_rows(at.connection, sql.CAMPAIGNS, {}))
        return [codec.campaign_record(row) for row in rows]

    def campaign(self, name: str) -> CampaignRecord:
        """One campaign."""
        return codec.campaign_record(self._in.read(lambda at: campaign_row(at.connection, name)))

    def blob(self, digest: str) -> bytes:
        """A content by its SHA-256 in hexadecimal, which is verified."""
        return verified_blob(digest, self._in.read(lambda at: at.connection.scalar(sql.BLOB, {"of": digest})))

    def asks(self, name: str) -> list[AskRecord]:
        """All asks by number."""
        rows = self._in.read(lambda at: all_rows(at.connection, sql.ASKS, {"of": campaign_key(at.connection, name)}))
        return [codec.ask_record(row) for row in rows]

    def experiments(
        self,
        name: str,
        *,
        ids: Collection[int] | None = None,
        states: Collection[ExperimentState] | None = None,
    ) -> list[ExperimentRecord]:
        """Experiments by id, all or those of some ids and states."""
        wanted = None if ids is None else sorted({int(id) for id in ids})
        every, more = sql.EXPERIMENTS, dict[str, Any]()
        if states is not None:
            every, more["states"] = every.where(sql.IN_STATES).order_by(None), sorted(states)

        def work(at: Transaction) -> list[Kept]:
            key = campaign_key(at.connection, name)
            if wanted is None:
                return list(all_rows(at.connection, every, {"of": key, **more}))
            parts = [wanted[i : i + MOST_IDS] for i in range(0, len(wanted), MOST_IDS)]
            some = every.where(sql.OF_IDS)
            return [row for part in parts for row in all_rows(at.connection, some, {"of": key, "ids": part, **more})]

        return [codec.experiment_record(row) for row in sorted(self._in.read(work), key=itemgetter("id"))]

    def experiment(self, name: str, id: int) -> ExperimentRecord:
        """One experiment."""
        row = self._in.read(lambda at: CampaignView(at.connection, campaign_key(at.connection, name)).experiment(id))
        if row is None:
            raise unknown_experiment(name, id)
        return codec.experiment_record(row)

    def figures(self, name: str, metrics: Collection[str]) -> list[FigureRow]:
        """The figures of some metrics."""
        return self._look(name, lambda connection, key: looks.figures(connection, key, metrics))

    def values(
        self, name: str, metrics: Collection[str], states: Collection[ExperimentState]
    ) -> dict[str, dict[int, float]]:
        """What was measured."""
        return self._look(name, lambda connection, key: looks.values(connection, key, metrics, states))

    def experiment_rows(self, name: str) -> list[ExperimentRow]:
        """All experiments in short, by id."""
        return self._look(name, looks.experiment_rows)

    def attempts(
        self,
        name: str,
        experiment: int | None = None,
        *,
        states: Collection[AttemptState] | None = None,
        newest: int | None = None,
    ) -> list[AttemptRecord]:
        """Attempts by experiment and number."""
        statement, more = sql.ATTEMPTS, dict[str, Any]()
        if experiment is not None:
            statement, more["one"] = sql.ATTEMPTS_OF_ONE, experiment
        if states is not None:
            statement, more["states"] = statement.where(sql.ATTEMPT_STATES).order_by(None), sorted(states)
        if newest is not None:
            statement = statement.order_by(None).order_by(*sql.NEWEST_ATTEMPTS).limit(max(newest, 0))

        def work(at: Transaction) -> Sequence[Kept]:
            return all_rows(at.connection, statement, {"of": campaign_key(at.connection, name), **more})

        rows = sorted(self._in.read(work), key=itemgetter("experiment", "number"))
        return [codec.attempt_record(row) for row in rows]

    def clock(self, name: str) -> float | None:
        """When the last attempt ended."""
        return self._look(name, looks.clock)

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
        statement, more = sql.EVENTS, dict[str, Any]()
        if kinds is not None:
            of_kinds = sql.OF_KINDS if experiment is None else sql.OF_KINDS_BESIDES
            statement, more["kinds"] = statement.where(of_kinds), sorted(map(codec.text, kinds))
        if experiment is not None:
            statement, more["one"] = statement.where(sql.OF_EXPERIMENT), experiment
        if newest:
            statement = statement.order_by(None).order_by(sql.NEWEST)
        if limit is not None:
            statement = statement.limit(min(max(limit, 0), MOST_ROWS))

        def work(at: Transaction) -> Sequence[Kept]:
            return all_rows(
                at.connection, statement, {"of": campaign_key(at.connection, name), "behind": after, **more}
            )

        rows = self._in.read(work)
        return [codec.event_record(row) for row in (reversed(rows) if newest else rows)]

    def last_event(self, name: str) -> int:
        """Sequence number of the last event."""

        def work(at: Transaction) -> int:
            last = at.connection.scalar(sql.LAST_EVENT, {"of": codec.text(name)})
            if last is None:
                raise unknown_campaign(name, at.connection.scalars(sql.NAMES))
            return int(last)

        return self._in.read(work)

    def tally(self, name: str) -> dict[Kind, int]:
        """How many experiments are alike."""
        return self._look(name, looks.tally)

    def counts(self, name: str) -> dict[ExperimentState, int]:
        """How many experiments are in each state."""
        return self._look(name, looks.counts)

    def apply(self, name: str, changes: Sequence[Change], *, who: str, token: int | None = None) -> int:
        """Do all changes in one transaction, or none."""
        wanted = tuple(changes)

        def work(at: Transaction) -> int:
            campaign = campaign_row(at.connection, name, lock=True)
            if token is not None:
                leases.check_token(lease_row(at.connection, CAMPAIGN, campaign["name"]), CAMPAIGN, name, token)
            if not wanted:
                return 0
            key, sequence, now = campaign["key"], campaign["last_event"], at.terms.clock.now()
            done = plan(campaign, wanted, CampaignView(at.connection, key), who=who, sequence=sequence, now=now)
            with at.together():
                carry_out(at.connection, key, done, sequence)
            at.proof = logged(key, done.events[-1])
            return int(sequence) + len(done.events)

        return self._in.write(work)

    def acquire(self, name: str, owner: Owner, ttl: float = 30.0) -> Lease:
        """Take control of a campaign for ``ttl`` seconds."""

        def work(at: Transaction) -> Lease:
            campaign = campaign_row(at.connection, name, lock=True)
            before = lease_row(at.connection, CAMPAIGN, campaign["name"])
            after = leases.acquired(before, CAMPAIGN, name, owner, ttl, at.terms)
            _hand_over(at, campaign, before, after)
            return leases.lease_of(name, after)

        return self._in.write(work)

    def renew(self, lease: Lease, ttl: float = 30.0) -> Lease:
        """Keep control for ``ttl`` seconds from now."""

        def work(at: Transaction) -> Lease:
            campaign = campaign_row(at.connection, lease.campaign, lock=True)
            before = lease_row(at.connection, CAMPAIGN, campaign["name"])
            after = leases.renewed(before, CAMPAIGN, lease.campaign, lease.token, ttl, at.terms.clock)
            put_lease(at.connection, CAMPAIGN, campaign["name"], before, after)
            return leases.lease_of(lease.campaign, after)

        return self._in.write(work)

    def holder(self, name: str) -> Lease | None:
        """Who controls a campaign now."""

        def work(at: Transaction) -> Lease | None:
            campaign_key(at.connection, name)
            kept = lease_row(at.connection, CAMPAIGN, codec.text(name))
            return leases.lease_of(name, kept) if kept is not None and leases.in_force(kept, at.terms) else None

        return self._in.read(work)

    def release(self, lease: Lease) -> None:
        """Give control up."""

        def work(at: Transaction) -> None:
            campaign = campaign_row(at.connection, lease.campaign, lock=True)
            before = lease_row(at.connection, CAMPAIGN, campaign["name"])
            if before is not None and leases.holds(before, lease.token):
                _hand_over(at, campaign, before, {**before, "held": False})

        self._in.write(work)

    def hold(
        self, kind: str, name: str, owner: Owner, ttl: float = 30.0, *, data: Mapping[str, Any] = MappingProxyType({})
    ) -> Hold:
        """Take something that several want for ``ttl`` seconds."""
        thing = leases.thing(kind, name)

        def work(at: Transaction) -> Hold:
            before = lease_row(at.connection, *thing, lock=True)
            after = leases.acquired(before, *thing, owner, ttl, at.terms, data)
            put_lease(at.connection, *thing, before, after)
            at.proof = leased(*thing, after)
            return leases.hold_of(*thing, after)

        return self._in.write(work)

    def keep(self, hold: Hold, ttl: float = 30.0) -> Hold:
        """Keep it for ``ttl`` seconds from now."""
        thing = leases.thing(hold.kind, hold.name)

        def work(at: Transaction) -> Hold:
            before = lease_row(at.connection, *thing, lock=True)
            after = leases.renewed(before, *thing, hold.token, ttl, at.terms.clock)
            put_lease(at.connection, *thing, before, after)
            return leases.hold_of(*thing, after)

        return self._in.write(work)

    def check(self, hold: Hold) -> None:
        """Refuse whoever does not hold it any more."""
        thing = leases.thing(hold.kind, hold.name)
        self._in.read(lambda at: leases.check_token(lease_row(at.connection, *thing), *thing, hold.token))

    def drop(self, hold: Hold) -> None:
        """Give it back."""
        thing = leases.thing(hold.kind, hold.name)

        def work(at: Transaction) -> None:
            before = lease_row(at.connection, *thing, lock=True)
            if before is not None and leases.holds(before, hold.token):
                put_lease(at.connection, *thing, before, {**before, "held": False})

        self._in.write(work)

    def held(self, kind: str | None = None) -> list[Hold]:
        """What is held now."""

        def work(at: Transaction) -> list[Kept]:
            rows = all_rows(at.connection, sql.HELD, {})
            return [row for row in rows if kind in (None, row["kind"]) and leases.in_force(row, at.terms)]

        # sorted here: databases have orders of their own for text
        rows = sorted(self._in.read(work), key=lambda row: (row["kind"], row["name"]))
        return [leases.hold_of(row["kind"], row["name"], row) for row in rows]

    def _look(self, name: str, ask: Callable[[Connection, int], T]) -> T:
        return self._in.read(lambda at: ask(at.connection, campaign_key(at.connection, name)))

    def close(self) -> None:
        """Close all connections; the last process to do so with a file leaves one complete file."""
        self._in.close()


def _hand_over(at: Transaction, campaign: Kept, before: Kept | None, after: Row) -> None:
    """Write a lease that changes hands, and log it."""
    event = leases.event(before, after, campaign["last_event"], at.terms.clock)
    with at.together():
        put_lease(at.connection, CAMPAIGN, campaign["name"], before, after)
        at.connection.execute(sql.ADD_EVENT, event | {"campaign": campaign["key"]})
        at.connection.execute(sql.SET_LAST_EVENT, {"of": campaign["key"], "last_event": event["sequence"]})
    at.proof = logged(campaign["key"], event)
