"""Cells that fail are taken out of service, and campaigns survive it."""

import pytest
from loop_bench import Bench, answer, campaign_of, loop_of, states

from instruments import Failure, Figure, Observation, Outcome, Verdict
from orchestrator.campaign import words
from orchestrator.config.breakers import Breakers
from orchestrator.loop.listener import Listener
from orchestrator.store.changes import Note


def broken(*cells, how=None):
    """A behaviour: these cells fail."""

    def behaviour(job, context):
        if context.cell in cells:
            return how or Outcome(failure=Failure("equipment", "it leaks"), duration=1.0)
        return answer(job)

    return behaviour


def said(campaign, kind):
    return [event for event in campaign.store.events("c") if event.kind == kind]


class Ears(Listener):
    def __init__(self):
        self.heard = []

    def noticed(self, kind, text):
        self.heard.append((kind, text))


@pytest.mark.parametrize("virtual", [True, False])
def test_a_campaign_survives_the_loss_of_a_cell(tmp_path, virtual):
    campaign, ears = campaign_of(strategy="random"), Ears()
    lab = Bench(broken("cell-2"), cells=3, virtual_time=virtual)
    loop = loop_of(campaign, lab, tmp_path, experiments=12, breakers=Breakers(), listeners=[ears])
    assert loop.run() == "completed"
    assert states(campaign) == {"completed": 12}  # nothing is given up for what its cell did
    attempts = [event for event in campaign.store.attempts("c") if event.cell == "cell-2"]
    assert len(attempts) == 3
    assert [event.data["cell"] for event in said(campaign, words.CELL)] == ["cell-2"]
    assert [kind for kind, _ in ears.heard] == [words.BREAKER]
    assert "it leaks" in ears.heard[0][1]


def test_invalid_measurements_count_material_failures_do_not(tmp_path):
    invalid = Outcome(Observation({"y": Figure(0.5, 0.01)}, Verdict("invalid", ("no current",))), duration=1.0)
    campaign = campaign_of(strategy="random")
    lab = Bench(broken("cell-1", how=invalid), cells=2, virtual_time=True)
    assert loop_of(campaign, lab, tmp_path, experiments=10, breakers=Breakers()).run() == "completed"
    assert "no current" in said(campaign, words.CELL)[0].why
    campaign = campaign_of(strategy="random")
    material = Outcome(failure=Failure("material", "it dissolved"), duration=1.0)
    lab = Bench(broken("cell-1", how=material), cells=2, virtual_time=True)
    assert loop_of(campaign, lab, tmp_path, experiments=10, breakers=Breakers()).run() == "completed"
    assert said(campaign, words.CELL) == []


def test_a_usable_result_ends_a_row(tmp_path):
    def behaviour(job, context):
        return Outcome(failure=Failure("equipment", "it leaks")) if context.attempt < 3 else answer(job)

    campaign = campaign_of(strategy="random")
    assert loop_of(campaign, Bench(behaviour), tmp_path, experiments=4, breakers=Breakers()).run() == "completed"
    assert said(campaign, words.CELL) == []


def test_two_lost_cells_hold_and_a_person_lets_it_go_on_with_the_rest(tmp_path):
    campaign = campaign_of(strategy="random")
    lab = Bench(broken("cell-1", "cell-3"), cells=4, virtual_time=True)
    assert loop_of(campaign, lab, tmp_path, experiments=20, breakers=Breakers()).run() == "holding"
    reason = campaign.store.campaign("c").reason
    assert "cell-1" in reason
    assert "cell-3" in reason
    assert loop_of(campaign, lab, tmp_path, experiments=20, breakers=Breakers()).run() == "completed"
    assert states(campaign) == {"completed": 20}
    assert len([a for a in campaign.store.attempts("c") if a.cell in ("cell-1", "cell-3")]) == 6


def test_the_only_cell_holds_until_a_person_puts_it_back(tmp_path):
    campaign, lab = campaign_of(strategy="random"), Bench(broken("cell-1"), virtual_time=True)
    for _ in range(2):  # resuming alone changes nothing
        assert loop_of(campaign, lab, tmp_path, experiments=3, breakers=Breakers()).run() == "holding"
        assert len(lab.executed) == 3
    assert states(campaign) == {"queued": 1}
    campaign.store.apply("c", [Note(words.CELL, "sealed", data={"cell": "cell-1", "in_service": True})], who="ada")
    lab.behaviour = broken()
    assert loop_of(campaign, lab, tmp_path, experiments=3, breakers=Breakers()).run() == "completed"
    assert states(campaign) == {"completed": 3}


def test_a_person_takes_a_cell_out_while_a_campaign_runs(tmp_path):
    campaign = campaign_of(strategy="random")
    used = []

    def behaviour(job, context):
        if job.experiment == 4:
            note = Note(words.CELL, "for cleaning", data={"cell": "cell-2", "in_service": False})
            campaign.store.apply("c", [note], who="ada")
        used.append((job.experiment, context.cell))
        return answer(job)

    lab = Bench(behaviour, cells=2, virtual_time=True)
    assert loop_of(campaign, lab, tmp_path, experiments=12, breakers=Breakers()).run() == "completed"
    assert states(campaign) == {"completed": 12}
    assert {cell for id, cell in used if id > 5} == {"cell-1"}
