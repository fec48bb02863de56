"""Whatever is broken gives a clear error or a verdict: no NaN, no warning, no other exception."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.electrochemistry import Reduction, reduce
from instruments.errors import InstrumentsError

Bench = Any

ODD = st.sampled_from([0.0, -1.0, 1e-30, 1e30, -1e30, float("nan"), float("inf"), 1.0, 1e6])


def attempt(measurement: Any) -> None:
    """Reduce, and look at what came of it."""
    try:
        reduction: Reduction | None = reduce(measurement)
        field: str | None = ""
    except InstrumentsError as error:
        reduction, field = None, error.field
    if reduction is None:
        assert field
    else:
        checked(reduction)


def checked(reduction: Reduction) -> None:
    for name, figure in reduction.figures.items():
        assert np.isfinite(figure.value), name
        assert figure.sem is None or np.isfinite(figure.sem), name
    matrix = reduction.joint.covariance_matrix()
    assert np.isfinite(matrix).all()
    assert np.isfinite(reduction.joint.values).all()
    str(reduction.observation.verdict)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_odd_numbers_in_any_table(bench: Bench, data: st.DataObject) -> None:
    run = bench.changed(
        points=data.draw(st.sampled_from([2, 3, 12, 61])),
        method=data.draw(st.sampled_from(["outlet", "internal_standard", "carbon_balance", "inlet"])),
        stoichiometric=data.draw(st.booleans()),
    ).with_setup(stability_of="fe_c2h4")
    tables = run.tables()
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(tables)))
        table = tables[name].copy()
        column = data.draw(st.sampled_from([c for c in table.columns if "/" in c]))
        rows = data.draw(st.sampled_from([slice(None), slice(0, 1), slice(-1, None), slice(0, 3)]))
        values = table[column].to_numpy(dtype=float).copy()
        values[rows] = data.draw(ODD)
        tables[name] = table.assign(**{column: values})
    attempt(run.measurement(**tables))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_and_columns_left_out(bench: Bench, data: st.DataObject) -> None:
    tables: dict[str, Any] = bench.tables()
    for name in data.draw(st.lists(st.sampled_from(sorted(tables)), min_size=1, max_size=3, unique=True)):
        table = tables[name]
        columns = data.draw(st.lists(st.sampled_from(list(table.columns)), max_size=2, unique=True))
        kept = data.draw(st.integers(0, len(table)))
        tables[name] = None if data.draw(st.booleans()) else table.drop(columns=columns).iloc[:kept]
    attempt(bench.measurement(**tables))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_settings_left_out_or_at_their_edges(bench: Bench, data: st.DataObject) -> None:
    changes: dict[str, Any] = {
        name: None
        for name in data.draw(
            st.lists(st.sampled_from(sorted(bench.described().to_metadata()["setup"])), max_size=6, unique=True)
        )
        if name not in ("version", "steady_after", "accuracy", "checks")
    }
    edges = {
        "headspace": ["1 uL", "100 L"],
        "loop_time": ["1 ms", "10000 s"],
        "ph": [0, 14],
        "resistance": ["0 ohm", "1000 ohm"],
        "compensated": [0, 1],
        "feed": [{"co2": 0.0, "ar": 1.0}, {"co2": 0.5, "ar": 0.5}],
        "steady_after": [0.0, 1e6],
        "carbonate": ["stoichiometric"],
        "control": ["potential", "current"],
        "analysed": [[], ["gas"]],
        "expected": [[], ["h2"], ["hcoo"]],
        "stability_of": ["fe_co", "fe_hcoo", "fe_c2plus"],
    }
    for name in data.draw(st.lists(st.sampled_from(sorted(edges)), max_size=4, unique=True)):
        changes[name] = data.draw(st.sampled_from(edges[name]))
    attempt(bench.with_setup(**changes).measurement())


@pytest.mark.parametrize("count", [1, 2, 9])
def test_any_number_of_injections(bench: Bench, count: int) -> None:
    times = tuple(3600.0 * (i + 1) / count for i in range(count))
    reduction = reduce(bench.changed(times=times).with_setup(stability_of="fe_c2h4").measurement())
    checked(reduction)
    assert len(reduction.accepted) == count
    assert (reduction.observation.verdict.name == "invalid") is (count < 2)
