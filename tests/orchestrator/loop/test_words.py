"""What people say while a loop runs: it is paused, continued, stopped, and heeds what they decide about experiments."""

from dataclasses import replace
from threading import Event, Thread

import pandas as pd
import pytest
from loop_bench import SPACE, Bench, answer, campaign_of, loop_of, states

from acquisition import Objective
from instruments import ExecutionCancelled, ToldElsewhere
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.loop.listener import Listener
from orchestrator.store.changes import Note, PutExperiment, SetCampaignState
from orchestrator.store.opening import open_store
from orchestrator.store.records import ExperimentRecord


class Ear(Listener):
    """Sets an event when a state is reached or an experiment was proposed."""

    def __init__(self):
        self.heard = {}
        self.proposals = Event()

    def of(self, state):
        return self.heard.setdefault(state, Event())

    def state_changed(self, state, why):
        self.of(state).set()

    def proposed(self, records):
        self.proposals.set()


@pytest.fixture
def running(tmp_path):
    """Start a loop in a thread; its end is waited for with the test's."""
    threads, cancelled = [], Event()

    def start(campaign, lab, **options):
        ear, found = Ear(), []
        loop = loop_of(campaign, lab, tmp_path, cancelled=cancelled, listeners=(ear,), **options)
        thread = Thread(target=lambda: found.append(loop.run()))
        thread.start()
        threads.append(thread)

        def end():
            thread.join(60)
            assert not thread.is_alive()
            return found[0]

        return ear, end

    yield start
    cancelled.set()
    for thread in threads:
        thread.join(60)


def _say(campaign, *changes):
    campaign.store.apply(campaign.name, changes, who="marie")


@pytest.mark.parametrize("cells", [1, 3])
def test_paused_it_finishes_what_runs_and_starts_nothing(running, cells):
    third, go_on = Event(), Event()

    def behaviour(job, _):
        if job.experiment == 3:
            third.set()
            assert go_on.wait(30)
        return answer(job)

    campaign, lab = campaign_of(strategy="random"), Bench(behaviour, cells=cells)
    ear, end = running(campaign, lab)
    assert third.wait(30)
    _say(campaign, SetCampaignState("running", "paused", "lunch"))
    go_on.set()
    assert ear.of("paused").wait(30)
    executed = len(lab.executed)
    assert executed < 10
    assert campaign.store.holder("c") is not None, "it stays in control"
    ear.of("running").clear()
    _say(campaign, SetCampaignState("paused", "running", "back again"))
    assert end() == "completed"
    assert sorted(lab.executed) == list(range(1, 11))


def test_a_signal_ends_a_paused_loop_which_stays_paused(tmp_path):
    campaign, cancelled = campaign_of(strategy="random"), Event()

    def behaviour(job, _):
        if job.experiment == 2:
            _say(campaign, SetCampaignState("running", "paused", "lunch"))
        return answer(job)

    class Signal(Listener):
        def state_changed(self, state, why):
            if state == "paused":
                cancelled.set()

    loop = loop_of(campaign, Bench(behaviour), tmp_path, cancelled=cancelled, listeners=(Signal(),))
    assert loop.run() == "paused"
    assert campaign.store.campaign("c").state == "paused"
    assert loop_of(campaign, Bench(), tmp_path).run() == "completed", "resuming it continues it"


def test_one_that_died_while_it_was_stopping_can_be_resumed(tmp_path):
    campaign = campaign_of(strategy="random")
    for state in ("running", "stopping"):
        _say(campaign, SetCampaignState(campaign.store.campaign("c").state, state))
    assert loop_of(campaign, Bench(), tmp_path, experiments=2).run() == "completed"


def test_what_was_asked_in_python_is_nobodys_to_approve(tmp_path):
    campaign = campaign_of(strategy="random")
    campaign.ask(1)
    assert loop_of(campaign, Bench(), tmp_path, experiments=3).run() == "completed"
    assert states(campaign) == {"proposed": 1, "completed": 2}, "it is pending, and somebody's to tell"


def test_stopped_in_good_order(tmp_path):
    campaign = campaign_of(strategy="random")

    def behaviour(job, _):
        if job.experiment == 4:
            _say(campaign, SetCampaignState("running", "stopping", "enough"))
        return answer(job)

    lab = Bench(behaviour, cells=2)
    assert loop_of(campaign, lab, tmp_path).run() == "stopped"
    record = campaign.store.campaign("c")
    assert (record.state, record.reason) == ("stopped", "enough")
    assert set(states(campaign)) <= {"completed", "queued"}
    assert len(lab.executed) <= 6
    assert lab.made_safe >= 1


@pytest.mark.parametrize(("safe", "state"), [(True, "queued"), (False, "needs_inspection")])
def test_stopped_at_once(running, safe, state):
    begun = Event()

    def behaviour(job, context):
        if job.experiment == 2:
            begun.set()
            assert context.cancelled.wait(30)
            raise ExecutionCancelled("stopped")
        return answer(job)

    campaign, lab = campaign_of(strategy="random"), Bench(behaviour, repeat_is_safe=safe)
    _, end = running(campaign, lab)
    assert begun.wait(30)
    _say(campaign, SetCampaignState("running", "stopping", "it smells"), Note(words.STOP_NOW, "it smells"))
    assert end() == "stopped"
    assert campaign.store.campaign("c").reason == "it smells"
    assert states(campaign) == {"completed": 1, state: 1}
    assert lab.made_safe >= 2, "before it waits for what runs, and at the end"


def test_only_what_is_approved_is_started(running):
    campaign, lab = campaign_of(strategy="random"), Bench(cells=2)
    ear, end = running(campaign, lab, experiments=4, approval=lambda _: True)
    rejected = 0
    while True:
        waiting = [r for r in campaign.store.experiments("c") if r.state == "proposed"]
        if campaign.store.campaign("c").state == "completed":
            break
        for record in waiting:
            if record.id == 2:
                rejected = record.id
                _say(campaign, PutExperiment(replace(record, state="rejected"), "proposed", "too dear"))
            else:
                _say(campaign, PutExperiment(replace(record, state="approved"), "proposed"))
        if not waiting:
            ear.proposals.wait(0.2)
            ear.proposals.clear()
    assert end() == "completed"
    assert rejected == 2
    assert sorted(lab.executed) == [1, 3, 4, 5], "another takes the place of what is rejected"


def test_proposals_that_wait_for_a_word_are_not_multiplied(running):
    campaign, lab = campaign_of(strategy="random"), Bench(cells=3)
    ear, _ = running(campaign, lab, experiments=8, approval=lambda settings: settings["a"] > -1)
    assert ear.proposals.wait(30)
    first = campaign.store.experiments("c")
    _say(campaign, PutExperiment(replace(first[0], state="approved"), "proposed"))
    while len(lab.executed) < 1:
        ear.proposals.wait(0.05)
    assert [r.state for r in campaign.store.experiments("c")].count("proposed") <= 3


def test_what_a_person_adds_and_edits_runs(running):
    held, begun = Event(), Event()

    def behaviour(job, _):
        if job.experiment == 1:
            begun.set()
            assert held.wait(30)
        return answer(job)

    campaign, lab = campaign_of(strategy="random"), Bench(behaviour)
    _, end = running(campaign, lab, experiments=3)
    assert begun.wait(30)
    added = ExperimentRecord(id=50, state="queued", origin="manual", asked={"a": 0.125, "b": 0.5})
    _say(campaign, PutExperiment(added, None, "a hunch"))
    held.set()
    assert end() == "completed"
    assert 50 in lab.executed
    assert campaign.store.experiment("c", 50).state == "completed"
    assert sum(r.origin == "asked" for r in campaign.experiments()) == 3, "it takes nothing from the budget"


def test_a_result_that_a_person_tells_ends_the_attempt(running, tmp_path):
    """Another process tells, as with a laboratory of people."""
    begun = Event()

    def behaviour(job, context):
        if job.experiment == 2:
            begun.set()
            assert context.told.wait(30)
            raise ToldElsewhere("somebody told the result.")
        return answer(job)

    store = open_store(tmp_path / "s.db")
    campaign = campaign_of(store, strategy="random")
    _, end = running(campaign, Bench(behaviour, repeat_is_safe=False), experiments=3)
    assert begun.wait(30)
    other = Campaign(SPACE, [Objective("y")], store=store, name="c", definition={})
    other.tell(pd.DataFrame({"experiment": [2], "y": [0.4]}))
    assert end() == "completed"
    assert campaign.store.experiment("c", 2).values["y"].value == 0.4
    assert [a.state for a in store.attempts("c")] == ["finished"] * 3
    store.close()


def test_what_was_called_off_while_it_ran_stays_called_off(running):
    begun, ended = Event(), Event()

    def behaviour(job, _):
        if job.experiment == 2:
            begun.set()
            assert ended.wait(30)
        return answer(job)

    campaign = campaign_of(strategy="random")
    _, end = running(campaign, Bench(behaviour), experiments=3)
    assert begun.wait(30)
    record = campaign.store.experiment("c", 2)
    _say(campaign, PutExperiment(replace(record, state="cancelled"), "running", "wrong electrolyte"))
    ended.set()
    assert end() == "completed"
    assert campaign.store.experiment("c", 2).state == "cancelled"
    notes = [e for e in campaign.store.events("c") if e.kind == "conflict"]
    assert notes[0].data["measured"]["y"]["value"] > 0, "what was measured is in the log"
