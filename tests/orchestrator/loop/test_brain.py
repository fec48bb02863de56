"""Proposals made elsewhere: the same as here, once, under the loop's lease; the loop needs nobody for them."""

from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pandas as pd
import pytest

import orchestrator.loop.proposing as proposing
from acquisition.stopping import Standing
from orchestrator.campaign import words
from orchestrator.campaign.line import BRAIN
from orchestrator.config.load import load
from orchestrator.errors import LeaseHeld, StaleWrite
from orchestrator.loop.assembly import assemble, loop_of, register
from orchestrator.loop.brain import Brain
from orchestrator.loop.elsewhere import Elsewhere
from orchestrator.loop.engine import ThreadEngine
from orchestrator.store.changes import Note
from orchestrator.store.opening import open_store
from orchestrator.store.records import Owner

CAMPAIGN = """\
name: plate
seed: 3
space: {pool: plate.csv, parameters: [a, b]}
objectives: [{metric: y, goal: maximize}]
strategy: {name: STRATEGY, initial: 4}
lab: {type: replay, table: plate.csv}
stop: {experiments: 8}
"""


def _campaign(folder: Path, strategy="expected_improvement", rows=40) -> Path:
    """A store with a campaign; its path."""
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame(np.random.default_rng(0).random((rows, 2)).round(3), columns=["a", "b"])
    frame.assign(y=np.exp(-4 * (frame["a"] - 0.3) ** 2)).to_csv(folder / "plate.csv", index=False)
    (folder / "c.yaml").write_text(CAMPAIGN.replace("STRATEGY", strategy))
    path = folder / "s.db"
    store = open_store(path, durable=False)
    register(store, load(folder / "c.yaml"))
    store.close()
    return path


@contextmanager
def brain(path: Path):
    """A brain with a connection of its own."""
    store, cancelled = open_store(path, durable=False), Event()
    thread = Thread(target=Brain(store, "plate", cancelled).serve)
    thread.start()
    try:
        while not store.held(BRAIN) and thread.is_alive():
            Event().wait(0.01)
        yield cancelled
    finally:
        cancelled.set()
        thread.join()
        store.close()


def _run(path: Path):
    """Run the campaign; what was asked, and the log."""
    store = open_store(path, durable=False)
    parts = assemble(store, "plate")
    assert loop_of(parts, store, engine=ThreadEngine(1), files=str(path.parent / "raw")).run() == "completed"
    frame, log = parts.campaign.to_dataframe(), store.events("plate")
    asks = [ask.state for ask in store.asks("plate")]
    store.close()
    return frame, log, asks


def test_the_same_is_proposed_wherever_it_is_done(tmp_path):
    strategy = "discover"  # which has a model, and looks at what the budget leaves
    here, _, states = _run(_campaign(tmp_path / "here", strategy))
    there = _campaign(tmp_path / "there", strategy)
    with brain(there):
        frame, log, others = _run(there)
    who = {event.who for event in log if event.kind == "ask"}
    assert who == {"brain"}
    pd.testing.assert_frame_equal(frame.drop(columns=["created", "updated"], errors="ignore"), here[frame.columns])
    assert others == states, "what the strategy starts from next time"


def test_without_a_brain_nothing_is_written_for_one(tmp_path):
    _, log, _ = _run(_campaign(tmp_path, "random"))
    assert not [event for event in log if event.kind in (words.THINK, words.THOUGHT)]


def test_what_the_brain_cannot_do_is_done_here(tmp_path):
    """A pool of five is exhausted: the brain says so, and the loop finds the same."""
    path = _campaign(tmp_path, "random", rows=5)
    with brain(path):
        frame, log, _ = _run(path)
    assert len(frame) == 5
    (refusal, own) = [event for event in log if event.kind == words.THOUGHT]
    assert refusal.who == "brain"
    assert own.who == "campaign"
    assert "Exhausted" in own.why


def test_a_brain_that_is_silent_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.setattr(proposing, "Elsewhere", lambda campaign, cancelled: Elsewhere(campaign, cancelled, 0.3))
    path = _campaign(tmp_path, "random")
    store = open_store(path, durable=False)
    hold = store.hold(BRAIN, "plate", Owner.current())
    frame, log, _ = _run(path)
    store.drop(hold)
    store.close()
    assert len(frame) == 8
    assert {event.who for event in log if event.kind == "ask"} == {"campaign"}
    assert "has not answered within 0.3 s" in next(event.why for event in log if event.kind == words.THOUGHT)


def test_a_brain_that_goes_is_not_waited_for(tmp_path):
    path = _campaign(tmp_path, "random")
    store = open_store(path, durable=False)
    hold = store.hold(BRAIN, "plate", Owner.current())

    def go():
        while not store.events("plate", kinds=(words.THINK,)):
            Event().wait(0.01)
        store.drop(hold)

    going = Thread(target=go)
    going.start()
    frame, log, _ = _run(path)
    going.join()
    store.close()
    assert len(frame) == 8
    assert [event.why for event in log if event.kind == words.THOUGHT] == [
        "made by the loop itself: the brain has gone"
    ]


@pytest.fixture
def campaign(tmp_path):
    store = open_store(_campaign(tmp_path, "random"), durable=False)
    made = assemble(store, "plate").campaign
    yield made
    store.close()


def test_an_ask_is_made_once(campaign):
    campaign.propose(1, state="queued", ask=1)
    with pytest.raises(StaleWrite, match="ask 1 "):
        campaign.propose(1, state="queued", ask=1)
    assert len(campaign.store.asks("plate")) == 1


def test_a_loop_that_the_brain_outran_takes_what_that_made(campaign, tmp_path, monkeypatch):
    """The answer comes in the moment in which the loop has lost its patience."""
    store = campaign.store
    hold = store.hold(BRAIN, "plate", Owner.current())
    other = assemble(store, "plate").campaign
    elsewhere = Elsewhere(campaign, Event())

    def wait(number, before):
        other.propose(1, state="queued", ask=number)
        return "the brain is too slow"

    monkeypatch.setattr(elsewhere, "_wait", wait)
    records = elsewhere.propose(1, "queued", False, Standing(None, "", False))
    assert [record.id for record in records] == [1]
    assert len(store.asks("plate")) == 1
    store.drop(hold)


def test_an_answer_under_a_lease_that_was_lost_is_not_written(campaign):
    store = campaign.store
    first = store.acquire("plate", Owner.current())
    store.release(first)
    second = store.acquire("plate", Owner.current())
    serving = Brain(store, "plate", Event())
    data = {"ask": 1, "n": 1, "apart": False, "purse": None, "fresh": None}
    for lease, asks in ((first, 0), (second, 1)):
        store.apply("plate", [Note(words.THINK, "", data=data | {"token": lease.token})], who="test")
        serving._answer(store.events("plate", kinds=(words.THINK,))[-1])
        assert len(store.asks("plate")) == asks
    store.release(second)


def test_a_campaign_has_one_brain(campaign):
    store = campaign.store
    hold = store.hold(BRAIN, "plate", Owner.current())
    with pytest.raises(LeaseHeld):
        Brain(store, "plate", Event()).serve()
    store.drop(hold)


def test_a_brain_ends_with_its_campaign(tmp_path):
    path = _campaign(tmp_path, "random")
    store, ended = open_store(path, durable=False), []
    thread = Thread(target=lambda: ended.append(Brain(store, "plate", Event()).serve()))
    thread.start()
    _run(path)
    thread.join(timeout=20)
    assert ended == ["completed"]
    assert not store.held(BRAIN)
    store.close()
