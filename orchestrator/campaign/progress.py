"""How far a campaign is, in the form that stopping rules judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from acquisition.stopping import Progress
from orchestrator.errors import NothingTold
from orchestrator.store.records import AttemptRecord, ExperimentRecord

if TYPE_CHECKING:
    from acquisition.costs import Costs
    from orchestrator.campaign.campaign import Campaign
    from orchestrator.campaign.ledger import Ledger


def spent(records: Iterable[ExperimentRecord]) -> list[ExperimentRecord]:
    """The experiments that count in a budget: proposed, and not called off."""
    return [r for r in records if r.origin == "asked" and r.state not in ("rejected", "cancelled")]


def progress(campaign: Campaign, ledger: Ledger, hours: float) -> Progress:
    """See :meth:`Campaign.standing`."""
    asked = spent(ledger)
    ended = np.array([r.told for r in asked if r.told is not None], dtype=np.int64)
    learned = np.array([r.told for r in ledger.learned()], dtype=np.int64)

    def models() -> Mapping[str, Any] | None:
        try:
            return campaign.models()
        except NothingTold:
            return None

    return Progress(
        problem=campaign.problem(),
        models=models,
        experiments=len(asked),
        hours=hours,
        cost=sum(r.cost or 0.0 for r in asked),
        next_cost=least(campaign.costs, campaign.conditions_per_sample is not None),
        gains=tuple(r.gain for r in asked),
        ages=(ended[None, :] > learned[:, None]).sum(axis=1),
        told=len(ended),
    )


def least(costs: Costs | None, shared: bool) -> float:
    """What the cheapest experiment costs at least.

    Args:
        costs: of the campaign.
        shared: whether an experiment may do without a new sample.
    """
    if costs is None:
        return 1.0
    from acquisition.costs import LEAST

    whole = costs.experiment + costs.preparation
    alone = 0.0 if costs.slope else costs.experiment if shared else whole
    return max(alone, LEAST * whole)


def hours_of(attempts: Iterable[AttemptRecord], records: Iterable[ExperimentRecord]) -> float:
    """Hours that have passed: by the laboratory's clock; without one, from the first question to the last answer."""
    ends = [a.clock_started + (a.duration or 0.0) for a in attempts if a.state in ("finished", "failed")]
    if ends:
        return max(ends) / 3600.0
    asked = spent(records)
    last = [r.updated for r in asked if r.told is not None]
    return (max(last) - min(r.created for r in asked)).total_seconds() / 3600.0 if last else 0.0
