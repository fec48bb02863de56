"""The models that a campaign judges by, of the metrics of which something is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.campaign.ledger import Ledger
from orchestrator.errors import NothingTold

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign


def observed(ledger: Ledger) -> list[str]:
    """The metrics that have a value to learn from."""
    return [metric for metric, count in ledger.observed().items() if count]


def unobserved(campaign: Campaign, ledger: Ledger, metric: str) -> NothingTold:
    """What to raise where a model is wanted of a metric that was never observed."""
    results = len(ledger.learned())
    if not results:
        return NothingTold(f"no value of {metric!r} is known yet.", mend="Tell results first.")
    goal = any(objective.metric == metric for objective in campaign.objectives)
    return NothingTold(
        f"{metric!r}, the metric of an {'objective' if goal else 'outcome constraint'}, has not been observed in "
        f"{results} result{'s' if results > 1 else ''}, so that no model of it can be built.",
        field=metric,
        mend="Tell it, or make a campaign without it.",
    )


def fit(campaign: Campaign, metrics: Collection[str]) -> Mapping[str, Any]:
    """Models of some metrics, of the kind that the campaign's strategy uses."""
    from acquisition.beliefs import fit
    from acquisition.strategies.model_based import ModelBased

    problem = replace(
        campaign.problem(),
        objectives=tuple(o for o in campaign.objectives if o.metric in metrics),
        outcome_constraints=tuple(c for c in campaign.outcome_constraints if c.metric in metrics),
    )
    strategy = campaign.strategy
    beliefs = strategy.fit(problem) if isinstance(strategy, ModelBased) else fit(problem)
    return dict(beliefs.models)
