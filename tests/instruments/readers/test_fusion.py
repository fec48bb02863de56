from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.readers import ReaderError, Recording

ReadText = Callable[..., Recording]

RUN: dict[str, Any] = {
    "$id": "run-1",
    "runTimeStamp": "2022-06-08T14:10:58.301Z",
    "methodName": "CO2RR",
    "softwareVersion": {"version": "1.8.2"},
    "detectors": {
        "moduleB:tcd": {
            "nValuesPerSecond": 2,
            "nValuesExpected": 3,
            "values": [0, 5, 1],
            "analysis": {"peaks": [{"label": "C2H4", "top": 38.0, "area": 12.5, "concentration": 0.25}]},
        },
        "moduleA:tcd": {
            "nValuesPerSecond": 4,
            "nValuesExpected": 2,
            "values": [3, 4],
            "analysis": {
                "peaks": [
                    {"label": "H2", "top": 52.0, "area": 100, "concentration": 1.5},
                    {"label": "N2", "top": 68.0, "area": 7.0},
                    {"top": 70.0, "area": -1.0},
                ]
            },
        },
    },
}


def changed(**paths: Any) -> dict[str, Any]:
    """The run with values at dotted paths (``a__b``) changed; ``...`` takes a key away."""
    document = deepcopy(RUN)
    for path, value in paths.items():
        *way, last = path.split("__")
        place: Any = document
        for step in way:
            place = place[step.replace("_tcd", ":tcd")]
        last = last.replace("_tcd", ":tcd")
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return document


def archive(*documents: dict[str, Any], name: str = "run{}.fusion-data") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for number, document in enumerate(documents):
            out.writestr(name.format(number), json.dumps(document))
    return buffer.getvalue()


def test_one_injection(read_text: ReadText) -> None:
    recording = read_text("run.json", json.dumps(RUN))
    table = recording.signals["chromatograph"]
    assert table["species"].tolist() == ["h2", "n2", "unidentified", "c2h4"]
    assert table["area/count s"].tolist() == [100.0, 7.0, -1.0, 12.5]
    assert table["fraction/1"].tolist()[::3] == [0.015, 0.0025]
    assert math.isnan(table["fraction/1"][1])
    assert table["injection"].tolist() == [1] * 4
    trace = recording.signals["chromatogram/moduleA:tcd"]
    assert trace["time/s"].tolist() == [0.0, 0.25]
    assert trace["signal/1"].tolist() == [3.0, 4.0]


def test_several_injections_in_an_archive(read_text: ReadText) -> None:
    later = changed(runTimeStamp="2022-06-08T14:22:58.301Z", detectors__moduleA_tcd__values=[9])
    earlier = changed(runTimeStamp="2022-06-08T13:10:58.301Z")
    recording = read_text("runs.zip", archive(later, RUN, earlier))
    table = recording.signals["chromatograph"]
    assert table.groupby("injection")["time/s"].first().tolist() == [0.0, 3600.0, 4320.0]
    assert recording.start_time == "2022-06-08T13:10:58.301000+00:00"
    trace = recording.signals["chromatogram/moduleA:tcd"]
    assert trace["signal/1"].tolist() == [3.0, 4.0, 3.0, 4.0, 9.0]
    assert trace["injection"].tolist() == [1, 1, 2, 2, 3]
    assert any(n.startswith("injection 3: moduleA:tcd has 1 of 2 values") for n in recording.notices)
    with pytest.raises(ReaderError, match="one start does not do"):
        read_text("runs.zip", archive(RUN, later), start="2022-06-08T14:10:58Z")
    with pytest.raises(ReaderError, match="no order") as caught:
        read_text("runs.zip", archive(RUN, changed(runTimeStamp=...)))
    assert caught.value.file == "runs.zip/run1.fusion-data"


def test_labels_and_keys(read_text: ReadText) -> None:
    document = changed(detectors__moduleB_tcd__analysis__peaks=[{"label": "Neon X", "top": 1.0, "area": 2.0}])
    recording = read_text("run.json", json.dumps(document))
    assert recording.signals["chromatograph"]["species"].tolist()[-1] == "neon x"
    assert any(
        notice.startswith("labels without a known key, kept as they are: Neon X;") for notice in recording.notices
    )
    given = read_text("run.json", json.dumps(document), species={"Neon X": "ne"})
    assert given.signals["chromatograph"]["species"].tolist()[-1] == "ne"
    assert not any("without a known key" in notice for notice in given.notices)


def test_without_any_calibration_there_are_areas_alone(read_text: ReadText) -> None:
    document = changed(detectors__moduleB_tcd=...)
    for peak in document["detectors"]["moduleA:tcd"]["analysis"]["peaks"]:
        peak.pop("concentration", None)
    table = read_text("run.json", json.dumps(document)).signals["chromatograph"]
    assert "fraction/1" not in table
    assert table["area/count s"].tolist() == [100.0, 7.0, -1.0]


def test_a_total_that_does_not_agree_is_noticed(read_text: ReadText) -> None:
    good = read_text("run.json", json.dumps(changed() | {"frontInletTotalConcentration": 1.75}))
    bad = read_text("run.json", json.dumps(changed() | {"frontInletTotalConcentration": 2.0}))
    assert not any("sum to" in notice for notice in good.notices)
    assert any("sum to 0.0175, and the instrument gives 0.02" in notice for notice in bad.notices)


def test_an_aborted_run(read_text: ReadText) -> None:
    document = changed(detectors__moduleB_tcd__analysis=..., detectors__moduleB_tcd__values=[])
    recording = read_text("run.json", json.dumps(document))
    assert "chromatogram/moduleB:tcd" not in recording.signals
    assert {"moduleB:tcd has no trace", "moduleB:tcd has no analysis: its peaks were not looked for"} <= set(
        recording.notices
    )
    document["detectors"].pop("moduleA:tcd")
    with pytest.raises(ReaderError, match="no detector has a peak"):
        read_text("run.json", json.dumps(document))


def test_the_start(read_text: ReadText) -> None:
    without = json.dumps(changed(runTimeStamp=...))
    recording = read_text("run.json", without)
    assert recording.start_time == "unknown"
    assert "the file does not say when the recording began" in recording.notices
    assert read_text("run.json", without, start="2022-01-01T00:00:00Z").start_time == "2022-01-01T00:00:00+00:00"
    for wrong in ("yesterday", 12, "2022-06-08T14:10:58"):
        with pytest.raises(ReaderError) as caught:
            read_text("run.json", json.dumps(changed(runTimeStamp=wrong)))
        assert caught.value.field == "runTimeStamp"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "not valid JSON"),
        ('{"detectors": NaN}', "NaN is no finite number"),
        ("{}", "no run document"),
        ('{"detectors": {}}', "no run document"),
        ('{"detectors": {"a": 1}}', "detectors.a is missing or of the wrong kind"),
        ('{"detectors": {"a": {"analysis": {"peaks": 3}}}}', "peaks is missing or of the wrong kind"),
        ('{"detectors": {"a": {"analysis": {"peaks": [{"label": "H2", "area": 1}]}}}}', "top is missing, not a number"),
        ('{"detectors": {"a": {"analysis": {"peaks": [{"top": 1, "area": "x"}]}}}}', "area is 'x', not a number"),
        ('{"detectors": {"a": {"analysis": {"peaks": [{"top": 1, "area": true}]}}}}', "area is 'True'"),
        ('{"detectors": {"a": {"analysis": {"peaks": [{"top": 1, "area": 1e999}]}}}}', "1e999 is no finite number"),
        ('{"a": ' + "[" * 100_000, "not valid JSON"),
        ('{"a": ' + "1" * 5_000 + "}", "not valid JSON"),
    ],
)  # fmt: skip
def test_documents_that_are_none(content: str, match: str, read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match=match) as caught:
        read_text("run.json", content)
    assert caught.value.mend


@pytest.mark.parametrize("values", [[1, None], [1, "2"], [True], [10**400], "12", {"a": 1}])
def test_traces_that_are_none(values: Any, read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="values"):
        read_text("run.json", json.dumps(changed(detectors__moduleA_tcd__values=values)))


@pytest.mark.parametrize("rate", [0, -1, None, "50"])
def test_rates_that_are_none(rate: Any, read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="nValuesPerSecond"):
        read_text("run.json", json.dumps(changed(detectors__moduleA_tcd__nValuesPerSecond=rate)))


def test_archives_that_are_none(read_text: ReadText) -> None:
    whole = archive(RUN, changed(runTimeStamp="2022-06-08T15:10:58.301Z"))
    for content in (whole[:-30], whole[:60], b"PK\x03\x04" + bytes(40)):
        with pytest.raises(ReaderError, match="cannot be unpacked"):
            read_text("runs.zip", content)
    with pytest.raises(ReaderError, match="archive without run documents"):
        read_text("runs.zip", archive(RUN, name="run{}.txt"))
    with pytest.raises(ReaderError, match="spreadsheet"):
        read_text("book.xlsx", archive(RUN, name="xl/sheet{}.xml"))


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=20),
    peaks=st.lists(
        st.tuples(st.floats(0, 500), st.floats(-1e6, 1e9), st.none() | st.floats(0, 100)), min_size=1, max_size=8
    ),
    rate=st.sampled_from([1, 5, 50, 100]),
)
def test_a_run_is_read_back(
    values: list[int], peaks: list[tuple[float, float, float | None]], rate: int, read_text: ReadText
) -> None:
    named = [
        {"label": "CO", "top": top, "area": area} | ({} if share is None else {"concentration": share})
        for top, area, share in peaks
    ]
    detector = {"nValuesPerSecond": rate, "values": values, "analysis": {"peaks": named}}
    recording = read_text("run.json", json.dumps({"detectors": {"a": detector}}))
    table = recording.signals["chromatograph"]
    assert table["retention/s"].tolist() == [top for top, _, _ in peaks]
    assert table["area/count s"].tolist() == [area for _, area, _ in peaks]
    shares = [share for _, _, share in peaks]
    if any(share is not None for share in shares):
        read = [None if math.isnan(value) else value for value in table["fraction/1"]]
        assert read == [None if share is None else share / 100 for share in shares]
    trace = recording.signals["chromatogram/a"]
    assert trace["signal/1"].tolist() == values
    assert trace["time/s"].iloc[-1] == (len(values) - 1) / rate
