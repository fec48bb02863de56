"""A model may think for a minute: meanwhile cells have what there is to do, and whoever wants all stopped is heard."""

from threading import Event, Thread

import pandas as pd
import pytest
from loop_bench import SPACE, Bench, answer, campaign_of, loop_of

from acquisition import Objective
from acquisition.problem import Proposal, Proposals
from instruments import ExecutionCancelled
from instruments.manual import ManualLab
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.campaign.line import WAITING
from orchestrator.errors import StoreUnreachable
from orchestrator.steering.lifecycle import pause, stop
from orchestrator.store.changes import Note
from orchestrator.store.records import Owner


class Ponder:
    """A strategy whose second question is answered only when a test says so."""

    def __init__(self):
        self.asked, self.answers = Event(), Event()

    def propose(self, problem, n):
        if problem.ask > 1:
            self.asked.set()
            assert self.answers.wait(30)
        points = problem.space.design(n, problem.generator(), existing=problem.taken)
        return Proposals(tuple(Proposal(point, "pondered") for point in points))


def test_stopped_at_once_the_laboratory_is_safe_before_the_model_has_answered(tmp_path):
    safe, mind = Event(), Ponder()

    def behaviour(job, context):
        if job.experiment == 1:
            return answer(job)
        assert context.cancelled.wait(30)
        raise ExecutionCancelled("called off", untouched=False)

    class Watched(Bench):
        def make_safe(self):
            super().make_safe()
            safe.set()

    campaign, lab = campaign_of(strategy=mind), Watched(behaviour, cells=2)
    loop, ended = loop_of(campaign, lab, tmp_path), []
    thread = Thread(target=lambda: ended.append(loop.run()))
    thread.start()
    try:
        assert mind.asked.wait(30)
        safe.clear()
        stop(campaign.store, campaign.name, now=True, who="marie", why="smoke")
        assert safe.wait(30)
        assert thread.is_alive()
        assert lab.made_safe == 1
    finally:
        mind.answers.set()
        thread.join(30)
    assert ended == ["stopped"]
    assert campaign.store.campaign(campaign.name).reason == "smoke"
    assert lab.executed == [1, 2]


@pytest.mark.parametrize("cells", [2, 4])
def test_what_waits_is_started_before_a_model_is_asked_for_the_other_cells(tmp_path, cells):
    mind, began = Ponder(), Event()
    campaign = campaign_of(strategy=mind)
    campaign.propose(1, state="queued")  # what an earlier sitting left

    def behaviour(job, _):
        if job.experiment == 1:
            began.set()
        return answer(job)

    lab = Bench(behaviour, cells=cells)
    loop = loop_of(campaign, lab, tmp_path, experiments=6)
    thread = Thread(target=loop.run)
    thread.start()
    try:
        assert mind.asked.wait(30)
        assert began.wait(30)  # while the model still thinks
    finally:
        mind.answers.set()
        thread.join(30)
    assert not thread.is_alive()
    assert sorted(lab.executed) == [1, 2, 3, 4, 5, 6]


def test_stopped_at_once_meanwhile_what_a_person_runs_does_not_go_on(tmp_path):
    mind = Ponder()
    campaign = campaign_of(strategy=mind)
    lab = ManualLab(("a", "b"), cells=("bench-1", "bench-2"), metrics={"y": "1"})
    loop, ended = loop_of(campaign, lab, tmp_path), []
    thread = Thread(target=lambda: ended.append(loop.run()))
    thread.start()
    try:
        other = Campaign(SPACE, [Objective("y")], store=campaign.store, name="c", definition={})
        while campaign.store.counts("c")["running"] < 2:
            assert thread.is_alive()
        other.refresh()
        other.tell(pd.DataFrame({"experiment": [1], "y": [0.5]}))
        assert mind.asked.wait(30)
        stop(campaign.store, "c", now=True, who="marie", why="smoke")
        while not loop.cancelled.is_set():
            assert thread.is_alive()
    finally:
        mind.answers.set()
        thread.join(30)
    assert ended == ["stopped"]
    assert campaign.store.experiment("c", 2).state == "needs_inspection"


def test_a_store_that_is_away_for_a_moment_ends_nothing(tmp_path):
    mind, missed = Ponder(), Event()
    campaign = campaign_of(strategy=mind)
    last_event = campaign.store.last_event

    def away(name):
        if mind.asked.is_set() and not mind.answers.is_set():
            missed.set()
            raise StoreUnreachable("the network is down.")
        return last_event(name)

    campaign.store.last_event = away
    loop, ended = loop_of(campaign, Bench(), tmp_path, experiments=3), []
    thread = Thread(target=lambda: ended.append(loop.run()))
    thread.start()
    try:
        assert missed.wait(30)
    finally:
        mind.answers.set()
        thread.join(30)
    assert ended == ["completed"]


@pytest.mark.parametrize("word", ["pause", "stop", "cell out", "turn"])
def test_what_is_said_while_a_model_thinks_is_heeded_before_its_answer_is_started(tmp_path, word):
    mind = Ponder()

    class Shared(Bench):
        equipment = ("twin/pump",)

    campaign, lab = campaign_of(strategy=mind), Shared()
    store, name = campaign.store, campaign.name
    loop, ended = loop_of(campaign, lab, tmp_path, experiments=3), []
    thread = Thread(target=lambda: ended.append(loop.run()))
    thread.start()
    try:
        assert mind.asked.wait(30)
        if word == "pause":
            pause(store, name, who="marie")
        elif word == "cell out":
            out = {"cell": "cell-1", "in_service": False}
            store.apply(name, [Note(words.CELL, "it leaks", data=out)], who="marie")
        elif word == "turn":
            data = {"priority": 5, "since": "2026-01-01", "devices": ["twin/pump"]}
            store.hold(WAITING, "urgent", Owner.current(), 30.0, data=data)
        else:
            stop(store, name, who="marie")
        mind.answers.set()
        if word in ("pause", "turn"):
            stop(store, name, who="marie")
    finally:
        mind.answers.set()
        thread.join(30)
    assert ended == ["holding" if word == "cell out" else "stopped"]
    assert lab.executed == [1]
    assert [record.state for record in store.experiments(name)] == ["completed", "queued"]
