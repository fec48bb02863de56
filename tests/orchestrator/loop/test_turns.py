"""Campaigns that want the same devices take turns."""

import os
import threading
from contextlib import contextmanager
from threading import Event
from typing import ClassVar

import pytest
from loop_bench import Bench, answer, campaign_of, loop_of

from orchestrator.campaign import words
from orchestrator.campaign.line import DEVICE, WAITING, line, turn_of
from orchestrator.config.confirm import ConfirmBlock
from orchestrator.config.turns import TurnsBlock
from orchestrator.loop.devices import using
from orchestrator.loop.listener import Listener
from orchestrator.loop.turns import Turns
from orchestrator.store.changes import Note, SetCampaignState
from orchestrator.store.opening import open_store

LONG = 20.0


class Equipped(Bench):
    """Says who uses it, and fails where two do."""

    equipment = ("twin/pump", "twin/valve")
    inside: ClassVar[list[str]] = []

    def __init__(self, behaviour=None, **options):
        super().__init__(behaviour, **options)
        self.opened = self.closed = 0

    def open(self):
        assert not Equipped.inside, f"{Equipped.inside} use it"
        Equipped.inside.append("somebody")
        self.opened += 1

    def close(self):
        if self.opened > self.closed:
            Equipped.inside.pop()
            self.closed += 1


class Heard(Listener):
    def __init__(self):
        self.said, self.waits, self.turn = [], Event(), Event()

    def noticed(self, kind, text):
        assert kind == words.TURN
        self.said.append(text)
        if text.startswith("waits"):
            self.waits.set()
        if text.startswith("has its turn"):
            self.turn.set()


@pytest.fixture
def store(tmp_path):
    Equipped.inside.clear()
    kept = open_store(tmp_path / "s.db", durable=False)
    yield kept
    kept.close()


@contextmanager
def running(loop):
    """A loop in a thread of its own, with its end state."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(loop.run()))
    thread.start()
    try:
        yield ended
    finally:
        thread.join(LONG)
        if thread.is_alive():
            loop.cancelled.set()
            thread.join(LONG)
        assert not thread.is_alive()


def turns_of(store, name, priority=0, hours=8.0, devices=Equipped.equipment):
    return Turns(store, name, devices, TurnsBlock(priority=priority, hours=hours), ttl=30.0)


@pytest.mark.parametrize("user", ["campaign other", "sabatier rig calibrate"])
def test_a_campaign_waits_while_another_has_a_device_and_touches_nothing(store, tmp_path, user):
    lab, heard = Equipped(), Heard()
    loop = loop_of(campaign_of(store, strategy="random"), lab, tmp_path, 2, listeners=[heard])
    with using(store, ["twin/valve"], user, Event()):
        with running(loop) as ended:
            assert heard.waits.wait(LONG)
            assert (lab.executed, lab.made_safe, lab.opened) == ([], 0, 0)
            assert [hold.name for hold in store.held(DEVICE)] == ["twin/valve"]
            assert [hold.name for hold in store.held(WAITING)] == ["c"]
            (hold,) = store.held(DEVICE)
            store.drop(hold)
        assert ended == ["completed"]
    assert heard.said[0].startswith(f"waits for its turn: valve of twin is in use by {user}, ")
    assert f"(process {os.getpid()}) since 20" in heard.said[0]
    assert len(heard.said) == 2  # said once, however often it looked
    assert heard.said[1].startswith("has its turn after ")
    assert store.held(WAITING) == store.held(DEVICE) == []


@pytest.mark.parametrize("how", ["stopped", "stopped at once", "signal"])
def test_whoever_waits_can_be_stopped_and_has_touched_nothing(store, tmp_path, how):
    lab, heard = Equipped(), Heard()
    loop = loop_of(campaign_of(store, strategy="random"), lab, tmp_path, 2, listeners=[heard])
    with using(store, ["twin/valve"], "campaign other", Event()), running(loop) as ended:
        assert heard.waits.wait(LONG)
        if how == "signal":
            loop.cancelled.set()
        else:
            notes = [Note(words.STOP_NOW, "enough")] if how == "stopped at once" else []
            store.apply("c", [SetCampaignState("running", "stopping", "enough"), *notes], who="ada")
    assert ended == ["interrupted" if how == "signal" else "stopped"]
    assert (lab.executed, lab.made_safe, lab.opened) == ([], 0, 0)
    assert store.held(WAITING) == []


def test_a_higher_priority_has_the_devices_as_soon_as_what_runs_has_ended(store, tmp_path):
    order, go = [], Event()

    def low(job, context):
        order.append(("low", job.experiment))
        if job.experiment == 2:
            go.set()
            assert waits.waits.wait(LONG)
        return answer(job)

    def high(job, context):
        order.append(("high", job.experiment))
        return answer(job)

    waits, heard = Heard(), Heard()
    labs = {"low": Equipped(low), "high": Equipped(high)}
    first = loop_of(campaign_of(store, name="low", strategy="random"), labs["low"], tmp_path, 4, listeners=[heard])
    policy = TurnsBlock(priority=5)
    second = loop_of(
        campaign_of(store, name="high", strategy="random"), labs["high"], tmp_path, 2, listeners=[waits], turns=policy
    )
    with running(first) as ended:
        assert go.wait(LONG)
        with running(second) as done:
            pass
    assert (ended, done) == (["completed"], ["completed"])
    assert order == [("low", 1), ("low", 2), ("high", 1), ("high", 2), ("low", 3), ("low", 4)]
    assert [lab.opened for lab in labs.values()] == [2, 1]
    assert heard.said[0] == "gives way: campaign high (priority 5) goes before this one (priority 0)"
    assert heard.said[-1].startswith("has its turn after ")


def test_an_equal_one_waits_for_the_hours_and_a_lower_one_for_the_end(store):
    mine = turns_of(store, "mine", priority=1, hours=1.0)
    assert mine.wait(lambda: True, lambda: True, lambda _: None)
    others = {name: turns_of(store, name, priority) for name, priority in (("equal", 1), ("lower", 0))}

    others["lower"]._stand()
    assert mine.gives_way() == ""
    assert mine.gives_way(idle=True) == "campaign lower (priority 0) waits, and there is nothing to do here now"
    others["equal"]._stand()
    assert mine.gives_way() == ""
    mine.policy = TurnsBlock(priority=1, hours=1e-9)
    assert mine.gives_way() == "campaign equal (priority 1) has waited, and this one had its 1e-09 h"
    others["equal"]._leave()
    assert mine.gives_way() == ""
    mine.end()


def test_the_line_is_by_priority_then_by_arrival_and_only_of_those_who_want_the_same(store):
    for name, priority, devices in (
        ("a", 0, {"x/1"}),
        ("b", 0, {"x/1", "x/2"}),
        ("c", 3, {"x/2"}),
        ("d", 9, {"x/3"}),
    ):
        turns_of(store, name, priority, devices=sorted(devices))._stand()
    assert [place.campaign for place in line(store, frozenset({"x/1"}))] == ["a", "b"]
    assert [place.campaign for place in line(store, frozenset({"x/1", "x/2"}))] == ["c", "a", "b"]
    with using(store, ["x/1"], "campaign z", Event()):
        turn = turn_of(store, "b")
    assert (turn["behind"], turn["used_by"], turn["priority"]) == (["c", "a"], ["campaign z"], 0)
    assert turn_of(store, "z") is None


def test_a_paused_campaign_lets_others_have_the_devices_and_keeps_nobody_waiting(store, tmp_path):
    heard, other = Heard(), Heard()
    begun = Event()

    def first(job, context):
        begun.set()
        if job.experiment == 1:
            store.apply("c", [SetCampaignState("running", "paused", "lunch")], who="ada")
        return answer(job)

    policy = TurnsBlock(priority=5)  # even over one that counts less
    lab = Equipped(first)
    loop = loop_of(campaign_of(store, strategy="random"), lab, tmp_path, 3, listeners=[heard], turns=policy)
    second = loop_of(campaign_of(store, name="other", strategy="random"), Equipped(), tmp_path, 2, listeners=[other])
    with running(loop) as ended:
        assert begun.wait(LONG)
        with running(second) as done:
            pass
        assert done == ["completed"]
        assert store.campaign("c").state == "paused"
        assert lab.executed == [1]
        store.apply("c", [SetCampaignState("paused", "running")], who="ada")
    assert ended == ["completed"]
    assert lab.executed == [1, 2, 3]
    assert heard.said[0] == "gives way: campaign other (priority 0) waits, and there is nothing to do here now"


def test_waiting_is_no_time_of_the_laboratory(store, tmp_path):
    heard, clocks = Heard(), []

    def behaviour(job, context):
        clocks.append(context.clock.now())
        return answer(job)

    loop = loop_of(campaign_of(store, strategy="random"), Equipped(behaviour), tmp_path, 1, listeners=[heard])
    with using(store, ["twin/pump"], "campaign other", Event()), running(loop):
        assert heard.waits.wait(LONG)
        Event().wait(1.5)  # the time that must not count
        (hold,) = store.held(DEVICE)
        store.drop(hold)
    assert clocks[0] < 1.0


def test_a_laboratory_without_devices_of_others_never_waits(store, tmp_path):
    loop = loop_of(campaign_of(store, strategy="random"), Bench(), tmp_path, 1)
    assert loop.run() == "completed"
    assert store.held(WAITING) == []


@pytest.mark.parametrize("interrupted", [4, 5])
def test_what_confirms_the_best_is_done_in_another_turn(store, tmp_path, interrupted):
    order, go = [], Event()

    def low(job, context):
        order.append(job.experiment)
        if job.experiment == interrupted:
            go.set()
            assert waits.waits.wait(LONG)
        return answer(job)

    waits = Heard()
    confirm = ConfirmBlock(samples=2)
    first = loop_of(campaign_of(store, name="low", strategy="random"), Equipped(low), tmp_path, 6, confirm=confirm)
    high = Equipped(lambda job, _: order.append("high") or answer(job))
    policy = TurnsBlock(priority=5)
    second = loop_of(
        campaign_of(store, name="high", strategy="random"), high, tmp_path, 1, listeners=[waits], turns=policy
    )
    with running(first) as ended:
        assert go.wait(LONG)
        with running(second) as done:
            pass
    assert (ended, done) == (["completed"], ["completed"])
    ours = [1, 2, 3, 4, 5, 6]
    assert order == [*ours[:interrupted], "high", *ours[interrupted:]]
    assert [r.origin for r in store.experiments("low")] == ["asked"] * 4 + ["confirm"] * 2
