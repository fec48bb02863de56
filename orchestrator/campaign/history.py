"""What the cells and the samples of a campaign have been through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.campaign import words
from orchestrator.store.records import AttemptRecord, EventRecord

if TYPE_CHECKING:
    from acquisition.problem import Array
    from orchestrator.campaign.ledger import Ledger
    from orchestrator.store.protocol import Store


class History:
    """The attempts of a campaign, by cell and by sample, and what was said of samples.

    Args:
        attempts: so far.
        said: the events of kind :data:`~orchestrator.campaign.words.SAMPLE`, oldest first.

    Attributes:
        out: samples that are not to be used again, each with the reason.
    """

    def __init__(self, attempts: Iterable[AttemptRecord] = (), said: Iterable[EventRecord] = ()) -> None:
        self.out: dict[str, str] = {}
        self._returned: dict[str, datetime] = {}
        self._last: dict[str, AttemptRecord] = {}  # by cell
        self._attempts: dict[tuple[int, int], AttemptRecord] = {}
        self._made: dict[str, set[tuple[int, int]]] = {}  # by sample, the attempts on it
        for attempt in attempts:
            self.put(attempt)
        for event in said:
            self.hear(event.data, event.why, event.time)

    @classmethod
    def of(cls, store: Store, name: str) -> History:
        """As a store has it of a campaign."""
        return cls(store.attempts(name), store.events(name, kinds=(words.SAMPLE,)))

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

    def hear(self, data: Mapping[str, Any], why: str, when: datetime) -> None:
        """Heed that a sample is not to be used again, or that a person puts it back.

        Args:
            data: of the note.
            why: of the note.
            when: it was written.
        """
        sample = str(data["sample"])
        if data["usable"]:
            self.out.pop(sample, None)
            self._returned[sample] = when
        else:
            self.out.setdefault(sample, why)
            self._returned.pop(sample, None)

    def put_back(self, sample: str) -> bool:
        """Whether a person has put a sample back, whatever it had been through before."""
        return sample in self._returned

    def life(self, sample: str) -> list[AttemptRecord]:
        """The attempts on a sample in the order of their beginnings, without those that were called off.

        Of a sample that a person has put back, those that began afterwards: its life begins anew.
        """
        since = self._returned.get(sample)
        attempts = (self._attempts[key] for key in self._made.get(sample, ()))
        lived = (a for a in attempts if a.state != "cancelled" and (since is None or a.started > since))
        return sorted(lived, key=_order)

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


def given_up(store: Store, name: str) -> dict[str, str]:
    """The samples of a campaign that are not to be used again, each with the reason."""
    return dict(History((), store.events(name, kinds=(words.SAMPLE,))).out)


def _order(attempt: AttemptRecord) -> tuple[float, int, int]:
    return attempt.clock_started, attempt.experiment, attempt.number
