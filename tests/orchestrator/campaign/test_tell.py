"""Everything that may be told, and everything that is refused and changes nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition import Categorical, Composition, Continuous, Objective, OutcomeConstraint, SearchSpace
from orchestrator import Campaign, OutsideSpaceWarning, TellError
from orchestrator.errors import InvalidValue, PendingConflict, UnknownColumn, UnknownExperiment, ValueConflict
from orchestrator.store import PutExperiment

SPACE = SearchSpace(
    [
        Composition("x", ["Cu", "Ag", "Zn"], stage="preparation"),
        Continuous("potential", -1.5, -0.5, unit="V vs RHE"),
        Categorical("cation", ["Li", "K"]),
    ]
)
PRIOR = pd.DataFrame(
    {
        "x_Cu": [0.5, 0.2],
        "x_Ag": [0.5, 0.3],
        "x_Zn": [0.0, 0.5],
        "potential": [-1.0, -0.7],
        "cation": ["Li", "K"],
        "fe_c2h4": [0.3, 0.1],
    }
)


def _campaign(**options):
    return Campaign(SPACE, [Objective("fe_c2h4", "maximize")], strategy="random", **options)


def _snapshot(campaign):
    return campaign.to_dataframe(), len(campaign.store.events(campaign.name))


def _unchanged(campaign, before):
    frame, events = before
    pd.testing.assert_frame_equal(campaign.to_dataframe(), frame)
    assert len(campaign.store.events(campaign.name)) == events


def test_ask_and_tell():
    campaign = _campaign()
    batch = campaign.ask(4)
    assert batch.index.name == "experiment"
    assert list(batch.index) == [1, 2, 3, 4]
    assert list(batch.columns) == list(SPACE.columns)
    np.testing.assert_allclose(batch[["x_Cu", "x_Ag", "x_Zn"]].sum(axis=1), 1.0)
    campaign.tell(batch.assign(fe_c2h4=[0.1, 0.2, 0.3, 0.4]))
    frame = campaign.to_dataframe()
    assert list(frame["state"]) == ["completed"] * 4
    assert list(frame["fe_c2h4"]) == [0.1, 0.2, 0.3, 0.4]
    assert list(campaign.best().index) == [4]


def test_ids_may_come_as_a_column_and_in_any_order():
    campaign = _campaign()
    batch = campaign.ask(3)
    table = pd.DataFrame({"experiment": [3, 1, 2], "fe_c2h4": [0.3, 0.1, 0.2]})
    campaign.tell(table)
    assert list(campaign.to_dataframe()["fe_c2h4"]) == [0.1, 0.2, 0.3]
    np.testing.assert_allclose(campaign.to_dataframe()["potential_executed"], batch["potential"])


def test_rows_without_an_id_are_prior_data():
    campaign = _campaign()
    campaign.tell(PRIOR)
    frame = campaign.to_dataframe()
    assert list(frame["origin"]) == ["prior", "prior"]
    assert list(frame.index) == [1, 2]
    assert list(campaign.ask(1).index) == [3]
    mixed = pd.concat([PRIOR.iloc[[0]].assign(experiment=np.nan), pd.DataFrame({"experiment": [3], "fe_c2h4": [0.7]})])
    campaign.tell(mixed)
    assert campaign.to_dataframe().loc[3, "fe_c2h4"] == 0.7
    assert len(campaign.to_dataframe()) == 4


def test_prior_data_count_towards_the_initial_design():
    campaign = Campaign(SPACE, [Objective("fe_c2h4")], initial=2)
    campaign.tell(PRIOR)
    campaign.ask(1)
    assert "expected improvement" in campaign.to_dataframe().loc[3, "reason"]


def test_a_lost_index_name_is_noticed():
    campaign = _campaign()
    batch = campaign.ask(2).assign(fe_c2h4=0.5)
    before = _snapshot(campaign)
    with pytest.raises(PendingConflict, match="experiment 1"):
        campaign.tell(batch.reset_index(drop=True))
    _unchanged(campaign, before)
    campaign.tell(batch.reset_index(drop=True), prior=True)
    assert list(campaign.to_dataframe()["origin"]) == ["asked", "asked", "prior", "prior"]


def test_executed_and_measured_inputs():
    campaign = _campaign()
    batch = campaign.ask(1)
    asked = batch.loc[1, "potential"]
    campaign.tell(
        batch.assign(
            potential=asked - 0.01,
            fe_c2h4=0.5,
            x_Cu_measured=0.4,
            x_Ag_measured=0.35,
            x_Zn_measured=0.25,
            x_Cu_measured_sem=0.02,
        )
    )
    row = campaign.to_dataframe().loc[1]
    assert row["potential"] == asked
    assert row["potential_executed"] == pytest.approx(asked - 0.01)
    assert (row["x_Cu_measured"], row["x_Cu_measured_sem"]) == (0.4, 0.02)
    learned = campaign.problem().observations.points[0]
    np.testing.assert_allclose(learned[:4], [0.4, 0.35, 0.25, asked - 0.01])


def test_measured_inputs_may_come_later():
    campaign = _campaign()
    campaign.tell(campaign.ask(1).assign(fe_c2h4=0.5))
    campaign.tell(
        pd.DataFrame({"experiment": [1], "x_Cu_measured": [0.9], "x_Ag_measured": [0.1], "x_Zn_measured": [0.0]})
    )
    np.testing.assert_allclose(campaign.problem().observations.points[0, :3], [0.9, 0.1, 0.0])


def test_outside_the_space_is_a_warning_and_learned_from():
    campaign = _campaign()
    with pytest.warns(OutsideSpaceWarning, match="potential"):
        campaign.tell(campaign.ask(1).assign(potential=-2.0, fe_c2h4=0.5))
    assert len(campaign.problem().observations) == 1


def test_late_metrics_arrive_and_the_model_learns_them():
    campaign = Campaign(SPACE, [Objective("fe_c2h4")], outcome_constraints=[OutcomeConstraint("fe_h2", upper=0.5)])
    batch = campaign.ask(2)
    campaign.tell(batch.assign(fe_c2h4=[0.4, np.nan], fe_h2=np.nan))
    assert list(campaign.to_dataframe()["state"]) == ["awaiting_analysis"] * 2
    assert len(campaign.problem().observations) == 1
    assert len(campaign.problem().pending) == 1
    campaign.tell(pd.DataFrame({"fe_h2": [0.2, 0.3], "fe_c2h4": [np.nan, 0.6]}, index=batch.index))
    assert list(campaign.to_dataframe()["state"]) == ["completed"] * 2
    assert list(campaign.problem().observations.values["fe_c2h4"]) == [0.4, 0.6]
    assert campaign.predict(batch)["fe_h2_mean"].between(0.0, 0.6).all()


def test_uncertainty_and_censoring():
    campaign = _campaign()
    campaign.tell(
        campaign.ask(2).assign(fe_c2h4=[0.1, 0.002], fe_c2h4_sem=[0.01, np.nan], fe_c2h4_censored=[None, "below"])
    )
    frame = campaign.to_dataframe()
    assert frame.loc[1, "fe_c2h4_sem"] == 0.01
    assert frame.loc[2, "fe_c2h4_censored"] == "below"
    campaign.tell(pd.DataFrame({"experiment": [2], "fe_c2h4_sem": [0.001]}))
    assert campaign.to_dataframe().loc[2, "fe_c2h4_sem"] == 0.001


def test_verdicts_decide_what_is_learned():
    campaign = _campaign()
    campaign.tell(campaign.ask(3).assign(fe_c2h4=[0.1, 0.2, 9.0], verdict=["valid", "suspect", "invalid"]))
    observations = campaign.problem().observations
    assert list(observations.values["fe_c2h4"]) == [0.1, 0.2]
    assert list(observations.inflation) == [1.0, 4.0]
    assert list(campaign.best().index) == [2]


def test_failures_are_no_results():
    campaign = _campaign()
    campaign.tell(campaign.ask(1).assign(status="failed", failure_cause="material", sample="A7"))
    row = campaign.to_dataframe().loc[1]
    assert (row["state"], row["failure_cause"], row["sample"]) == ("failed", "material", "A7")
    assert len(campaign.problem().observations) == 0
    assert len(campaign.problem().taken) == 1


def test_telling_the_same_again_is_harmless_changing_needs_amend():
    campaign = _campaign()
    batch = campaign.ask(1).assign(fe_c2h4=0.5)
    campaign.tell(batch)
    campaign.tell(batch)
    before = _snapshot(campaign)
    with pytest.raises(ValueConflict, match=r"0\.5.*0\.6.*amend=True"):
        campaign.tell(batch.assign(fe_c2h4=0.6))
    _unchanged(campaign, before)
    campaign.tell(batch.assign(fe_c2h4=0.6), amend=True)
    assert campaign.to_dataframe().loc[1, "fe_c2h4"] == 0.6
    last = campaign.store.events(campaign.name)[-1]
    assert last.why == "amended"
    assert "0.5" in str(last.data["was"])


def test_what_another_process_wrote_meanwhile_is_not_overwritten():
    campaign = _campaign(metrics=["j_total"])
    campaign.tell(campaign.ask(1).assign(fe_c2h4=0.5))
    store, now = campaign.store, campaign.store.experiment(campaign.name, 1)
    store.apply(campaign.name, [PutExperiment(replace(now, verdict="invalid"), "completed")], who="somebody")
    campaign.tell(pd.DataFrame({"experiment": [1], "j_total": [200.0]}))
    kept = store.experiment(campaign.name, 1)
    assert kept.verdict == "invalid"
    assert kept.values["j_total"].value == 200.0


def test_a_failure_may_be_amended_to_a_result():
    campaign = _campaign()
    campaign.tell(campaign.ask(1).assign(status="failed", failure_cause="analysis"))
    with pytest.raises(ValueConflict):
        campaign.tell(pd.DataFrame({"experiment": [1], "fe_c2h4": [0.4]}))
    campaign.tell(pd.DataFrame({"experiment": [1], "fe_c2h4": [0.4]}), amend=True)
    assert campaign.to_dataframe().loc[1, "state"] == "completed"
    assert campaign.to_dataframe().loc[1, "failure_cause"] is None


ID = {"experiment": [1]}


@pytest.mark.parametrize(
    ("table", "error", "match"),
    [
        ({"experiment": [99], "fe_c2h4": [0.1]}, UnknownExperiment, "99"),
        ({"experiment": [1, 1], "fe_c2h4": [0.1, 0.2]}, UnknownExperiment, "twice"),
        ({"experiment": [1.5], "fe_c2h4": [0.1]}, UnknownExperiment, "no experiment's id"),
        ({"experiment": ["one"], "fe_c2h4": [0.1]}, UnknownExperiment, "no experiment's id"),
        ({**ID, "fe_c2h44": [0.1]}, UnknownColumn, "Did you mean 'fe_c2h4'"),
        ({**ID, "x_Pt": [0.1], "fe_c2h4": [0.1]}, UnknownColumn, "x_Pt"),
        ({**ID, "potential": [-1.0]}, UnknownColumn, "tells nothing"),
        ({**ID, "fe_c2h4": [np.inf]}, InvalidValue, "infinite"),
        ({**ID, "fe_c2h4": [-np.inf]}, InvalidValue, "infinite"),
        ({**ID, "fe_c2h4": ["high"]}, InvalidValue, "no number"),
        ({**ID, "fe_c2h4": [0.1], "fe_c2h4_sem": [-0.1]}, InvalidValue, "negative"),
        ({**ID, "fe_c2h4": [np.nan], "fe_c2h4_sem": [0.1]}, InvalidValue, "missing"),
        ({**ID, "fe_c2h4_sem": [0.1]}, TellError, "no value"),
        ({**ID, "fe_c2h4": [0.1], "fe_c2h4_censored": ["left"]}, InvalidValue, "below or above"),
        ({**ID, "fe_c2h4": [0.1], "potential": [np.inf]}, InvalidValue, "potential"),
        ({**ID, "fe_c2h4": [0.1], "potential": ["low"]}, InvalidValue, "potential"),
        ({**ID, "fe_c2h4": [0.1], "cation": ["Fr"]}, InvalidValue, "Fr"),
        ({**ID, "fe_c2h4": [0.1], "x_Cu_measured": ["much"]}, InvalidValue, "no number"),
        ({**ID, "fe_c2h4": [0.1], "x_Cu_measured": [np.inf]}, InvalidValue, "infinite"),
        ({**ID, "status": ["broken"]}, InvalidValue, "broken"),
        ({**ID, "status": ["failed"], "failure_cause": ["weather"]}, InvalidValue, "weather"),
        ({**ID, "failure_cause": ["material"], "fe_c2h4": [0.1]}, InvalidValue, "status"),
        ({**ID, "fe_c2h4": [0.1], "verdict": ["fine"]}, InvalidValue, "fine"),
        ({"fe_c2h4": [0.1], "potential": [-1.0]}, InvalidValue, "prior data without"),
        ({"fe_c2h4": []}, TellError, "no rows"),
    ],
)
def test_what_is_refused_changes_nothing(table, error, match):
    campaign = _campaign()
    campaign.ask(2)
    before = _snapshot(campaign)
    with pytest.raises(error, match=match) as caught:
        campaign.tell(pd.DataFrame(table))
    assert isinstance(caught.value, TellError)
    _unchanged(campaign, before)


def test_one_wrong_row_spoils_the_table():
    campaign = _campaign()
    campaign.ask(2)
    before = _snapshot(campaign)
    with pytest.raises(InvalidValue):
        campaign.tell(pd.DataFrame({"experiment": [1, 2], "fe_c2h4": [0.1, np.inf]}))
    _unchanged(campaign, before)


def test_ids_in_index_and_column_are_ambiguous():
    campaign = _campaign()
    batch = campaign.ask(1)
    with pytest.raises(TellError, match="both"):
        campaign.tell(batch.assign(experiment=[1], fe_c2h4=0.1))
    with pytest.raises(TellError, match="DataFrame"):
        campaign.tell({"experiment": 1, "fe_c2h4": 0.1})
    twice = batch.assign(fe_c2h4=0.1)
    twice.columns = [*batch.columns[:-1], "potential", "fe_c2h4"]
    with pytest.raises(UnknownColumn, match="twice"):
        campaign.tell(twice)


def test_free_metrics_are_told_when_declared():
    campaign = _campaign(metrics=["colour_index"])
    campaign.tell(campaign.ask(1).assign(fe_c2h4=0.1, colour_index=3.0, j_total=12.0))
    assert campaign.to_dataframe().loc[1, "colour_index"] == 3.0


@given(st.lists(st.sampled_from(["ask", "tell", "late", "fail", "prior", "bad"]), max_size=14), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_order_of_asks_and_tells_keeps_the_books(moves, seed):
    """Ids are given once and rise; what is recorded in memory is what the store holds; nothing told is lost."""
    campaign = _campaign(seed=seed)
    rng = np.random.default_rng(seed)
    told: dict[int, float] = {}
    for move in moves:
        frame = campaign.to_dataframe()
        open_ids = [i for i in frame.index if frame.loc[i, "state"] == "proposed"]
        if move == "ask":
            assert campaign.ask(1).index[0] == len(frame) + 1
        elif move == "prior":
            value = float(rng.random())
            points = SPACE.to_frame(SPACE.sample(1, rng)).assign(fe_c2h4=value)
            campaign.tell(points)
            told[len(frame) + 1] = value
        elif open_ids and move in ("tell", "late", "fail"):
            id = int(rng.choice(open_ids))
            value = float(rng.random())
            if move == "fail":
                campaign.tell(pd.DataFrame({"experiment": [id], "status": ["failed"]}))
                continue
            if move == "late":
                campaign.tell(pd.DataFrame({"experiment": [id], "fe_c2h4": [np.nan]}))
            campaign.tell(pd.DataFrame({"experiment": [id], "fe_c2h4": [value]}))
            told[id] = value
        elif move == "bad":
            with pytest.raises(TellError):
                campaign.tell(pd.DataFrame({"experiment": [1000], "fe_c2h4": [0.0]}))
    frame = campaign.to_dataframe()
    assert list(frame.index) == list(range(1, len(frame) + 1))
    assert frame["fe_c2h4"].dropna().to_dict() == told
    assert campaign.store.experiments(campaign.name) == campaign.experiments()


def test_a_wrong_setting_is_corrected_alone():
    campaign = _campaign()
    campaign.tell(campaign.ask(1).assign(fe_c2h4=0.5))
    with pytest.raises(UnknownColumn):
        campaign.tell(pd.DataFrame({"experiment": [1], "potential": [-0.9]}))
    campaign.tell(pd.DataFrame({"experiment": [1], "potential": [-0.9]}), amend=True)
    row = campaign.to_dataframe().loc[1]
    assert (row["potential_executed"], row["fe_c2h4"], row["state"]) == (-0.9, 0.5, "completed")


def test_a_samples_name_says_nothing_of_the_outcome():
    campaign = _campaign()
    campaign.ask(1)
    campaign.tell(pd.DataFrame({"experiment": [1], "sample": ["A7"]}))
    row = campaign.to_dataframe().loc[1]
    assert (row["state"], row["sample"]) == ("proposed", "A7")
    assert len(campaign.problem().pending) == 1


def test_an_unknown_cause_may_become_known():
    campaign = _campaign()
    campaign.tell(campaign.ask(1).assign(status="failed"))
    assert campaign.to_dataframe().loc[1, "failure_cause"] == "unknown"
    campaign.tell(pd.DataFrame({"experiment": [1], "status": ["failed"], "failure_cause": ["material"]}))
    assert campaign.to_dataframe().loc[1, "failure_cause"] == "material"
    with pytest.raises(ValueConflict):
        campaign.tell(pd.DataFrame({"experiment": [1], "status": ["failed"], "failure_cause": ["condition"]}))


def test_a_failure_with_one_of_two_metrics_stays_a_failure():
    campaign = Campaign(SPACE, [Objective("fe_c2h4")], outcome_constraints=[OutcomeConstraint("fe_h2", upper=0.5)])
    campaign.tell(campaign.ask(1).assign(status="failed"))
    part = pd.DataFrame({"experiment": [1], "fe_c2h4": [0.1]})
    with pytest.raises(ValueConflict):
        campaign.tell(part)
    campaign.tell(part, amend=True)
    assert campaign.to_dataframe().loc[1, ["state", "fe_c2h4"]].tolist() == ["failed", 0.1]
    with pytest.raises(TellError, match="all its metrics"):
        campaign.tell(part.assign(status="completed"), amend=True)


def test_changing_a_measured_setting_names_its_column():
    campaign = _campaign()
    campaign.tell(campaign.ask(1).assign(fe_c2h4=0.5, x_Cu_measured=0.3))
    with pytest.raises(ValueConflict, match=r"x_Cu_measured was told as 0\.3"):
        campaign.tell(pd.DataFrame({"experiment": [1], "x_Cu_measured": [0.4]}))


@pytest.mark.parametrize("value", [10**400, np.True_, "0.5"])
def test_numbers_that_are_none(value):
    campaign = _campaign()
    campaign.ask(1)
    with pytest.raises(InvalidValue):
        campaign.tell(pd.DataFrame({"experiment": [1], "fe_c2h4": pd.Series([value], dtype=object)}))
