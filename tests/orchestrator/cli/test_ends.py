"""How near its end a campaign is, as `status` tells from the store."""

from __future__ import annotations

import json

import pytest

from acquisition import Continuous, Costs, Objective, OutcomeConstraint, SearchSpace
from orchestrator import Campaign
from orchestrator.cli.ends import words
from orchestrator.cli.looking import _words, summary
from orchestrator.config.stop import StopBlock
from orchestrator.loop.ending import Ending
from orchestrator.store.memory import MemoryStore
from orchestrator.store.records import CampaignRecord

SPACE = SearchSpace([Continuous("a", 0.0, 1.0, stage="preparation"), Continuous("b", 0.0, 1.0)])
STOP = {
    "experiments": 9,
    "cost": 400.0,
    "all": [{"plateau": {"experiments": 3}}, {"target": {"at_least": -9.0}}],
}


class Nobody:
    """A laboratory that is never asked."""

    cells = ("cell-1",)


@pytest.fixture
def campaign() -> Campaign:
    store = MemoryStore()
    definition = {
        "stop": STOP,
        "costs": {"experiment": 40, "preparation": 60, "unit": "min"},
        "objectives": [{"metric": "y", "goal": "maximize"}],
        "strategy": {"name": "random", "conditions_per_sample": 2},
    }
    store.create(CampaignRecord(name="c", definition=definition, definition_hash=""))
    return Campaign(
        SPACE, Objective("y"), strategy="random", initial=2, store=store, name="c", definition=definition,
        costs=Costs(40, 60, unit="min"), conditions_per_sample=2,
    )  # fmt: skip


def _summary(campaign: Campaign) -> dict:
    found = summary(campaign.store, campaign.store.campaign("c"))
    return json.loads(json.dumps(found))


def _tell(campaign: Campaign, n: int) -> None:
    for _ in range(n):
        batch = campaign.ask(1)
        campaign.tell(batch.assign(y=0.5 - batch["a"]))


def test_before_anything_is_known(campaign: Campaign) -> None:
    found = _summary(campaign)
    assert found["cost"] == {"spent": 0, "unit": "min"}
    assert found["budget"] == 9
    assert [part["rule"] for part in found["stop"]["parts"]] == ["experiments", "cost", "all"]
    assert found["stop"]["parts"][0]["now"] == 0
    assert found["stop"]["parts"][2]["parts"][0]["now"] is None
    assert not found["stop"]["met"]


def test_counts_and_costs_are_live_and_models_as_the_loop_saw_them(campaign: Campaign) -> None:
    _tell(campaign, 4)
    found = _summary(campaign)["stop"]["parts"]
    assert (found[0]["now"], found[1]["now"], found[1]["unit"]) == (4, 280, "min")
    assert found[2]["parts"][1]["now"] is None  # no loop has looked yet
    Ending(campaign, Nobody(), StopBlock.model_validate(STOP).rule()).ask(0.0)
    _tell(campaign, 1)
    found = _summary(campaign)["stop"]["parts"]
    assert (found[0]["now"], found[1]["now"]) == (5, 380)
    assert found[1]["met"]  # 20 min are left
    assert found[2]["parts"][1]["now"] == pytest.approx(1.0)
    assert found[2]["parts"][1]["met"]
    assert _summary(campaign)["stop"]["met"]


def test_in_words(campaign: Campaign) -> None:
    _tell(campaign, 2)
    text = _words(_summary(campaign))
    assert "cost         140 min" in text
    assert "9 experiments (now 2 experiments, 7 left)" in text
    assert "a cost of 400 min (now 140 min, 260 left)" in text
    assert "no improvement in 3 experiments (nothing known yet)" in text
    assert words(None) == []


def test_a_campaign_made_in_python_has_no_rules() -> None:
    campaign = Campaign(SPACE, Objective("y"), name="c")
    found = _summary(campaign)
    assert (found["stop"], found["cost"], found["budget"]) == (None, None, None)
    assert "ends" not in _words(found)


def test_a_metric_that_was_never_observed_is_told() -> None:
    store = MemoryStore()
    definition = {
        "objectives": [{"metric": "y", "goal": "maximize"}],
        "outcome_constraints": [{"metric": "fe_h2", "upper": 0.5}],
    }
    store.create(CampaignRecord(name="c", definition=definition, definition_hash=""))
    constraint = OutcomeConstraint("fe_h2", upper=0.5)
    campaign = Campaign(
        SPACE, Objective("y"), outcome_constraints=[constraint], initial=2, store=store, name="c",
        definition=definition,
    )  # fmt: skip
    assert "no model" not in _words(_summary(campaign))
    batch = campaign.ask(3)
    campaign.tell(batch.assign(y=[0.1, 0.2, None], status=["completed", "completed", "failed"]))
    found = _summary(campaign)
    assert (found["results"], found["observed"]) == (2, {"y": 2, "fe_h2": 0})
    assert "no model     fe_h2 has not been observed in 2 results" in _words(found)
    campaign.tell(batch.iloc[:1][[]].assign(fe_h2=0.3))
    assert "no model" not in _words(_summary(campaign))
