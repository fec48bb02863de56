"""What a worker asks the store before it does anything."""

import subprocess
import sys

import pytest

from orchestrator.campaign.line import BRAIN
from orchestrator.campaign.words import DEPLOY
from orchestrator.flows.looking import look, look_for_brain
from orchestrator.store.changes import Note, SetCampaignState
from orchestrator.store.memory import MemoryStore
from orchestrator.store.records import CampaignRecord, Owner


@pytest.fixture
def store():
    made = MemoryStore()
    made.create(CampaignRecord(name="plate", definition={}, definition_hash="0"))
    return made


def _become(store, *states):
    before = store.campaign("plate").state
    for after in states:
        store.apply("plate", [SetCampaignState(before, after, "because")], who="test")
        before = after


def test_a_new_campaign_is_begun(store):
    assert look(store, "plate").goes_on


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_what_nobody_controls_any_more_is_continued(store, state):
    _become(store, *dict.fromkeys(["running", state]))
    assert look(store, "plate").goes_on


def test_what_a_living_process_controls_is_left_alone(store):
    _become(store, "running")
    lease = store.acquire("plate", Owner.current())
    seen = look(store, "plate")
    assert not seen.goes_on
    assert not seen.ended
    assert str(Owner.current()) in seen.why
    store.release(lease)
    assert look(store, "plate").goes_on


@pytest.mark.parametrize("state", ["holding", "halted", "paused", "stopping"])
def test_what_waits_for_a_person_waits(store, state):
    _become(store, "running", state)
    seen = look(store, "plate")
    assert (seen.goes_on, seen.ended) == (False, False)
    assert "because" in seen.why


@pytest.mark.parametrize("state", ["completed", "stopped", "failed"])
def test_what_has_ended_is_over_until_it_is_deployed_again(store, state):
    _become(store, "running", state)
    seen = look(store, "plate")
    assert (seen.goes_on, seen.ended) == (False, True)
    store.apply("plate", [Note(DEPLOY, "deployed again")], who="test")
    assert look(store, "plate").goes_on
    _become(store, "running", state)
    assert not look(store, "plate").goes_on, "the word counts once"


def test_a_brain_looks_whether_there_is_another(store):
    _become(store, "running")
    lease = store.acquire("plate", Owner.current())
    assert look_for_brain(store, "plate").goes_on, "whoever runs it does not matter"
    hold = store.hold(BRAIN, "plate", Owner.current())
    seen = look_for_brain(store, "plate")
    assert not seen.goes_on
    assert "proposes for it" in seen.why
    store.drop(hold)
    store.release(lease)
    _become(store, "completed")
    assert look_for_brain(store, "plate").ended


def test_a_look_is_light():
    """It comes every minute."""
    code = "import sys, orchestrator.flows.looking; print(sorted({'torch', 'pandas', 'sqlalchemy', 'prefect'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
