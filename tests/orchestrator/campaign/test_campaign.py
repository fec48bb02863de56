"""A campaign as a whole: construction, best, predict, replicates, and resuming from its store."""

import numpy as np
import pandas as pd
import pytest

from acquisition import (
    Continuous,
    Integer,
    Objective,
    OutcomeConstraint,
    SearchSpace,
    SpaceExhaustedError,
    StrategyError,
)
from acquisition.strategies.random import Random
from orchestrator import Campaign, CampaignError
from orchestrator.errors import NoModelWarning, NothingTold
from orchestrator.store.opening import open_store

SPACE = SearchSpace([Continuous("a", 0.0, 1.0), Continuous("b", 0.0, 1.0)])


def _truth(points):
    return np.exp(-6 * ((points["a"] - 0.3) ** 2 + (points["b"] - 0.6) ** 2))


def _told(n=12, objectives=(Objective("y", "maximize"),), noise=0.0, **options):
    campaign = Campaign(SPACE, objectives, initial=6, **options)
    rng = np.random.default_rng(0)
    for _ in range(n):
        batch = campaign.ask(1)
        campaign.tell(batch.assign(y=_truth(batch) + noise * rng.normal()))
    return campaign


def test_best_is_by_posterior_mean_with_units_of_the_data():
    campaign = _told()
    best = campaign.best()
    assert list(best.columns) == ["a", "b", "y_mean", "y_std", "y", "samples"]
    assert best.index.name == "experiment"
    assert best["y_mean"].iloc[0] == pytest.approx(1.0, abs=0.02)
    assert best["samples"].iloc[0] == 1


def test_best_is_not_the_luckiest_of_noisy_replicates():
    campaign = Campaign(SPACE, [Objective("y")], strategy="random", initial=4)
    rows = pd.DataFrame({"a": [0.2] * 8 + [0.8], "b": 0.5, "y": [1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.0, 1.02, 1.12]})
    rows = pd.concat([rows, pd.DataFrame({"a": np.linspace(0.6, 1.0, 9), "b": 0.5, "y": 0.2})])
    campaign.tell(rows)
    best = campaign.best()
    assert best["a"].iloc[0] == 0.2
    assert best["samples"].iloc[0] == 8


def test_best_is_feasible_or_nothing():
    campaign = Campaign(
        SPACE, [Objective("y")], outcome_constraints=[OutcomeConstraint("h", upper=0.5)], strategy="random"
    )
    batch = campaign.ask(8)
    campaign.tell(batch.assign(y=batch["a"], h=batch["a"]))
    best = campaign.best()
    assert best["a"].iloc[0] == batch["a"][batch["a"] <= 0.5].max()
    other = Campaign(
        SPACE, [Objective("y")], outcome_constraints=[OutcomeConstraint("h", upper=-1.0)], strategy="random"
    )
    other.tell(batch.reset_index(drop=True).assign(y=0.1, h=batch["a"].to_numpy()))
    assert other.best().empty


def test_best_of_two_objectives_is_the_front():
    campaign = Campaign(SPACE, [Objective("y", "maximize"), Objective("z", "minimize")], strategy="random")
    a = np.linspace(0, 1, 9)
    campaign.tell(pd.DataFrame({"a": a, "b": 0.5, "y": a, "z": a}))
    campaign.tell(pd.DataFrame({"a": a, "b": 0.1, "y": a - 0.5, "z": a}))
    front = campaign.best()
    assert len(front) >= 7
    assert (front["b"] == 0.5).all()


def test_target_window():
    campaign = _told(16, [Objective("y", "target", target=(0.45, 0.55))])
    assert 0.4 < campaign.best()["y"].iloc[0] < 0.6


def test_predict_keeps_index_and_names_units():
    campaign = _told()
    points = pd.DataFrame({"a": [0.3, 0.9], "b": [0.6, 0.1]}, index=["p", "q"])
    belief = campaign.predict(points)
    assert list(belief.columns) == ["y_mean", "y_std"]
    assert list(belief.index) == ["p", "q"]
    np.testing.assert_allclose(belief["y_mean"], _truth(points), atol=0.15)


def test_nothing_told_yet():
    campaign = Campaign(SPACE, [Objective("y")])
    campaign.ask(1)
    for look in (campaign.best, lambda: campaign.predict(pd.DataFrame({"a": [0.1], "b": [0.1]}))):
        with pytest.raises(NothingTold, match="'y'"):
            look()
    assert campaign.to_dataframe()["state"].tolist() == ["proposed"]
    assert Campaign(SPACE, [Objective("y")]).to_dataframe().empty


def test_a_metric_that_was_never_observed_is_named_and_the_others_are_predicted():
    campaign = Campaign(SPACE, [Objective("y")], outcome_constraints=[OutcomeConstraint("h", upper=0.5)], initial=3)
    batch = campaign.ask(3)
    assert set(campaign.to_dataframe()["reason"]) == {"initial design: fills the space evenly"}
    campaign.tell(batch.assign(y=_truth(batch)))
    assert campaign.ask(2).index.tolist() == [4, 5]
    why = "initial design: fills the space evenly; no model can be built, since h has not been observed in 3 results"
    assert campaign.to_dataframe()["reason"].tolist()[3:] == [why, why]
    with pytest.raises(NothingTold, match="'h', the metric of an outcome constraint, has not been observed in 3 resul"):
        campaign.best()
    points = pd.DataFrame({"a": [0.1, 0.7], "b": [0.1, 0.2]})
    alone = Campaign(SPACE, [Objective("y")], initial=3)
    alone.tell(batch.assign(y=_truth(batch)).reset_index(drop=True))
    pd.testing.assert_frame_equal(campaign.predict(points), alone.predict(points))
    campaign.tell(batch[[]].assign(h=[0.1, 0.2, 0.9]))
    assert set(campaign.best().columns) >= {"y_mean", "h_mean"}
    assert list(campaign.predict(points).columns) == ["y_mean", "y_std", "h_mean", "h_std"]
    campaign.ask(1)
    assert campaign.to_dataframe()["reason"].iloc[-1].startswith("highest expected improvement")


def test_same_seed_same_proposals():
    first, second, other = _told(), _told(), _told(seed=1)
    pd.testing.assert_frame_equal(first.to_dataframe(), second.to_dataframe())
    assert not np.allclose(first.to_dataframe()["a"], other.to_dataframe()["a"])


def test_a_campaign_continues_from_its_store(tmp_path):
    """Wherever it is cut, the reopened campaign proposes what the undisturbed one does."""
    whole = _told(12).to_dataframe()
    for cut in (0, 3, 6, 9):
        store = open_store(tmp_path / f"{cut}.db")
        first = Campaign(SPACE, [Objective("y")], initial=6, store=store)
        for _ in range(cut):
            batch = first.ask(1)
            first.tell(batch.assign(y=_truth(batch)))
        store.close()
        again = open_store(tmp_path / f"{cut}.db")
        second = Campaign(SPACE, [Objective("y")], initial=6, store=again)
        for _ in range(12 - cut):
            batch = second.ask(1)
            second.tell(batch.assign(y=_truth(batch)))
        pd.testing.assert_frame_equal(second.to_dataframe(), whole)
        again.close()


def test_asking_ahead_of_telling_gives_different_points():
    campaign = _told(8)
    batch = pd.concat([campaign.ask(2), campaign.ask(1)])
    assert batch.round(6).drop_duplicates().shape == batch.shape
    assert campaign.problem().pending.shape == (3, 2)


def test_a_number_of_replicates_is_asked_for():
    campaign = Campaign(SPACE, [Objective("y")], strategy="random", replicates=3)
    batch = campaign.ask(7)
    assert list(batch.index) == list(range(1, 8))
    assert batch.groupby(["a", "b"]).size().tolist().count(3) == 2
    assert len({r.seed for r in campaign.experiments()}) == 7


def test_the_first_ask_warns_where_the_budget_leaves_nothing_to_a_model():
    campaign = Campaign(SPACE, Objective("y"), initial=6, budget=6)
    with pytest.warns(NoModelWarning, match="takes 6 experiments, and there will be no more than 6") as caught:
        campaign.ask(2)
    assert caught[0].filename == __file__
    campaign.ask(1)  # once is enough: warnings are errors here
    Campaign(SPACE, Objective("y"), initial=6, budget=7).ask(1)
    Campaign(SPACE, Objective("y"), initial=6, budget=6, strategy="random").ask(1)
    known = Campaign(SPACE, Objective("y"), initial=6, budget=6)
    known.tell(pd.DataFrame({"a": [0.1], "b": [0.2], "y": [1.0]}))  # prior data count towards the design
    known.ask(1)


def test_a_used_up_space_says_so():
    campaign = Campaign(SearchSpace([Integer("n", 1, 3)]), [Objective("y")])
    batch = campaign.ask(5)
    assert sorted(batch["n"]) == [1, 2, 3]
    with pytest.raises(SpaceExhaustedError):
        campaign.ask(1)
    assert len(campaign.to_dataframe()) == 3


def test_a_point_that_turned_out_slightly_different_is_not_asked_again():
    campaign = Campaign(SearchSpace([Integer("n", 1, 4)]), [Objective("y")], initial=1)
    asked = []
    for _ in range(4):
        batch = campaign.ask(1)
        asked += batch["n"].tolist()
        campaign.tell(batch.assign(y=batch["n"], n_measured=batch["n"] + 0.01))
    assert sorted(asked) == [1, 2, 3, 4]
    with pytest.raises(SpaceExhaustedError):
        campaign.ask(1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"objectives": []}, "needs an objective"),
        ({"objectives": [Objective("y"), Objective("y", "minimize")]}, "same metric"),
        ({"objectives": [Objective("a")]}, "both a parameter and an objective"),
        ({"outcome_constraints": [OutcomeConstraint("a", upper=1.0)]}, "both a parameter and an outcome"),
        ({"strategy": Random}, "is no strategy"),
        ({"initial": 0}, "initial"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"replicates": 0}, "replicates"),
        ({"replicates": "some"}, "replicates"),
        ({"replicates": 2.0}, "replicates"),
        ({"replicates": None}, "replicates"),
        ({"objectives": ["y"]}, "no Objective"),
        ({"space": [Continuous("a", 0.0, 1.0)]}, "no search space"),
        ({"strategy": 3}, "no strategy"),
        ({"metrics": ["status"]}, "another name"),
        ({"objectives": [Objective("status")]}, "another name"),
        ({"space": SearchSpace([Continuous("sample", 0.0, 1.0)])}, "another name"),
    ],
)
def test_what_cannot_be_a_campaign(arguments, match):
    with pytest.raises(CampaignError, match=match):
        Campaign(**{"space": SPACE, "objectives": [Objective("y")], **arguments})


def test_unknown_strategy_and_wrong_numbers():
    with pytest.raises(StrategyError, match="Did you mean 'auto'"):
        Campaign(SPACE, [Objective("y")], strategy="autos")
    campaign = Campaign(SPACE, [Objective("y")])
    for n in (0, -1, 1.5, True, "two"):
        with pytest.raises(CampaignError, match="positive whole number"):
            campaign.ask(n)
    assert campaign.to_dataframe().empty


def test_a_single_candidate_is_a_campaign_too():
    campaign = Campaign(SearchSpace.from_pool(pd.DataFrame({"a": [1], "b": [2]})), Objective("y"))
    campaign.tell(campaign.ask().assign(y=1.5))
    assert campaign.best()["y_mean"].iloc[0] == pytest.approx(1.5)


def test_predict_takes_a_table():
    campaign = _told(4)
    for points in ([1], pd.Series({"a": 0.1, "b": 0.2}), {"a": [0.1], "b": [0.2]}):
        with pytest.raises(CampaignError, match="DataFrame"):
            campaign.predict(points)


def test_numpy_numbers_are_numbers():
    campaign = Campaign(SPACE, [Objective("y")], strategy="random", replicates=np.int64(2), seed=np.int64(3))
    assert campaign.ask(4).round(9).drop_duplicates().shape == (2, 2)


def test_due_replicates_come_even_when_the_space_is_used_up():
    campaign = Campaign(SearchSpace([Integer("n", 1, 2)]), [Objective("y")], strategy="random", replicates=2)
    assert len(campaign.ask(3)) == 3
    assert len(campaign.ask(5)) == 1


def test_refresh_takes_over_what_another_has_asked():
    store = open_store("memory:")
    first, second = (Campaign(SPACE, [Objective("y")], strategy="random", store=store) for _ in range(2))
    first.ask(2)
    second.refresh()
    assert list(second.ask(1).index) == [3]


def test_asking_heeds_what_another_has_told_late():
    store = open_store("memory:")
    goals = [Objective("y"), Objective("z")]
    here, there = (Campaign(SPACE, goals, initial=3, seed=0, store=store) for _ in range(2))
    batch = here.ask(3)
    here.tell(batch.assign(y=[0.1, 0.2, 0.3]))
    there.refresh()
    there.tell(batch.assign(z=[0.3, 0.1, 0.2])[["z"]])
    here.ask(1)
    assert set(here.to_dataframe()["state"]) == {"completed", "proposed"}
    assert "gain in hypervolume" in here.to_dataframe()["reason"].iloc[-1]


def test_models_are_fitted_once_for_each_state_of_knowledge(monkeypatch):
    from acquisition.strategies import model_based

    campaign = _told(4)
    fits = []
    inner = model_based.fit
    monkeypatch.setattr(model_based, "fit", lambda *given: fits.append(1) or inner(*given))
    campaign.best()
    campaign.predict(pd.DataFrame({"a": [0.1], "b": [0.1]}))
    assert len(fits) == 1
    campaign.tell(campaign.ask(1).assign(y=0.1))
    campaign.best()
    assert len(fits) == 2


def test_seeds_of_experiments_differ_by_campaign_and_by_id():
    seeds = {
        record.seed
        for seed in (0, 1, 2)
        for campaign in [Campaign(SPACE, [Objective("y")], strategy="random", seed=seed)]
        for record in [campaign.ask(4), campaign.experiments()][1]
    }
    assert len(seeds) == 12
    assert all(0 <= seed < 2**63 for seed in seeds)
