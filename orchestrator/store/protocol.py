"""What every store can do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from orchestrator.store.changes import Change
from orchestrator.store.glance import ExperimentRow, FigureRow, Kind
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


@runtime_checkable
class Store(Protocol):
    """Keeps campaigns: the truth about everything that was asked, done and measured.

    All methods may be called by several threads, and several processes may use one store at once. What a method
    returns belongs to the caller. Methods that take a campaign's name raise
    :class:`~orchestrator.errors.UnknownCampaign`, naming the nearest one. Every method raises a
    :class:`~orchestrator.errors.StoreError` if the store itself fails; a write then has changed nothing (in one case
    that is not known, and the error says so: a database behind a network is lost in a commit, and stays away).
    """

    url: str
    """Where it is; opens it again with :func:`orchestrator.store.open_store` (unless it is in memory)."""

    def create(self, record: CampaignRecord, blobs: Mapping[str, bytes] = {}, *, who: str = "sabatier") -> None:
        """Add a campaign, and the contents that its definition refers to by their SHA-256 in hexadecimal.

        Raises:
            CampaignExists: there is one of this name.
            UnstorableValue: a content does not have the hash that it is given under, or the definition is not JSON.
        """

    def campaigns(self) -> list[CampaignRecord]:
        """All campaigns, in the order of their creation."""

    def campaign(self, name: str) -> CampaignRecord:
        """One campaign."""

    def blob(self, digest: str) -> bytes:
        """A content by its SHA-256 in hexadecimal, which is verified.

        Raises:
            UnknownRecord: there is none.
            StoreDamaged: the content no longer has this hash.
        """

    def asks(self, name: str) -> list[AskRecord]:
        """All asks by number."""

    def experiments(
        self,
        name: str,
        *,
        ids: Collection[int] | None = None,
        states: Collection[ExperimentState] | None = None,
    ) -> list[ExperimentRecord]:
        """Experiments by id: all, or those with one of these ids and in one of these states."""

    def experiment(self, name: str, id: int) -> ExperimentRecord:
        """One experiment.

        Raises:
            UnknownRecord: there is none of this id.
        """

    def figures(self, name: str, metrics: Collection[str]) -> list[FigureRow]:
        """The figures of some metrics, in their order, and of each by experiment; without those not measured yet."""

    def values(
        self, name: str, metrics: Collection[str], states: Collection[ExperimentState]
    ) -> dict[str, dict[int, float]]:
        """By metric and experiment what was measured in experiments of these states whose verdict is not invalid."""

    def experiment_rows(self, name: str) -> list[ExperimentRow]:
        """All experiments in short, by id."""

    def attempts(
        self,
        name: str,
        experiment: int | None = None,
        *,
        states: Collection[AttemptState] | None = None,
        newest: int | None = None,
    ) -> list[AttemptRecord]:
        """Attempts by experiment and number: all, or those of one experiment and in one of these states.

        Args:
            name: of the campaign.
            experiment: only its attempts.
            states: only attempts in one of these.
            newest: at most so many, those of the newest experiments.
        """

    def clock(self, name: str) -> float | None:
        """By the laboratory's clock, in s, when the last attempt ended; ``None`` where none has."""

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
        """The log behind an event's sequence number, oldest first, at most ``limit`` of it.

        Args:
            name: of the campaign.
            after: number of the last event that the caller knows.
            limit: how many events at most.
            kinds: only events of one of these kinds.
            experiment: only events that concern this experiment.
            newest: the last ``limit`` of these events instead of the first.
        """

    def last_event(self, name: str) -> int:
        """Sequence number of the campaign's last event: whoever waits for something to happen looks at it again."""

    def tally(self, name: str) -> dict[Kind, int]:
        """How many experiments are alike in what budgets and verdicts are counted by."""

    def counts(self, name: str) -> dict[ExperimentState, int]:
        """How many experiments are in each state; every state is a key."""

    def apply(self, name: str, changes: Sequence[Change], *, who: str, token: int | None = None) -> int:
        """Do all changes in one transaction, or none.

        Args:
            name: of the campaign.
            changes: in their order. None at all is allowed: then only the token is checked.
            who: the person or part of the program that does it.
            token: of the caller's lease.

        Returns:
            The sequence number of the last event, which is 0 where no changes were given.

        Raises:
            LeaseLost: the token is not that of the campaign's present lease.
            StaleWrite: something is not in the state that a change expects.
            IllegalTransition: the lifecycle has no such change of state.
            UnknownRecord: a change refers to an ask or experiment that does not exist.
            UnstorableValue: a record holds what cannot be kept.
        """

    def acquire(self, name: str, owner: Owner, ttl: float = 30.0) -> Lease:
        """Take control of a campaign for ``ttl`` seconds.

        A holder that has died on this host is superseded at once, any other when its lease has expired.

        Raises:
            LeaseHeld: another holds it; says who.
        """

    def renew(self, lease: Lease, ttl: float = 30.0) -> Lease:
        """Keep control for ``ttl`` seconds from now.

        Raises:
            LeaseLost: it was released, or another took over.
        """

    def holder(self, name: str) -> Lease | None:
        """Who controls a campaign now; ``None`` where nobody does, or the last one has died or run out of time."""

    def release(self, lease: Lease) -> None:
        """Give control up. Does nothing if it was lost already."""

    def hold(
        self, kind: str, name: str, owner: Owner, ttl: float = 30.0, *, data: Mapping[str, Any] = MappingProxyType({})
    ) -> Hold:
        """Take something that several want, as a device or a rig's turn, for ``ttl`` seconds.

        The rules are those of :meth:`acquire`, also within one process. No campaign's log mentions it.

        Args:
            kind: of what is held; not ``campaign``.
            name: of it, unique within its kind. Nothing of this name need exist in the store.
            owner: the process that takes it.
            ttl: for how long, in s.
            data: JSON values for others to read.

        Raises:
            LeaseHeld: another has it; says who, and what it noted.
            UnstorableValue: the kind or the name is none, or the data are not JSON.
        """

    def keep(self, hold: Hold, ttl: float = 30.0) -> Hold:
        """Keep it for ``ttl`` seconds from now.

        Raises:
            LeaseLost: it was dropped, or another took it.
        """

    def check(self, hold: Hold) -> None:
        """Look whether it is still the caller's: an expired one that nobody took is.

        Raises:
            LeaseLost: it was dropped, or another took it.
        """

    def drop(self, hold: Hold) -> None:
        """Give it back. Does nothing if it was lost already."""

    def held(self, kind: str | None = None) -> list[Hold]:
        """What is held now, or what of one kind, by kind and name; ``campaign`` are those that are controlled."""

    def close(self) -> None:
        """Let go of files and connections. The store cannot be used afterwards."""
