"""Puts a campaign and its laboratory together from a definition, or from what the store holds of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from instruments.lab import Lab
from orchestrator.campaign import Campaign
from orchestrator.campaign.defining import arguments, stored
from orchestrator.campaign.linking import link, prior_of
from orchestrator.campaign.places import files_of, spool_of
from orchestrator.config.changes import differences
from orchestrator.config.definition import Definition
from orchestrator.errors import CampaignExists
from orchestrator.loop.engine import Engine
from orchestrator.loop.keeping import Files
from orchestrator.loop.listener import Listener
from orchestrator.loop.loop import Loop
from orchestrator.loop.terms import Terms
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A campaign with all that it takes to run it."""

    campaign: Campaign
    lab: Lab
    definition: Definition


def register(store: Store, definition: Definition) -> bool:
    """Put a definition into the store, unless the very same is there already.

    Returns:
        Whether it is new.

    Raises:
        InputError: it is to go on from a campaign whose results cannot be taken over.
        CampaignExists: a campaign of this name has another definition.
    """
    file = definition.file
    if file.name not in {record.name for record in store.campaigns()}:
        record = CampaignRecord(
            name=file.name, definition=definition.resolved(), definition_hash=definition.hash, seed=file.seed
        )
        prior_of(store, definition)  # what cannot be taken over is refused before anything is written
        try:
            store.create(record, definition.blobs())
        except CampaignExists:  # another process was faster by a moment
            logger.info("campaign %s was registered by another process at the same time", file.name)
        else:
            link(store, file.name, definition)
            return True
    kept = store.campaign(file.name)
    if definition.hash == kept.definition_hash:
        return False
    # rebuilt, since this release may write out more defaults than the one that stored it
    there = Definition.from_resolved(kept.definition, store.blob)
    if definition.hash != there.hash:
        changes = differences(there.resolved(), definition.resolved())
        more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
        raise CampaignExists(
            f"campaign {file.name!r} exists in {store.url} with another definition ({changes[0]}{more}).",
            field="name",
            mend=f"Continue it as it is with `sabatier resume {file.name}`, give it this definition with "
            f"`sabatier amend {file.name} FILE`, or rename this one.",
        )
    return False


def assemble(store: Store, name: str, definition: Definition | None = None) -> Assembly:
    """Build campaign and laboratory of a stored campaign.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: it was made in Python.
    """
    record = store.campaign(name)
    if definition is None:
        definition = stored(record, store)
    campaign = Campaign(
        **arguments(definition), seed=definition.file.seed, name=name, store=store, definition=record.definition
    )
    if campaign.version != record.version:  # amended in this moment
        return assemble(store, name)
    return Assembly(campaign, definition.build_lab(), definition)


def loop_of(
    parts: Assembly,
    store: Store,
    *,
    engine: Engine,
    files: str | None = None,
    cancelled: Event | None = None,
    listeners: Sequence[Listener] = (),
) -> Loop:
    """The loop that runs a campaign as its definition says.

    Args:
        parts: campaign and laboratory.
        store: where the campaign is kept.
        engine: runs the pieces.
        files: address of raw signals; see :func:`kept_by`.
        cancelled: ends the loop in good order.
        listeners: are told what happens.
    """
    terms = Terms.of(parts.definition.file)
    return Loop(
        parts.campaign,
        parts.lab,
        stop=terms.rule,
        confirm=terms.confirm,
        batch=terms.batch,
        approval=terms.approval,
        breakers=terms.breakers,
        turns=terms.turns,
        engine=engine,
        files=kept_by(store, parts.lab, files),
        cancelled=cancelled,
        listeners=listeners,
    )


def open_for(url: str | None, lab: Lab, *, create: bool = True) -> Store:
    """Open a store as durable as its laboratory needs: every write to disk where matter is touched."""
    return open_store(url, durable=not lab.repeat_is_safe, create=create)


def kept_by(store: Store, lab: Lab, address: str | None = None) -> Files:
    """Where raw signals are kept: a path or URL, by default ``SABATIER_FILES``, else a folder beside the store.

    Raises:
        InputError: the address cannot be used.
    """
    folder = files_of(store)
    chosen = address or os.environ.get("SABATIER_FILES") or folder
    return Files.of(chosen, spool_of(store), durable=not lab.repeat_is_safe)
