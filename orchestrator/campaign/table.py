"""Records in the order of a key, and rows of numbers that are worked out once, however often they are wanted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from acquisition.problem import Array
from orchestrator.store.records import ExperimentRecord

Key: TypeAlias = tuple[int, ...]
Encode: TypeAlias = Callable[[Sequence[ExperimentRecord]], Array]


class Ordered:
    """Records by key.

    Attributes:
        keys: in their order.
        records: in the order of their keys.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.records: list[ExperimentRecord] = []

    def put(self, key: Key, record: ExperimentRecord) -> None:
        """Add a record, or put it in the place of the one that has its key."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            self.records[at] = record
        else:
            self.keys.insert(at, key)
            self.records.insert(at, record)
            self._inserted(at)

    def drop(self, key: Key) -> None:
        """Take the record of a key out, if there is one."""
        at = bisect_left(self.keys, key)
        if at < len(self.keys) and self.keys[at] == key:
            del self.keys[at], self.records[at]
            self._removed(at)

    def keep(self, key: Key, record: ExperimentRecord, belongs: bool) -> None:
        """Put a record in, or take it out where it does not belong here."""
        if belongs:
            self.put(key, record)
        else:
            self.drop(key)

    def _inserted(self, at: int) -> None:
        """A record is new."""

    def _removed(self, at: int) -> None:
        """A record is gone."""


class Table(Ordered):
    """Records by key with a row of numbers each.

    Args:
        columns: numbers a row.
        encode: gives the rows of records, (n, columns).
    """

    def __init__(self, columns: int, encode: Encode) -> None:
        super().__init__()
        self._encode = encode
        self._rows = np.empty((16, columns))
        self._stale: set[Key] = set()

    def put(self, key: Key, record: ExperimentRecord) -> None:
        """See :meth:`Ordered.put`; its row is worked out when it is wanted."""
        super().put(key, record)
        self._stale.add(key)

    def drop(self, key: Key) -> None:
        """See :meth:`Ordered.drop`."""
        super().drop(key)
        self._stale.discard(key)

    def rows(self) -> Array:
        """The rows of all records in their order, (n, columns); they belong to the caller."""
        if self._stale:
            places = [bisect_left(self.keys, key) for key in sorted(self._stale)]
            self._rows[places] = self._encode([self.records[at] for at in places])
            self._stale.clear()
        return self._rows[: len(self.keys)].copy()

    def _inserted(self, at: int) -> None:
        count = len(self.keys)
        if count > len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[at + 1 : count] = self._rows[at : count - 1]

    def _removed(self, at: int) -> None:
        self._rows[at : len(self.keys)] = self._rows[at + 1 : len(self.keys) + 1]
