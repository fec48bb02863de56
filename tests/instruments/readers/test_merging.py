from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments import Measurement
from instruments.readers import ReaderError, Recording, merge, read

START = "2024-05-01T10:00:00+00:00"


def recording(file: str, start: str = START, notices: tuple[str, ...] = (), **signals: dict[str, Any]) -> Recording:
    tables = {name.replace("__", "/"): pd.DataFrame(columns) for name, columns in signals.items()}
    return Recording(tables, {"file": file, "sha256": file, "start_time": start}, notices)


def electrolysis(file: str = "ca.dta", start: str = START, first: float = 0.0, **columns: Any) -> Recording:
    table = {"time/s": [first, first + 10.0], "current/A": [-0.1, -0.2], "potential/V": [-1.0, -1.1], **columns}
    return recording(file, start, potentiostat=table)


def injection(file: str, start: str, **columns: Any) -> Recording:
    table = {"injection": [1, 1], "time/s": [0.0, 0.0], "species": ["h2", "co"], "area/count s": [1.0, 2.0], **columns}
    trace = {"time/s": [0.0, 0.5], "signal/1": [3.0, 4.0], "injection": [1, 1]}
    return recording(file, start, chromatograph=table, chromatogram__tcd=trace)


def test_one_clock_for_all() -> None:
    late, early = injection("2.json", "2024-05-01T10:20:00+00:00"), injection("1.json", "2024-05-01T12:05:00+02:00")
    flow = recording("flow.csv", "2024-05-01T09:59:00+00:00", flow={"time/min": [0.0, 3.0], "inlet/sccm": [20.0, 20.0]})
    merged = merge(late, electrolysis(), flow, early, metadata={"area": "1 cm2"})
    assert isinstance(merged, Measurement)
    table = merged.signals["chromatograph"]
    assert table["injection"].tolist() == [1, 1, 2, 2]
    assert table["time/s"].tolist() == [300.0, 300.0, 1200.0, 1200.0]
    assert merged.signals["chromatogram/tcd"]["injection"].tolist() == [1, 1, 2, 2]
    assert merged.signals["chromatogram/tcd"]["time/s"].tolist() == [0.0, 0.5] * 2
    assert merged.signals["flow"]["time/min"].tolist() == [-1.0, 2.0]
    assert merged.signals["potentiostat"]["time/s"].tolist() == [0.0, 10.0]
    assert merged.metadata["area"] == "1 cm2"
    assert merged.metadata["start_time"] == START
    assert [one["file"] for one in merged.metadata["recordings"]] == ["2.json", "ca.dta", "flow.csv", "1.json"]  # type: ignore[attr-defined]
    json.dumps(merged.metadata, allow_nan=False)


def test_recordings_of_several_injections_interleave() -> None:
    def series(file: str, times: list[float]) -> Recording:
        table = {"injection": [1, 2], "time/s": times, "species": ["h2"] * 2, "area/count s": times}
        trace = {"time/s": [0.0, 0.0], "signal/1": times, "injection": [1, 2]}
        return recording(file, START, chromatograph=table, chromatogram__tcd=trace)

    merged = merge(series("a.zip", [100.0, 400.0]), series("b.zip", [200.0, 300.0]))
    table = merged.signals["chromatograph"]
    assert table["injection"].tolist() == [1, 2, 3, 4]
    assert table["time/s"].tolist() == table["area/count s"].tolist() == [100.0, 200.0, 300.0, 400.0]
    assert merged.signals["chromatogram/tcd"]["signal/1"].tolist() == [100.0, 200.0, 300.0, 400.0]


def test_a_missing_start_needs_an_offset() -> None:
    unknown = injection("1.json", "unknown")
    with pytest.raises(ReaderError, match="no common clock") as caught:
        merge(electrolysis(), unknown)
    assert (caught.value.file, caught.value.field) == ("1.json", "start_time")
    assert "offset={'1.json': seconds}" in str(caught.value.mend)
    with pytest.raises(ReaderError) as caught:
        merge(electrolysis(start="unknown"), injection("1.json", START))
    assert caught.value.file == "ca.dta"
    merged = merge(electrolysis(), unknown, offset={"1.json": 90})
    assert merged.signals["chromatograph"]["time/s"].tolist() == [90.0, 90.0]
    # an offset goes before a start time that is known
    known = injection("1.json", "2024-05-01T11:00:00+00:00")
    assert merge(electrolysis(), known, offset={"1.json": 5.5}).signals["chromatograph"]["time/s"][0] == 5.5


def test_an_offset_of_the_reference_moves_the_clock() -> None:
    merged = merge(electrolysis(), injection("1.json", "2024-05-01T10:05:00+00:00"), offset={"ca.dta": -60.0})
    assert merged.signals["potentiostat"]["time/s"].tolist() == [-60.0, -50.0]
    assert merged.signals["chromatograph"]["time/s"].tolist() == [240.0, 240.0]
    assert merged.metadata["start_time"] == "2024-05-01T10:01:00+00:00"
    alone = merge(electrolysis(start="unknown"), offset={"ca.dta": 5.0})
    assert alone.metadata["start_time"] == "unknown"
    assert alone.signals["potentiostat"]["time/s"].tolist() == [5.0, 15.0]


def test_tables_without_time_need_no_clock() -> None:
    liquid = {"species": ["hcoo"], "compartment": ["catholyte"], "concentration/mol L-1": [0.1]}
    merged = merge(electrolysis(), recording("nmr.csv", "unknown", liquid=liquid))
    assert merged.signals["liquid"]["concentration/mol L-1"].tolist() == [0.1]


def test_one_recording_is_a_measurement() -> None:
    merged = merge(electrolysis(start="unknown", first=3.0))
    assert merged.signals["potentiostat"]["time/s"].tolist() == [3.0, 13.0]
    assert merged.metadata["start_time"] == "unknown"


def test_notices_name_their_file() -> None:
    one = recording("a.dta", notices=("it was aborted",), potentiostat={"time/s": [0.0], "current/A": [1.0]})
    assert merge(one).metadata["notices"] == ["a.dta: it was aborted"]


def test_traces_follow_each_other_in_the_units_of_the_first() -> None:
    second = electrolysis("b.dta", "2024-05-01T10:01:00+00:00")
    milli = Recording(
        {"potentiostat": second.signals["potentiostat"].rename(columns={"current/A": "current/mA"})}, second.metadata
    )
    merged = merge(electrolysis(cycle=[1, 1]), milli)
    table = merged.signals["potentiostat"]
    assert table["time/s"].tolist() == [0.0, 10.0, 60.0, 70.0]
    assert table["current/A"].tolist() == pytest.approx([-0.1, -0.2, -1e-4, -2e-4])
    assert "cycle" not in table
    assert merged.metadata["notices"] == ["potentiostat: cycle left out, since not every file has it"]
    # in whatever order they are given; the clock is that of the first
    swapped = merge(milli, electrolysis())
    assert swapped.signals["potentiostat"]["time/s"].tolist() == [-60.0, -50.0, 0.0, 10.0]


def test_traces_that_overlap_are_not_one_measurement() -> None:
    with pytest.raises(ReaderError, match=r"begin before those of ca\.dta end"):
        merge(electrolysis(), electrolysis("b.dta", "2024-05-01T10:00:05+00:00"))


def test_fractions_that_one_file_lacks() -> None:
    merged = merge(
        injection("1.json", "2024-05-01T10:05:00+00:00", **{"fraction/1": [0.1, 0.2]}),
        injection("2.json", "2024-05-01T10:10:00+00:00"),
    )
    assert merged.signals["chromatograph"]["fraction/1"].isna().tolist() == [False, False, True, True]
    assert merged.metadata["notices"] == ["chromatograph: fraction/1 is missing where a file does not have it"]


@pytest.mark.parametrize(
    ("options", "match", "field"),
    [
        ({"offset": {"x.dta": 1.0}}, "offset names 'x.dta', and 0 recordings", "offset"),
        ({"offset": {"ca.dta": float("nan")}}, "the offset of ca.dta is nan", "offset"),
        ({"offset": {"ca.dta": "1 s"}}, "the offset of ca.dta is '1 s'", "offset"),
        ({"metadata": {"notices": []}}, "metadata holds 'notices'", "metadata"),
    ],
)
def test_arguments_that_are_wrong(options: dict[str, Any], match: str, field: str) -> None:
    with pytest.raises(ReaderError, match=match) as caught:
        merge(electrolysis(), **options)
    assert caught.value.field == field


def test_nothing_and_twice_the_same() -> None:
    with pytest.raises(ReaderError, match="nothing to merge"):
        merge()
    with pytest.raises(ReaderError, match="given twice"):
        merge(electrolysis(), electrolysis())


def test_units_that_do_not_go_together() -> None:
    odd = recording("b.dta", "2024-05-01T10:01:00+00:00", potentiostat={"time/s": [0.0], "current/V": [1.0]})
    with pytest.raises(ReaderError, match="current/V cannot be put under current/A"):
        merge(electrolysis(), odd)
    with pytest.raises(ReaderError, match="is no time"):
        merge(electrolysis(), recording("c.csv", flow={"time/parsec": [0.0], "inlet/sccm": [1.0]}))


@settings(deadline=None)
@given(delays=st.lists(st.integers(0, 100_000), min_size=1, max_size=8, unique=True), order=st.randoms())
def test_injections_are_counted_by_time_however_they_are_given(delays: list[int], order: Any) -> None:
    zero = pd.Timestamp(START)
    files = [injection(f"{delay}.json", (zero + pd.Timedelta(delay, "s")).isoformat()) for delay in delays]
    order.shuffle(files)
    merged = merge(electrolysis(), *files)
    first = merged.signals["chromatograph"].groupby("injection")["time/s"].first()
    assert first.tolist() == sorted(map(float, delays))
    assert first.index.tolist() == list(range(1, len(delays) + 1))


def test_the_reduction_takes_what_is_merged(real: Path) -> None:
    """The door of the data reduction reads the same numbers, in SI units."""
    from instruments.electrochemistry.setup import Setup
    from instruments.electrochemistry.signals import read_signals

    gas = read(real / "fusion_gc_15p_cu_10ma.fusion-data.json")
    curve = read(real / "Pt_poly_cv_CUT.mpt", start="2022-06-08T14:00:00Z")
    spectrum = read(real / "exampleDataGamry.DTA", start="2022-06-08T14:00:00Z")
    signals = read_signals(merge(gas, curve, spectrum), Setup())
    assert signals.trace.current[0] == pytest.approx(-2.604324994466466e-6)
    assert signals.rest is not None
    assert signals.rest.potential[-1] == -0.29198
    assert signals.spectrum is not None
    assert signals.spectrum.frequency[0] == 200015.6
    assert signals.gas is not None
    co = signals.gas.species.index("co")
    assert signals.gas.time.tolist() == [658.301]
    assert signals.gas.area is not None
    assert signals.gas.area[0, co] == 670.91
    assert signals.gas.area_unit == "count s"
    assert signals.gas.fraction is not None
    assert signals.gas.fraction[0, co] == pytest.approx(0.10866000627830139e-2)
    assert "unidentified" not in signals.gas.species
    assert signals.notices == (
        "table 'impedance': it ends before it meets the real axis, so that the resistance is too large",
        "table 'chromatograph': 2 peaks without a name are not reduced",
    )


def test_real_files_together(real: Path) -> None:
    gas = read(real / "fusion_gc_15p_cu_10ma.fusion-data.json")
    curve = read(real / "chronoa_data.dta", start="2022-06-08T14:00:00Z")
    wait = read(real / "ocp_data.dta", start="2022-06-08T13:50:00Z")
    merged = merge(gas, curve, wait)
    assert set(merged.signals["chromatograph"]["time/s"]) == {658.301}
    assert merged.signals["open_circuit"]["time/s"].iloc[0] == 5.00833 - 600
    assert merged.metadata["start_time"] == curve.start_time


def test_what_is_no_recording() -> None:
    with pytest.raises(ReaderError, match=r"list is no recording.*merge\(a, b\)"):
        merge([])  # type: ignore[arg-type]
