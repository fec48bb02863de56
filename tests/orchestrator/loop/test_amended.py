"""The parts of a running loop follow an amended definition."""

from types import SimpleNamespace

from loop_bench import Bench, SelfTesting, campaign_of, loop_of

from instruments.rig.controls import ControlBlock
from orchestrator.config.breakers import Breakers
from orchestrator.config.model import CampaignFile
from orchestrator.loop.listener import Listener
from orchestrator.steering.experiments import approve


def amended(controls=(), approval="none"):
    """A definition, as far as a loop looks at it."""
    file = {
        "name": "c",
        "space": {"parameters": [{"type": "continuous", "name": name, "low": 0, "high": 1} for name in "ab"]},
        "objectives": [{"metric": "y"}],
        "lab": {"type": "manual", "metrics": {"y": "1"}},
        "stop": {"experiments": 8},
        "strategy": {"name": "random", "batch": 3},
        "approval": approval,
        "breakers": {"cell": 9, "cells": 9},
        "turns": {"priority": 4},
    }
    return SimpleNamespace(file=CampaignFile.model_validate(file), build_lab=lambda: _tested(controls))


def _tested(controls):
    lab = SelfTesting([], every_experiments=1)
    lab.controls = tuple(controls)
    return lab


class Amending(Listener):
    """Lets the campaign follow another definition once three results are learned."""

    def __init__(self, campaign, definition):
        self.campaign, self.definition, self.left, self.heard = campaign, definition, 3, []

    def learned(self, record, attempt):
        self.left -= 1
        if self.left == 0:
            self.campaign.definition = self.definition
            self.campaign._books.version += 1
            self.loop._following.follow()

    def proposed(self, records):
        waiting = [r.id for r in records if r.state == "proposed"]
        if waiting:
            approve(self.campaign.store, "c", waiting, who="marie")

    def amended(self, version, definition):
        self.heard.append((version, definition is self.definition))


def run(campaign, lab, definition, tmp_path):
    listener = Amending(campaign, definition)
    listener.loop = loop_of(campaign, lab, tmp_path, experiments=6, listeners=(listener,))
    assert listener.loop.run() == "completed"
    assert listener.heard == [(2, True)]
    return listener.loop


def test_rule_batch_breakers_and_turns(tmp_path):
    campaign = campaign_of(strategy="random")
    loop = run(campaign, Bench(), amended(), tmp_path)
    assert len(campaign.experiments()) == 8
    assert campaign.budget == 8
    assert [ask.requested for ask in campaign.store.asks("c")] == [1, 1, 1, 3, 2]
    assert loop._work.cells.breakers == Breakers(cell=9, cells=9)
    assert loop._turns.policy.priority == 4


def test_approval_of_a_region(tmp_path):
    campaign = campaign_of(strategy="random")
    run(campaign, Bench(), amended(approval={"outside": {"a": [0.0, 0.5]}}), tmp_path)
    waited = {e.experiment for e in campaign.store.events("c", kinds=("experiment",)) if e.after == "approved"}
    later = {r.id: r.asked["a"] for r in campaign.experiments() if r.id > 3}
    assert waited == {id for id, a in later.items() if a > 0.5}
    assert 0 < len(waited) < len(later), "the case has both kinds"


def test_other_controls(tmp_path):
    """One that stays goes on counting, a new one is due at once, one that is gone is not done any more."""
    campaign, lab = campaign_of(strategy="random"), SelfTesting([], every_experiments=2)
    stays = lab.controls[0]
    new = ControlBlock(kind="check_gas", name="second", gas="mixture", every_experiments=100)
    run(campaign, lab, amended([stays, new]), tmp_path)
    assert [(name, before) for name, _, before in lab.done] == [
        ("check_gas", 0),
        ("check_gas", 2),
        ("second", 3),
        ("check_gas", 4),
        ("check_gas", 6),
    ]


def test_no_controls_any_more(tmp_path):
    campaign, lab = campaign_of(strategy="random"), SelfTesting([], every_experiments=1)
    run(campaign, lab, amended(()), tmp_path)
    assert [before for *_, before in lab.done] == [0, 1, 2]


def test_the_first_controls(tmp_path):
    campaign, lab = campaign_of(strategy="random"), SelfTesting([], every_experiments=4)
    first, lab.controls = lab.controls, ()
    run(campaign, lab, amended(first), tmp_path)
    assert [before for *_, before in lab.done] == [3, 7]
