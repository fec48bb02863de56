from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uncertainties import correlated_values

from instruments.electrochemistry.calibration import Calibration, Calibrations, days_old, fit_calibration
from instruments.electrochemistry.uncertain import Uncertain
from instruments.errors import CalibrationError


def record(**changed: Any) -> Calibration:
    fields: dict[str, Any] = {
        "device": "tcd",
        "species": "h2",
        "date": date(2026, 3, 1),
        "coefficients": (2.0, 4000.0),
        "covariance": ((0.25, -2.0), (-2.0, 1600.0)),
        "signal_unit": "pA s",
        "low": 1e-4,
        "high": 0.02,
    }
    return Calibration(**{**fields, **changed})


def test_amounts_and_their_uncertainty_agree_with_uncertainties() -> None:
    calibration = record()
    b, a = correlated_values(calibration.coefficients, np.array(calibration.covariance))
    signals = np.array([10.0, 80.0])
    found = calibration.amount(signals)
    expected = [(s - b) / a for s in signals]
    np.testing.assert_allclose(found.values, [x.nominal_value for x in expected])
    np.testing.assert_allclose(found.sem, [x.std_dev for x in expected], rtol=1e-6)
    ratio, reference = found[0] / found[1], expected[0] / expected[1]
    assert ratio.sem == pytest.approx(reference.std_dev, rel=1e-6)  # the coefficients are shared


def test_the_signal_brings_its_own_uncertainty() -> None:
    exact = record(covariance=None)
    signal = Uncertain.independent(np.array([42.0]), 4.0, "peaks")
    assert exact.amount(signal).sem[0] == pytest.approx(1e-3)
    both = record().amount(signal)
    assert both.sem[0] == pytest.approx(np.hypot(1e-3, record().amount(42.0).sem))


def test_a_curved_calibration() -> None:
    curved = record(form="inverse", coefficients=(0.0, 2e-4, 1e-8), covariance=None)
    signal = Uncertain.systematic(100.0, 1.0, "peak")
    assert float(curved.amount(signal)) == pytest.approx(2.01e-2)
    assert curved.amount(signal).sem == pytest.approx(2e-4 + 2e-6)


@given(
    st.lists(st.floats(1e-4, 1e-1), min_size=3, max_size=8, unique=True),
    st.floats(10.0, 1e5),
    st.floats(-5.0, 5.0),
)
def test_a_fit_finds_the_line_it_was_made_from(amounts: list[float], slope: float, intercept: float) -> None:
    signals = intercept + slope * np.array(amounts)
    fitted = fit_calibration(amounts, list(signals), device="", species="co", date=date(2026, 1, 1), signal_unit="pA s")
    np.testing.assert_allclose(fitted.amount(signals).values, amounts, rtol=1e-5, atol=1e-9)


def test_a_fit_agrees_with_numpy() -> None:
    x, y = [0.1, 0.5, 1.0, 2.0], [11.0, 48.0, 103.0, 199.0]
    fitted = fit_calibration(
        x, y, device="", species="hcoo", date=date(2026, 1, 1), signal_unit="mAU s", amount_unit="mol m-3"
    )
    (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
    np.testing.assert_allclose(fitted.coefficients, (intercept, slope))
    np.testing.assert_allclose(np.array(fitted.covariance)[::-1, ::-1], covariance, rtol=1e-9)
    assert fitted.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert fitted.high == 2.0


def test_an_id_is_that_of_the_content() -> None:
    assert record().id == record().id
    assert record().id.startswith("tcd-h2-2026-03-01-")
    assert record(high=0.03).id != record().id


def test_records_survive_json() -> None:
    store = Calibrations([record(), record(species="co", expires=date(2026, 4, 1), r_squared=0.999)])
    back = Calibrations.from_json(json.loads(json.dumps(store.to_json())))
    assert list(back) == list(store)
    assert [each.id for each in back] == [each.id for each in store]
    assert back[record().id] == record()


def test_which_one_was_valid_then() -> None:
    old, new = record(), record(date=date(2026, 5, 1))
    mended = record(date=date(2026, 5, 1), version=2, high=0.05)
    store = Calibrations([old, new]).with_record(mended)
    assert store.at("tcd", "h2", date(2026, 2, 1)) is None
    assert store.at("tcd", "h2", date(2026, 4, 30)) == old
    assert store.at("tcd", "h2", date(2026, 5, 1)) == mended
    assert store.at("tcd", "h2", None) == mended
    assert store.at("fid", "h2", None) is None
    assert store.species(date(2026, 4, 1)) == {("tcd", "h2")}
    assert len(store) == 3
    assert days_old(old, date(2026, 3, 31)) == 30


def test_expiry_and_range() -> None:
    assert not record().expired(date(2030, 1, 1))
    assert record(expires=date(2026, 4, 1)).expired(date(2026, 4, 2))
    assert not record(expires=date(2026, 4, 1)).expired(date(2026, 4, 1))
    np.testing.assert_array_equal(record().in_range([5e-5, 1e-4, 0.024, 0.025]), [False, True, True, False])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"coefficients": (1.0, -4.0)}, "coefficients"),
        ({"coefficients": (1.0,)}, "coefficients"),
        ({"coefficients": (1.0, float("nan"))}, "coefficients.1"),
        ({"covariance": ((1.0, 0.0), (0.5, 1.0))}, "covariance"),
        ({"covariance": ((1.0, 2.0), (2.0, 1.0))}, "covariance"),
        ({"covariance": ((1.0,), (2.0, 1.0))}, "covariance"),
        ({"low": 1.0}, "low"),
        ({"expires": date(2020, 1, 1)}, "expires"),
        ({"high": 0.0}, "high"),
        ({"date": "someday"}, "date"),
        ({"slope": 1.0}, "slope"),
    ],
)
def test_impossible_records(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(CalibrationError) as error:
        record(**changed)
    assert error.value.field == field


def test_what_no_line_can_be_drawn_through() -> None:
    for amounts, signals in ([1.0, 2.0], [1.0, 2.0]), ([1.0] * 3, [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]):
        with pytest.raises(CalibrationError):
            fit_calibration(amounts, signals, device="", species="co", date=date(2026, 1, 1), signal_unit="pA s")


@pytest.mark.parametrize(
    ("amounts", "signals", "field"),
    [
        ([1.0, 2.0, 3.0], [1.0, float("nan"), 3.0], "signals"),
        ([1.0, float("inf"), 3.0], [1.0, 2.0, 3.0], "amounts"),
        ([-1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "amounts"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "signals"),
    ],
)
def test_standards_that_are_none(amounts: list[float], signals: list[float], field: str) -> None:
    with pytest.raises(CalibrationError) as error:
        fit_calibration(amounts, signals, device="", species="co", date=date(2026, 1, 1), signal_unit="pA s")
    assert error.value.field == field


def test_two_truths_for_one_day_are_refused() -> None:
    with pytest.raises(CalibrationError, match="version"):
        Calibrations([record(), record(high=0.03)])
    assert len(Calibrations([record(), record()])) == 1
    with pytest.raises(CalibrationError, match="no calibration"):
        Calibrations()["x"]
    with pytest.raises(CalibrationError, match="record 1"):
        Calibrations.from_json(["x"])  # type: ignore[list-item]
