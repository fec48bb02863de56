"""People run the experiments: results are told, processes end and come back, and nothing is done or learned twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pandas as pd
import pytest
from loop_bench import SPACE, campaign_of, loop_of, states

from acquisition import Objective
from instruments.manual import ManualLab
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.errors import CampaignError
from orchestrator.loop.listener import Listener
from orchestrator.loop.recovery import clock_of
from orchestrator.steering import experiments, lifecycle, telling
from orchestrator.store.changes import Note, PutAttempt, PutExperiment
from orchestrator.store.opening import open_store
from orchestrator.store.records import AttemptRecord


class Door(Listener):
    """Knows what has begun and what was learned."""

    def __init__(self):
        self.begun, self.learnt = [], []

    def started(self, record, attempt):
        self.begun.append(record.id)

    def learned(self, record, attempt):
        self.learnt.append(record.id)


class Room:
    """A store with a campaign of people, in which sittings come and go."""

    def __init__(self, folder, cells=2, budget=4, **options):
        self.folder, self.cells, self.budget, self.options = folder, cells, budget, options
        self.store = open_store(folder / "s.db")
        campaign_of(self.store, strategy="random")
        self.cancelled, self.thread, self.ends = Event(), None, []

    def campaign(self):
        return Campaign(
            SPACE, [Objective("y")], store=self.store, name="c", definition={}, initial=4, strategy="random"
        )

    def enter(self):
        """Begin a sitting in a thread."""
        self.cancelled, self.door = Event(), Door()
        cells = tuple(f"bench-{n + 1}" for n in range(self.cells))
        lab = ManualLab(("a", "b"), cells=cells, metrics={"y": "1"})
        options = {"cancelled": self.cancelled, "listeners": [self.door], **self.options}
        loop = loop_of(self.campaign(), lab, self.folder, self.budget, **options)
        self.thread = Thread(target=lambda: self.ends.append(loop.run()))
        self.thread.start()

    def end(self):
        """How the sitting ended."""
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.thread = None
        return self.ends[-1]

    def leave(self):
        self.cancelled.set()
        return self.end()

    def running(self, n, *, but=()):
        """Wait until so many experiments run whose work orders are there; their ids."""
        for _ in range(3000):
            ids = [r.id for r in self.store.experiments("c", states={"running"}) if r.id not in but]
            orders = [id for id in ids if any((self.folder / "c" / f"{id:05d}").glob("*/work-order.json"))]
            if len(orders) >= n:
                return sorted(orders)
            self.cancelled.wait(0.01)
        raise AssertionError(states(self.campaign()))

    def tell(self, id, y=0.5, **more):
        self.campaign().tell(pd.DataFrame({"experiment": [id], "y": [y], **{k: [v] for k, v in more.items()}}))

    def attempts(self):
        return [(a.experiment, a.number, a.state) for a in self.store.attempts("c")]


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.loop.loop.TICK", 0.02)
    monkeypatch.setattr("orchestrator.loop.watching.BETWEEN", 0.02)
    made = []

    def of(**options):
        made.append(Room(tmp_path, **options))
        return made[-1]

    yield of
    for one in made:
        if one.thread is not None:
            one.leave()
        one.store.close()


def test_a_campaign_of_people(room):
    of = room()
    of.enter()
    told = []
    while len(told) < 4:
        id = of.running(1, but=told)[0]
        of.tell(id, y=0.1 * id)
        told.append(id)
    assert of.end() == "completed"
    assert states(of.campaign()) == {"completed": 4}
    assert of.attempts() == [(id, 1, "finished") for id in (1, 2, 3, 4)]
    assert sorted(of.door.learnt) == [1, 2, 3, 4]
    samples = of.campaign().to_dataframe()["sample"]
    assert list(samples) == ["c.0-1", "c.0-2", "c.0-3", "c.0-4"], "as on the work orders"


def test_what_people_do_goes_on_while_no_process_runs(room):
    of = room()
    of.enter()
    assert of.running(2) == [1, 2]
    assert of.leave() == "interrupted"
    assert of.store.campaign("c").reason == "a signal ended it; experiments 1, 2 go on"
    assert of.attempts() == [(1, 1, "running"), (2, 1, "running")]
    of.tell(2)
    of.enter()
    assert of.running(2) == [1, 3], "the second is not begun again, and its bench is free"
    assert of.door.begun == [3]
    assert (2, 1, "finished") in of.attempts()
    of.tell(1)
    of.tell(3)
    assert of.running(1) == [4]
    of.tell(4)
    assert of.end() == "completed"
    assert of.attempts() == [(id, 1, "finished") for id in (1, 2, 3, 4)]
    assert states(of.campaign()) == {"completed": 4}


def test_told_in_the_moment_in_which_the_process_is_ended(room):
    """The store knows already, the loop not yet: the attempt is finished, not called off."""
    of = room(cells=1)
    of.enter()
    assert of.running(1) == [1]
    of.tell(1)
    assert of.leave() in ("interrupted", "completed")
    assert of.attempts()[0] == (1, 1, "finished")
    assert of.store.experiment("c", 1).state == "completed"


def test_a_part_of_the_results_frees_the_bench(room):
    of = room(cells=1, budget=2)
    of.enter()
    assert of.running(1) == [1]
    of.campaign().tell(pd.DataFrame({"experiment": [1], "verdict": ["valid"]}))
    assert of.running(1, but=[1]) == [2]
    assert of.store.experiment("c", 1).state == "awaiting_analysis"
    assert of.attempts()[0] == (1, 1, "finished")
    of.tell(1)
    of.tell(2)
    assert of.end() == "completed"
    assert states(of.campaign()) == {"completed": 2}


def test_a_failure_that_a_person_tells_is_a_result(room):
    of = room(cells=1, budget=1)
    of.enter()
    of.running(1)
    told = {"experiment": [1], "status": ["failed"], "failure_cause": ["equipment"], "failure_reason": ["it leaked"]}
    of.campaign().tell(pd.DataFrame(told))
    assert of.end() == "completed"
    record = of.store.experiment("c", 1)
    assert (record.state, record.failure_reason) == ("failed", "it leaked")
    assert of.attempts() == [(1, 1, "finished")], "nobody is sent to try it again unasked"


@pytest.mark.parametrize("present", [True, False])
def test_what_people_run_can_be_called_off(room, present):
    of = room(cells=1, budget=1)
    of.enter()
    of.running(1)
    with pytest.raises(CampaignError, match="cannot be called off"):
        experiments.cancel(of.store, "c", [1], who="marie")
    if not present:
        of.leave()
    experiments.cancel(of.store, "c", [1], running=True, who="marie", why="it broke")
    if not present:
        of.enter()
    assert of.running(1, but=[1]) == [2], "another takes its place"
    assert of.attempts()[0] == (1, 1, "cancelled")
    assert 1 not in of.door.learnt
    of.tell(2)
    assert of.end() == "completed"
    assert states(of.campaign()) == {"cancelled": 1, "completed": 1}


def test_stopped_in_good_order_waits_for_people(room):
    of = room()
    of.enter()
    of.running(2)
    lifecycle.stop(of.store, "c", who="marie", why="enough")
    of.tell(1)
    of.tell(2)
    assert of.end() == "stopped"
    assert states(of.campaign()) == {"completed": 2}


def test_stopped_at_once_asks_what_became_of_it(room):
    of = room(cells=2, budget=2)
    of.enter()
    of.running(2)
    lifecycle.stop(of.store, "c", now=True, who="marie", why="it smells")
    assert of.end() == "stopped"
    assert states(of.campaign()) == {"needs_inspection": 2}
    of.enter()
    assert of.end() == "halted"
    of.tell(1)
    experiments.resolve(of.store, "c", 2, "rerun", who="marie")
    of.enter()
    assert of.running(1) == [2]
    of.tell(2)
    assert of.end() == "completed"
    assert of.attempts() == [(1, 1, "cancelled"), (2, 1, "cancelled"), (2, 2, "finished")]
    assert of.store.experiment("c", 2).sample == "c.0-2.2", "the first electrode had begun"


def test_one_halted_for_another_reason_ends_while_people_go_on(room):
    """Nothing waits for their results then; they are told whenever they come."""
    of = room(cells=2, budget=2)
    of.enter()
    of.running(2)
    of.leave()
    record = of.store.experiment("c", 1)
    attempt = of.store.attempts("c", 1)[0]
    campaign = of.campaign()
    unknown = replace(attempt, state="unknown", finished=datetime.now(UTC))
    campaign.put(PutExperiment(replace(record, state="needs_inspection"), "running"), PutAttempt(unknown))
    of.enter()
    assert of.end() == "halted"
    assert states(of.campaign()) == {"needs_inspection": 1, "running": 1}
    of.tell(1)
    of.tell(2)
    of.enter()
    assert of.end() == "completed"


def test_paused_means_that_people_finish_and_begin_nothing(room):
    of = room(cells=1, budget=2)
    of.enter()
    of.running(1)
    lifecycle.pause(of.store, "c", who="marie")
    of.tell(1)
    for _ in range(3000):
        if of.attempts() == [(1, 1, "finished")]:
            break
        of.cancelled.wait(0.01)
    assert len(of.store.attempts("c")) == 1
    lifecycle.go_on(of.store, "c", who="marie")
    assert of.running(1) == [2]
    of.tell(2)
    assert of.end() == "completed"


def test_approved_edited_and_added(room):
    of = room(cells=1, budget=1, approval=lambda _: True)
    of.enter()
    while not of.store.experiments("c", states={"proposed"}):
        of.cancelled.wait(0.01)
    lab = ManualLab(("a", "b"), metrics={"y": "1"})
    experiments.edit(of.campaign(), lab, 1, {"a": "0.25"}, who="marie")
    experiments.add(of.campaign(), lab, {"a": "0.5", "b": "0.5"}, priority=1, who="marie")
    assert of.running(1) == [2], "what a person adds needs no approval"
    experiments.approve(of.store, "c", [1], who="marie")
    of.tell(2)
    assert of.running(1) == [1]
    order = (of.folder / "c" / "00001" / "1" / "work-order.txt").read_text()
    assert "  a                      0.25" in order.splitlines()
    of.tell(1)
    assert of.end() == "completed"


def test_a_sheet_names_the_electrodes_of_the_work_orders(room):
    of = room(cells=1, budget=1)
    of.enter()
    of.running(1)
    sheet = telling.sheet(of.campaign(), ["smell"])
    assert list(sheet.columns) == ["experiment", "sample", "a", "b", "y", "y_sem", "smell", "smell_sem"]
    assert list(sheet["sample"]) == ["c.0-1"]
    of.tell(1, sample="another")
    assert of.end() == "completed"
    assert of.store.experiment("c", 1).sample == "another", "whoever tells knows better"


def test_the_laboratorys_clock_counts_what_people_did_meanwhile():
    now = datetime.now(UTC)
    began = AttemptRecord(experiment=2, number=1, started=now - timedelta(hours=5), clock_started=3600.0)
    before = AttemptRecord(experiment=1, number=1, state="finished", clock_started=0.0, duration=3600.0)
    assert clock_of([before]) == 3600.0
    assert clock_of([before, began]) == pytest.approx(6 * 3600.0, abs=60)
    assert clock_of([replace(began, started=now + timedelta(hours=1))]) == 3600.0, "a clock that was put back"
    assert clock_of([]) == 0.0


def test_an_attempt_that_was_told_meanwhile_took_until_then(room):
    of = room(cells=1, budget=1)
    of.enter()
    of.running(1)
    of.leave()
    of.tell(1)
    told = of.store.experiment("c", 1).updated
    of.store.apply("c", [Note(words.COMMENT, "later", experiment=1)], who="paul")
    of.enter()
    assert of.end() == "completed"
    attempt = of.store.attempts("c", 1)[0]
    assert abs((attempt.finished - told).total_seconds()) < 1.0
    assert attempt.duration == pytest.approx((attempt.finished - attempt.started).total_seconds())
    assert [e.after for e in of.store.events("c") if e.kind == "experiment"] == ["queued", "running", "completed"]
