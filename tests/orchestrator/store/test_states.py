from __future__ import annotations

import pytest

from orchestrator.errors import IllegalTransition
from orchestrator.store import states


@pytest.mark.parametrize(
    ("table", "known"),
    [
        (states.EXPERIMENT_TRANSITIONS, states.EXPERIMENT_STATES),
        (states.CAMPAIGN_TRANSITIONS, states.CAMPAIGN_STATES),
        (states.ATTEMPT_TRANSITIONS, states.ATTEMPT_STATES),
    ],
)
def test_the_tables_are_complete(table, known):
    assert set(table) == {None, *known}
    assert all(after <= set(known) for after in table.values())
    reached, new = set(), set(table[None])
    while new:
        reached |= new
        new = {after for state in new for after in table[state]} - reached
    assert reached == set(known)


@pytest.mark.parametrize("state", states.EXPERIMENT_STATES)
def test_staying_is_an_edit(state):
    states.check_experiment(1, state, state)


@pytest.mark.parametrize("before", [None, "proposed", "needs_inspection", "awaiting_analysis", "completed"])
def test_nothing_runs_that_was_not_queued_or_approved(before):
    with pytest.raises(IllegalTransition):
        states.check_experiment(1, before, "running")


def test_only_a_persons_word_ends_an_inspection():
    """Never straight back to running: the rerun of an unknown electrolysis goes through the queue."""
    assert "running" not in states.EXPERIMENT_TRANSITIONS["needs_inspection"]
    assert {before for before, after in states.EXPERIMENT_TRANSITIONS.items() if "needs_inspection" in after} == {
        "running"
    }


@pytest.mark.parametrize("state", sorted(set(states.CAMPAIGN_STATES) - {"created"}))
def test_every_campaign_can_go_on(state):
    """Directly or by way of another state."""
    reached, new = set(), {state}
    while new:
        reached |= new
        new = {after for one in new for after in states.CAMPAIGN_TRANSITIONS[one]} - reached
    assert "running" in reached


def test_a_mistyped_state_is_named():
    with pytest.raises(IllegalTransition, match=r"'finnished'.*Use one of created, running"):
        states.check_campaign("c", "running", "finnished")
