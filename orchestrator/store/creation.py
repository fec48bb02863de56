"""What goes into a store with a new campaign, checked, and the refusals that all stores share."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping

from orchestrator.errors import CampaignExists, StoreDamaged, UnknownCampaign, UnknownRecord, UnstorableValue
from orchestrator.store import codec
from orchestrator.store.codec import Row
from orchestrator.store.leases import Clock
from orchestrator.store.records import CampaignRecord, EventRecord
from orchestrator.store.states import check_campaign


def campaign_rows(record: CampaignRecord, who: str, clock: Clock) -> tuple[Row, Row]:
    """Rows of a new campaign and of its first event.

    Raises:
        IllegalTransition: no campaign begins in this state.
        UnstorableValue: it has no name, or its definition is not JSON.
    """
    if not record.name:
        raise UnstorableValue("a campaign needs a name.", field="name")
    check_campaign(record.name, None, record.state)
    event = EventRecord(sequence=1, time=clock.now(), who=who, kind="campaign", after=record.state, why=record.reason)
    return codec.campaign_row(record), codec.event_row(event)


def check_blobs(blobs: Mapping[str, bytes]) -> None:
    """Refuse contents under wrong names.

    Raises:
        UnstorableValue: a content does not have the hash that it is given under.
    """
    for digest, content in blobs.items():
        if hashlib.sha256(content).hexdigest() != digest:
            raise UnstorableValue(
                f"a content of {len(content)} bytes does not have the SHA-256 {digest}.", field="blobs"
            )


def verified_blob(digest: str, content: bytes | None) -> bytes:
    """A content as it was read, if it is what was written.

    Raises:
        UnknownRecord: there is none.
        StoreDamaged: it has another hash now.
    """
    if content is None:
        raise UnknownRecord(f"the store has no content with the SHA-256 {digest}.", field="digest")
    if hashlib.sha256(content).hexdigest() != digest:
        raise StoreDamaged(
            f"the content with the SHA-256 {digest} has changed in the store.",
            field="digest",
            mend="Restore the store from a backup.",
        )
    return content


def campaign_exists(name: str) -> CampaignExists:
    """The error for a name that is taken."""
    return CampaignExists(
        f"the store has a campaign {name!r} already.", field="name", mend="Resume it, or choose another name."
    )


def unknown_campaign(name: str, known: Iterable[str]) -> UnknownCampaign:
    """The error for a name that is not in the store."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        mend = f"Did you mean {near[0]!r}?"
    elif names:
        mend = f"It has {', '.join(map(repr, names[:5]))}{' and others' if len(names) > 5 else ''}."
    else:
        mend = "It has none at all."
    return UnknownCampaign(f"the store has no campaign {name!r}.", field="name", mend=mend)


def unknown_experiment(name: str, id: int) -> UnknownRecord:
    """The error for an id that the campaign has not given."""
    return UnknownRecord(f"campaign {name!r} has no experiment {id}.", field="experiment")
