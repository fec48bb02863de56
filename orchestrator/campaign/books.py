"""What the store holds of a campaign, in memory, and kept up with what other processes write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from orchestrator.campaign.history import History
from orchestrator.campaign.ledger import Ledger
from orchestrator.campaign.words import AMENDMENT, SAMPLE
from orchestrator.store.changes import Change, Note, PutAttempt, PutExperiment
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord, EventRecord, ExperimentRecord

Follow: TypeAlias = Callable[[CampaignRecord], None]


class Books:
    """A campaign's experiments, asks and samples, and the version of its definition.

    Args:
        store: where the campaign is kept.
        name: of the campaign.
        ledger: makes a ledger of experiments, as the definition now says.
        follow: takes over another definition, before experiments are read by it.

    Attributes:
        ledger: the experiments.
        history: what cells and samples have been through.
        asks: how many there were.
        state: what the strategy wants to start from next time.
        fitted: the models of all this, once somebody wanted them; ``None`` again with every change.
        version: of the definition.
        seen: sequence number of the last event that was taken over.
    """

    ledger: Ledger
    history: History
    asks: int
    state: Mapping[str, Any]
    fitted: Mapping[str, Any] | None

    def __init__(
        self, store: Store, name: str, ledger: Callable[[Iterable[ExperimentRecord]], Ledger], follow: Follow
    ) -> None:
        self._store, self._name, self._ledger_of, self._follow = store, name, ledger, follow
        self._news: list[EventRecord] = []
        self.version, self.seen = store.campaign(name).version, 0
        self.load(listening=False)

    def load(self, *, listening: bool) -> None:
        """Read everything anew.

        Args:
            listening: whether a loop runs, which must not miss what this passes over.
        """
        store, name = self._store, self._name
        last = store.last_event(name)
        if listening and self.seen:
            self._news += [event for event in store.events(name, after=self.seen) if event.sequence <= last]
        self.seen = last
        self._take_over_definition()
        self.ledger = self._ledger_of(store.experiments(name))
        self.history = History.of(store, name)
        self._read_asks()
        self.fitted = None

    def catch_up(self, *, listening: bool) -> None:
        """Take over what changed since this was last done, so that late results told by another process count too.

        Args:
            listening: whether a loop runs: it wants to know what changed, and attempts are its own.
        """
        if self._store.last_event(self._name) == self.seen:
            return
        events = self._store.events(self._name, after=self.seen)
        if listening:
            self._news += events
        changed = sorted({event.experiment for event in events if event.kind == "experiment" and event.experiment})
        records = self._store.experiments(self._name, ids=changed) if changed else []
        if any(event.kind == AMENDMENT for event in events) and self._take_over_definition():
            self.recast(records)
            self._read_asks()
        self.ledger.put(records)
        if not listening and any(event.kind == "attempt" for event in events):
            self.history = History.of(self._store, self._name)
        for event in events:
            if event.kind == SAMPLE:
                self.history.hear(event.data, event.why, event.time)
        self.seen = events[-1].sequence
        if changed:
            self.fitted = None

    def news(self) -> list[EventRecord]:
        """The events that were taken over since this was last asked, oldest first."""
        news, self._news = self._news, []
        return news

    def apply(self, changes: Sequence[Change], *, who: str, token: int | None) -> None:
        """Write changes, and take them over."""
        last, written = self._store.apply(self._name, changes, who=who, token=token), len(changes)
        if last == self.seen + written:  # else others have written too, which is read when it is wanted
            self.seen = last
        self.ledger.put(change.record for change in changes if isinstance(change, PutExperiment))
        for change in changes:
            if isinstance(change, PutAttempt):
                self.history.put(change.record)
            elif isinstance(change, Note) and change.kind == SAMPLE:
                self.history.hear(change.data, change.why, datetime.now(UTC))
        self.fitted = None

    def recast(self, records: Iterable[ExperimentRecord] = ()) -> None:
        """The same experiments, and some newer ones, in a ledger as the definition now says."""
        known = {record.id: record for record in self.ledger} | {record.id: record for record in records}
        self.ledger = self._ledger_of(known.values())
        self.fitted = None

    def _take_over_definition(self) -> bool:
        """Whether the definition is another than before."""
        record = self._store.campaign(self._name)
        if record.version == self.version:
            return False
        self._follow(record)
        self.version = record.version
        return True

    def _read_asks(self) -> None:
        asks = self._store.asks(self._name)
        self.asks = len(asks)
        self.state = asks[-1].state if asks else {}
