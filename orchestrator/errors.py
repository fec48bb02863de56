"""The exceptions of this package: one root, every one with the field that is wrong and how to mend it."""

from __future__ import annotations

from typing import Any


class OrchestratorError(Exception):
    """Root of everything that this package raises on purpose.

    Attributes:
        field: dotted name of the offending input, or ``None``.
        mend: one sentence that says how to put it right, or ``None``.
    """

    def __init__(self, message: str, *, field: str | None = None, mend: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.mend = mend

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.mend}" if self.mend else message


class InputError(OrchestratorError, ValueError):
    """A file from the user cannot be used; the message says where, what is wrong and how to mend it.

    Attributes:
        file: name of the file, as the user gave it, or ``None``.
        line: line in that file, from 1, or ``None``.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        mend: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message, field=field, mend=mend)
        self.file = file
        self.line = line


class StoreError(OrchestratorError):
    """Something is wrong with a store, or with what it is asked to keep."""


class CampaignExists(StoreError):
    """A campaign of this name is in the store already."""


class UnknownCampaign(StoreError, LookupError):
    """The store has no campaign of this name."""


class UnknownRecord(StoreError, LookupError):
    """The store has no such experiment, ask or content."""


class UnstorableValue(StoreError, ValueError):
    """A record holds what no store keeps: an infinite number, a time without zone, an object that is not JSON."""


class StaleWrite(StoreError):
    """The store has moved on since what this write is based on was read. Nothing was written."""


class IllegalTransition(StoreError):
    """A change of state that the lifecycle does not know. Nothing was written."""


class LeaseHeld(StoreError):
    """Another process controls the campaign, or holds the device or whatever else is leased.

    Attributes:
        owner: that process (an :class:`orchestrator.store.Owner`).
        data: what it noted with its lease.
    """

    def __init__(
        self,
        message: str,
        *,
        owner: object,
        data: dict[str, Any] | None = None,
        field: str | None = None,
        mend: str | None = None,
    ) -> None:
        super().__init__(message, field=field, mend=mend)
        self.owner = owner
        self.data = data or {}


class LeaseLost(StoreError):
    """This process no longer has the lease: it gave it up, or another took over. Nothing was written."""


class StoreTooNew(StoreError):
    """The store was written by a newer release."""


class StoreLocked(StoreError):
    """Another process kept the store locked for longer than is waited for. Nothing was written."""


class StoreFull(StoreError):
    """No space is left for the store. Nothing was written."""


class StoreDamaged(StoreError):
    """The store's file is no store, or its content is damaged."""


class StoreUnreachable(StoreError):
    """The store does not exist, or may not be opened or written."""


class NetworkFileSystem(StoreError):
    """The store's file would be on a network file system, where several computers would destroy it."""


class RawSignalsError(OrchestratorError):
    """The raw signals of an attempt are missing, incomplete or changed, or their storage is out of reach."""


class CampaignError(OrchestratorError):
    """A campaign is asked for something that it cannot do. Its state is unchanged."""


class NothingTold(CampaignError):
    """A model is wanted, but no value of the metric is known yet."""


class TellError(CampaignError, ValueError):
    """What was told cannot be taken. Nothing of it was, the campaign is unchanged."""


class UnknownExperiment(TellError, LookupError):
    """An id that this campaign never gave, or gives twice in one tell."""


class UnknownColumn(TellError):
    """A column that is no parameter, no metric and none of the optional columns."""


class InvalidValue(TellError):
    """A value that is infinite, of the wrong kind, or missing where it must be."""


class ValueConflict(TellError):
    """A told value would change without ``amend=True``."""


class PendingConflict(TellError):
    """A row without an id equals a pending experiment: most likely its id was lost on the way."""


class NotDelivered(OrchestratorError):
    """A message to a person has not arrived. Its words hold no part of the address.

    Attributes:
        final: whether the service refused it, so that trying again is of no use.
    """

    def __init__(self, message: str, *, final: bool = False, field: str | None = None, mend: str | None = None) -> None:
        super().__init__(message, field=field, mend=mend)
        self.final = final


class OutsideSpaceWarning(UserWarning):
    """An executed experiment lies outside the search space. It is learned from all the same."""


class NoModelWarning(UserWarning):
    """The initial design uses the whole budget up, so that no model will ever propose an experiment."""
