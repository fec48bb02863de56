"""What the cells and the samples of a campaign have been through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.store.records import AttemptRecord

if TYPE_CHECKING:
    from acquisition.problem import Array
    from orchestrator.campaign.ledger import Ledger


class History:
    """The attempts of a campaign, by cell and by sample.

    Args:
        attempts: so far.
    """

    def __init__(self, attempts: Iterable[AttemptRecord] = ()) -> None:
        self._last: dict[str, AttemptRecord] = {}  # by cell
        self._attempts: dict[tuple[int, int], AttemptRecord] = {}
        self._made: dict[str, set[tuple[int, int]]] = {}  # by sample, the attempts on it
        for attempt in attempts:
            self.put(attempt)

    def put(self, attempt: AttemptRecord) -> None:
        """Take an attempt into account, or what has become of it."""
        last = self._last.get(attempt.cell)
        if last is None or _order(attempt) >= _order(last):
            self._last[attempt.cell] = attempt
        key = (attempt.experiment, attempt.number)
        former = self._attempts.get(key)
        if former is not None and former.sample is not None and former.sample != attempt.sample:
            self._made[former.sample].discard(key)  # it turned out to be another
        if attempt.sample is not None:
            self._made.setdefault(attempt.sample, set()).add(key)
        self._attempts[key] = attempt

    def experiments(self) -> dict[str, int]:
        """By cell, the experiment that began there last."""
        return {cell: self._last[cell].experiment for cell in sorted(self._last)}

    def current(self, ledger: Ledger) -> Array | None:
        """Settings that are in place, one row a cell; without cells those of the last experiment that was told."""
        records = [ledger.get(id) for id in self.experiments().values()] or ledger.told()[-1:]
        known = [replace(r, measured={}) for r in records if r is not None]
        return ledger.array(known) if known else None

    @property
    def samples(self) -> set[str]:
        """The samples on which an experiment was begun."""
        return {name for name, attempts in self._made.items() if attempts}


def _order(attempt: AttemptRecord) -> tuple[float, int, int]:
    return attempt.clock_started, attempt.experiment, attempt.number
