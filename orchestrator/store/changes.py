"""What can be done to a campaign in a store. Each change, once applied, also is one event of the campaign's log.

The changes of one call of ``apply`` are checked and written in their order, each seeing those before it, all or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from orchestrator.store.records import AskRecord, AttemptRecord, CampaignState, ExperimentRecord, ExperimentState


@dataclass(frozen=True, slots=True)
class PutAsk:
    """Record an ask. Its number must be new, otherwise :class:`~orchestrator.errors.StaleWrite`."""

    record: AskRecord
    why: str = ""


@dataclass(frozen=True, slots=True)
class PutExperiment:
    """Record an experiment as a whole, by compare-and-swap.

    Attributes:
        record: what it is from now on.
        expected: the state that the store must still have it in; ``None``: it must not exist yet.
        why: for the log; by default the reason of a new experiment, or of a failure.
        former: what the store must still have, so that nothing is lost that somebody else wrote into the same state;
            ``None``: the state alone decides.
    """

    record: ExperimentRecord
    expected: ExperimentState | None
    why: str = ""
    former: ExperimentRecord | None = None


@dataclass(frozen=True, slots=True)
class PutAttempt:
    """Record an attempt as a whole, new or changed."""

    record: AttemptRecord
    why: str = ""


@dataclass(frozen=True, slots=True)
class SetCampaignState:
    """Change the campaign's state by compare-and-swap.

    Attributes:
        before: the state, or the states, that the store must still have it in.
        after: the state from now on.
        why: becomes the campaign's reason.
    """

    before: CampaignState | tuple[CampaignState, ...]
    after: CampaignState
    why: str = ""


@dataclass(frozen=True, slots=True)
class Amend:
    """Give the campaign another definition, by compare-and-swap. Its version is one more from then on.

    Attributes:
        definition: the whole of it from now on.
        definition_hash: what it is compared by.
        expected_hash: that of the definition that the store must still have.
        why: for the log, which also keeps the former content of every block that changes.
        blobs: the contents that the definition refers to, by their SHA-256 in hexadecimal, as for a new campaign.
    """

    definition: dict[str, Any]
    definition_hash: str
    expected_hash: str
    why: str = ""
    blobs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """An event that changes nothing: a comment, a decision, something seen."""

    kind: str
    why: str
    experiment: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


Change: TypeAlias = PutAsk | PutExperiment | PutAttempt | SetCampaignState | Amend | Note
