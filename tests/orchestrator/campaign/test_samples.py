"""Campaigns whose experiments share samples, cost something, and share settings within a batch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from acquisition import (
    Categorical,
    Composition,
    Continuous,
    CostBudget,
    Costs,
    ExpectedGain,
    Experiments,
    Hours,
    Objective,
    ObjectiveError,
    Plateau,
    SearchSpace,
    StoppingError,
    Target,
)
from acquisition.problem import Proposal, Proposals
from orchestrator import Campaign
from orchestrator.errors import CampaignError, CampaignExists, ValueConflict
from orchestrator.store.memory import MemoryStore

SPACE = SearchSpace(
    [
        Composition("x", ["Cu", "Ag"], step=0.05, stage="preparation"),
        Continuous("e", -1.5, -0.5),
        Categorical("cation", ["Li", "K"]),
    ]
)
COSTS = Costs(experiment=40, preparation=160, change={"cation": 20}, unit="min")


def _campaign(strategy="random", **more):
    return Campaign(SPACE, Objective("y"), strategy=strategy, initial=4, **more)


def _answered(batch):
    return batch.assign(y=batch["x_Cu"] - (batch["e"] + 1.0) ** 2)


def test_ask_shows_the_sample_and_tell_takes_it_back():
    campaign = _campaign(conditions_per_sample=3)
    batch = campaign.ask(4)
    assert list(batch["sample"]) == [f"campaign.0-{n}" for n in (1, 2, 1, 1)]
    assert len(batch[["sample", "x_Cu"]].drop_duplicates()) == 2
    campaign.tell(_answered(batch))
    assert list(campaign.to_dataframe()["sample"]) == list(batch["sample"])
    more = campaign.ask(3)
    counts = campaign.to_dataframe()["sample"].value_counts()
    assert sorted(counts) == [1, 3, 3]
    assert set(more["sample"]) - set(batch["sample"]) == {f"campaign.0-{more.index[-1]}"}


def test_without_conditions_per_sample_nothing_is_said_of_samples():
    campaign = _campaign()
    assert "sample" not in campaign.ask(2)
    assert all(r.sample is None and r.cost is None for r in campaign.experiments())


def test_a_sample_may_turn_out_to_be_another_but_only_once():
    campaign = _campaign(conditions_per_sample=2)
    batch = campaign.ask(1)
    campaign.tell(_answered(batch).assign(sample="plate-3/B7"))
    assert list(campaign.ask(1)["sample"]) == ["plate-3/B7"]
    with pytest.raises(ValueConflict):
        campaign.tell(batch.assign(sample="plate-3/B8"))


@pytest.mark.parametrize(("cause", "closed"), [("material", True), ("condition", False), ("equipment", False)])
def test_a_sample_that_failed_for_its_material_is_not_used_again(cause, closed):
    campaign = _campaign(conditions_per_sample=3)
    batch = campaign.ask(1)
    campaign.tell(batch.assign(status="failed", failure_cause=cause))
    assert (campaign.ask(1)["sample"].iloc[0] != batch["sample"].iloc[0]) == closed


def test_a_pending_sample_is_idle_only_when_its_results_are_there():
    campaign = _campaign(conditions_per_sample=3)
    batch = campaign.ask(1)
    assert campaign.problem().open_samples[0].used == 1
    assert campaign.problem(idle=True).open_samples == ()
    campaign.tell(_answered(batch))
    assert [s.name for s in campaign.problem(idle=True).open_samples] == ["campaign.0-1"]


def test_the_problem_says_what_is_measured_censored_pending_and_in_place():
    campaign = _campaign(conditions_per_sample=2, costs=COSTS, fixed_within_batch=["e"])
    batch = campaign.ask(2)
    told = _answered(batch).assign(
        y_censored=["below", None], x_Cu_measured=[0.5, None], x_Cu_measured_sem=[0.01, None]
    )
    campaign.tell(told)
    pending = campaign.ask(1)
    problem = campaign.problem()
    assert list(problem.observations.censored["y"]) == [-1, 0]
    assert problem.observations.point_sems.tolist() == [[0.01, 0.0, 0.0, 0.0], [0.0] * 4]
    assert problem.pending_samples == (pending["sample"].iloc[0],)
    assert problem.costs == COSTS
    assert problem.fixed == ("e",)
    assert problem.conditions_per_sample == 2
    assert np.allclose(problem.current, SPACE.to_array(batch.iloc[[1]]))
    assert campaign.problem().current.shape == (1, 4)
    assert Campaign(SPACE, Objective("y")).problem().current is None


def test_what_experiments_cost_is_kept():
    campaign = _campaign(conditions_per_sample=3, costs=COSTS)
    campaign.tell(_answered(campaign.ask(1)))
    campaign.tell(_answered(campaign.ask(2)))
    first, *others = campaign.experiments()
    assert first.cost == 200.0
    before = first.asked["cation"]
    expected = 40.0 + 20.0 * (others[0].asked["cation"] != before)
    assert others[0].cost == expected
    assert all(r.cost in (40.0, 60.0) for r in others)
    flat = _campaign(costs=COSTS)
    flat.ask(2)
    assert [r.cost for r in flat.experiments()] == [200.0, 200.0]


def test_a_batch_shares_its_fixed_settings():
    campaign = _campaign("auto", fixed_within_batch=["e"])
    for _ in range(3):
        batch = campaign.ask(4)
        assert len(set(batch["e"])) == 1
        campaign.tell(_answered(batch))
    assert campaign.to_dataframe()["e"].nunique() == 3


@pytest.mark.parametrize("conditions", [3, "auto"])
@pytest.mark.parametrize("strategy", ["random", pytest.param("space_filling", marks=pytest.mark.soak), "auto"])
def test_a_reopened_campaign_goes_on_with_the_same_samples(conditions, strategy):
    def run(stops):
        store = MemoryStore()
        for number in range(9):
            if number in stops or not number:
                campaign = _campaign(strategy, conditions_per_sample=conditions, costs=COSTS, store=store)
            campaign.tell(_answered(campaign.ask(1 + number % 2)))
        return campaign.to_dataframe()

    one, other = run(()), run((2, 3, 7))
    assert one.drop(columns=["prediction"], errors="ignore").equals(other)
    assert one["sample"].nunique() < len(one)


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"conditions_per_sample": 0}, "conditions_per_sample", "is 0"),
        ({"conditions_per_sample": True}, "conditions_per_sample", "is True"),
        ({"conditions_per_sample": "many"}, "conditions_per_sample", "'many'"),
        ({"conditions_per_sample": 2, "replicates": 2}, "replicates", "do not go with conditions_per_sample"),
        ({"fixed_within_batch": ["e"], "replicates": 2}, "replicates", "do not go with fixed_within_batch"),
        ({"fixed_within_batch": ["e", "E"]}, "fixed_within_batch.1", "'E' is no parameter"),
        ({"fixed_within_batch": "e"}, "fixed_within_batch", "no list"),
        ({"fixed_within_batch": ["x", "e", "cation"]}, "fixed_within_batch", "all parameters"),
        (
            {"fixed_within_batch": ["e", "x"], "conditions_per_sample": 2},
            "fixed_within_batch.1",
            "'x' fixes the sample",
        ),
        ({"costs": 3.0}, "costs", "no costs"),
    ],
)
def test_what_does_not_fit_together(options, field, words):
    with pytest.raises(CampaignError, match=words) as caught:
        _campaign(**options)
    assert caught.value.field == field


def test_costs_of_what_is_no_parameter():
    with pytest.raises(ObjectiveError, match="catoin"):
        _campaign(costs=Costs(change={"catoin": 20.0}))


@pytest.mark.parametrize("stage", ["preparation", "condition"])
def test_samples_need_both_stages(stage):
    space = SearchSpace([Continuous("a", 0, 1, stage=stage), Continuous("b", 0, 1, stage=stage)])
    with pytest.raises(CampaignError, match="fixes a sample" if stage == "condition" else "all parameters fix"):
        Campaign(space, Objective("y"), conditions_per_sample=2)


def test_another_number_of_conditions_is_another_campaign():
    store = MemoryStore()
    _campaign(store=store, conditions_per_sample=2)
    with pytest.raises(CampaignExists):
        _campaign(store=store, conditions_per_sample=3)


def test_a_strategy_that_knows_samples_is_left_alone_and_checked():
    class Knows:
        knows_samples = True

        def __init__(self, sample):
            self.sample = sample

        def propose(self, problem, n):
            points = problem.space.sample(n, problem.generator())
            return Proposals(tuple(Proposal(p, "mine", sample=self.sample, gain=0.25) for p in points))

    campaign = _campaign(Knows("new-7"), conditions_per_sample=2)
    assert list(campaign.ask(2)["sample"]) == ["campaign.0-1"] * 2
    assert [r.gain for r in campaign.experiments()] == [0.25, 0.25]
    with pytest.raises(CampaignError, match="'lost', which is not open"):
        _campaign(Knows("lost"), conditions_per_sample=2).ask(1)


# Stopping


def test_a_campaign_says_why_it_is_over():
    campaign = _campaign("auto", costs=COSTS)
    rule = Experiments(8) | CostBudget(900.0)
    assert campaign.stop_reason(rule) is None
    for _ in range(4):
        campaign.tell(_answered(campaign.ask(1)))
    assert campaign.stop_reason(rule) == "what is left of a cost of 900 min pays no further experiment"
    assert campaign.standing(rule).parts[0].now == 4
    assert campaign.stop_reason(Target(at_least=99.0)) is None
    assert "is reached" in campaign.stop_reason(Target(at_least=-99.0))
    assert campaign.standing(Hours(1e-9)).met  # of wall time
    with pytest.raises(StoppingError):
        campaign.stop_reason(Target(at_least=1.0, metric="nothing"))


def test_prior_data_and_cancelled_experiments_do_not_count():
    campaign = _campaign("auto")
    prior = SPACE.to_frame(SPACE.sample(5, np.random.default_rng(0)))
    campaign.tell(prior.assign(y=1.0))
    assert campaign.standing(Experiments(3)).now == 0
    batch = campaign.ask(2)
    campaign.tell(batch.iloc[[0]].assign(status="failed", failure_cause="condition"))
    campaign.tell(batch.iloc[[1]].assign(y=0.1))
    assert campaign.standing(Experiments(3)).now == 2
    assert campaign.stop_reason(Plateau(2))
    assert campaign.stop_reason(Plateau(3)) is None


def test_what_was_expected_of_experiments_can_end_a_campaign():
    class Modest:
        def propose(self, problem, n):
            points = problem.space.sample(n, problem.generator())
            return Proposals(tuple(Proposal(p, "", gain=1.0 / problem.ask) for p in points))

    campaign = _campaign(Modest())
    met = []
    for _ in range(6):
        campaign.ask(1)
        met.append(campaign.standing(ExpectedGain(0.3, patience=2)).met)
    assert met == [False, False, False, False, True, True]


def test_what_does_not_fit_the_purse_is_not_asked():
    campaign = _campaign(costs=COSTS)
    assert len(campaign.propose(3, state="queued", purse=450.0)) == 2
    assert campaign.propose(1, state="queued", purse=199.0) == []
    assert len(campaign.experiments()) == 2
    assert len(campaign.propose(1, state="queued")) == 1


TIMED = SearchSpace(
    [
        Continuous("hours", 1.0, 10.0),
        Continuous("e", -1.5, -0.5),
        Categorical("cation", ["Li", "K"]),
        Composition("x", ["Cu", "Ag"], stage="preparation"),
    ]
)


@pytest.mark.parametrize("strategy", ["auto", "random", "trust_region"])
@pytest.mark.parametrize("conditions", [None, 3, "auto"])
def test_slopes_leave_what_is_cheaper_to_the_end_of_a_purse(strategy, conditions):
    costs = Costs(experiment=2, preparation=3, slope={"hours": 4.0, "x_Ag": 2.0}, change={"cation": 1.0}, unit="h")
    campaign = Campaign(
        TIMED, Objective("y"), strategy=strategy, initial=3, costs=costs, conditions_per_sample=conditions
    )
    rule = CostBudget(150.0)
    for _ in range(60):
        purse = campaign.standing(rule).purse
        records = campaign.propose(1, state="proposed", purse=purse)
        if not records:
            break
        frame = campaign.to_dataframe().loc[[records[0].id], list(TIMED.columns)]
        campaign.tell(frame.assign(y=frame["hours"]))  # longer is better, and dearer
    spent = sum(r.cost for r in campaign.experiments())
    assert spent <= 150.0 * (1 + 1e-9)
    least = 2.0 + 4.0 + (0.0 if conditions == "auto" else 3.0)  # an hour, on a new sample where no other is open
    assert 150.0 - spent < least + 1e-6
    (record,) = campaign.propose(1, state="proposed", purse=least + 0.5)
    assert record.cost <= least + 0.5
    assert "the best of what the remaining" in record.reason or strategy != "random"


def test_the_last_of_a_purse_pays_what_is_in_place_or_a_sample_that_is_there():
    costs = Costs(experiment=10, preparation=50, change={"cation": 30}, unit="min")
    campaign = Campaign(SPACE, Objective("y"), strategy="random", initial=2, costs=costs, conditions_per_sample=1)
    campaign.tell(_answered(campaign.ask(1)))
    settings = campaign.experiments()[0].asked["cation"]
    for _ in range(6):
        (record,) = campaign.propose(1, state="proposed", purse=60.0)
        assert (record.cost, record.asked["cation"]) == (60.0, settings)
    assert campaign.propose(1, state="proposed", purse=59.9) == []
    shared = Campaign(SPACE, Objective("y"), strategy="random", initial=2, costs=costs, conditions_per_sample="auto")
    shared.tell(_answered(shared.ask(1)))
    (record,) = shared.propose(1, state="proposed", purse=10.0)
    assert (record.cost, record.sample) == (10.0, shared.experiments()[0].sample)


def test_rows_of_a_pool_that_can_be_paid_come_to_the_end_of_a_purse():
    pool = SearchSpace.from_pool(pd.DataFrame({"hours": [1.0, 2.0, 5.0, 9.0, 9.5], "e": [0.1, 0.2, 0.3, 0.4, 0.5]}))
    for seed in range(3):
        costs = Costs(experiment=1, slope={"hours": 1.0})
        campaign = Campaign(pool, Objective("y"), initial=2, costs=costs, seed=seed)
        found = []
        while records := campaign.propose(1, state="proposed", purse=6.0):
            found.append(records[0].asked["hours"])
        assert sorted(found) == [1.0, 2.0, 5.0]
