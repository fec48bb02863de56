from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.tables import read_table
from orchestrator.errors import InputError

PLATE = b"ni,fe,cation,clean,eta\n0.5,0.5,Na,True,0.41\n\n1,0,NA,False,\n0,1,Li,True,0.5\n,,,,\n"


def test_reads_columns_in_their_own_types_with_lines() -> None:
    table = read_table(PLATE, "plate.csv")
    assert table.frame["ni"].tolist() == [0.5, 1.0, 0.0]
    assert table.frame["clean"].dtype == bool
    assert table.frame["cation"].isna().tolist() == [False, True, False]
    assert table.frame["eta"].isna().tolist() == [False, True, False]
    assert list(table.lines) == [2, 4, 5]
    assert table.content == PLATE


@pytest.mark.parametrize(
    "name", ["crossed_barrel.csv", "gde_silver_copper.csv", "ocx24_uoft.csv", "oer_plate_3496.csv"]
)
def test_reads_real_files_as_pandas_does(shared: Path, name: str) -> None:
    content = (shared / name).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # exact parsing is asked for by an argument that will become the default
        expected = pd.read_csv(
            io.BytesIO(content), float_precision="round_trip", keep_default_na=False, na_values=["", "nan"]
        )
    pd.testing.assert_frame_equal(read_table(content, name).frame, expected)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_bit_for_bit(values: list[float]) -> None:
    content = "value\n" + "\n".join(map(repr, values))
    assert read_table(content.encode(), "t.csv").frame["value"].tolist() == values


def test_quotes_may_hold_commas_and_ends_of_lines() -> None:
    table = read_table(b'a,b\n"x, y\nz",1\nw,2\n', "t.csv")
    assert table.frame["a"].tolist() == ["x, y\nz", "w"]
    assert list(table.lines) == [2, 4]


def test_byte_order_mark_windows_line_ends_and_spaces() -> None:
    table = read_table(b"\xef\xbb\xbfa , b\r\n1, 2\r\n", "t.csv")
    assert table.frame.to_dict("list") == {"a": [1], "b": [2]}


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table((tmp_path / "t.parquet").read_bytes(), "t.parquet")
    assert table.frame.to_dict("list") == frame.to_dict("list")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "t.csv", "t.csv: the file is empty."),
        (b" \n\n", "t.csv", "t.csv: the file is empty."),
        (b"a,b\n", "t.csv", "t.csv: the table has a header, but no rows."),
        (b"a,b\n,\n", "t.csv", "t.csv: the table has a header, but no rows."),
        (b"\na,b,a\n1,2,3\n", "t.csv", "t.csv:2: the column 'a' is there twice. Rename one of the two."),
        (
            b"a,b\n1,2\n1,2,3\n",
            "t.csv",
            "t.csv:3: 3 values, where the header names 2 columns. A value with a comma needs quotes.",
        ),
        (
            b"a;b\n0,5;1\n",
            "t.csv",
            "t.csv:1: the values are separated by semicolons. Save the table with commas between the values and "
            "decimal points in the numbers.",
        ),
        (
            b"a\tb\n1\t2\n",
            "t.csv",
            "t.csv:1: the values are separated by tabs. Save the table with commas between the values and decimal "
            "points in the numbers.",
        ),
        (b"a,b\n1,caf\xe9\n", "t.csv", "t.csv:2: the file is not UTF-8 text. Save it with the encoding UTF-8."),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv", "t.csv: the file is UTF-16 text. Save it with the encoding UTF-8."),
        (b"PK\x03\x04...", "t.xlsx", "t.xlsx: this is an Excel workbook. Save the sheet as `CSV UTF-8`."),
        (b'a,b\n1,"2\n', "t.csv", "t.csv:2: this is no CSV: unexpected end of data. Check the quotes."),
    ],
)
def test_one_clear_message(content: bytes, name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_table(content, name)
    assert str(caught.value) == message


def test_no_parquet() -> None:
    with pytest.raises(InputError, match=r"^t\.parquet: this is no Parquet file: "):
        read_table(b"a,b\n1,2\n", "t.parquet")


def test_select() -> None:
    table = read_table(PLATE, "plate.csv")
    assert table.select({"clean": True, "ni": 0.5 + 1e-9}, "lab.where").tolist() == [True, False, False]
    assert table.select({}, "lab.where").all()


@pytest.mark.parametrize(
    ("where", "field", "message"),
    [
        ({"cleen": True}, "lab.where.cleen", "plate.csv: unknown column 'cleen'; did you mean 'clean'?"),
        (
            {"ni": "0.5"},
            "lab.where.ni",
            "column 'ni' of plate.csv holds numbers, but '0.5' is given. Write the value as the column holds it.",
        ),
        ({"ni": 0.7}, "lab.where.ni", "no row of plate.csv has ni = 0.7. There are: 0.5, 1.0, 0.0."),
        ({"ni": 1, "clean": True}, "lab.where", "no row of plate.csv holds all of the asked values."),
    ],
)
def test_select_says_what_is_wrong(where: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_table(PLATE, "plate.csv").select(where, "lab.where")  # type: ignore[arg-type]
    assert str(caught.value) == message
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("cell", "gaps", "message"),
    [
        (b"n.d.", True, "t.csv:3: column 'a': 'n.d.' is not a number."),
        (b'"0,5"', True, "t.csv:3: column 'a': '0,5' is not a number. Write decimal points."),
        (b"inf", True, "t.csv:3: column 'a': 'inf' is not finite."),
        (b"", False, "t.csv:3: column 'a': the value is missing. Fill it in, or leave that row out."),
    ],
)
def test_numbers_are_demanded_where_they_are_used(cell: bytes, gaps: bool, message: str) -> None:
    table = read_table(b"a,b\n1,x\n" + cell + b",y\n", "t.csv")
    everything, first = np.array([True, True]), np.array([True, False])
    with pytest.raises(InputError) as caught:
        table.numbers(["a"], everything, field="space.parameters", gaps=gaps)
    assert str(caught.value) == message
    assert table.numbers(["a"], first, field="space.parameters", gaps=gaps).frame["a"].tolist()[0] == 1.0
