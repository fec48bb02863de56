"""What the store keeps of a campaign that was made in Python, and by what it is recognised there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from orchestrator.errors import CampaignExists
from orchestrator.store.records import CampaignRecord

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign


def register(campaign: Campaign) -> None:
    """Put a campaign that was made in Python into its store, or recognise it there.

    Raises:
        CampaignExists: one of this name differs in space, objectives, constraints or seed.
    """
    definition = {
        "made_in": "python",
        "name": campaign.name,
        "seed": int(campaign.seed),
        "space": {"columns": list(campaign.space.columns), "size": campaign.space.size},
        "objectives": [asdict(objective) for objective in campaign.objectives],
        "outcome_constraints": [asdict(constraint) for constraint in campaign.outcome_constraints],
    }
    more = {
        "costs": None if campaign.costs is None else asdict(campaign.costs),
        "fixed_within_batch": list(campaign.fixed),
        "conditions_per_sample": campaign.conditions_per_sample,
    }
    definition |= {key: value for key, value in more.items() if value}
    definition = json.loads(json.dumps(definition))
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    known = {record.name: record for record in campaign.store.campaigns()}.get(campaign.name)
    if known is None:
        record = CampaignRecord(
            name=campaign.name, definition=definition, definition_hash=digest, seed=int(campaign.seed)
        )
        campaign.store.create(record)
    elif known.definition_hash != digest:
        raise CampaignExists(
            f"campaign {campaign.name!r} exists in {campaign.store.url} with another space, objective or seed.",
            field="name",
            mend="Give this one another name.",
        )
