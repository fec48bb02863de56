"""Which results count, the best so far, and how predictions are judged."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.campaign import Campaign
from orchestrator.export import readings

UP = Objective("y", "maximize")


def table(y: list[float], **columns: object) -> pd.DataFrame:
    """A campaign's table with one parameter."""
    n = len(y)
    frame = pd.DataFrame(
        {
            "state": ["completed"] * n,
            "origin": "asked",
            "a": np.linspace(0, 1, n),
            "a_executed": None,
            "a_measured": np.nan,
            "a_measured_sem": np.nan,
            "y": y,
            "y_sem": np.nan,
            "y_censored": None,
            "y_predicted": np.nan,
            "y_predicted_std": np.nan,
            "sample": None,
            "verdict": "valid",
            "verdict_reasons": "",
            "failure_cause": None,
            "failure_reason": None,
            "reason": "",
        },
        index=pd.Index(range(1, n + 1), name="experiment"),
    )
    return frame.assign(**columns)


def test_only_valid_feasible_results_lead() -> None:
    frame = table([1, 9, 8, 7, 6, 2], verdict=["valid", "invalid", "suspect", "valid", "valid", "valid"])
    frame = frame.assign(h=[0.1, 0.1, 0.1, 0.9, np.nan, 0.1], state=["completed"] * 6)
    reading = readings.read(frame, UP, [OutcomeConstraint("h", upper=0.5)])
    assert reading.kinds.tolist() == ["valid", "invalid", "suspect", "infeasible", "incomplete", "valid"]
    assert reading.best.tolist() == [1, 1, 1, 1, 1, 2]
    assert reading.champion == 5


def test_nothing_leads_before_the_first_valid_result() -> None:
    reading = readings.read(table([math.nan, 3.0, 1.0], state=["failed", "completed", "completed"]), UP)
    assert reading.kinds.tolist() == ["failed", "valid", "valid"]
    assert math.isnan(reading.best[0])
    assert reading.best[1:].tolist() == [3, 3]


def test_controls_and_what_was_never_done_are_left_out() -> None:
    frame = table([1, 2, 3, 4], origin=["asked", "control", "asked", "asked"])
    frame["state"] = ["completed", "completed", "rejected", "cancelled"]
    assert readings.read(frame, UP).ids.tolist() == [1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.sampled_from(["maximize", "minimize", "target"]))
def test_the_best_never_gets_worse(values: list[float], goal: str) -> None:
    objective = Objective("y", goal, target=(1.0, 2.0) if goal == "target" else None)
    reading = readings.read(table(values), objective)
    merit = {"maximize": 1, "minimize": -1}.get(goal)
    best = reading.best * merit if merit else -np.maximum(1 - reading.best, 0) - np.maximum(reading.best - 2, 0)
    assert (np.diff(best) >= 0).all()
    assert reading.champion is not None
    assert reading.values[reading.champion] == reading.best[-1]


def test_front_of_two_objectives() -> None:
    frame = table([1, 2, 3, 3]).assign(z=[3, 2, 1, math.nan])
    front = readings.front(frame, [UP, Objective("z", "maximize")], [])
    assert front.tolist() == [1, 2, 3]
    assert readings.front(frame, [UP, Objective("z", "minimize")], []).tolist() == [3]


def test_inputs_as_best_known() -> None:
    frame = table([1, 2, 3]).assign(a=[0.1, 0.2, 0.3], a_executed=[None, 0.25, 0.35], a_measured=[np.nan, np.nan, 0.36])
    known = readings.inputs(frame)
    assert known["a"].tolist() == [0.1, 0.25, 0.36]
    assert pd.api.types.is_numeric_dtype(known["a"])


def test_initial_phase_ends_where_a_model_proposes() -> None:
    frame = table([1, 2, 3, 4], origin=["prior", "asked", "asked", "asked"])
    frame["reason"] = ["", "initial design: fills the space evenly", "highest expected improvement", "initial design"]
    assert readings.initial_until(frame) == 2
    assert readings.initial_until(table([1, 2], reason="drawn uniformly from the space")) is None


def test_calibration_counts_and_judges() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    frame = table(list(truth), y_predicted=0.0, y_predicted_std=1.0)
    good = readings.calibration(readings.read(frame, UP))
    assert good is not None
    assert (good.n, good.verdict) == (400, "well")
    assert good.within == pytest.approx(0.9, abs=0.04)
    assert good.rmse == pytest.approx(float(np.sqrt(np.mean(truth**2))))
    for std, verdict in ((0.3, "overconfident"), (3.0, "cautious")):
        found = readings.calibration(readings.read(frame.assign(y_predicted_std=std), UP))
        assert found is not None
        assert found.verdict == verdict


def test_calibration_takes_the_uncertainty_of_measurements_in() -> None:
    frame = table([2.0] * 12, y_predicted=0.0, y_predicted_std=0.1)
    tight = readings.calibration(readings.read(frame, UP))
    wide = readings.calibration(readings.read(frame.assign(y_sem=2.0), UP))
    assert tight is not None
    assert wide is not None
    assert (tight.within, wide.within) == (0.0, 1.0)


def test_calibration_needs_predictions_of_results_that_are_not_invalid() -> None:
    assert readings.calibration(readings.read(table([1, 2]), UP)) is None
    invalid = table([1, 2], y_predicted=1.0, y_predicted_std=1.0, verdict="invalid")
    assert readings.calibration(readings.read(invalid, UP)) is None


def test_telling_parameters_are_those_that_go_with_the_result() -> None:
    rng = np.random.default_rng(1)
    frame = table([0.0] * 60)
    names = [f"p{i}" for i in range(8)]
    for name in names:
        frame = frame.assign(**{name: rng.uniform(size=60), f"{name}_executed": None, f"{name}_measured": np.nan})
    frame = frame.drop(columns=["a", "a_executed", "a_measured", "a_measured_sem"])
    frame["constant"], frame["constant_executed"], frame["constant_measured"] = 1.0, None, np.nan
    frame["kind"], frame["kind_executed"], frame["kind_measured"] = list("uv" * 30), None, np.nan
    frame["y"] = -((frame["p5"] - 0.5) ** 2) * 20 + (frame["kind"] == "u") * 3
    reading = readings.read(frame, UP)
    assert readings.telling(reading, 2) == ["p5", "kind"]
    assert "constant" not in readings.telling(reading, 30)


def test_range_is_not_blown_up_by_enormous_bars() -> None:
    low, high = readings.value_range(readings.read(table([1.0, 2.0], y_sem=[1e6, 0.1]), UP))
    assert -5 < low < 1 < 2 < high < 8
    assert readings.value_range(readings.read(table([]), UP)) == (0.0, 1.0)
    low, high = readings.value_range(readings.read(table([3.0]), UP))
    assert low < 3 < high


def test_reads_a_whole_campaign(alloys: Campaign) -> None:
    reading = readings.read(alloys.to_dataframe(), alloys.objectives[0], alloys.outcome_constraints)
    kinds = dict(zip(reading.ids.tolist(), reading.kinds.tolist(), strict=True))
    assert {kinds[3], kinds[4], kinds[5], kinds[6], kinds[13]} == {
        "failed", "suspect", "invalid", "infeasible", "waiting",
    }  # fmt: skip
