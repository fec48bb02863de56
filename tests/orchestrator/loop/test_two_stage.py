"""Loops whose experiments share samples or settings, and loops that end by more than a budget."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from threading import Event

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import (
    AllOf,
    AnyOf,
    Categorical,
    Continuous,
    CostBudget,
    Costs,
    ExpectedGain,
    Experiments,
    Hours,
    Integer,
    Objective,
    Plateau,
    SearchSpace,
    StoppingError,
    Target,
)
from acquisition.problem import Proposals
from acquisition.strategies.random import Random
from instruments import Failure, Figure, Observation, Outcome
from orchestrator import Campaign
from orchestrator.errors import CampaignError
from orchestrator.loop import Loop, ThreadEngine
from orchestrator.loop.placing import place
from orchestrator.store.memory import MemoryStore
from orchestrator.store.records import CampaignRecord, ExperimentRecord
from simulators.replay import ReplayLab

SPACE = SearchSpace(
    [Continuous("made", 0.0, 1.0, stage="preparation"), Continuous("set", 0.0, 1.0), Categorical("ion", ["Li", "K"])]
)
COSTS = Costs(experiment=40, preparation=160, change={"ion": 20}, unit="min")


class Virtual:
    """A laboratory in virtual time whose answers, durations and failures are functions of the job alone."""

    metrics: Mapping[str, str] = {"y": "1"}
    repeat_is_safe = True
    virtual_time = True

    def __init__(self, cells=1, failing=(), stop_after=None, cancelled=None):
        self.cells = tuple(f"cell-{i + 1}" for i in range(cells))
        self.failing, self.stop_after, self.cancelled = dict(failing), stop_after, cancelled
        self.seen: list[tuple[int, str, str]] = []

    def check(self, parameters):
        pass

    def execute(self, job, context):
        self.seen.append((job.experiment, context.cell, context.sample))
        if self.stop_after is not None and len(self.seen) > self.stop_after:
            self.cancelled.set()
        seconds = 600.0 * (1 + (job.experiment * 7) % 5)
        if cause := self.failing.get(job.experiment):
            return Outcome(failure=Failure(cause, "it broke"), duration=seconds)
        p = job.parameters
        return Outcome(Observation({"y": Figure(p["made"] - (p["set"] - 0.3) ** 2, 0.01)}), duration=seconds)

    def make_safe(self):
        pass


def _campaign(**options):
    store = MemoryStore()
    store.create(CampaignRecord(name="c", definition={}, definition_hash=""))
    options = {"strategy": "random", "initial": 4, **options}
    return Campaign(SPACE, [Objective("y")], store=store, name="c", definition={}, **options)


def _loop(campaign, lab, tmp_path, **options):
    return Loop(campaign, lab, engine=ThreadEngine(len(lab.cells)), files=tmp_path, **options)


def _attempts(campaign):
    return sorted(campaign.store.attempts("c"), key=lambda a: (a.clock_started, a.experiment))


def _samples_stay_mounted(campaign):
    """In every cell the experiments of one sample follow one another, and no sample is in two cells."""
    cells: dict[str, list[str]] = {}
    for attempt in _attempts(campaign):
        cells.setdefault(attempt.cell, []).append(campaign.store.experiment("c", attempt.experiment).sample)
    for samples in cells.values():
        changes = 1 + sum(a != b for a, b in pairwise(samples))
        assert changes == len(set(samples))
    everywhere = [sample for samples in cells.values() for sample in set(samples)]
    assert len(everywhere) == len(set(everywhere))


@pytest.mark.parametrize("conditions", [3, "auto"])
@pytest.mark.parametrize(("cells", "batch"), [(1, 1), (2, 1), (3, 1), (2, 5)])
def test_a_sample_is_measured_in_one_cell_and_one_condition_after_the_other(tmp_path, cells, batch, conditions):
    campaign, lab = _campaign(conditions_per_sample=conditions, costs=COSTS), Virtual(cells)
    assert _loop(campaign, lab, tmp_path, experiments=20, batch=batch).run() == "completed"
    frame = campaign.to_dataframe()
    assert frame["state"].eq("completed").all()
    assert len(frame[["sample", "made"]].drop_duplicates()) == frame["sample"].nunique()
    assert (frame["sample"].value_counts().sort_index() > 1).sum() >= 4
    if conditions == 3:
        assert frame["sample"].value_counts().max() == 3
    _samples_stay_mounted(campaign)
    assert {sample for _, _, sample in lab.seen} == set(frame["sample"])


def test_all_cells_work_all_the_time(tmp_path):
    campaign, lab = _campaign(conditions_per_sample=3), Virtual(3)
    _loop(campaign, lab, tmp_path, experiments=30).run()
    by_cell: dict[str, list] = {}
    for attempt in _attempts(campaign):
        by_cell.setdefault(attempt.cell, []).append(attempt)
    for attempts in by_cell.values():
        ends = [a.clock_started + a.duration for a in attempts]
        assert [a.clock_started for a in attempts[1:]] == ends[:-1]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_sample_that_fails_for_its_material_is_given_up(tmp_path, batch):
    campaign, lab = _campaign(conditions_per_sample=4), Virtual(1, failing={2: "material"})
    _loop(campaign, lab, tmp_path, experiments=9, batch=batch).run()
    records = campaign.experiments()
    lost = records[1].sample
    assert [r.state for r in records if r.sample == lost][:2] == ["completed", "failed"]
    assert all(r.state == "cancelled" for r in records if r.sample == lost and r.id > 2)
    assert sum(r.state in ("completed", "failed") for r in records) == 9
    _samples_stay_mounted(campaign)


def test_a_failure_of_equipment_is_tried_again_in_the_same_cell(tmp_path):
    campaign, lab = _campaign(conditions_per_sample=3), Virtual(2, failing={3: "equipment"})
    _loop(campaign, lab, tmp_path, experiments=10).run()
    tries = [(cell, sample) for id, cell, sample in lab.seen if id == 3]
    assert len(tries) == 3
    assert len(set(tries)) == 1
    _samples_stay_mounted(campaign)


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.integers(1, 9), max_size=3),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([3, "auto", None]),
    st.sampled_from([1, 4]),
    st.sampled_from([(), ("ion",)]),
    st.dictionaries(st.integers(1, 12), st.sampled_from(["material", "condition", "equipment"]), max_size=2),
)
def test_an_interrupted_campaign_goes_on_as_if_nothing_had_happened(
    tmp_path_factory, stops, cells, conditions, batch, fixed, failing
):
    rule = Experiments(14) | CostBudget(1500.0) | Hours(5.0)

    def run(stops):
        folder = tmp_path_factory.mktemp("loop")
        campaign = _campaign(conditions_per_sample=conditions, costs=COSTS, fixed_within_batch=fixed)
        for after in (*stops, None):
            cancelled = Event()
            lab = Virtual(cells, failing, after, cancelled)
            state = _loop(campaign, lab, folder, stop=rule, batch=batch, cancelled=cancelled).run()
            campaign = Campaign(
                SPACE, [Objective("y")], strategy="random", initial=4, store=campaign.store, name="c", definition={},
                conditions_per_sample=conditions, costs=COSTS, fixed_within_batch=fixed,
            )  # fmt: skip
            if state == "completed":
                break
        assert state == "completed"
        return campaign.to_dataframe(), campaign.store.campaign("c").reason

    (one, why), (other, also) = run(()), run(stops)
    pd.testing.assert_frame_equal(one, other)
    assert why == also


def test_the_learning_strategy_is_interrupted_too(tmp_path):
    rule = Experiments(30) | (Plateau(4, by=0.01) & Experiments(9))

    def run(stops):
        campaign = _campaign(strategy="auto", conditions_per_sample=3)
        for after in (*stops, None):
            cancelled = Event()
            _loop(
                campaign, Virtual(2, stop_after=after, cancelled=cancelled), tmp_path, stop=rule, cancelled=cancelled
            ).run()
        return campaign.to_dataframe(), campaign.store.campaign("c").reason

    (one, why), (other, also) = run(()), run((5, 3))
    pd.testing.assert_frame_equal(one, other)
    assert (
        why
        == also
        == "the best has not improved by more than 0.01 in 4 experiments and the budget of 9 experiments is used"
    )


def test_a_batch_that_shares_settings_ends_before_the_next(tmp_path):
    campaign, lab = _campaign(fixed_within_batch=["set"]), Virtual(3)
    _loop(campaign, lab, tmp_path, experiments=12).run()
    frame = campaign.to_dataframe().assign(ask=[r.ask for r in campaign.experiments()])
    assert frame.groupby("ask")["set"].nunique().eq(1).all()
    assert frame["ask"].nunique() == 4
    attempts = {a.experiment: a for a in campaign.store.attempts("c")}
    spans = frame.groupby("ask").apply(
        lambda g: (
            min(attempts[i].clock_started for i in g.index),
            max(attempts[i].clock_started + attempts[i].duration for i in g.index),
        ),
        include_groups=False,
    )
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


# Ends


def test_hours_end_a_campaign_by_the_laboratorys_clock(tmp_path):
    campaign, lab = _campaign(), Virtual(2)
    assert _loop(campaign, lab, tmp_path, stop=Hours(3.0)).run() == "completed"
    assert campaign.store.campaign("c").reason == "3 hours are over"
    assert all(a.clock_started < 3 * 3600 for a in campaign.store.attempts("c"))
    assert campaign.standing(Hours(3.0)).met  # from the store alone


def test_a_cost_is_never_overdrawn(tmp_path):
    for limit in (100.0, 800.0, 1130.0):
        campaign = _campaign(conditions_per_sample=3, costs=COSTS)
        _loop(campaign, Virtual(3), tmp_path, stop=CostBudget(limit)).run()
        costs = [r.cost for r in campaign.experiments()]
        assert sum(costs) <= limit
        assert sum(costs) > limit - 221
        assert "cost" in campaign.store.campaign("c").reason


def test_the_reason_says_which_rule_ended_it(tmp_path):
    rule = AnyOf([Experiments(50), AllOf([Target(at_least=0.5, probability=0.9), Experiments(6)])])
    campaign = _campaign(strategy="auto")
    _loop(campaign, Virtual(), tmp_path, stop=rule).run()
    reason = campaign.store.campaign("c").reason
    assert reason.startswith("y of at least 0.5 is reached with a probability of ")
    assert reason.endswith("and the budget of 6 experiments is used")
    notes = [e for e in campaign.store.events("c") if e.kind == "stop"]
    assert notes[-1].data["standing"]["met"] is True
    assert notes[0].data["standing"]["met"] is False
    assert [p["rule"] for p in notes[0].data["standing"]["parts"]] == ["experiments", "all"]


def test_a_small_expected_gain_ends_it(tmp_path):
    class Tiring:
        def propose(self, problem, n):
            from dataclasses import replace

            found = Random().propose(problem, n).proposals
            return Proposals(tuple(replace(p, gain=1.0 / problem.ask) for p in found))

    campaign = _campaign(strategy=Tiring())
    _loop(campaign, Virtual(), tmp_path, stop=Experiments(50) | ExpectedGain(0.15, patience=2)).run()
    assert len(campaign.experiments()) == 8  # gains 1/7 and 1/8
    assert "gain below 0.15" in campaign.store.campaign("c").reason


def test_a_budget_and_a_rule_together(tmp_path):
    campaign = _campaign()
    _loop(campaign, Virtual(), tmp_path, experiments=5, stop=Hours(99.0)).run()
    assert campaign.store.campaign("c").reason == "the budget of 5 experiments is used"


def test_a_loop_must_end(tmp_path):
    with pytest.raises(CampaignError, match="never ends"):
        _loop(_campaign(), Virtual(), tmp_path)
    with pytest.raises(StoppingError, match="nothing is sure to end"):
        _loop(_campaign(), Virtual(), tmp_path, stop=Plateau(5))
    with pytest.raises(StoppingError, match="nothing is known of costs"):
        _loop(_campaign(), Virtual(), tmp_path, stop=CostBudget(5.0))
    table = pd.DataFrame({"a": [0, 1], "y": [0.1, 0.2]})
    finite = Campaign(SearchSpace([Integer("a", 0, 1)]), Objective("y"), replicates="auto")
    with pytest.raises(StoppingError, match="nothing is sure to end"):
        _loop(finite, ReplayLab(table, ["a"]), tmp_path, stop=Hours(5.0))


# Placing


def _waiting(*samples):
    return [ExperimentRecord(id=i, state="queued", sample=sample) for i, sample in enumerate(samples, 1)]


def test_a_cell_keeps_its_sample():
    placed = place(_waiting("b", "a", "a", "c"), ["1", "2"], ["1", "2"], {"a": "1"}, [])
    assert [(r.id, cell) for r, cell in placed] == [(2, "1"), (1, "2")]


def test_a_sample_waits_for_its_cell_unless_that_is_gone():
    assert place(_waiting("a"), ["2"], ["1", "2"], {"a": "1"}, []) == []
    assert len(place(_waiting("a"), ["2"], ["2"], {"a": "1"}, [])) == 1
    assert place(_waiting("a"), ["2"], ["1", "2"], {}, ["a"]) == []
    assert len(place(_waiting("a", "a"), ["1", "2"], ["1", "2"], {}, [])) == 1


@given(
    st.lists(st.sampled_from([None, "a", "b", "c", "d"]), max_size=8),
    st.sets(st.sampled_from("1234")),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12345")),
    st.sets(st.sampled_from("abcd")),
)
def test_no_sample_is_in_two_cells(samples, free, at_home, running):
    placed = place(_waiting(*samples), sorted(free), tuple("1234"), at_home, running)
    names = [r.sample for r, _ in placed if r.sample is not None]
    assert len(names) == len(set(names))
    assert not set(names) & running
    assert len({cell for _, cell in placed}) == len(placed) == len({r.id for r, _ in placed})
    for record, cell in placed:
        home = at_home.get(record.sample)
        assert home not in tuple("1234") or home == cell
    if None in samples:
        assert len(placed) >= min(len(free), samples.count(None))


def test_results_do_not_depend_on_which_thread_was_first(tmp_path):
    frames = []
    for _ in range(2):
        campaign = _campaign(conditions_per_sample="auto", costs=COSTS)
        _loop(campaign, Virtual(4), tmp_path, experiments=16).run()
        frames.append(campaign.to_dataframe())
    pd.testing.assert_frame_equal(*frames)
    assert np.isfinite(frames[0]["y"]).all()


@pytest.mark.parametrize(("cells", "batch"), [(1, 1), (2, 1), (2, 6)])
def test_a_replayed_sample_is_one_electrode_of_the_table(tmp_path, cells, batch):
    rng = np.random.default_rng(0)
    rows = [
        {"made": made, "set": setting, "electrode": f"{made}{copy}", "y": made + setting + rng.normal(0, 0.1)}
        for made in (0, 1, 2, 3) for copy in "abc" for setting in (1, 2, 3, 4)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    space = SearchSpace.from_pool(table[["made", "set"]], stages={"made": "preparation"})
    campaign = Campaign(space, Objective("y"), strategy="random", conditions_per_sample=3, name="c")
    lab = ReplayLab(table, ["made", "set"], sample_column="electrode", cells=cells)
    _loop(campaign, lab, tmp_path, experiments=12, batch=batch).run()
    frame = campaign.to_dataframe()
    assert frame["sample"].value_counts().tolist()[:2] == [3, 3]
    assert set(frame["sample"]) <= set(table["electrode"])
    told = frame.merge(table, left_on=["sample", "set"], right_on=["electrode", "set"], suffixes=("", "_table"))
    assert np.allclose(told["y"], told["y_table"])
    assert len(told) == 12
