from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments import ExecutionCancelled, Job, Lab, LabError, LabOptions
from simulators.replay import ReplayLab, ReplayOptions

TABLE = pd.DataFrame(
    {
        "x_Cu": [0.5, 0.333, 0.333, 1.0],
        "x_Ag": [0.5, 0.667, 0.667, 0.0],
        "cation": ["K", "K", "K", "Cs"],
        "current": [100, 100, 100, 200],
        "FE_CO": [50.0, 60.0, 62.0, 10.0],
        "voltage": [3.0, 3.1, np.nan, 2.5],
        "electrode": ["a", "b", "c", "d"],
    }
)
PARAMETERS = ("x_Cu", "x_Ag", "cation")
OPTIONS: dict[str, Any] = {"columns": {"fe_co": "FE_CO"}, "units": {"fe_co": "percent"}}


def job(**parameters: Any) -> Job:
    return Job("campaign", 1, parameters)


def test_it_is_a_laboratory_with_options() -> None:
    options = ReplayOptions(table="data.csv", where={"current": 100}, sample="electrode", **OPTIONS)
    assert isinstance(options, LabOptions)
    assert options.tables() == {"table": "data.csv"}
    lab = options.build(PARAMETERS, {"table": TABLE})
    assert isinstance(lab, Lab)
    assert lab.repeat_is_safe
    assert lab.cells == ("cell-1",)
    assert lab.metrics == {"fe_co": "1", "voltage": ""}
    lab.make_safe()


def test_a_row_answers_in_fractions_and_names_its_electrode(context: Any) -> None:
    lab = ReplayLab(TABLE, PARAMETERS, sample_column="electrode", **OPTIONS)
    outcome = lab.execute(job(x_Cu=0.5, x_Ag=0.5, cation="K"), context())
    assert outcome.observation is not None
    assert outcome.observation.figures["fe_co"].value == pytest.approx(0.5)
    assert outcome.observation.verdict.name == "valid"
    assert outcome.sample == "a"


def test_further_conditions_on_a_sample_come_from_its_electrode(context: Any) -> None:
    lab = ReplayLab(TABLE, PARAMETERS, sample_column="electrode", **OPTIONS)
    asked = job(x_Cu=0.333, x_Ag=0.667, cation="K")
    assert {lab.execute(asked, context(seed=seed, sample="c")).sample for seed in range(20)} == {"c"}
    assert {lab.execute(asked, context(seed=seed, sample="d")).sample for seed in range(20)} == {"b", "c"}
    assert lab.execute(job(x_Cu=0.5, x_Ag=0.5, cation="K"), context(sample="d")).sample == "a"  # never measured so


def test_replicates_are_drawn_by_the_seed_alone(context: Any) -> None:
    lab = ReplayLab(TABLE, PARAMETERS, sample_column="electrode", **OPTIONS)
    asked = job(x_Cu=0.333, x_Ag=0.667, cation="K")
    drawn = [lab.execute(asked, context(seed=seed)).sample for seed in range(200)]
    assert set(drawn) == {"b", "c"}
    assert 60 < drawn.count("b") < 140
    assert drawn[::-1] == [lab.execute(asked, context(seed=seed)).sample for seed in reversed(range(200))]


def test_rounded_fractions_are_found_raw_and_renormalised() -> None:
    table = pd.DataFrame({"x_a": [0.333, 0.2], "x_b": [0.333, 0.8], "x_c": [0.333, 0.0], "y": [1.0, 2.0]})
    lab = ReplayLab(table, ("x_a", "x_b", "x_c"))
    lab.check({"x_a": 0.333, "x_b": 0.333, "x_c": 0.333})
    lab.check({"x_a": 1 / 3, "x_b": 1 / 3, "x_c": 1 / 3})
    with pytest.raises(LabError, match="no row"):
        lab.check({"x_a": 0.334, "x_b": 0.333, "x_c": 0.333})


def test_a_gap_leaves_its_metric_out_and_empty_rows_are_no_answers(context: Any) -> None:
    lab = ReplayLab(TABLE.iloc[2:3], PARAMETERS, **OPTIONS)
    outcome = lab.execute(job(x_Cu=0.333, x_Ag=0.667, cation="K"), context())
    assert outcome.observation is not None
    assert set(outcome.observation.figures) == {"fe_co", "current"}
    gappy = TABLE.assign(FE_CO=[50.0, np.nan, 62.0, 10.0])
    lab = ReplayLab(gappy, PARAMETERS, sample_column="electrode", **OPTIONS)
    asked = job(x_Cu=0.333, x_Ag=0.667, cation="K")
    assert {lab.execute(asked, context(seed=seed)).sample for seed in range(20)} == {"c"}


def test_cancelled_before_it_begins(context: Any) -> None:
    waiting = context()
    waiting.cancelled.set()
    lab = ReplayLab(TABLE, PARAMETERS, **OPTIONS)
    with pytest.raises(ExecutionCancelled):
        lab.execute(job(x_Cu=0.5, x_Ag=0.5, cation="K"), waiting)


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"where": {"curent": 100}}, "where", "Did you mean 'current'"),
        ({"where": {"current": 150}}, "where.current", "There are: 100, 200"),
        ({"where": {"current": "100"}}, "where.current", "holds numbers"),
        ({"where": {"electrode": 1}}, "where.electrode", "holds text"),
        ({"where": {"cation": "K"}}, "where", "parameter of the search space"),
        ({"columns": {"fe_co": "FE_C0"}}, "columns.fe_co", "Did you mean 'FE_CO'"),
        ({"columns": {"fe_co": "electrode"}}, "columns.fe_co", "does not hold numbers"),
        ({"columns": {"fe_co": "FE_CO"}}, "units.fe_co", "percent"),
        ({"columns": {"fe_co": "x_Cu"}}, "columns.fe_co", "cannot be a metric"),
        ({"columns": {"fe_co": "FE_CO"}, "units": {"fe_co": "mA cm-2"}}, "units.fe_co", "percent, fraction"),
        ({"units": {"fe_c0": "percent"}}, "units.fe_c0", "no metric"),
        ({"sample_column": "electrodes"}, "sample", "Did you mean 'electrode'"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(LabError, match=words) as caught:
        ReplayLab(TABLE, PARAMETERS, **options)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("table", "parameters", "words"),
    [
        (TABLE, ("x_Cu", "x_Agg"), "Did you mean 'x_Ag'"),
        (TABLE, (), "at least one parameter"),
        (TABLE.iloc[:0], PARAMETERS, "no rows"),
        (pd.concat([TABLE, TABLE[["voltage"]]], axis=1), PARAMETERS, "two columns named 'voltage'"),
        (TABLE.assign(x_Cu=[0.5, np.nan, 0.333, 1.0]), PARAMETERS, "no finite value in row 1"),
        (TABLE.assign(voltage=np.inf), PARAMETERS, "infinite"),
        (TABLE[[*PARAMETERS, "electrode"]], PARAMETERS, "no numeric column"),
        (TABLE.assign(voltage=np.nan)[[*PARAMETERS, "voltage"]], PARAMETERS, "no row of the table has a value"),
        (TABLE.assign(fe_h2=90.0)[[*PARAMETERS, "fe_h2"]], PARAMETERS, "fe_h2: percent"),
    ],
)
def test_wrong_tables_say_what_is_wrong(table: pd.DataFrame, parameters: tuple[str, ...], words: str) -> None:
    with pytest.raises(LabError, match=words):
        ReplayLab(table, parameters)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"x_Cu": 0.5, "x_Ag": 0.5}, "'cation' is missing"),
        ({"x_Cu": 0.5, "x_Ag": 0.5, "cation": "Na"}, "no row"),
        ({"x_Cu": 0.5, "x_Ag": 0.5, "cation": "K", "T": 3.0}, "no parameter"),
        ({"x_Cu": float("nan"), "x_Ag": 0.5, "cation": "K"}, "no setting"),
        ({"x_Cu": "0.5", "x_Ag": 0.5, "cation": "K"}, "holds numbers"),
        ({"x_Cu": 0.5001, "x_Ag": 0.4999, "cation": "K"}, "no row"),
    ],
)
def test_settings_that_are_not_in_the_table(asked: dict[str, Any], words: str, context: Any) -> None:
    lab = ReplayLab(TABLE, PARAMETERS, **OPTIONS)
    with pytest.raises(LabError, match=words):
        lab.check(asked)
    with pytest.raises(LabError, match=words):
        lab.execute(Job("campaign", 1, asked), context())


def test_undeclared_per_cent_beside_named_metrics_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    lab = ReplayLab(TABLE.assign(fe_h2=[90.0, 80.0, 70.0, 60.0]), PARAMETERS, **OPTIONS)
    assert "fe_h2" not in lab.metrics
    assert "fe_h2" in caplog.text


def test_options_refuse_what_they_do_not_know() -> None:
    with pytest.raises(LabError, match="tabel"):
        ReplayOptions(table="data.csv", tabel="x")  # type: ignore[call-arg]
    with pytest.raises(LabError, match="cells"):
        ReplayOptions(table="data.csv", cells=0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0, 1), st.floats(-1e-5, 1e-5)), min_size=1, max_size=30),
    st.floats(-0.9, 0.9),
)
def test_every_row_is_found_again_within_the_tolerance(rows: list[tuple[float, float, float]], nudge: float) -> None:
    table = pd.DataFrame(rows, columns=["a", "b", "c"]).assign(y=np.arange(len(rows), dtype=float))
    lab = ReplayLab(table, ("a", "b", "c"))
    largest = table.abs().max()
    scales = [1.0 if largest[name] == 0 or 1e-3 <= largest[name] <= 1 else largest[name] for name in ("a", "b")]
    for row in table.to_dict("records"):
        lab.check(
            {
                "a": row["a"] + nudge * 1e-6 * scales[0],
                "b": row["b"] + nudge * 1e-6 * scales[1],
                "c": row["c"],
            }
        )


def test_large_tables_are_looked_up_in_microseconds(context: Any) -> None:
    generator = np.random.default_rng(0)
    fractions = generator.dirichlet(np.ones(6), 200_000).round(4)
    table = pd.DataFrame(fractions, columns=[f"x_{i}" for i in range(6)]).assign(y=np.arange(200_000.0))
    lab = ReplayLab(table, [f"x_{i}" for i in range(6)])
    jobs = [Job("campaign", 1, row) for row in table.iloc[:500, :6].to_dict("records")]
    ready = context()
    started = time.perf_counter()
    answers = [lab.execute(each, ready) for each in jobs]
    spent = (time.perf_counter() - started) / len(jobs)
    assert spent < 2e-3
    found = [outcome.observation.figures["y"].value for outcome in answers if outcome.observation]
    assert np.abs(np.array(found) - np.arange(500)).max() == 0


def test_the_oxygen_evolution_plate(shared_data: Path, context: Any) -> None:
    table = pd.read_csv(shared_data / "oer_plate_3496.csv")
    parameters = list(table.columns[:6])
    lab = ReplayLab(table, parameters)
    for row in table.iloc[::97].to_dict("records"):
        outcome = lab.execute(Job("plate", 1, {name: row[name] for name in parameters}), context())
        assert outcome.observation is not None
        values = table[(table[parameters] == [row[name] for name in parameters]).all(axis=1)]["overpotential_V"]
        assert outcome.observation.figures["overpotential_V"].value in set(values)


def test_the_electrodes_of_ocx24(shared_data: Path, context: Any) -> None:
    table = pd.read_csv(shared_data / "ocx24_uoft.csv")
    parameters = [name for name in table.columns if name.startswith("t_")]
    options = ReplayOptions(
        table="ocx24_uoft.csv",
        where={"current_density_mA_cm2": 200, "reaction": "CO2R"},
        columns={"fe_co": "fe_co"},
        units={"fe_co": "percent"},
        sample="sample_id",
    )
    lab = options.build(parameters, {"table": table})
    rows = table[(table["current_density_mA_cm2"] == 200) & (table["reaction"] == "CO2R")]
    for row in rows.iloc[::13].to_dict("records"):
        outcome = lab.execute(Job("ocx24", 1, {name: row[name] for name in parameters}), context(seed=5))
        assert outcome.observation is not None
        electrode = rows[rows["sample_id"] == outcome.sample]
        assert outcome.observation.figures["fe_co"].value == pytest.approx(electrode["fe_co"].iloc[0] / 100)
        assert electrode["composition"].iloc[0] == row["composition"]
