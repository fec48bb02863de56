"""The controller dies before or after any of its writes: nothing recorded is lost, and nothing runs twice unasked."""

import itertools
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from loop_bench import SPACE, Bench, Dead, Mortal, answer, campaign_of, loop_of

from acquisition import Objective
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.campaign.history import History
from orchestrator.steering.samples import put
from orchestrator.store.changes import Note, PutExperiment, SetCampaignState
from orchestrator.store.memory import MemoryStore
from orchestrator.store.records import ExperimentRecord


def sitting(store, lab, folder, *, dies_at=None, written=False, experiments=6, space=SPACE, campaign=None, **options):
    """One process's part of a campaign; its state at the end, or ``None`` where it died."""
    process = Mortal(store, dies_at, written)
    try:
        wanted = {"initial": 4, "strategy": "random", **(campaign or {})}
        mine = Campaign(space, [Objective("y")], store=process, name="c", definition={}, **wanted)
        return loop_of(mine, lab, folder, experiments=experiments, **options).run(), process.writes
    except Dead:
        return None, process.writes
    finally:
        holder = store.holder("c")
        if holder is not None:  # found dead by whoever comes next
            store.release(holder)


def _new():
    store = MemoryStore()
    campaign_of(store, strategy="random")
    return store


def _check(store, executed, *, safe):
    """Every recorded measurement is there once; nothing that may have run was repeated unasked."""
    records, attempts = store.experiments("c"), store.attempts("c")
    finished = Counter(a.experiment for a in attempts if a.state == "finished")
    assert max(finished.values(), default=0) <= 1
    accepted = {r.id for r in records if r.id not in finished}  # by a person who found out
    assert {r.id for r in records if r.state == "completed"} - accepted == set(finished)
    assert [e.sequence for e in store.events("c")] == list(range(1, len(store.events("c")) + 1))
    if not safe:
        assert max(Counter(executed).values(), default=0) <= 1


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("safe", [True, False])
def test_death_around_every_write(tmp_path, safe, written):
    calm = _new()
    state, writes = sitting(calm, Bench(cells=2, repeat_is_safe=safe), tmp_path)
    assert state == "completed"
    assert writes >= 12
    expected = {r.id: (r.asked, r.values) for r in calm.experiments("c")}
    calm.close()
    ended = Counter()
    for point in range(1, writes + 1):
        store, lab = _new(), Bench(cells=2, repeat_is_safe=safe)
        assert sitting(store, lab, tmp_path, dies_at=point, written=written)[0] is None
        before = {r.id: r.values for r in store.experiments("c") if r.state == "completed"}
        state, _ = sitting(store, lab, tmp_path)
        _check(store, lab.executed, safe=safe)
        now = {r.id: r for r in store.experiments("c")}
        assert {id: now[id].values for id in before} == before, "what was recorded stays"
        ended[state] += 1
        if state == "completed":
            assert {r.id: (r.asked, r.values) for r in now.values()} == expected, "as if nothing had happened"
        else:
            assert state == "halted"
            assert not safe
            assert "a person must say" in store.campaign("c").reason
        store.close()
    assert ended["completed"] > 0
    assert (ended["halted"] > 0) == (not safe), "what may have run is a person's to judge"


class Lifecycle(RuleBasedStateMachine):
    """People and crashes in any order, in a laboratory where repeating is not safe."""

    def __init__(self):
        super().__init__()
        self.store = MemoryStore()
        campaign_of(self.store, strategy="random")
        self.lab = Bench(lambda job, _: answer(job), cells=2, repeat_is_safe=False)
        self.learned, self.rerun, self.ids = {}, Counter(), itertools.count(1000)
        self.put_back = set()

    @initialize()
    def begin(self):
        self.run(None, written=False)

    @rule(dies_at=st.one_of(st.none(), st.integers(1, 14)), written=st.booleans())
    def run(self, dies_at, written):
        ended = sum(r.origin == "asked" and r.told is not None for r in self.store.experiments("c"))
        budget = min(ended + 3, 12)
        before = {(a.experiment, a.number) for a in self.store.attempts("c")}
        out = set(History.of(self.store, "c").out)
        sitting(self.store, self.lab, self.folder, dies_at=dies_at, written=written, experiments=budget)
        begun = {a.sample for a in self.store.attempts("c") if (a.experiment, a.number) not in before}
        assert not out & begun, "a sample was used that had been given up"

    @rule(verdict=st.sampled_from(["rerun", "discard", "accept"]))
    def look_at_what_is_unknown(self, verdict):
        for record in self.store.experiments("c"):
            if record.state != "needs_inspection":
                continue
            if verdict == "accept":
                mine = Campaign(SPACE, [Objective("y")], store=self.store, name="c", definition={})
                mine.tell(pd.DataFrame({"experiment": [record.id], "y": [0.5]}))
                continue
            state = "queued" if verdict == "rerun" else "cancelled"
            self.rerun[record.id] += verdict == "rerun"
            self._say(PutExperiment(replace(record, state=state), record.state, verdict))

    @rule(a=st.floats(0, 1), b=st.floats(0, 1))
    def add(self, a, b):
        known = [r.id for r in self.store.experiments("c")]
        record = ExperimentRecord(id=max(known, default=0) + 1, state="queued", origin="manual", asked={"a": a, "b": b})
        self._say(PutExperiment(record, None, "a hunch"))

    @rule()
    def call_off(self):
        for record in self.store.experiments("c"):
            if record.state == "queued":
                self._say(PutExperiment(replace(record, state="cancelled"), "queued", "not this one"))
                return

    @rule(verdict=st.sampled_from(["invalid", "suspect", "valid"]))
    def mark(self, verdict):
        for record in self.store.experiments("c"):
            if record.state == "completed":
                self._say(PutExperiment(replace(record, verdict=verdict), "completed", "looked at again"))
                return

    @rule(where=st.integers(0, 30), usable=st.booleans())
    def judge_a_sample(self, where, usable):
        known = sorted({a.sample for a in self.store.attempts("c")})
        if known:
            put(self.store, "c", known[where % len(known)], usable=usable, who="marie")
            self.put_back |= {known[where % len(known)]} if usable else set()

    @rule()
    def pause(self):
        self._say(SetCampaignState(self.store.campaign("c").state, "paused", "lunch"), allowed=("interrupted",))

    @rule(now=st.booleans())
    def stop(self, now):
        note = (Note(words.STOP_NOW, "it smells"),) if now else ()
        self._say(
            SetCampaignState(self.store.campaign("c").state, "stopped", "enough"), *note, allowed=("halted", "paused")
        )

    def _say(self, *changes, allowed=None):
        if allowed is None or self.store.campaign("c").state in allowed:
            self.store.apply("c", changes, who="marie")

    @invariant()
    def nothing_is_lost_or_repeated(self):
        _check(self.store, (), safe=False)
        unknown = {a.sample for a in self.store.attempts("c") if a.state == "unknown"}
        assert unknown <= set(History.of(self.store, "c").out) | self.put_back
        for id, count in Counter(self.lab.executed).items():
            assert count <= 1 + self.rerun[id], "an electrolysis was repeated unasked"
        for record in self.store.experiments("c"):
            if record.id in self.learned:
                assert record.values == self.learned[record.id]
            elif record.state == "completed":
                self.learned[record.id] = record.values


@pytest.mark.parametrize("examples", [12, pytest.param(200, marks=pytest.mark.soak)])
def test_any_order_of_words_and_deaths(tmp_path, examples):
    from hypothesis.stateful import run_state_machine_as_test

    Lifecycle.folder = tmp_path
    run_state_machine_as_test(
        Lifecycle, settings=settings(max_examples=examples, stateful_step_count=12, deadline=None, print_blob=True)
    )
