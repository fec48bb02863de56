"""What can be a campaign, and what cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.problem import Problem, Strategy
from acquisition.space import SearchSpace
from orchestrator.config.names import RESERVED
from orchestrator.errors import CampaignError

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign

Replicates: TypeAlias = Literal["none", "auto"] | int
"""Whether a point may be asked again: never, where it seems to pay, or each so many times."""


def check(
    space: SearchSpace,
    strategy: Strategy,
    objectives: Sequence[Objective],
    constraints: Sequence[OutcomeConstraint],
    metrics: Sequence[str],
    initial: int,
) -> None:
    """Check what a campaign is made of.

    Args:
        space: where to look.
        strategy: chooses.
        objectives: what to reach.
        constraints: bounds of outcomes.
        metrics: names beyond those of objectives and constraints.
        initial: experiments before the model takes over.

    Raises:
        CampaignError: it cannot be a campaign.
    """
    if not isinstance(space, SearchSpace):
        raise CampaignError(
            f"{type(space).__name__} is no search space.", field="space", mend="Use SearchSpace([...])."
        )
    if not isinstance(strategy, Strategy) or isinstance(strategy, type):
        raise CampaignError(
            f"{strategy!r} is no strategy.", field="strategy", mend="Give a name, or an object with `propose`."
        )
    _kinds("objectives", objectives, Objective)
    _kinds("outcome_constraints", constraints, OutcomeConstraint)
    if not objectives:
        raise CampaignError("a campaign needs an objective.", field="objectives")
    names = [o.metric for o in objectives]
    if len(set(names)) < len(names):
        raise CampaignError("two objectives have the same metric.", field="objectives")
    _apart(space, objectives, constraints)
    whole("initial", initial, 1)
    names += [c.metric for c in constraints] + list(metrics)
    clash = (set(names) | set(space.columns)) & RESERVED
    if clash:
        raise CampaignError(
            f"{min(clash)!r} means something else in told and shown tables.",
            field="objectives" if min(clash) in names else "space",
            mend="Give the parameter or metric another name.",
        )


def whole(field: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        CampaignError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise CampaignError(f"{field} must be a whole number of at least {least}, not {value!r}.", field=field)


def _kinds(what: str, given: Sequence[object], kind: type) -> None:
    for one in given:
        if not isinstance(one, kind):
            raise CampaignError(f"{one!r} is no {kind.__name__}.", field=what, mend=f"Use {kind.__name__}(...).")


def _apart(space: SearchSpace, objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]) -> None:
    """Refuse metrics that are parameters: a told column would always be the parameter."""
    wanted = [("objectives", o.metric, "an objective") for o in objectives]
    wanted += [("outcome_constraints", c.metric, "an outcome constraint") for c in constraints]
    for field, metric, what in wanted:
        if metric in space.columns:
            raise CampaignError(f"{metric!r} is both a parameter and {what}.", field=field)


def never_modelled(campaign: Campaign, problem: Problem) -> str:
    """Why no model will ever be used, as a sentence; empty where one gets its turn, or where that is not known.

    Args:
        campaign: with a strategy and a budget.
        problem: what is to be asked.
    """
    from acquisition.strategies.model_based import ModelBased

    if problem.remaining is None or not isinstance(campaign.strategy, ModelBased):
        return ""
    most = len(problem.observations) + len(problem.pending) + problem.remaining
    if problem.initial < most:
        return ""
    return (
        f"the initial design takes {problem.initial} experiments, and there will be no more than {most}: no model will "
        "ever be used. Lower `initial`, or raise the budget."
    )


def replicates(wanted: object) -> Replicates:
    """What is wanted of replicates, checked.

    Raises:
        CampaignError: it is neither ``"none"`` nor ``"auto"`` nor a whole number from 1.
    """
    if wanted in ("none", "auto"):
        return "none" if wanted == "none" else "auto"
    if isinstance(wanted, (int, np.integer)) and not isinstance(wanted, bool) and wanted >= 1:
        return int(wanted)
    raise CampaignError(
        f"replicates is {wanted!r}.", field="replicates", mend="Use none, auto, or a whole number from 1."
    )
