"""Exported tables: complete, typed alike at all times, harmless in spreadsheets, never over other people's files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from acquisition.objectives import Objective
from acquisition.parameters import Categorical, Continuous, Discrete, Integer
from acquisition.space import SearchSpace
from orchestrator.campaign import Campaign
from orchestrator.errors import InputError
from orchestrator.export.tables import NAMES, disarm, export
from orchestrator.store.states import EXPERIMENT_STATES


def test_writes_everything(alloys: Campaign, record_of: Any, tmp_path: Path) -> None:
    definition = {"name": "alloys", "ä": [1, 2.5, None]}
    folder = tmp_path / "deep" / "out"
    paths = export(alloys, record_of(alloys, definition=definition, state="paused"), folder)
    assert [path.name for path in paths] == list(NAMES)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    said = json.loads((folder / "campaign.json").read_text(encoding="utf-8"))
    assert said["schema"] == 1
    assert (said["name"], said["state"], said["definition"]) == ("alloys", "paused", definition)
    assert list(said["experiments"]) == list(EXPERIMENT_STATES)
    assert said["experiments"]["completed"] == 11
    assert datetime.fromisoformat(said["started"]) == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert said["units"]["potential"] == "V vs RHE"
    assert said["units"]["fe_c2h4"] == "1"


def test_csv_and_parquet_hold_the_table_bit_for_bit(alloys: Campaign, record_of: Any, tmp_path: Path) -> None:
    export(alloys, record_of(alloys), tmp_path)
    frame = alloys.to_dataframe()
    for table in (pd.read_csv(tmp_path / "experiments.csv"), pd.read_parquet(tmp_path / "experiments.parquet")):
        assert table["experiment"].tolist() == frame.index.tolist()
        assert list(table.columns) == ["experiment", *frame.columns]
        for name in ("potential", "fe_c2h4", "fe_c2h4_predicted_std", "x_Cu"):
            np.testing.assert_array_equal(table[name].to_numpy(dtype=float), frame[name].to_numpy(dtype=float))
        assert table["cation"].tolist() == frame["cation"].tolist()
        assert table["reason"].tolist() == frame["reason"].tolist()
    note = json.loads(parquet.read_metadata(tmp_path / "experiments.parquet").metadata[b"sabatier"])
    assert note["units"]["salt"] == "mol L-1"


def test_events_are_all_there(alloys: Campaign, record_of: Any, tmp_path: Path) -> None:
    export(alloys, record_of(alloys), tmp_path)
    events = pd.read_csv(tmp_path / "events.csv")
    assert events["sequence"].tolist() == [e.sequence for e in alloys.store.events("alloys")]
    assert {"who", "kind", "before", "after", "why", "data", "time"} <= set(events.columns)


def mixed() -> Campaign:
    space = SearchSpace(
        [
            Continuous("c", 0, 1),
            Integer("n", 1, 9),
            Discrete("d", [1.0, 2.5]),
            Categorical("k", ["a", "b"]),
            Categorical("i", [1, 2]),
            Categorical("m", ["one", 2]),
        ]
    )
    return Campaign(space, [Objective("y")], strategy="random", name="mixed")


def test_types_do_not_depend_on_what_is_known(record_of: Any, tmp_path: Path) -> None:
    campaign = mixed()
    export(campaign, record_of(campaign), tmp_path)
    empty = parquet.read_schema(tmp_path / "experiments.parquet")
    batch = campaign.ask(3)
    export(campaign, record_of(campaign), tmp_path)
    asked = parquet.read_schema(tmp_path / "experiments.parquet")
    campaign.tell(batch.assign(y=[1.0, 2.0, np.nan], sample="s1"))
    export(campaign, record_of(campaign), tmp_path)
    told = parquet.read_schema(tmp_path / "experiments.parquet")
    assert empty.equals(asked)
    assert asked.equals(told)
    kinds = {name: str(told.field(name).type) for name in ("c", "n", "d", "k", "i", "m", "y", "sample", "n_executed")}
    assert {kinds["c"], kinds["d"], kinds["y"]} == {"double"}
    assert {kinds["n"], kinds["i"], kinds["n_executed"]} == {"int64"}
    assert all("string" in kinds[name] for name in ("k", "m", "sample"))


def test_integers_that_were_executed_as_fractions(record_of: Any, tmp_path: Path) -> None:
    space = SearchSpace([Discrete("d", [1.0, 2.0]), Integer("n", 1, 9)])
    campaign = Campaign(space, [Objective("y")], strategy="random", name="halves")
    batch = campaign.ask(1)
    campaign.tell(batch.assign(y=1.0))
    export(campaign, record_of(campaign), tmp_path)
    assert pd.read_csv(tmp_path / "experiments.csv")["n"].tolist() == batch["n"].tolist()


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "a\r=1", "a\n=1"])
def test_formulas_are_disarmed(text: str, record_of: Any, tmp_path: Path) -> None:
    space = SearchSpace([Continuous("a", -1, -0.5), Categorical("k", [text, "b"])])
    campaign = Campaign(space, [Objective("=y")], strategy="random", name="evil")
    batch = campaign.ask(4)
    results = batch.assign(**{"=y": [-1.5, 2.0, -3.0, 4.0]}, sample=text)
    results["status"], results["failure_reason"] = "completed", text
    campaign.tell(results)
    export(campaign, record_of(campaign), tmp_path)
    table = pd.read_csv(tmp_path / "experiments.csv")
    assert table["'=y"].tolist() == [-1.5, 2.0, -3.0, 4.0]
    assert (table["a"] < 0).all()
    for name in table.columns:
        assert not str(name).startswith(("=", "+", "-", "@"))
        for cell in table[name].dropna():
            assert not (isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")))
    assert table["sample"].tolist() == [text if text.startswith("a") else f"'{text}"] * 4
    assert pd.read_parquet(tmp_path / "experiments.parquet")["sample"].tolist() == [text] * 4


@given(st.text(max_size=8) | st.floats(allow_nan=False) | st.none())
def test_disarmed_cells_are_harmless_and_others_untouched(value: object) -> None:
    safe = disarm(value)
    if safe != value:
        assert safe == f"'{value}"
    elif isinstance(safe, str) and safe[:1] in ("=", "+", "-", "@", "\t", "\r"):
        float(safe)


def test_an_earlier_export_is_replaced(plain: Campaign, record_of: Any, tmp_path: Path) -> None:
    export(plain, record_of(plain), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    plain.ask(2)
    export(plain, record_of(plain), tmp_path)
    assert len(pd.read_csv(tmp_path / "experiments.csv")) == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"name": "plain"}', '{"name": "other", "created": "x"}'])
def test_files_of_others_are_left_alone(plain: Campaign, record_of: Any, tmp_path: Path, content: str | None) -> None:
    (tmp_path / "experiments.csv").write_text("precious")
    if content is not None:
        (tmp_path / "campaign.json").write_text(content)
    with pytest.raises(InputError, match=r"already holds experiments\.csv") as caught:
        export(plain, record_of(plain), tmp_path)
    assert caught.value.field == "output"
    assert caught.value.mend
    assert (tmp_path / "experiments.csv").read_text() == "precious"
    export(plain, record_of(plain), tmp_path, overwrite=True)
    assert (tmp_path / "experiments.csv").read_text() != "precious"


def test_another_campaign_of_the_same_name_is_another(plain: Campaign, record_of: Any, tmp_path: Path) -> None:
    export(plain, record_of(plain), tmp_path)
    twin = record_of(plain, created=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(InputError, match="no export of this campaign"):
        export(plain, twin, tmp_path)


def test_a_file_is_no_folder(plain: Campaign, record_of: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(InputError, match="is a file"):
        export(plain, record_of(plain), path)
