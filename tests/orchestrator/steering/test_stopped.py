"""Whoever stops a campaign at once is told whether its laboratory is safe."""

from threading import Event, Thread

import pytest

from acquisition import Continuous, Objective, SearchSpace
from instruments import ExecutionCancelled
from instruments.errors import InstrumentsError
from orchestrator import Campaign
from orchestrator.errors import CampaignError
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.steering.lifecycle import stop, stopped
from orchestrator.store.changes import SetCampaignState
from orchestrator.store.opening import open_store
from orchestrator.store.records import CampaignRecord, Owner


@pytest.fixture
def store():
    kept = open_store("memory:")
    kept.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    yield kept
    kept.close()


class Waiting:
    """A laboratory that runs until it is called off, and may fail to become safe."""

    cells = ("cell-1",)
    repeat_is_safe = False

    def __init__(self, sound):
        self.metrics = {"y": "1"}
        self.sound, self.runs = sound, Event()

    def check(self, parameters):
        pass

    def execute(self, job, context):
        self.runs.set()
        assert context.cancelled.wait(30)
        raise ExecutionCancelled("called off", untouched=False)

    def make_safe(self):
        if not self.sound:
            raise InstrumentsError("the valve does not answer.")


@pytest.mark.parametrize("sound", [True, False])
def test_it_waits_for_the_process_that_controls(store, tmp_path, sound):
    lab = Waiting(sound)
    campaign = Campaign(
        SearchSpace([Continuous("a", 0, 1)]), [Objective("y")], store=store, name="c", definition={}, strategy="random"
    )
    thread = Thread(target=Loop(campaign, lab, experiments=3, engine=ThreadEngine(1), files=tmp_path).run)
    thread.start()
    try:
        assert lab.runs.wait(30)
        stop(store, "c", now=True, who="marie", why="smoke")
        if sound:
            assert "was made safe" in stopped(store, "c", 30.0)
        else:
            with pytest.raises(CampaignError, match=r"halted.*valve does not answer"):
                stopped(store, "c", 30.0)
    finally:
        thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("held", [True, False], ids=["it does not listen", "it has died"])
def test_where_nobody_confirms_a_person_must_look(store, held):
    lease = store.acquire("c", Owner.current(), 30.0)
    store.apply("c", [SetCampaignState("created", "running")], who="loop", token=lease.token)
    stop(store, "c", now=True, who="marie", why="smoke")
    if not held:
        store.release(lease)
    with pytest.raises(CampaignError, match="nobody has confirmed") as problem:
        stopped(store, "c", 0.3 if held else 30.0)
    assert "rig stop" in problem.value.mend
