"""What `status` says of a campaign whose process has died."""

import pytest

from orchestrator.campaign.words import DEPLOY
from orchestrator.cli.looking import summary
from orchestrator.store.changes import Note, SetCampaignState
from orchestrator.store.memory import MemoryStore
from orchestrator.store.records import CampaignRecord


@pytest.mark.parametrize(("notes", "who"), [([], "`sabatier resume`"), ([Note(DEPLOY, "")], "a worker's next look")])
def test_status_says_who_continues_a_dead_campaign(notes, who):
    store = MemoryStore()
    store.create(CampaignRecord(name="plate", definition={}, definition_hash="0"))
    store.apply("plate", [*notes, SetCampaignState("created", "running", "")], who="test")
    shown = summary(store, store.campaign("plate"))
    assert (shown["state"], shown["reason"]) == ("interrupted", f"its process ended without a word; {who} continues it")
