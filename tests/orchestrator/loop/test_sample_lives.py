"""Samples whose life is over, or that nobody knows what they went through, are not used again unasked."""

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_bench import SPACE, Bench, answer, campaign_of, loop_of
from test_killed import sitting

from acquisition import CatalystMass, Continuous, CostBudget, Costs, Experiments, Objective, SearchSpace
from instruments import Failure, Outcome
from instruments.errors import ExecutionCancelled, LabHalted, LabHolds
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.config.samples import SamplesBlock
from orchestrator.loop.exposure import exposed
from orchestrator.loop.journal import Journal, Step, steps_of
from orchestrator.steering import experiments
from orchestrator.steering.samples import put
from orchestrator.store.changes import PutAttempt, PutExperiment
from orchestrator.store.memory import MemoryStore
from orchestrator.store.opening import open_store
from orchestrator.store.records import AttemptRecord, ExperimentRecord

STAGED = SearchSpace([Continuous("a", 0.0, 1.0, stage="preparation"), Continuous("b", 0.0, 1.0)])
STEPS = (("prepare", "needs-inspection"), ("purge", "idempotent"), ("electrolysis", "non-repeatable"))
COSTS = Costs(experiment=40, preparation=160, unit="min")


class Rig(Bench):
    """Journals its steps; what goes wrong goes wrong in a step of the first attempts of some experiments.

    Args:
        wrong: by experiment, the step, and what is raised or answered there.
        times: so many attempts of each go wrong.
    """

    journals = True

    def __init__(self, wrong=(), times=1, **options):
        super().__init__(self._run, **{"repeat_is_safe": False, **options})
        self.wrong, self.times = dict(wrong), times

    def _run(self, job, context):
        where, what = self.wrong.get(job.experiment, ("", None))
        if where == "before" and context.attempt <= self.times:
            raise what
        for step, kind in STEPS:
            with context.journal(step, kind) if self.journals else nullcontext():
                if step == where and context.attempt <= self.times:
                    if isinstance(what, Outcome):
                        return what
                    raise what
        return answer(job)


def _failed(cause):
    return Outcome(failure=Failure(cause, "it broke"), duration=60.0)


def _notes(store):
    return {e.data["sample"]: e.why for e in store.events("c", kinds=(words.SAMPLE,)) if not e.data["usable"]}


def _samples(store, id):
    return [a.sample for a in store.attempts("c", id)]


def _campaign(store=None, **options):
    return campaign_of(store, **{"strategy": "random", **options})


def _again(store):
    """The same campaign as another process has it."""
    return Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, initial=4, strategy="random")


class TestExposure:
    @pytest.mark.parametrize("cause", ["equipment", "analysis"])
    @pytest.mark.parametrize(
        ("step", "journals", "safe", "fresh"),
        [
            ("electrolysis", True, False, True),
            ("prepare", True, False, False),  # it failed in good order: the step has ended
            ("purge", True, False, False),
            ("purge", False, False, True),  # nothing says how far it came
            ("electrolysis", True, True, False),  # nothing is used up there
        ],
    )
    def test_what_is_tried_again_gets_a_fresh_sample_where_current_may_have_flowed(
        self, tmp_path, cause, step, journals, safe, fresh
    ):
        campaign = _campaign()
        lab = Rig({2: (step, _failed(cause))}, repeat_is_safe=safe)
        lab.journals = journals
        assert loop_of(campaign, lab, tmp_path, 3).run() == "completed"
        assert _samples(campaign.store, 2) == ["c.0-2", "c.0-2.2" if fresh else "c.0-2"]
        assert campaign.store.experiment("c", 2).sample == ("c.0-2.2" if fresh else "c.0-2")
        assert set(_notes(campaign.store)) == ({"c.0-2"} if fresh else set())
        if fresh:
            assert f"{cause}: it broke (experiment 2, attempt 1)" in _notes(campaign.store)["c.0-2"]

    def test_each_further_failure_takes_another_one(self, tmp_path):
        campaign = _campaign()
        loop_of(campaign, Rig({1: ("electrolysis", _failed("equipment"))}, times=2), tmp_path, 1).run()
        assert _samples(campaign.store, 1) == ["c.0-1", "c.0-1.2", "c.0-1.3"]

    @pytest.mark.parametrize(
        ("step", "problem", "given_up"),
        [
            ("electrolysis", ExecutionCancelled("a person pressed it"), True),
            ("prepare", ExecutionCancelled("the robot dropped it"), True),  # broken off, it is what nobody knows
            ("purge", ExecutionCancelled("a person pressed it"), False),
            ("purge", ExecutionCancelled("nothing moved", untouched=True), False),
            ("electrolysis", ExecutionCancelled("nothing moved", untouched=True), False),
            ("before", LabHolds("no gas"), False),
            ("purge", LabHalted("hydrogen"), True),  # a trip
            ("electrolysis", LabHalted("hydrogen"), True),
            ("before", LabHalted("hydrogen"), False),
        ],
    )
    def test_an_attempt_without_an_outcome(self, tmp_path, step, problem, given_up):
        campaign = _campaign()
        state = loop_of(campaign, Rig({1: (step, problem)}), tmp_path, 1).run()
        untouched = isinstance(problem, ExecutionCancelled) and problem.untouched
        assert state == ("completed" if untouched else "holding" if isinstance(problem, LabHolds) else "halted")
        assert set(_notes(campaign.store)) == ({"c.0-1"} if given_up else set())
        (note,) = campaign.store.events("c", kinds=(words.SAMPLE,)) or [None]
        end = [e for e in campaign.store.events("c") if e.kind == "attempt"][-1]
        assert note is None or abs(note.sequence - end.sequence) == 1, "they are one transaction"

    def test_steps_of_controls_do_not_count(self):
        campaign = _campaign()
        campaign.propose(1, state="queued")
        for control in ("argon", ""):
            for phase in ("begin", "end"):
                Journal(campaign, 1, 1, control)("electrolysis" if control else "purge", "non-repeatable", phase)
        begun = steps_of(campaign.store.events("c"))[1, 1]
        assert [step.control for step in begun] == ["argon", ""]
        assert not exposed(begun[:1])
        assert not exposed(begun[:1], tripped=True)
        assert exposed(begun)
        assert exposed([Step("purge", "idempotent")], tripped=True)

    def test_a_laboratory_may_say_that_a_sample_is_spent_although_its_result_stands(self, tmp_path):
        campaign = _campaign(space=STAGED, conditions_per_sample=3)
        lab = Bench(
            lambda job, _: answer(job, spent="the rinse failed" if job.experiment == 2 else ""), repeat_is_safe=True
        )
        assert loop_of(campaign, lab, tmp_path, 6).run() == "completed"
        used = [r.sample for r in campaign.experiments()]
        assert used == ["c.0-1"] * 2 + ["c.0-3"] * 3 + ["c.0-6"]
        assert _notes(campaign.store) == {"c.0-1": "the rinse failed (experiment 2, attempt 1)"}

    @pytest.mark.parametrize(("safe", "lost"), [(False, {"c.0-1"}), (True, set())])
    def test_called_off_while_no_process_ran(self, tmp_path, safe, lost):
        campaign = _campaign()
        store = campaign.store
        (record,) = campaign.propose(1, state="queued")
        running = replace(record, state="running")
        attempt = AttemptRecord(experiment=1, number=1, cell="cell-1", sample="c.0-1")
        campaign.put(PutExperiment(running, "queued"), PutAttempt(attempt))
        store.apply("c", [PutExperiment(replace(running, state="cancelled"), "running", "enough")], who="marie")
        assert loop_of(_again(store), Rig(repeat_is_safe=safe), tmp_path, 1).run() == "completed"
        assert store.attempts("c", 1)[0].state == "cancelled"
        assert set(_notes(store)) == lost

    def test_a_loop_that_fails_before_anything_began(self, tmp_path):
        campaign, lab = _campaign(), Rig()

        def broken(job, context):
            raise RuntimeError("a bug")

        lab.behaviour = broken
        with pytest.raises(RuntimeError):
            loop_of(campaign, lab, tmp_path, 1).run()
        assert campaign.store.experiment("c", 1).state == "needs_inspection"
        assert not _notes(campaign.store), "its journal has no step"


class TestSharedSamples:
    @pytest.mark.parametrize("where", ["memory:", "s.db"])
    def test_what_waits_for_a_lost_sample_moves_together_to_one_fresh_one_which_costs_its_preparation(
        self, tmp_path, where
    ):
        store = open_store(where if where == "memory:" else tmp_path / where, durable=False)
        campaign = _campaign(store, space=STAGED, conditions_per_sample=3, costs=COSTS)
        lab = Rig({1: ("electrolysis", _failed("equipment"))})
        assert loop_of(campaign, lab, tmp_path, 3, batch=3).run() == "completed"
        assert _samples(campaign.store, 1) == ["c.0-1", "c.0-2"]
        assert {r.sample for r in campaign.experiments()} == {"c.0-2"}
        assert [r.cost for r in campaign.experiments()] == [200.0, 200.0, 40.0]
        assert len({r.asked["a"] for r in campaign.experiments()}) == 1, "it is made as the lost one was"
        why = [e.why for e in campaign.store.events("c", experiment=2) if "fresh" in e.why]
        assert why == [f"a fresh sample, c.0-2, instead of c.0-1: {_notes(campaign.store)['c.0-1']}"]

    @pytest.mark.parametrize(
        ("stop", "what"), [(CatalystMass(0.5), "catalyst"), (CostBudget(290.0), "the budget of costs")]
    )
    def test_it_is_called_off_where_the_budgets_make_no_other(self, tmp_path, stop, what):
        campaign = _campaign(
            space=STAGED, conditions_per_sample=3, costs=COSTS, sample_limits=SamplesBlock(catalyst_mass=0.5)
        )
        lab = Rig({1: ("electrolysis", _failed("equipment"))})
        assert loop_of(campaign, lab, tmp_path, None, stop=stop | Experiments(9), batch=3).run() == "completed"
        assert campaign.to_dataframe()["state"].tolist() == ["failed", "cancelled", "cancelled"]
        ends = [e for e in campaign.store.events("c") if e.kind == "experiment" and e.after in ("failed", "cancelled")]
        assert len(ends) == 3
        assert all(e.why.endswith(f"and what is left of {what} makes no other") for e in ends)
        assert campaign.store.experiment("c", 1).failure_cause == "equipment"
        assert campaign.standing(stop).now <= campaign.standing(stop).limit

    def test_a_fresh_one_is_counted_in_the_catalyst(self, tmp_path):
        campaign = _campaign(sample_limits=SamplesBlock(catalyst_mass=0.5))
        lab = Rig({1: ("electrolysis", _failed("equipment"))})
        assert loop_of(campaign, lab, tmp_path, None, stop=CatalystMass(2.0)).run() == "completed"
        assert campaign.to_dataframe()["state"].tolist() == ["completed"] * 3
        assert len({a.sample for a in campaign.store.attempts("c")}) == 4


class TestLimits:
    @given(
        wanted=st.sampled_from([2, 5, "auto"]), cells=st.integers(1, 3), batch=st.integers(1, 5), uses=st.integers(2, 6)
    )
    @settings(max_examples=15, deadline=None)
    def test_no_sample_is_used_more_often_than_it_may_be(self, tmp_path_factory, wanted, cells, batch, uses):
        campaign = _campaign(
            space=STAGED, conditions_per_sample=wanted, costs=COSTS, sample_limits=SamplesBlock(uses=uses)
        )
        lab = Bench(lambda job, _: answer(job, 60.0 * (1 + job.experiment % 3)), cells=cells, virtual_time=True)
        folder = tmp_path_factory.mktemp("files")
        assert loop_of(campaign, lab, folder, 14, batch=batch).run() == "completed"
        counts = Counter(a.sample for a in campaign.store.attempts("c"))
        assert max(counts.values()) <= uses
        assert sum(counts.values()) == 14
        if wanted == "auto":
            assert max(counts.values()) == min(uses, 2), "as often as pays"

    @given(hours=st.floats(0.5, 4.0), cells=st.integers(1, 3), batch=st.integers(1, 4))
    @settings(max_examples=15, deadline=None)
    def test_nothing_begins_on_a_sample_after_its_hours(self, tmp_path_factory, hours, cells, batch):
        campaign = _campaign(space=STAGED, conditions_per_sample=5, sample_limits=SamplesBlock(hours=hours))
        lab = Bench(lambda job, _: answer(job, 1800.0 * (1 + job.experiment % 3)), cells=cells, virtual_time=True)
        folder = tmp_path_factory.mktemp("files")
        assert loop_of(campaign, lab, folder, 12, batch=batch).run() == "completed"
        attempts = campaign.store.attempts("c")
        assert len(attempts) == 12
        first = {}
        for attempt in sorted(attempts, key=lambda a: a.clock_started):
            first.setdefault(attempt.sample, attempt.clock_started)
            assert attempt.clock_started - first[attempt.sample] <= 3600.0 * hours
        for sample, why in _notes(campaign.store).items():
            assert why.startswith(f"its {hours:g} hours are over")
            assert sample in first

    def test_one_that_was_at_open_circuit_for_too_long(self, tmp_path):
        campaign = _campaign(space=STAGED, conditions_per_sample=4, sample_limits=SamplesBlock(open_circuit=1.0))
        lab = Bench(lambda job, _: answer(job, 4000.0 if job.experiment == 3 else 600.0), virtual_time=True)
        loop_of(campaign, lab, tmp_path, 2).run()
        assert {r.sample for r in campaign.experiments()} == {"c.0-1"}, "it went on at once"
        hunch = ExperimentRecord(id=3, state="queued", origin="manual", asked={"a": 0.1, "b": 0.1}, priority=1)
        campaign.put(PutExperiment(hunch, None, "a hunch"))
        loop_of(campaign, lab, tmp_path, 3).run()
        assert [r.sample for r in campaign.experiments()] == ["c.0-1", "c.0-1", "c.0-3", "c.0-3"]
        assert _notes(campaign.store) == {"c.0-1": "it was at open circuit for 1.11 h, longer than 1 h"}

    def test_time_in_which_no_process_ran_counts_where_it_is_real(self):
        from datetime import UTC, datetime, timedelta

        from orchestrator.campaign.lives import over
        from orchestrator.store.records import AttemptRecord

        began = datetime(2026, 1, 1, 8, tzinfo=UTC)
        life = [
            AttemptRecord(
                experiment=1,
                number=1,
                cell="cell-1",
                sample="s",
                state="finished",
                started=began,
                finished=began + timedelta(hours=1),
                clock_started=0.0,
                duration=3600.0,
            )
        ]
        limits, later = SamplesBlock(hours=24, open_circuit=2), began + timedelta(hours=10)
        assert over(limits, life, 3600.0, None) == ""
        assert over(limits, life, 3600.0, later) == "it was at open circuit for 9 h, longer than 2 h"
        assert over(limits, life, 3600.0, began + timedelta(hours=30)).startswith("its 24 hours are over")
        assert over(limits, life, 4 * 3600.0, None) == "it was at open circuit for 3 h, longer than 2 h"
        assert over(limits, [], 9e9, later) == ""


class TestPeople:
    def test_a_person_takes_a_sample_out_of_use_and_puts_it_back(self, tmp_path):
        campaign = _campaign(space=STAGED, conditions_per_sample=5)
        lab = Bench(virtual_time=True)
        loop_of(campaign, lab, tmp_path, 2).run()
        store = campaign.store
        assert "out of use" in put(store, "c", "c.0-1", usable=False, who="marie", why="it fell")
        assert "already: it fell" in put(store, "c", "c.0-1", usable=False, who="paul")
        loop_of(campaign, lab, tmp_path, 4).run()
        assert [r.sample for r in campaign.experiments()] == ["c.0-1"] * 2 + ["c.0-3"] * 2
        assert "It had been given up: it fell." in put(store, "c", "c.0-1", usable=True, who="paul", why="it is whole")
        loop_of(campaign, lab, tmp_path, 6).run()
        assert [r.sample for r in campaign.experiments()][4:] == ["c.0-1"] * 2
        said = [(e.who, e.why) for e in store.events("c", kinds=(words.SAMPLE,))]
        assert said == [("marie", "it fell"), ("paul", "it is whole")]

    def test_a_word_that_comes_while_it_is_used_lets_that_end(self, tmp_path):
        campaign = _campaign(space=STAGED, conditions_per_sample=3)

        def dropped(job, context):
            if job.experiment == 1:
                put(campaign.store, "c", context.sample, usable=False, who="marie", why="it will not do")
            return answer(job)

        assert loop_of(campaign, Bench(dropped), tmp_path, 3, batch=3).run() == "completed"
        assert [(r.state, r.sample) for r in campaign.experiments()] == [
            ("completed", "c.0-1"),
            ("completed", "c.0-2"),
            ("completed", "c.0-2"),
        ]

    def test_what_is_queued_on_it_gets_a_fresh_one(self, tmp_path):
        campaign = _campaign(space=STAGED, conditions_per_sample=3)
        campaign.propose(3, state="queued")
        put(campaign.store, "c", "c.0-1", usable=False, who="marie", why="it fell")
        loop_of(campaign, Bench(virtual_time=True), tmp_path, 3).run()
        assert {a.sample for a in campaign.store.attempts("c")} == {"c.0-1.2"}

    def test_a_life_begins_anew_when_it_is_put_back(self, tmp_path):
        campaign = _campaign(space=STAGED, conditions_per_sample=4, sample_limits=SamplesBlock(uses=4))
        lab = Bench(virtual_time=True)
        loop_of(campaign, lab, tmp_path, 4).run()
        put(campaign.store, "c", "c.0-1", usable=True, who="marie", why="polished")
        campaign.refresh()
        assert campaign.problem().open_samples == (), "four conditions were all that was wanted of it"
        campaign.conditions_per_sample = 6
        assert [s.name for s in campaign.problem().open_samples] == ["c.0-1"]

    def test_one_that_is_none_is_refused_with_those_that_are_near(self):
        campaign = _campaign()
        campaign.propose(2, state="queued")
        with pytest.raises(Exception, match=r"'c.0-3' is no sample of campaign 'c'. It has c.0-2, c.0-1"):
            put(campaign.store, "c", "c.0-3", usable=False, who="marie")


def _sitting(store, lab, folder, **options):
    """One process's part of a campaign on shared samples."""
    wanted = {"conditions_per_sample": 3, "costs": COSTS}
    return sitting(store, lab, folder, experiments=5, batch=3, space=STAGED, campaign=wanted, **options)


def _new():
    store = MemoryStore()
    _campaign(store, space=STAGED, conditions_per_sample=3)
    return store


@pytest.mark.parametrize(
    ("written", "every"),
    [(True, 7), *(pytest.param(written, 1, marks=pytest.mark.soak) for written in (False, True))],
)
def test_death_around_every_write(tmp_path, written, every):
    """A sample on which an attempt broke off or failed under current is never used again, whoever dies when."""

    def lab():
        return Rig({2: ("electrolysis", _failed("equipment")), 4: ("purge", _failed("equipment"))})

    calm = _new()
    state, writes = _sitting(calm, lab(), tmp_path)
    assert state == "completed"
    calm.close()
    given_up = Counter()
    for point in range(1, writes + 1, every):
        store, rig = _new(), lab()
        assert _sitting(store, rig, tmp_path, dies_at=point, written=written)[0] is None
        for _ in range(3):
            state, _ = _sitting(store, rig, tmp_path)
            for record in store.experiments("c"):
                if record.state == "needs_inspection":
                    experiments.resolve(store, "c", record.id, "rerun", who="marie")
            if state == "completed":
                break
        assert state == "completed"
        out = _notes(store)
        given_up[len(out)] += 1
        lives = {}
        for attempt in sorted(store.attempts("c"), key=lambda a: (a.started, a.experiment, a.number)):
            lives.setdefault(attempt.sample, []).append(attempt)
        for sample, life in lives.items():
            steps = steps_of(store.events("c", kinds=(words.STEP,)))
            lost = [
                a.state == "unknown" or (a.state == "failed" and exposed(steps.get((a.experiment, a.number), ())))
                for a in life
            ]
            assert not any(lost[:-1]), "it was used again"
            assert (sample in out) == lost[-1]
        assert sum(r.state == "completed" for r in store.experiments("c")) == 5
        store.close()
    assert given_up[1], "that of the failure"
    assert given_up[2], "and that of an attempt that nobody knows the end of"
