"""When the search is over, the best points are measured again on fresh samples, and compared with what was expected."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from threading import Event

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from loop_bench import SPACE, Bench, answer, campaign_of, loop_of
from test_killed import Lifecycle, sitting

from acquisition import Categorical, Continuous, CostBudget, Costs, Hours, Objective, OutcomeConstraint, SearchSpace
from acquisition.stopping import CatalystMass, Experiments, Standing, StoppingRule
from instruments import Figure, Observation, Outcome, Verdict
from instruments.errors import LabError
from instruments.lab import Failure
from orchestrator import Campaign
from orchestrator.campaign import words
from orchestrator.campaign.confirmation import confirmation
from orchestrator.campaign.progress import spent
from orchestrator.cli.looking import summary
from orchestrator.config.confirm import ConfirmBlock
from orchestrator.config.samples import SamplesBlock
from orchestrator.store.changes import PutExperiment, SetCampaignState
from orchestrator.store.memory import MemoryStore

TWO = ConfirmBlock(top=2, samples=3)


def _confirming(campaign):
    return [r for r in campaign.store.experiments("c") if r.origin == "confirm"]


def _searched(campaign):
    return [r for r in campaign.store.experiments("c") if r.origin == "asked"]


def _notes(campaign):
    return [e for e in campaign.store.events("c") if e.kind == words.CONFIRM]


def test_the_last_experiments_confirm_the_best(tmp_path):
    campaign, lab = campaign_of(strategy="random"), Bench(cells=2)
    assert loop_of(campaign, lab, tmp_path, experiments=16, confirm=TWO).run() == "completed"
    assert len(_searched(campaign)) == 10
    ours = _confirming(campaign)
    assert [r.id for r in ours] == [11, 12, 13, 14, 15, 16]
    best = sorted(_searched(campaign), key=lambda r: -r.values["y"].value)[:2]
    assert [r.asked for r in ours] == [best[0].asked, best[1].asked] * 3, "a first sample of each, then a second"
    assert len({r.sample for r in ours}) == 6
    assert ours[1].reason == f"confirms experiment {best[1].id}: sample 1 of 3"
    first, second = confirmation(campaign.store, "c")
    assert first.metrics["y"].expected == best[0].values["y"].value, "no model: as measured"
    assert not ours[0].prediction
    assert (first.experiment, first.experiments, first.waiting, first.failed) == (best[0].id, (11, 13, 15), 0, 0)
    assert first.verdict == second.verdict == "confirmed"
    assert first.metrics["y"].samples == 3
    [note] = _notes(campaign)
    assert note.data["why"] == "the budget of 16 experiments less 6 to confirm the best is used"
    reason = campaign.store.campaign("c").reason
    assert reason == f"{note.data['why']}; of the 2 best points 2 confirmed"


def test_nothing_is_confirmed_where_nobody_wants_it(tmp_path):
    campaign = campaign_of(strategy="random")
    loop_of(campaign, Bench(), tmp_path, experiments=4).run()
    assert not _confirming(campaign)
    assert confirmation(campaign.store, "c") is None


def _scattered(spread):
    """A laboratory whose samples scatter, each in its own way."""

    def measure(job, context):
        seen = answer(job).observation.figures["y"].value
        off = np.random.default_rng(context.seed).normal(0.0, spread)
        return Outcome(Observation({"y": Figure(seen + off, 0.01)}), duration=60.0)

    return measure


def test_a_lucky_value_is_not_confirmed(tmp_path):
    def lucky(job, context):
        lift = 0.5 if job.experiment == 3 else 0.0
        return Outcome(Observation({"y": Figure(0.1 + 0.01 * (job.experiment % 3) + lift, 0.01)}), duration=60.0)

    campaign = campaign_of(strategy="random")
    loop_of(campaign, Bench(lucky), tmp_path, experiments=9, confirm=ConfirmBlock(samples=3)).run()
    [point] = confirmation(campaign.store, "c")
    assert point.experiment == 3
    seen = point.metrics["y"]
    assert (seen.expected, seen.mean) == (pytest.approx(0.6), pytest.approx(0.11))
    assert seen.sem == pytest.approx(0.01 / 3**0.5)
    assert point.verdict == "not confirmed"
    assert campaign.store.campaign("c").reason.endswith("; the best point is not confirmed")


def test_a_model_says_what_is_expected(tmp_path):
    campaign = campaign_of(strategy="expected_improvement", seed=3)
    loop_of(campaign, Bench(_scattered(0.05)), tmp_path, experiments=11, confirm=ConfirmBlock(samples=3)).run()
    [point] = confirmation(campaign.store, "c")
    alone = campaign_of(strategy="expected_improvement", seed=3)  # the same, before it was confirmed
    loop_of(alone, Bench(_scattered(0.05)), tmp_path / "alone", experiments=8).run()
    best = alone.best()
    assert point.experiment == best.index[0]
    assert point.metrics["y"].expected == pytest.approx(best["y_mean"].iloc[0], abs=1e-9)
    assert point.metrics["y"].expected_std == pytest.approx(best["y_std"].iloc[0], abs=1e-9)
    one = _confirming(campaign)[0].prediction["y"]
    assert one["mean"] == point.metrics["y"].expected
    assert one["std"] > point.metrics["y"].expected_std, "of one measurement, with its scatter"
    assert point.metrics["y"].samples == 3


class NothingGreat(StoppingRule):
    """Met while no result is great."""

    key = "nothing_great"
    looks_ahead = True

    def standing(self, progress):
        met = progress.experiments >= 4 and max(progress.problem.observations.values["y"], default=0.0) < 5.0
        return Standing(self.key, self.text(), met, reason="nothing is great" if met else "", room=0 if met else 99)

    def text(self):
        return "nothing great"


def test_a_search_that_ended_early_stays_over(tmp_path):
    values = iter([0.5, 0.4, 0.3, 0.2, 9.0, 9.0])  # what confirms is so good that the rule is met no more
    measured = {}

    def measure(job, context):
        measured.setdefault(job.experiment, next(values))
        return Outcome(Observation({"y": Figure(measured[job.experiment])}), duration=60.0)

    campaign, lab = campaign_of(strategy="random"), Bench(measure)
    options = {"stop": Experiments(30) | NothingGreat(), "experiments": None, "confirm": ConfirmBlock(samples=2)}
    assert loop_of(campaign, lab, tmp_path, **options).run() == "completed"
    assert (len(_searched(campaign)), len(_confirming(campaign))) == (4, 2)
    assert campaign.stop_reason(NothingGreat()) is None
    assert loop_of(campaign, lab, tmp_path, **options).run() == "completed", "nor when it is resumed"
    assert len(campaign.experiments()) == 6
    assert campaign.store.campaign("c").reason.startswith("nothing is great; the best point is")


def test_with_a_larger_budget_the_search_goes_on_and_its_best_are_confirmed_too(tmp_path):
    campaign, lab = campaign_of(strategy="random"), Bench()
    loop_of(campaign, lab, tmp_path, experiments=8, confirm=TWO).run()
    assert (len(_searched(campaign)), len(_confirming(campaign))) == (2, 6)
    loop_of(campaign, lab, tmp_path, experiments=20, confirm=TWO).run()
    assert (len(_searched(campaign)), len(_confirming(campaign))) == (8, 12)
    assert len(_notes(campaign)) == 2
    assert {r.id for r in _confirming(campaign)[6:]} == {*range(15, 21)}


def test_failures_are_counted_and_not_repeated(tmp_path):
    def measure(job, context):
        if job.experiment in (5, 7):
            return Outcome(failure=Failure("material", "it fell apart"), duration=60.0)
        verdict = Verdict("invalid", ("closure",)) if job.experiment == 8 else Verdict()
        return Outcome(Observation({"y": Figure(0.1 * (job.experiment % 4), 0.01)}, verdict), duration=60.0)

    campaign = campaign_of(strategy="random")
    assert loop_of(campaign, Bench(measure), tmp_path, experiments=10, confirm=TWO).run() == "completed"
    first, second = confirmation(campaign.store, "c")
    assert (first.experiments, first.failed, first.metrics["y"].samples) == ((5, 7, 9), 2, 1)
    assert first.verdict == "not decided"
    assert first.metrics["y"].sem is None
    assert (second.experiments, second.failed, second.metrics["y"].samples) == ((6, 8, 10), 1, 2)
    assert len(campaign.experiments()) == 10


def test_one_result_of_a_sample_counts_once(tmp_path):
    campaign = campaign_of(strategy="random")
    lab = Bench(lambda job, _: replace(answer(job), sample="the same" if job.experiment > 4 else None))
    loop_of(campaign, lab, tmp_path, experiments=7, confirm=ConfirmBlock(samples=3)).run()
    [point] = confirmation(campaign.store, "c")
    assert (point.metrics["y"].samples, point.verdict) == (1, "not decided")


def test_interrupted_it_goes_on_with_the_same_points(tmp_path):
    campaign, over = campaign_of(strategy="random"), Event()

    def measure(job, context):
        if job.experiment == 7:
            over.set()
        return answer(job)

    assert (
        loop_of(campaign, Bench(measure), tmp_path, experiments=10, confirm=TWO, cancelled=over).run() == "interrupted"
    )
    before = {r.id: r.asked for r in _confirming(campaign)}
    left = sum(r.state == "queued" for r in _confirming(campaign))
    seen = summary(campaign.store, campaign.store.campaign("c"))
    assert 0 < left == seen["finish"]["experiments"], "only what confirms is still to come, whatever the budget"
    assert sum(point["waiting"] for point in seen["confirmation"]) == left
    assert loop_of(campaign, Bench(), tmp_path, experiments=10, confirm=TWO).run() == "completed"
    assert {r.id: r.asked for r in _confirming(campaign)} == before
    assert len(_notes(campaign)) == 1


def test_under_approval_it_is_proposed(tmp_path):
    campaign, over, confirm = campaign_of(strategy="random"), Event(), ConfirmBlock(samples=3)
    loop_of(campaign, Bench(), tmp_path, experiments=4).run()

    def decide():
        waiting = [r for r in campaign.store.experiments("c") if r.state == "proposed"]
        if not waiting:
            return
        assert [r.origin for r in waiting] == ["confirm"] * 3
        moved = replace(waiting[1], state="approved", asked={"a": 0.9, "b": 0.9}, prediction={})
        campaign.store.apply(
            "c",
            [
                PutExperiment(replace(waiting[0], state="approved"), "proposed"),
                PutExperiment(moved, "proposed"),
                PutExperiment(replace(waiting[2], state="rejected"), "proposed"),
            ],
            who="marie",
        )

    class Person:
        """Decides as soon as something waits."""

        def __getattr__(self, name):
            return lambda *_: decide()

    loop = loop_of(
        campaign, Bench(), tmp_path, experiments=7, confirm=confirm, approval=lambda _: True, cancelled=over,
        listeners=[Person()],
    )  # fmt: skip
    assert loop.run() == "completed"
    [point] = confirmation(campaign.store, "c")
    assert (point.waiting, point.failed, point.metrics["y"].samples) == (0, 2, 1), "an edited one is another point"
    assert Counter(r.state for r in _confirming(campaign)) == {"completed": 2, "rejected": 1}


def test_whoever_stops_a_campaign_wants_no_confirmation(tmp_path):
    campaign = campaign_of(strategy="random")

    def measure(job, context):
        if job.experiment == 3:
            campaign.store.apply("c", [SetCampaignState("running", "stopping", "enough")], who="marie")
        return answer(job)

    assert loop_of(campaign, Bench(measure), tmp_path, experiments=10, confirm=TWO).run() == "stopped"
    assert not _confirming(campaign)


def test_only_what_keeps_the_constraints_is_confirmed(tmp_path):
    campaign = campaign_of(strategy="random", outcome_constraints=[OutcomeConstraint("z", upper=0.5)])

    def measure(job, context):
        figures = {"y": Figure(0.1 * job.experiment), "z": Figure(0.0 if job.experiment == 2 else 1.0)}
        return Outcome(Observation(figures), duration=60.0)

    lab = Bench(measure)
    lab.metrics = {"y": "1", "z": "1"}
    loop_of(campaign, lab, tmp_path, experiments=10, confirm=TWO).run()
    [point] = confirmation(campaign.store, "c")
    assert point.experiment == 2
    assert set(point.metrics) == {"y", "z"}
    assert len(campaign.experiments()) == 4 + 3


def test_where_nothing_can_be_confirmed_the_campaign_says_so(tmp_path):
    lab = Bench()
    campaign = campaign_of(strategy="random")
    loop_of(campaign, lab, tmp_path, experiments=4).run()

    def refuse(parameters):
        raise LabError("not here.")

    lab.check = refuse
    assert loop_of(campaign, lab, tmp_path, experiments=10, confirm=TWO).run() == "completed"
    assert "no point that can be done again" in campaign.store.campaign("c").reason
    assert not _confirming(campaign)


def test_several_objectives_confirm_what_spans_the_front(tmp_path):
    told = pd.DataFrame(
        {"a": [0.1, 0.2, 0.3, 0.4, 0.5], "b": 0.5, "y": [1.0, 0.95, 0.5, 0.0, 0.4], "z": [0.0, 0.06, 0.5, 1.0, 0.4]}
    )
    store = MemoryStore()
    first = campaign_of(store, strategy="random")
    campaign = Campaign(
        SPACE, [Objective("y", reference=-0.1), Objective("z", reference=-0.1)], store=store, name="c", definition={},
        strategy="random",
    )  # fmt: skip
    campaign.tell(told)
    lab = Bench(lambda job, _: Outcome(Observation({"y": Figure(0.5), "z": Figure(0.5)}), duration=60.0))
    lab.metrics = {"y": "1", "z": "1"}
    options = {"experiments": 10, "confirm": ConfirmBlock(top=2, samples=5)}
    with pytest.raises(Exception, match="nothing is left for the search"):
        loop_of(campaign, lab, tmp_path, **options)
    options["experiments"] = 11
    loop_of(campaign, lab, tmp_path, **options).run()
    points = confirmation(store, "c")
    assert [point.experiment for point in points] == [3, 2], "the middle of the front, then what adds most to it"
    assert points[0].parameters == {"a": 0.3, "b": 0.5}
    assert first.name == campaign.name


def test_a_pool_gives_different_rows(tmp_path):
    pool = SearchSpace.from_pool(pd.DataFrame({"a": [0.1, 0.2, 0.2, 0.9], "b": [0.1, 0.3, 0.3, 0.9]}))
    campaign = campaign_of(space=pool, strategy="random")
    loop_of(campaign, Bench(), tmp_path, experiments=40, confirm=ConfirmBlock(top=9, samples=2)).run()
    assert len(_searched(campaign)) == 3
    assert len(confirmation(campaign.store, "c")) == 3
    assert len(_confirming(campaign)) == 6
    assert "of the 3 best points 3 confirmed" in campaign.store.campaign("c").reason


def test_each_sample_of_a_point_is_fresh_where_conditions_share_samples(tmp_path):
    space = SearchSpace([Continuous("a", 0.0, 1.0, stage="preparation"), Continuous("b", 0.0, 1.0)])
    campaign = campaign_of(space=space, strategy="random", conditions_per_sample=3)
    loop_of(campaign, Bench(), tmp_path, experiments=12, confirm=ConfirmBlock(samples=3)).run()
    assert len({r.sample for r in _searched(campaign)}) == 3
    fresh = {r.sample for r in _confirming(campaign)}
    assert len(fresh) == 3
    assert not fresh & {r.sample for r in _searched(campaign)}


def test_settings_that_all_cells_share_are_never_mixed(tmp_path):
    space = SearchSpace([Continuous("a", 0.0, 1.0), Categorical("t", ["cold", "hot"])])
    campaign = campaign_of(space=space, strategy="random", fixed_within_batch=["t"])
    running, seen = {}, []

    def measure(job, context):
        running[job.experiment] = job.parameters["t"]
        seen.append(set(running.values()))
        try:
            value = 1.0 if job.experiment > 6 else 0.1 * job.experiment
            return Outcome(Observation({"y": Figure(value)}), duration=60.0)
        finally:
            del running[job.experiment]

    campaign.tell(pd.DataFrame({"a": [0.1, 0.2], "t": ["cold", "hot"], "y": [5.0, 6.0]}))
    loop_of(campaign, Bench(measure, cells=2), tmp_path, experiments=10, confirm=TWO).run()
    attempts = {a.experiment: a for a in campaign.store.attempts("c")}
    confirming = _confirming(campaign)
    assert {r.asked["t"] for r in confirming} == {"cold", "hot"}
    for one in confirming:
        for other in confirming:
            if one.asked["t"] != other.asked["t"]:
                first, second = sorted([attempts[one.id], attempts[other.id]], key=lambda a: a.started)
                assert first.finished <= second.started
    assert all(len(kinds) == 1 for kinds in seen)


def test_time_is_kept_for_it(tmp_path):
    campaign = campaign_of(strategy="random")
    lab = Bench(lambda job, _: answer(job, duration=3600.0), cells=2, virtual_time=True)
    options = {"experiments": None, "stop": Hours(10.0), "confirm": TWO}
    assert loop_of(campaign, lab, tmp_path, **options).run() == "completed"
    assert len(_searched(campaign)) == 14  # seven hours in two cells; the six that follow take three
    assert len(_confirming(campaign)) == 6
    assert max(a.clock_started + a.duration for a in campaign.store.attempts("c")) == 10 * 3600.0


@given(
    budget=st.integers(2, 14),
    top=st.integers(1, 3),
    samples=st.integers(2, 3),
    cells=st.integers(1, 3),
    batch=st.integers(1, 4),
    fails=st.integers(0, 3),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_reserve_is_left_by_the_search_and_never_exceeded(tmp_path, budget, top, samples, cells, batch, fails):
    confirm = ConfirmBlock(top=top, samples=samples)

    def measure(job, context):
        bad = job.experiment % 4 < fails
        return Outcome(failure=Failure("condition", "no"), duration=60.0) if bad else answer(job)

    campaign = campaign_of(strategy="random")
    if budget <= confirm.experiments:
        with pytest.raises(Exception, match="nothing is left for the search"):
            loop_of(campaign, Bench(), tmp_path, experiments=budget, confirm=confirm)
        return
    lab = Bench(measure, cells=cells, virtual_time=True)
    loop_of(campaign, lab, tmp_path, experiments=budget, confirm=confirm, batch=batch).run()
    searched = _searched(campaign)
    good = sum(r.state == "completed" for r in searched)
    assert len(searched) == budget - confirm.experiments
    assert len(_confirming(campaign)) == samples * min(top, good)
    points = confirmation(campaign.store, "c") or []
    assert len(points) == min(top, good)
    assert all(len(point.experiments) == samples for point in points)


@pytest.mark.parametrize(("slope", "cost"), [(0, 330), (0, 511), (20, 480), (40, 700)])
def test_a_cost_is_never_overdrawn(tmp_path, slope, cost):
    campaign = campaign_of(
        strategy="random", costs=Costs(experiment=40.0, slope={"a": float(slope)} if slope else {}, unit="min")
    )
    options = {"experiments": None, "stop": CostBudget(float(cost)), "confirm": TWO}
    loop_of(campaign, Bench(virtual_time=True), tmp_path, **options).run()
    assert sum(r.cost for r in campaign.experiments()) <= cost * (1 + 1e-8)
    assert sum(r.cost for r in _searched(campaign)) <= cost - 6 * 40.0 + 1e-6
    assert len(_searched(campaign)) >= 2
    assert len(_confirming(campaign)) >= (5 if slope else 6), "with a slope the reserve is an estimate"


def test_catalyst_is_kept_for_it(tmp_path):
    campaign = campaign_of(strategy="random", sample_limits=SamplesBlock(catalyst_mass=0.5))
    options = {"experiments": None, "stop": CatalystMass(5.2), "confirm": TWO}
    loop_of(campaign, Bench(), tmp_path, **options).run()
    assert (len(_searched(campaign)), len(_confirming(campaign))) == (4, 6)


def _sitting(store, lab, folder, **options):
    return sitting(store, lab, folder, experiments=7, confirm=ConfirmBlock(top=2, samples=2), **options)


@pytest.mark.parametrize(
    ("safe", "written"),
    [
        (False, True),
        *(pytest.param(*how, marks=pytest.mark.soak) for how in [(False, False), (True, True), (True, False)]),
    ],
)
def test_death_around_every_write(tmp_path, safe, written):
    def new():
        store = MemoryStore()
        campaign_of(store, strategy="random")
        return store

    calm = new()
    state, writes = _sitting(calm, Bench(cells=2, repeat_is_safe=safe), tmp_path)
    assert state == "completed"
    expected = {r.id: (r.origin, r.asked, r.values, r.prediction) for r in calm.experiments("c")}
    assert len(expected) == 7
    for point in range(1, writes + 1):
        store, lab = new(), Bench(cells=2, repeat_is_safe=safe)
        assert _sitting(store, lab, tmp_path, dies_at=point, written=written)[0] is None
        chosen = [r.id for r in store.experiments("c") if r.origin == "confirm"]
        assert len(chosen) == (4 if confirmation(store, "c") else 0), "the note and all its experiments, or nothing"
        state, _ = _sitting(store, lab, tmp_path)
        if state == "halted":  # a person looks: what is unknown runs again
            assert not safe
            unknown = [r for r in store.experiments("c") if r.state == "needs_inspection"]
            store.apply("c", [PutExperiment(replace(r, state="queued"), r.state) for r in unknown], who="marie")
            state, _ = _sitting(store, lab, tmp_path)
        assert state == "completed"
        now = {r.id: (r.origin, r.asked, r.values, r.prediction) for r in store.experiments("c")}
        assert now == expected, "as if nothing had happened"
        assert sum(e.kind == words.CONFIRM for e in store.events("c")) == 1
        store.close()


class Confirmed(Lifecycle):
    """People, crashes and larger budgets in any order, where the best are confirmed in between."""

    most = 0

    @initialize()
    def begin(self):
        self.run(None, written=False)

    @rule(dies_at=st.one_of(st.none(), st.integers(1, 20)), written=st.booleans())
    def run(self, dies_at, written):
        ended = sum(r.told is not None and r.origin in ("asked", "confirm") for r in self.store.experiments("c"))
        budget = min(ended + 5, 16)
        self.most = max(self.most, budget)
        sitting(
            self.store, self.lab, self.folder, dies_at=dies_at, written=written, experiments=budget,
            confirm=ConfirmBlock(samples=2),
        )  # fmt: skip

    @invariant()
    def what_confirms_is_chosen_once_and_within_the_budget(self):
        records = {r.id: r for r in self.store.experiments("c")}
        points = [p for e in self.store.events("c") if e.kind == words.CONFIRM for p in e.data["points"]]
        ours = [id for point in points for id in point["experiments"]]
        assert sorted(ours) == sorted(r.id for r in records.values() if r.origin == "confirm")
        assert len(ours) == len(set(ours))
        for point in points:
            assert len(point["experiments"]) <= 2
            assert all(records[id].asked == point["parameters"] for id in point["experiments"])
        assert len(spent(records.values())) <= self.most
        samples = [records[id].sample for id in ours]
        assert len(set(samples)) == len(samples)


@pytest.mark.parametrize("examples", [5, pytest.param(150, marks=pytest.mark.soak)])
def test_any_order_of_words_deaths_and_budgets(tmp_path, examples):
    Confirmed.folder = tmp_path
    run_state_machine_as_test(
        Confirmed, settings=settings(max_examples=examples, stateful_step_count=12, deadline=None, print_blob=True)
    )
