"""Numbers, units and goals in words."""

from __future__ import annotations

import doctest
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.export import picture, tables, words


@pytest.mark.parametrize("module", [words, tables, picture])
def test_examples_in_documentation(module: object) -> None:
    assert doctest.testmod(module).failed == 0


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6))
def test_uncertain_values_are_not_rounded_away(value: float, sem: float) -> None:
    told, spread = (float(part) for part in words.uncertain(value, sem).split(" ± "))
    assert abs(told - value) <= 0.06 * sem + 1e-3 * abs(value)
    assert abs(spread - sem) <= 0.06 * sem


@pytest.mark.parametrize("sem", [None, float("nan"), float("inf"), 0.0])
def test_values_without_uncertainty(sem: float | None) -> None:
    assert words.uncertain(0.25, sem) == "0.25"
    assert words.uncertain(float("nan"), sem) == ""


def test_times_are_told_in_utc() -> None:
    time = datetime(2026, 5, 4, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert words.moment(time) == "2026-05-03 23:30 UTC"
    assert words.moment(None) == "–"
