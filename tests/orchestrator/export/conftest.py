"""Campaigns in all conditions that a report may meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from acquisition.objectives import Objective, OutcomeConstraint
from acquisition.parameters import Categorical, Composition, Continuous
from acquisition.space import SearchSpace
from orchestrator.campaign import Campaign
from orchestrator.store.records import CampaignRecord

Recorder = Callable[..., CampaignRecord]


def alloy_space() -> SearchSpace:
    return SearchSpace(
        [
            Composition("x", ["Cu", "Ag", "Zn", "Al"], max_components=3, stage="preparation"),
            Continuous("potential", -1.5, -0.5, unit="V vs RHE"),
            Categorical("cation", ["Li", "Na", "K"]),
            Continuous("salt", 0.01, 1.0, unit="mol L-1", log=True),
        ]
    )


@pytest.fixture
def plain() -> Campaign:
    """Two parameters, a free metric, nothing asked yet."""
    space = SearchSpace([Continuous("a", 0, 1), Categorical("b", ["p", "q"])])
    return Campaign(space, [Objective("y")], strategy="space_filling", name="plain")


@pytest.fixture(scope="session")
def alloys() -> Campaign:
    """Experiments of every kind: predicted, failed, suspect, invalid, infeasible, pending. Only to be read."""
    campaign = Campaign(
        alloy_space(),
        [Objective("fe_c2h4", "maximize")],
        outcome_constraints=[OutcomeConstraint("fe_h2", upper=0.3)],
        strategy="auto",
        initial=4,
        name="alloys",
    )
    rng = np.random.default_rng(0)
    for _ in range(6):
        batch = campaign.ask(2)
        results = batch.assign(
            fe_c2h4=rng.uniform(0.1, 0.6, 2), fe_c2h4_sem=0.02, fe_h2=[0.1, 0.25], sample=[f"s{i}" for i in batch.index]
        )
        results["verdict"], results["status"], results["failure_cause"] = "valid", "completed", None
        if 3 in batch.index:
            results.loc[3, ["status", "failure_cause"]] = ["failed", "material"]
            results.loc[3, ["fe_c2h4", "fe_c2h4_sem", "fe_h2"]] = np.nan
            results.loc[4, "verdict"] = "suspect"
        if 5 in batch.index:
            results.loc[5, "verdict"] = "invalid"
            results.loc[6, "fe_h2"] = 0.9
        campaign.tell(results)
    campaign.ask(1)
    return campaign


@pytest.fixture
def record_of() -> Recorder:
    """A campaign's record from its store, with some fields replaced."""

    def record(campaign: Campaign, **fields: Any) -> CampaignRecord:
        started = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        return replace(campaign.store.campaign(campaign.name), **{"started": started, **fields})

    return record
