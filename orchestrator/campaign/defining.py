"""From a definition to what a campaign is made of, and from a store to a definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.changes import ANOTHER
from orchestrator.errors import CampaignError

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign
    from orchestrator.config.definition import Definition
    from orchestrator.store.protocol import Store
    from orchestrator.store.records import CampaignRecord


def definition_of(store: Store, name: str) -> Definition:
    """The definition of a stored campaign.

    Raises:
        UnknownCampaign: there is none of this name.
        CampaignError: it was made in Python, so that the store holds no laboratory of it.
    """
    return stored(store.campaign(name), store)


def stored(record: CampaignRecord, store: Store) -> Definition:
    """The definition that a store's record of a campaign holds; raises as :func:`definition_of`."""
    from orchestrator.config.definition import Definition

    if record.definition.get("made_in") == "python":
        raise CampaignError(
            f"campaign {record.name!r} was made in Python, so that only Python can rebuild it.",
            field="name",
            mend="Open it there: Campaign(..., name=..., store=...).",
        )
    return Definition.from_resolved(record.definition, store.blob)


def arguments(definition: Definition) -> dict[str, Any]:
    """What a definition says of a campaign, as arguments of :class:`Campaign` by name; not its name and seed."""
    from acquisition.strategies.registry import make_strategy

    file, block = definition.file, definition.file.strategy
    return {
        "space": definition.space,
        "objectives": file.objectives,
        "outcome_constraints": file.outcome_constraints,
        "strategy": make_strategy(block.name, block.options),
        "initial": block.initial,
        "replicates": block.replicates,
        "costs": file.costs,
        "fixed_within_batch": block.fixed_within_batch,
        "conditions_per_sample": block.conditions_per_sample,
        "sample_limits": file.samples,
        "metrics": (*file.metrics, *definition.build_lab().metrics),
    }


def amended(campaign: Campaign, definition: Definition) -> dict[str, Any]:
    """The arguments of an amended definition.

    Raises:
        CampaignError: what is known of the campaign does not fit it: columns or objectives are others.
    """
    if definition.space.columns != campaign.space.columns:
        raise CampaignError("an amendment has the same columns.", field="space", mend=ANOTHER)
    if definition.file.objectives != campaign.objectives:
        raise CampaignError("an amendment has the same objectives.", field="objectives", mend=ANOTHER)
    return arguments(definition)
