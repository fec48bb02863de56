"""Transactions of a database behind a network: tried again where others were in the way, or the server was away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from orchestrator.errors import StoreError, StoreUnreachable
from orchestrator.store import statements as sql
from orchestrator.store.faults import translated
from orchestrator.store.leases import Clock, Terms
from orchestrator.store.transactions import Proof, Transaction, check_open

T = TypeVar("T")

PATIENCE: Final = 10.0
"""For so many seconds work is tried again."""

_IN_THE_WAY: Final = frozenset({"40001", "40P01", "23505"})
"""Serialisation failure, deadlock, and two who add the same row: the second finds it there when it looks again."""

_AWAY: Final = ("08", "57P", "25P03")
"""The connection broke, the server stops or starts, or it ended a transaction that stood still."""


@dataclass(slots=True)
class DatabaseClock:
    """The database's wall clock, which all computers share; the monotonic clock is this computer's.

    Attributes:
        connection: to the database.
        stands: whether it is looked at only once, which is enough for whoever only reads.
    """

    connection: Connection
    stands: bool = False
    _told: datetime | None = None

    def now(self) -> datetime:
        """Wall time in UTC, now rather than at the beginning of the transaction, which may have waited for others."""
        if self._told is None or not self.stands:
            told: datetime = self.connection.execute(sql.NOW).scalar_one()
            self._told = told.astimezone(UTC)
        return self._told

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


@dataclass(slots=True)
class _Trial:
    """How often and for how long something was tried."""

    patience: float
    began: float = field(default_factory=time.monotonic)
    count: int = 0

    def goes_on(self, error: DBAPIError) -> bool:
        """Whether to try again after this error; waits a little where the server was away."""
        self.count += 1
        if not (is_away(error) or sqlstate(error) in _IN_THE_WAY):
            return False
        # somebody who was stopped for long still tries once more
        if time.monotonic() - self.began > self.patience and self.count > 1:
            return False
        if self.count > 1:
            time.sleep(random.uniform(0.5, 1.0) * min(0.5, 0.01 * 2.0**self.count))  # noqa: S311 - no secret
        return True


class RepeatingTransactions:
    """Those of PostgreSQL. Writers lock the rows that they change, so that threads and computers may write at once.

    An answer to COMMIT that was lost on the way says nothing about what the database did. Then the work's proof is
    looked for before the work is done again; by then whoever has the rows locked, perhaps this process's own lost
    connection, has ended.

    Args:
        engine: of the database.
        where: how messages call the store.
        clock: what times are taken from; by default the database's.
        patience: for how many seconds work is tried again.
    """

    def __init__(self, engine: Engine, where: str, clock: Clock | None = None, patience: float = PATIENCE) -> None:
        self.engine = engine
        # one statement is one look: without a transaction around it there are two journeys less
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._where = where
        self._clock = clock
        self._patience = patience
        self._closed = False

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run work that writes nothing."""
        trial = _Trial(self._patience)
        with translated(self._where):
            while True:
                check_open(self._closed, self._where)
                try:
                    with self._reading.connect() as connection:
                        return work(self._transaction(connection, reads=True))
                except DBAPIError as error:
                    if not trial.goes_on(error):
                        raise

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run work, and commit it, once in effect."""
        trial = _Trial(self._patience)
        doubt: tuple[Proof, T] | None = None
        with translated(self._where):
            while True:
                check_open(self._closed, self._where)
                committing: tuple[Proof | None, T] | None = None
                try:
                    with self.engine.begin() as connection:
                        if doubt is not None and doubt[0].holds(connection):
                            return doubt[1]
                        at = self._transaction(connection)
                        result = work(at)
                        committing = at.proof, result
                except DBAPIError as error:
                    if committing is not None and committing[0] is not None and is_away(error):
                        doubt, trial = (committing[0], committing[1]), _Trial(self._patience)
                    if not trial.goes_on(error):
                        raise self._lost() if doubt is not None else error from error
                except StoreError:
                    # perhaps refused because of what this very work has done, a moment after the look for it
                    if doubt is not None and self._found(doubt[0]):
                        return doubt[1]
                    raise
                else:
                    return result

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        with translated(self._where):
            self.engine.dispose()

    def _transaction(self, connection: Connection, *, reads: bool = False) -> Transaction:
        terms = Terms(self._clock or DatabaseClock(connection, stands=reads), shared=True)
        return Transaction(connection, terms, together=partial(_together, connection))

    def _found(self, proof: Proof) -> bool:
        return self.read(lambda at: proof.holds(at.connection))

    def _lost(self) -> StoreUnreachable:
        return StoreUnreachable(
            f"the store {self._where} was lost while it committed, and does not come back: the last write may or may "
            "not be there.",
            field="store",
            mend="Resume when the server runs; the store is read again then.",
        )


@contextmanager
def _together(connection: Connection) -> Iterator[None]:
    """Send statements without waiting for the answer to each: one journey for all."""
    import psycopg

    driver: Any = connection.connection.driver_connection
    first: Exception | None = None
    try:
        with driver.pipeline():
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised below, when the answers to all statements are in
                first = error
    except psycopg.Error as error:
        if first is None:
            # the answer came when no statement was being executed: SQLAlchemy has not seen it
            if driver.closed:
                connection.invalidate(error)
            first = DBAPIError.instance(
                None, None, error, psycopg.Error, connection_invalidated=driver.closed, dialect=connection.dialect
            )
    if first is not None:
        raise first


def sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's code of an error; ``None`` where the server did not say one."""
    state: Any = getattr(error.orig, "sqlstate", None)
    return None if state is None else str(state)


def is_away(error: DBAPIError) -> bool:
    """Whether the server cannot be reached for the moment, or the connection to it was lost."""
    state = sqlstate(error)
    if state is not None:
        return state.startswith(_AWAY)
    return error.connection_invalidated or isinstance(error, OperationalError)
