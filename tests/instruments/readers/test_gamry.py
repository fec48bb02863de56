from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.readers import ReaderError, Recording

Text = Callable[..., str]
ReadText = Callable[..., Recording]

values = st.floats(-1e6, 1e6, allow_subnormal=False)


def curve(trace: dict[str, list[float]], **more: tuple[str, list[Any]]) -> dict[str, tuple[str, list[Any]]]:
    return {"T": ("s", trace["time"]), "Vf": ("V vs. Ref.", trace["potential"]), "Im": ("A", trace["current"]), **more}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    data=st.data(),
    decimal=st.sampled_from(".,"),
    line_break=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
)
def test_a_trace_is_read_back(
    steps: list[float],
    data: st.DataObject,
    decimal: str,
    line_break: str,
    encoding: str,
    gamry_text: Text,
    read_text: ReadText,
) -> None:
    time = [sum(steps[: i + 1]) for i in range(len(steps))]
    potential, current = (data.draw(st.lists(values, min_size=len(time), max_size=len(time))) for _ in range(2))
    text = gamry_text(
        [("CURVE", curve({"time": time, "potential": potential, "current": current}))],
        decimal=decimal,
        items=["PSTAT\tPSTAT\tzelle µ3\tPotentiostat"],
    )
    recording = read_text("trace.dta", text.replace("\n", line_break).encode(encoding))
    table = recording.signals["potentiostat"]
    assert table["time/s"].tolist() == time
    assert table["potential/V"].tolist() == potential
    assert table["current/A"].tolist() == current
    assert recording.metadata["instrument"] == "Gamry zelle µ3"


def test_the_start_is_local_time(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    text = gamry_text([("CURVE", curve(trace))])
    assert read_text("a.dta", text).start_time == "unknown"
    assert read_text("a.dta", text, timezone="Europe/Berlin").start_time == "2019-03-25T11:00:00+00:00"
    given = read_text("a.dta", text, start="2020-01-01T01:00:00+01:00")
    assert given.start_time == "2020-01-01T00:00:00+00:00"
    assert given.metadata["start_written"] == "3/25/2019 12:00:00"
    assert given.notices == ()


def test_currents_of_the_other_convention(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    odd = gamry_text([("CURVE", curve(trace))], items=["CONVENTION\tIQUANT\t0\tCurrent Convention"])
    with pytest.raises(ReaderError, match="which sign") as caught:
        read_text("a.dta", odd)
    assert caught.value.field == "cathodic"
    flipped = read_text("a.dta", odd, cathodic="positive").signals["potentiostat"]
    assert flipped["current/A"].tolist() == [-value for value in trace["current"]]
    assert flipped["potential/V"].tolist() == trace["potential"]
    usual = gamry_text([("CURVE", curve(trace))], items=["CONVENTION\tIQUANT\t1\tCurrent Convention"])
    assert read_text("a.dta", usual).signals["potentiostat"]["current/A"].tolist() == trace["current"]
    assert read_text("a.dta", usual, cathodic="positive").signals["potentiostat"]["current/A"][0] == 1e-2
    with pytest.raises(ReaderError, match="cathodic is 'up'"):
        read_text("a.dta", usual, cathodic="up")


def test_overloads_by_their_place(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    flags = ["....ih.....", "t.....s....", "..........a", "........i.."]
    recording = read_text("a.dta", gamry_text([("CURVE", curve(trace, Over=("bits", flags)))]))
    assert recording.signals["potentiostat"]["overload"].tolist() == [True, False, False, True]
    assert "CURVE: 2 of 4 points in overload" in recording.notices


def test_a_thermometer(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    warm = gamry_text([("CURVE", curve(trace, Temp=("deg C", [25.0, 25.0, 26.0, 26.5])))])
    assert read_text("a.dta", warm).signals["potentiostat"]["temperature/K"].tolist() == [
        298.15,
        298.15,
        299.15,
        299.65,
    ]


def test_curves_with_clocks_of_their_own(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    text = gamry_text([("CURVE1", curve(trace)), ("CURVE2", curve(trace))])
    with pytest.raises(ReaderError, match="time runs backwards, from 4 to 0") as caught:
        read_text("a.dta", text)
    assert "curve=" in str(caught.value.mend)
    assert text.splitlines()[(caught.value.line or 0) - 1].startswith("\t0\t0.0")
    second = read_text("a.dta", text, curve=2).signals["potentiostat"]
    assert second["time/s"].tolist() == trace["time"]
    assert "cycle" not in second


def test_times_that_stand_still_are_noticed(
    trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText
) -> None:
    text = gamry_text([("CURVE", curve({**trace, "time": [0.0, 1.0, 1.0, 2.0]}))])
    assert any(notice.startswith("1 of 4 points have the same time") for notice in read_text("a.dta", text).notices)


def test_a_missing_column(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    columns = curve(trace)
    del columns["Im"]
    with pytest.raises(ReaderError, match="CURVE of technique CHRONOA has no column Im") as caught:
        read_text("a.dta", gamry_text([("CURVE", columns)]))
    assert (caught.value.field, caught.value.line) == ("Im", 6)
    assert "open_circuit" in read_text("a.dta", gamry_text([("CURVE", columns)], tag="CORPOT")).signals


def test_a_wrong_or_missing_unit(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    good = gamry_text([("CURVE", curve(trace))])
    milli = read_text("a.dta", good.replace("\tA\n", "\tmA\n")).signals["potentiostat"]
    assert "current/mA" in milli
    for unit in ("", "V", "banana"):
        with pytest.raises(ReaderError, match="the unit of Im in CURVE") as caught:
            read_text("a.dta", good.replace("\tA\n", f"\t{unit}\n"))
        assert caught.value.line == 7


def test_a_technique_that_is_not_known(read_text: ReadText, gamry_text: Text) -> None:
    waves = {"Vfwd": ("V", [0.1, 0.2]), "Ifwd": ("A", [1e-3, 2e-3])}
    with pytest.raises(ReaderError, match="no table of a known kind, only SQWCURVE"):
        read_text("a.dta", gamry_text([("SQWCURVE", waves)], tag="SQUARE_WAVE"))


def test_a_cut_last_line(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    text = gamry_text([("CURVE", curve(trace, Over=("bits", ["..........."] * 4)))])
    recording = read_text("a.dta", text[: text.rindex("-0.022") + 3])
    assert len(recording.signals["potentiostat"]) == 3
    assert "line 11, the last of the file, is cut, and left out" in recording.notices


@pytest.mark.parametrize("damage", ["", "abc", "nan", "inf", "1e400", "1_0", "0x1p3", "--1", "1e200"])
def test_a_damaged_number_is_told_by_its_line(
    damage: str, trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText
) -> None:
    text = gamry_text([("CURVE", curve(trace))]).replace("-1.2001", damage)
    with pytest.raises(ReaderError) as caught:
        read_text("a.dta", text)
    assert (caught.value.line, caught.value.field) == (9, "Vf")


def test_a_row_that_lost_its_tabulator(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    """It ends no table, which would lose what follows."""
    text = gamry_text([("CURVE", curve(trace))]).replace("\t1\t1.0", "1\t1.0")
    with pytest.raises(ReaderError, match="the row has 4 values") as caught:
        read_text("a.dta", text)
    assert caught.value.line == 9


def test_points_of_no_table(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    """A damaged beginning of a table does not lose its points."""
    text = gamry_text([("CURVE1", curve(trace)), ("CURVE2", curve(trace))]).replace("CURVE2\tTABLE", "CURVE2\tTABLF")
    with pytest.raises(ReaderError, match="stands in no table") as caught:
        read_text("a.dta", text, curve=1)
    assert caught.value.line == 13


def test_mixed_decimal_signs(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    text = gamry_text([("CURVE", curve(trace))]).replace("-1.2001", "-1,2001")
    with pytest.raises(ReaderError, match="mixed"):
        read_text("a.dta", text)


def test_whole_numbers_have_no_decimal_sign(gamry_text: Text, read_text: ReadText) -> None:
    columns = {"T": ("s", ["0", "1"]), "Vf": ("V", ["-1", "-1"]), "Im": ("A", ["0", "-2"])}
    text = gamry_text([("CURVE", columns)])
    for decimal in (None, ".", ","):
        assert read_text("a.dta", text, decimal=decimal).signals["potentiostat"]["current/A"].tolist() == [0.0, -2.0]


def test_a_header_that_is_not_understood_is_noticed(
    trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText
) -> None:
    items = ["VSTEP1\tPOTEN\tabc", "AREA\tQUANT\tx\tArea", "what is this", "LIMIT\tQUANT\t1e999\tx"]
    recording = read_text("a.dta", gamry_text([("CURVE", curve(trace))], items=items))
    assert recording.metadata["settings"]["AREA"] == "x"  # type: ignore[index]
    assert recording.notices[:4] == (
        "line 5 of the header: VSTEP1 is not of its kind POTEN, and kept as text",
        "line 6 of the header: AREA is not of its kind QUANT, and kept as text",
        "line 7 of the header is not understood, and left out",
        "line 8 of the header: LIMIT is not of its kind QUANT, and kept as text",
    )


def test_notes_of_several_lines(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    items = ["NOTES\tNOTES\t2\t&Notes...", "\tfirst line", "\tCURVE\tTABLE", "PSTAT\tPSTAT\tREF600\tPotentiostat"]
    recording = read_text("a.dta", gamry_text([("CURVE", curve(trace))], items=items))
    settings: Any = recording.metadata["settings"]
    assert settings["NOTES"] == "first line\nCURVE\tTABLE"
    assert settings["PSTAT"] == "REF600"
    fewer = read_text("a.dta", gamry_text([("CURVE", curve(trace))], items=[items[0], items[1], items[3]]))
    assert fewer.metadata["settings"]["PSTAT"] == "REF600"  # type: ignore[index]


def test_curves_that_differ(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    later = curve({**trace, "time": [10.0, 11.0, 12.0, 13.0]})
    milli = {**later, "Im": ("mA", trace["current"])}
    with pytest.raises(ReaderError, match="its curves differ in columns or units"):
        read_text("a.dta", gamry_text([("CURVE1", curve(trace)), ("CURVE2", milli)]))
    with pytest.raises(ReaderError, match="its curves differ"):
        read_text("a.dta", gamry_text([("CURVE1", curve(trace, Over=("bits", ["."] * 4))), ("CURVE2", later)]))
    named = gamry_text([("CURVEA", curve(trace)), ("CURVEB", later)])
    assert read_text("a.dta", named).signals["potentiostat"]["cycle"].tolist() == [1] * 4 + [2] * 4


def test_curves_without_points(trace: dict[str, list[float]], gamry_text: Text, read_text: ReadText) -> None:
    empty: dict[str, list[float]] = {name: [] for name in trace}
    for text in (gamry_text([("CURVE", curve(empty))]), "EXPLAIN\nTAG\tCV\nCURVE\tTABLE\n\tPt\tT\n"):
        with pytest.raises(ReaderError, match="CURVE holds no points") as caught:
            read_text("a.dta", text)
        assert caught.value.line is not None
        assert "TABLE" in text.splitlines()[caught.value.line - 1] or caught.value.line == 7
