"""Whether fresh samples give what was expected: the comparison, which points are worth it, and who is told."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from acquisition import Continuous, Objective, OutcomeConstraint, SearchSpace
from acquisition.hypervolume import spanning
from orchestrator import Campaign
from orchestrator.campaign.confirmation import compare, confirmation, in_words, summed_up
from orchestrator.campaign.finalists import finalists
from orchestrator.campaign.words import CONFIRM
from orchestrator.export.report import render
from orchestrator.export.tables import export
from orchestrator.store.changes import Note, PutExperiment
from orchestrator.store.records import ExperimentRecord, Value

SPACE = SearchSpace([Continuous("a", 0.0, 1.0)])
NUMBERS = st.floats(-1e3, 1e3)


def _anything(settings):
    return True


# The comparison


def test_without_a_model_it_is_the_t_interval_of_the_samples():
    seen = compare(2.4, 0.0, [1.0, 2.0, 3.0])
    reach = t.ppf(0.975, 2) / 3**0.5
    assert (seen.mean, seen.sem, seen.samples) == (2.0, pytest.approx(3**-0.5), 3)
    assert (seen.low, seen.high) == (pytest.approx(2.0 - reach), pytest.approx(2.0 + reach))
    assert seen.verdict == "confirmed"
    assert compare(2.0 + reach + 0.01, 0.0, [1.0, 2.0, 3.0]).verdict == "not confirmed"


def test_without_scatter_it_is_the_interval_of_the_model():
    seen = compare(1.0, 0.1, [1.15, 1.15])
    assert seen.high - seen.mean == pytest.approx(0.1 * norm.ppf(0.975))
    assert seen.verdict == "confirmed"
    assert compare(1.0, 0.1, [1.2, 1.2]).verdict == "not confirmed"
    assert compare(0.1 + 0.2, 0.0, [0.3, 0.3]).verdict == "confirmed", "rounding is no difference"


def test_degrees_of_freedom_are_those_of_welch_and_satterthwaite():
    values, std = [0.9, 1.0, 1.1, 1.3], 0.05
    variance = np.var(values, ddof=1) / 4
    u = (variance + std**2) ** 0.5
    reach = t.ppf(0.975, u**4 / (variance**2 / 3)) * u
    assert compare(1.0, std, values).high == pytest.approx(np.mean(values) + reach)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_samples_decide_nothing(values):
    seen = compare(1.0, 0.1, values)
    assert (seen.verdict, seen.sem, seen.low, seen.samples) == ("not decided", None, None, len(values))


@given(NUMBERS, st.floats(0, 10), st.lists(NUMBERS, min_size=2, max_size=6), st.floats(0.01, 100), NUMBERS)
def test_it_depends_on_no_unit(expected, std, values, scale, shift):
    seen = compare(expected, std, values)
    if abs(abs(seen.expected - seen.mean) - (seen.high - seen.mean)) < 1e-6:
        return  # on the edge, where rounding decides
    moved = compare(expected * scale + shift, std * scale, [v * scale + shift for v in values])
    assert moved.verdict == seen.verdict
    wider = compare(expected, std + 1.0, values)
    assert wider.verdict == "confirmed" or seen.verdict == "not confirmed", "whoever knows less is wrong less often"


@pytest.mark.parametrize(("n", "std"), [(2, 0.0), (3, 0.0), (3, 0.3), (3, 1.0), (5, 0.5)])
def test_a_true_expectation_is_confirmed_in_19_of_20_cases(n, std):
    rng = np.random.default_rng(1)
    truth, samples = rng.normal(0.0, std, 2000), rng.normal(0.0, 1.0, (2000, n))
    share = np.mean(
        [compare(0.0, std, (m + row).tolist()).verdict == "confirmed" for m, row in zip(truth, samples, strict=True)]
    )
    assert 0.915 < share < 0.985  # Welch and Satterthwaite are only approximate with few samples


# Which points


def _campaign(points, strategy="random", **more):
    campaign = Campaign(SPACE, [Objective("y")], strategy=strategy, **more)
    campaign.tell(points)
    return campaign


def test_without_a_model_replicates_are_pooled():
    campaign = _campaign(
        pd.DataFrame({"a": [0.1, 0.2, 0.2, 0.3], "y": [0.9, 1.2, 0.4, 0.5], "y_sem": [0.05, 0.1, 0.1, 0.1]})
    )
    first, second = finalists(campaign, 2, _anything)
    assert (first.experiment, first.settings, first.prediction) == (1, {"a": 0.1}, {"y": {"mean": 0.9, "std": 0.05}})
    assert (second.experiment, second.prediction["y"]["mean"]) == (2, pytest.approx(0.8))
    assert second.prediction["y"]["std"] == pytest.approx(0.4)
    assert [f.experiment for f in finalists(campaign, 9, _anything)] == [1, 2, 4]


def test_what_is_no_value_is_not_pooled():
    table = pd.DataFrame({"a": [0.1, 0.2, 0.3, 0.4], "y": [9.0, 8.0, 7.0, 1.0]})
    campaign = _campaign(
        table.assign(y_censored=["below", None, None, None], verdict=["valid", "suspect", "invalid", "valid"])
    )
    assert [f.experiment for f in finalists(campaign, 9, _anything)] == [4]


def test_what_cannot_be_done_again_is_left_out():
    with pytest.warns(UserWarning, match="outside"):
        campaign = _campaign(pd.DataFrame({"a": [0.1, 1.5, 0.3], "y": [1.0, 9.0, 2.0]}))
    assert [f.experiment for f in finalists(campaign, 9, lambda s: s["a"] != 0.3)] == [1]


def test_a_model_judges_where_it_is_asked_again():
    rng = np.random.default_rng(0)
    a = np.round(np.linspace(0.0, 1.0, 9), 3)
    campaign = _campaign(
        pd.DataFrame({"a": a, "y": -((a - 0.5) ** 2) + 0.02 * rng.normal(size=9)}), "expected_improvement"
    )
    campaign.tell(pd.DataFrame({"experiment": [5], "a_measured": [0.62]}))
    for one in finalists(campaign, 3, _anything):
        expected = campaign.predict(pd.DataFrame([one.settings]))
        assert one.prediction["y"] == pytest.approx(
            {"mean": expected["y_mean"].iloc[0], "std": expected["y_std"].iloc[0]}
        )


def test_bounds_hold_for_what_is_expected():
    campaign = Campaign(
        SPACE, [Objective("y", "minimize")], outcome_constraints=[OutcomeConstraint("z", lower=0.5)], strategy="random"
    )
    campaign.tell(pd.DataFrame({"a": [0.1, 0.2, 0.3], "y": [1.0, 2.0, 3.0], "z": [0.4, 0.6, 0.6]}))
    assert [f.experiment for f in finalists(campaign, 9, _anything)] == [2, 3]


def test_nothing_known_gives_nothing():
    assert finalists(Campaign(SPACE, [Objective("y")], strategy="random"), 3, _anything) == []


def test_equal_points_of_a_front_do_not_hide_each_other():
    objectives = [Objective("y", reference=0.0), Objective("z", reference=0.0)]
    utilities = np.array([[1.0, 0.1], [0.6, 0.6], [0.6, 0.6], [0.1, 1.0]])
    assert spanning(utilities, objectives, 3) == [1, 0, 3]
    assert spanning(utilities, objectives, 9) == [1, 0, 3, 2]


# Who is told


@pytest.fixture
def confirmed():
    """A point that is confirmed in one metric's eyes, and one of which only one sample is there."""
    campaign = _campaign(pd.DataFrame({"a": [0.1, 0.2, 0.3], "y": [0.1, 0.5, 0.3]}), "expected_improvement")
    points = [
        {
            "experiment": 2,
            "parameters": {"a": 0.2},
            "prediction": {"y": {"mean": 0.5, "std": 0.05}},
            "experiments": [4, 6],
        },
        {
            "experiment": 3,
            "parameters": {"a": 0.3},
            "prediction": {"y": {"mean": 0.3, "std": 0.05}},
            "experiments": [5, 7],
        },
    ]
    said = {4: 0.52, 5: 0.31, 6: 0.5}
    records = [
        ExperimentRecord(
            id=id, state="completed" if id in said else "queued", origin="confirm", asked={"a": 0.3 if id % 2 else 0.2},
            executed={"a": 0.3 if id % 2 else 0.2} if id in said else None, told=id if id in said else None,
            values={"y": Value(said[id])} if id in said else {}, verdict="valid" if id in said else None, sample=f"s{id}",
        )
        for id in (4, 5, 6, 7)
    ]  # fmt: skip
    note = Note(CONFIRM, "chosen", data={"version": 1, "rule": "", "why": "enough", "points": points})
    campaign.put(*(PutExperiment(record, None) for record in records), note)
    return campaign


def test_in_words(confirmed):
    points = confirmation(confirmed.store, confirmed.name)
    assert summed_up(points) == "of the 2 best points 1 confirmed, 1 not decided"
    assert in_words([json.loads(json.dumps(point.plain())) for point in points]) == [
        "experiment 2: expected y 0.5 ± 0.05, found y 0.51 ± 0.01 on 2 samples: confirmed",
        "experiment 3: expected y 0.3 ± 0.05, found y 0.31 on 1 sample: not decided (1 still to come)",
    ]


def test_best_says_what_fresh_samples_gave(confirmed):
    best = confirmed.best()
    assert best["a"].tolist() == [0.2]
    assert best["y_confirmed"].tolist() == [pytest.approx(0.51)]
    assert best["y_confirmed_sem"].tolist() == [pytest.approx(0.01)]
    assert best["confirmed"].tolist() == ["confirmed"]
    assert best["samples"].tolist() == [3]


def test_report_and_export_say_it(confirmed, tmp_path):
    record = confirmed.store.campaign(confirmed.name)
    page = render(confirmed, record)
    assert "Confirmed with fresh samples" in page
    assert "0.510 ± 0.010" in page
    assert "1 still to come" in page
    paths = export(confirmed, record, tmp_path)
    told = json.loads(paths[-1].read_text())["confirmation"]
    assert [point["verdict"] for point in told] == ["confirmed", "not decided"]
    assert told[0]["metrics"]["y"]["samples"] == 2


def test_without_confirmation_nobody_says_anything(tmp_path):
    campaign = _campaign(pd.DataFrame({"a": [0.1, 0.2], "y": [0.1, 0.5]}), "expected_improvement")
    record = campaign.store.campaign(campaign.name)
    assert confirmation(campaign.store, campaign.name) is None
    assert "confirmed" not in campaign.best()
    assert "Confirmed with" not in render(campaign, record)
    assert json.loads(export(campaign, record, tmp_path)[-1].read_text())["confirmation"] is None
