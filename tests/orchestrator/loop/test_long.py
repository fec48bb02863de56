"""A long campaign in virtual time in which much goes wrong: nothing is lost, nothing repeated, memory stays flat."""

import gc
import tracemalloc
from collections import Counter
from contextlib import closing

import numpy as np
import pytest
from loop_bench import SPACE, Bench, Dead, Mortal, answer, campaign_of, loop_of

from acquisition import Objective
from instruments import Failure, InstrumentsError, Outcome
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.config.breakers import Breakers
from orchestrator.steering.experiments import resolve
from orchestrator.store.changes import Note
from orchestrator.store.opening import open_store


class Troubled(Bench):
    """Cells in which a tenth of all attempts goes wrong, in one way or another."""

    def __init__(self, cells):
        super().__init__(self.one, cells=cells, repeat_is_safe=False, virtual_time=True)

    def one(self, job, context):
        draw = np.random.default_rng((context.seed, context.attempt))
        duration, luck = float(3600.0 * draw.lognormal(0.0, 0.5)), draw.uniform()
        if luck < 0.03:
            return Outcome(failure=Failure("equipment", "the pump stalled"), duration=0.3 * duration)
        if luck < 0.05:
            return Outcome(failure=Failure("material", "the film peeled off"), duration=0.5 * duration)
        if luck < 0.07:
            raise InstrumentsError("the potentiostat does not answer.")
        return answer(job, duration=duration)


def _look_after(store, rerun, draw):
    """What a person does where a campaign waits: says what is to become of the unknown, puts cells back."""
    for record in store.experiments("c", states=("needs_inspection",)):
        decision = "rerun" if draw.uniform() < 0.5 else "discard"
        rerun[record.id] += decision == "rerun"
        resolve(store, "c", record.id, decision, who="marie")
    there = {}
    for event in store.events("c", kinds=(words.CELL,)):
        there[event.data["cell"]] = event.data["in_service"]
    for cell in (cell for cell, in_service in there.items() if not in_service):
        note = Note(words.CELL, "mended", data={"cell": cell, "in_service": True})
        store.apply("c", [note], who="marie")


@pytest.mark.parametrize("experiments", [60, pytest.param(500, marks=pytest.mark.soak)])
def test_much_goes_wrong_and_the_campaign_ends_as_it_should(tmp_path, experiments):
    draw, rerun, ends, memory = np.random.default_rng(7), Counter(), Counter(), []
    lab = Troubled(cells=8)
    with closing(open_store(f"sqlite:///{tmp_path}/s.db")) as store:
        campaign_of(store, strategy="space_filling")
        tracemalloc.start()
        while ends["completed"] == 0:
            process = Mortal(store, dies_at=int(draw.integers(40, 160)), written=bool(draw.integers(2)))
            try:
                campaign = Campaign(
                    SPACE, [Objective("y")], store=process, name="c", definition={}, strategy="space_filling"
                )
                loop = loop_of(campaign, lab, tmp_path, experiments=experiments, breakers=Breakers(cell=3, cells=2))
                ends[loop.run()] += 1
            except Dead:
                ends["died"] += 1
            if (holder := store.holder("c")) is not None:
                store.release(holder)
            _look_after(store, rerun, draw)
            campaign = loop = process = None
            gc.collect()
            memory.append(tracemalloc.get_traced_memory()[0])
            assert sum(ends.values()) < experiments, "it gets nowhere"
        tracemalloc.stop()
        records, attempts, log = store.experiments("c"), store.attempts("c"), store.events("c")
    asked = [r for r in records if r.origin == "asked" and r.state not in ("rejected", "cancelled")]
    assert len(asked) == experiments
    assert {r.state for r in asked} <= {"completed", "failed"}
    assert [e.sequence for e in log] == list(range(1, len(log) + 1))
    finished = Counter(a.experiment for a in attempts if a.state == "finished")
    assert finished == Counter(r.id for r in records if r.state == "completed"), "each measurement is there once"
    tries = Counter(a.experiment for a in attempts if a.state in ("finished", "failed", "unknown"))
    failed = Counter(a.experiment for a in attempts if a.state == "failed")
    for id, count in tries.items():
        assert count <= 1 + rerun[id] + failed[id], "an electrolysis was repeated unasked"
    assert all(a.state != "running" for a in attempts)
    assert lab.made_safe >= sum(ends.values()), "safe after every sitting"
    assert ends["died"] >= experiments // 60
    assert sum(a.state == "unknown" for a in attempts) > 0
    assert memory[-1] - memory[0] < 20_000 * experiments, "bytes"
