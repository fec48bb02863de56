"""Results from elsewhere: labels, tables, files that come in pieces, twice, wrongly labelled, or during a crash."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.device import Wiring
from instruments.drivers.handoff import (
    Handoff,
    HandoffOptions,
    Result,
    ResultMapping,
    Taken,
    detection_limit,
    label_of,
    liquid_table,
    parse,
    verified,
)
from instruments.drivers.handoff import folder as folder_module
from instruments.drivers.handoff.labels import check_character
from instruments.drivers.installed import options_of
from instruments.errors import CommunicationError, DeviceError, LabError, ReaderError
from simulators.emulators.handoff import HandoffEmulator
from simulators.emulators.pace import Pace

COLUMNS: dict[str, Any] = {
    "formate (mM)": {
        "species": "formate",
        "unit": "mM",
        "uncertainty": "formate SD",
        "detection_limit": "formate LOD",
    },
    "ethanol (mM)": {"species": "c2h5oh", "unit": "mM", "relative_uncertainty": 0.02, "detection_limit": "ethanol LOD"},
}
MAPPING: dict[str, Any] = {"sample": "Sample", "compartment": "Compartment", "columns": COLUMNS}
HEADER = "Sample,Compartment,formate (mM),formate SD,formate LOD,ethanol (mM),ethanol LOD"


def table(*rows: str) -> str:
    return "\r\n".join([HEADER, *rows, ""])


def parsed(text: str, **more: Any) -> tuple[Result, ...]:
    return parse(text.encode(), ResultMapping(**{**MAPPING, **more}), "run.csv")


# Labels


def test_a_label_says_what_it_is_of() -> None:
    label = label_of("cu-alloys", 12, 1, "s34")
    assert label.text == f"cu_alloys-12-1-s34-{check_character('cu_alloys-12-1-s34')}"
    assert verified(label.text)
    assert verified(f" {label.text.lower()} ")
    assert label_of("cu-alloys", 12, 1, "plate 3/b7").text.startswith("cu_alloys-12-1-plate.3.b7-")


def test_check_characters_are_those_of_the_standard() -> None:
    """ISO/IEC 7064 gives for MOD 37,36: A12425GABC1234002 has the check character M."""
    assert check_character("A12425GABC1234002") == "M"


@given(at=st.integers(0, 30), sign=st.sampled_from("0123456789abcdefghijklmnopqrstuvwxyz"))
def test_every_single_slip_shows(at: int, sign: str) -> None:
    text = label_of("cu_alloys", 120, 2, "s34").text
    letters = [i for i, letter in enumerate(text) if letter.isalnum()]
    at = letters[at % len(letters)]
    slipped = text[:at] + sign + text[at + 1 :]
    assert verified(slipped) == (slipped.lower() == text.lower())


@pytest.mark.parametrize(
    ("campaign", "experiment", "attempt", "sample"),
    [("", 1, 1, "s"), ("c", -1, 1, "s"), ("c", 1, 1, "..."), ("c", 1, 1, "s" * 300)],
)
def test_labels_that_cannot_be(campaign: str, experiment: int, attempt: int, sample: str) -> None:
    with pytest.raises(LabError):
        label_of(campaign, experiment, attempt, sample)


# Tables


def test_a_table_is_read_by_its_mapping() -> None:
    results = parsed(table("a,catholyte,1.5,0.03,0.02,n.d.,0.01", "b,anolyte,,,,2.0,0.01"))
    assert results == (
        Result("a", "hcoo", "catholyte", pytest.approx(1.5e-3), pytest.approx(3e-5), pytest.approx(2e-5), 1.0, 2),
        Result("a", "c2h5oh", "catholyte", 0.0, None, pytest.approx(1e-5), 1.0, 2),
        Result("b", "c2h5oh", "anolyte", pytest.approx(2e-3), pytest.approx(4e-5), pytest.approx(1e-5), 1.0, 3),
    )
    assert [result.censored for result in results] == [False, True, False]


def test_masses_become_amounts() -> None:
    columns = {"EtOH": {"species": "ethanol", "unit": "mg/L", "detection_limit": 0.5}}
    (result,) = parse(
        b"Vial;EtOH;DF\n\nx;46,069;2\n",
        ResultMapping(sample="Vial", columns=columns, separator=";", decimal=",", dilution="DF"),
    )
    assert (result.concentration, result.dilution, result.line) == (pytest.approx(1e-3, rel=1e-4), 2.0, 3)
    assert result.compartment == "catholyte"


@pytest.mark.parametrize(
    ("cell", "value", "limit"),
    [("<0.05", 0.0, 5e-5), ("n.d.", 0.0, 2e-5), ("< LOD", 0.0, 2e-5), ("0", 0.0, 2e-5), ("-0.003", 0.0, 2e-5), ("0.01", 1e-5, 2e-5)],
)  # fmt: skip
def test_below_the_limit_is_censored(cell: str, value: float, limit: float) -> None:
    (result,) = parsed(table(f"a,catholyte,{cell},,0.02,,"))
    assert result.concentration == pytest.approx(value)
    assert result.detection_limit == pytest.approx(limit)
    assert result.censored


def test_the_limit_of_a_calibration() -> None:
    assert detection_limit(0.2, 33.0) == pytest.approx(0.02)  # ICH Q2(R2)
    with pytest.raises(LabError):
        detection_limit(0.2, 0.0)


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        (table("a,catholyte,much,,,,"), 2, "formate (mM)"),
        (table("a,catholyte,1.0,,,,", "b,catholyte,1.0,x,,,"), 3, "formate SD"),
        (table("a,catholyte,1.0,-0.1,,,"), 2, "formate SD"),
        (table("a,catholyte,n.d.,,,,"), 2, "formate (mM)"),
        (table("a,catholyte,-1.0,,,,"), 2, "formate (mM)"),
        (table("a,catholyte,1e9,,,,"), 2, "formate (mM)"),
        (table("a,catholyte,1.0,,0,,"), 2, "formate LOD"),
        (table("a,beaker,1.0,,,,"), 2, "Compartment"),
        (table(",catholyte,1.0,,,,"), 2, "Sample"),
        (table("a,catholyte,1.0"), 2, None),
        (table(), None, "Sample"),
        ("", None, "header"),
        ("Probe,Compartment\r\n", 1, "Sample"),
        (table("a,catholyte,1,,,,").replace("formate SD", "Sample"), 1, "Sample"),
        (table("a,catholyte,nan,,,,"), 2, "formate (mM)"),
        (table('a,catholyte,"1,5",,,,'), 2, "formate (mM)"),
    ],
)
def test_what_is_wrong_is_named(text: str, line: int | None, field: str | None) -> None:
    with pytest.raises(ReaderError) as told:
        parsed(text)
    assert (told.value.file, told.value.line, told.value.field) == ("run.csv", line, field)


def test_text_in_another_encoding_is_told() -> None:
    with pytest.raises(ReaderError, match="cp1252"):
        parse("Prüfung".encode("cp1252"), ResultMapping(**MAPPING))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"columns": {"x": {"species": "unobtainium", "unit": "mM"}}}, "columns.x.species"),
        ({"columns": {"x": {"species": "h2", "unit": "mM"}}}, "columns.x.species"),
        ({"columns": {"x": {"species": "hcoo", "unit": "furlong"}}}, "columns.x"),
        ({"columns": {"x": {"species": "hcoo", "unit": "mM", "detection_limit": -1.0}}}, "columns.x"),
        ({"columns": {}}, "columns"),
        ({"separator": ";", "decimal": "."}, None),
        ({"separator": ",", "decimal": ","}, "separator"),
    ],
)
def test_mappings_that_cannot_be(change: dict[str, Any], field: str | None) -> None:
    if field is None:
        assert ResultMapping(**{**MAPPING, **change}).separator == ";"
        return
    with pytest.raises(LabError) as told:
        ResultMapping(**{**MAPPING, **change})
    assert str(told.value.field).startswith(field)


@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode), st.integers(0, 10**9)))
@settings(max_examples=500, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
def test_any_file_is_read_or_refused(data: bytes | int) -> None:
    if isinstance(data, int):  # a good file with one byte changed
        good = bytearray(table("a,catholyte,1.5,0.03,0.02,n.d.,0.01", "b,anolyte,,,,2.0,0.01").encode())
        good[data % len(good)] = data // len(good) % 256
        data = bytes(good)
    with suppress(ReaderError):
        assert all(result.concentration >= 0.0 for result in parse(data, ResultMapping(**MAPPING)))


def test_results_are_the_table_of_liquids() -> None:
    """The reduction takes it, and tells what was not found as an upper limit."""
    from instruments import Measurement
    from instruments.electrochemistry import Setup, reduce

    frame = liquid_table(parsed(table("a,catholyte,1.5,0.03,0.02,n.d.,0.01")))
    assert list(frame["species"]) == ["hcoo", "c2h5oh"]
    setup = Setup(
        date="2026-05-01",
        cell="h_cell",
        area="1 cm2",
        reference="Ag/AgCl (KCl sat.)",
        ph=6.8,
        temperature="25 degC",
        resistance="5 ohm",
        compensated=0.85,
        catholyte="20 mL",
        liquid_mode="batch",
        analysed=["liquid"],
    )
    trace = pd.DataFrame({"time/s": [0.0, 1800.0, 3600.0], "current/mA": -10.0, "potential/V": -1.7})
    figures = reduce(Measurement({"potentiostat": trace, "liquid": frame}, setup.to_metadata())).figures
    assert figures["fe_hcoo"].value == pytest.approx(2 * 96485.33 * 1.5e-3 * 0.02 / 36.0, rel=1e-3)
    assert figures["fe_c2h5oh"].censored == "below"
    with pytest.raises(LabError):
        liquid_table([])


# The folder


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Handoff]:
    with hand_over(tmp_path) as device:
        yield device


def hand_over(folder: Path, **more: Any) -> Handoff:
    block = {"folder": folder, "mapping": MAPPING, "settle": 0.0, **more}
    device = options_of("handoff", block).build("analysis", Wiring())
    assert isinstance(device, Handoff)
    return device


def put(folder: Path, name: str, *rows: str) -> Path:
    path = folder / name
    path.write_text(table(*rows), newline="")
    return path


def names(folder: Path, where: str) -> list[str]:
    return sorted(path.name for path in (folder / where).iterdir())


def test_results_find_their_label(desk: Handoff, tmp_path: Path) -> None:
    one, two = desk.hand_over("cu", 1, 1, "s1"), desk.hand_over("cu", 2, 1, "s1")
    assert desk.hand_over("cu", 1, 1, "s1") == one
    assert (tmp_path / "labels" / f"{one.text}.txt").read_text().splitlines()[0] == one.text
    assert desk.read("waiting").value == 2.0
    put(tmp_path, "run.csv", f"{one.text.lower()},catholyte,1.5,,0.02,,", f" {two.text} ,anolyte,2.5,,0.02,,")
    (taken,) = desk.collect()
    assert {label: [r.concentration for r in rows] for label, rows in taken.results.items()} == {
        one: [pytest.approx(1.5e-3)],
        two: [pytest.approx(2.5e-3)],
    }
    assert taken.path.exists()
    assert (desk.read("waiting").value, desk.read("collected").value) == (0.0, 1.0)


def test_results_are_handed_out_until_they_are_kept(desk: Handoff, tmp_path: Path) -> None:
    label = desk.hand_over("cu", 1, 1, "s1")
    put(tmp_path, "run.csv", f"{label.text},catholyte,1.5,,0.02,,")
    (taken,) = desk.collect()
    assert desk.collect() == (taken,)
    with hand_over(tmp_path) as later:  # after a crash
        assert later.collect() == (taken,)
        later.keep(taken)
        later.keep(taken)
        assert later.collect() == ()
    with hand_over(tmp_path) as again:
        assert again.collect() == ()


def test_a_file_is_taken_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(folder_module.time, "monotonic", lambda: now)
    with hand_over(tmp_path, settle=5.0) as desk:
        label = desk.hand_over("cu", 1, 1, "s1")
        whole = table(f"{label.text},catholyte,1.5,,0.02,,")
        path = tmp_path / "run.csv"
        path.write_text(whole[:40], newline="")
        assert desk.collect() == ()
        now += 4.0
        path.write_text(whole, newline="")
        assert desk.collect() == ()
        now += 4.0
        assert desk.collect() == ()  # it grew 4 s ago
        now += 2.0
        assert len(desk.collect()) == 1


def test_a_file_that_is_renamed_keeps_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever renames a file says that it is complete: it was seen unchanged under its other name."""
    now = 100.0
    monkeypatch.setattr(folder_module.time, "monotonic", lambda: now)
    with hand_over(tmp_path, settle=5.0) as desk:
        label = desk.hand_over("cu", 1, 1, "s1")
        part = put(tmp_path, "run.csv.part", f"{label.text},catholyte,1.5,,0.02,,")
        desk.collect()
        now += 60.0
        assert desk.collect() == ()
        part.rename(tmp_path / "run.csv")
        assert len(desk.collect()) == 1


def test_what_is_wrong_is_kept_with_the_reason(desk: Handoff, tmp_path: Path) -> None:
    label = desk.hand_over("cu", 1, 1, "s1")
    for _ in range(2):
        put(tmp_path, "run.csv", f"{label.text},catholyte,much,,,,")
        assert desk.collect() == ()
    assert names(tmp_path, "rejected") == ["run-2.csv", "run-2.csv.reason.txt", "run.csv", "run.csv.reason.txt"]
    reason = (tmp_path / "rejected" / "run.csv.reason.txt").read_text()
    assert "run.csv, line 2" in reason
    assert "field: formate (mM)" in reason


def test_the_same_file_is_taken_once(desk: Handoff, tmp_path: Path) -> None:
    label = desk.hand_over("cu", 1, 1, "s1")
    for name in ("run.csv", "run (1).csv"):
        put(tmp_path, name, f"{label.text},catholyte,1.5,,0.02,,")
    assert len(desk.collect()) == 1
    (reason,) = (tmp_path / "rejected").glob("*.reason.txt")
    assert "the same content" in reason.read_text()


def test_a_growing_table_tells_what_is_new(desk: Handoff, tmp_path: Path) -> None:
    one, two = desk.hand_over("cu", 1, 1, "s1"), desk.hand_over("cu", 2, 1, "s1")
    row = f"{one.text},catholyte,1.5,,0.02,,"
    put(tmp_path, "day1.csv", row)
    (first,) = desk.collect()
    desk.keep(first)
    put(tmp_path, "day2.csv", row, f"{two.text},catholyte,2.5,,0.02,,")
    (second,) = desk.collect()
    assert list(second.results) == [two]
    put(tmp_path, "day3.csv", f"{one.text},catholyte,1.7,,0.02,,")
    assert desk.collect() == (second,)
    assert "another value" in (tmp_path / "rejected" / "day3.csv.reason.txt").read_text()


def test_replicates_of_one_file_stay(desk: Handoff, tmp_path: Path) -> None:
    label = desk.hand_over("cu", 1, 1, "s1")
    put(tmp_path, "run.csv", *(f"{label.text},catholyte,{x},,0.02,," for x in (1.4, 1.6)))
    (taken,) = desk.collect()
    assert [r.concentration for r in taken.results[label]] == pytest.approx([1.4e-3, 1.6e-3])


def test_unknown_labels_wait(desk: Handoff, tmp_path: Path) -> None:
    """Rows of labels that are given later are found again then."""
    known, later = desk.hand_over("cu", 1, 1, "s1"), label_of("cu", 2, 1, "s2")
    put(tmp_path, "run.csv", f"{known.text},catholyte,1.5,,0.02,,", f"{later.text},catholyte,2.5,,0.02,,")
    (taken,) = desk.collect()
    assert list(taken.results) == [known]
    assert len(names(tmp_path, "unmatched")) == 2
    desk.keep(taken)
    assert desk.hand_over("cu", 2, 1, "s2") == later
    (rest,) = desk.collect()
    assert {label: rows[0].concentration for label, rows in rest.results.items()} == {later: pytest.approx(2.5e-3)}
    assert names(tmp_path, "unmatched") == []


def test_a_slip_of_the_pen_is_told_with_the_likely_label(desk: Handoff, tmp_path: Path) -> None:
    label = desk.hand_over("cu", 1, 1, "s1")
    slipped = label.text[:-1] + ("A" if label.text[-1] != "A" else "B")
    put(tmp_path, "run.csv", f"{slipped},catholyte,1.5,,0.02,,")
    assert desk.collect() == ()
    reason = (tmp_path / "unmatched" / "run.csv.reason.txt").read_text()
    assert "check character is wrong" in reason
    assert f"Did you mean {label.text}?" in reason


def test_one_label_is_not_given_to_two_samples(desk: Handoff) -> None:
    desk.hand_over("cu", 1, 1, "s.1")
    with pytest.raises(LabError, match="given to sample") as told:
        desk.hand_over("cu", 1, 1, "s/1")
    assert told.value.field == "sample"


@pytest.mark.parametrize("step", ["ledger", "moving"])
def test_nothing_is_lost_or_doubled_by_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    with hand_over(tmp_path) as desk:
        label = desk.hand_over("cu", 1, 1, "s1")
        put(tmp_path, "run.csv", f"{label.text},catholyte,1.5,,0.02,,")

        class Crash(BaseException):
            pass

        def crash(*_: object) -> None:
            raise Crash

        with monkeypatch.context() as patch:
            if step == "ledger":
                patch.setattr(os, "fsync", crash)
            else:
                patch.setattr(Path, "replace", crash)
            with pytest.raises(Crash):
                desk.collect()
    with hand_over(tmp_path) as later:
        (taken,) = later.collect()
        (taken,) = later.collect()
        assert taken.path.exists()
        assert [len(rows) for rows in taken.results.values()] == [1]
        assert names(tmp_path, "rejected") == []


def test_a_torn_last_line_of_the_ledger_is_passed_over(tmp_path: Path) -> None:
    with hand_over(tmp_path) as desk:
        label = desk.hand_over("cu", 1, 1, "s1")
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(ledger.read_text() + '{"event": "label", "te')
    for number in (2, 3):
        with hand_over(tmp_path) as desk:
            assert desk.hand_over("cu", 1, 1, "s1") == label
            desk.hand_over("cu", number, 1, "s1")
    with hand_over(tmp_path) as desk:
        assert desk.read("waiting").value == 3.0


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text('{"event": "what"}\n{"event": "label"}\n')
    with pytest.raises(DeviceError, match="line 1"):
        hand_over(tmp_path).connect()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommunicationError) as told:
        hand_over(tmp_path / "nowhere").connect()
    assert told.value.field == "folder"
    assert hand_over(tmp_path / "nowhere").make_safe().confirmed


# The analyst


@pytest.fixture
def analyst(tmp_path: Path) -> Callable[..., HandoffEmulator]:
    def made(**more: Any) -> HandoffEmulator:
        return HandoffEmulator("analyst", folder=tmp_path, pace=Pace(36_000.0), **more)

    return made


def watched(desk: Handoff) -> Taken:
    """The next results; whoever watches waits for them."""
    ended = threading.Event()
    threading.Timer(20.0, ended.set).start()
    for taken in desk.watch(ended, every=0.02):
        return taken
    raise AssertionError("no result came within 20 s")


def test_results_come_hours_later(desk: Handoff, analyst: Callable[..., HandoffEmulator]) -> None:
    with analyst(analyse=lambda label: {"formate": 3.0, "ethanol": 0.001}):
        label = desk.hand_over("cu", 7, 1, "s3")
        taken = watched(desk)
    formate, ethanol = taken.results[label]
    assert (formate.concentration, formate.sem) == (pytest.approx(3e-3), pytest.approx(6e-5))
    assert (ethanol.censored, ethanol.detection_limit) == (True, pytest.approx(2e-5))


def test_a_file_in_two_halves_is_taken_whole(tmp_path: Path, analyst: Callable[..., HandoffEmulator]) -> None:
    with hand_over(tmp_path, settle=0.3) as desk, analyst() as running:
        running.faults.arm("partial", seconds=0.1)
        label = desk.hand_over("cu", 7, 1, "s3")
        assert len(watched(desk).results[label]) == 2
        assert names(tmp_path, "rejected") == []


@pytest.mark.parametrize(
    ("fault", "where"),
    [("wrong_check", "unmatched"), ("unknown", "unmatched"), ("missing_column", "rejected"), ("letters", "rejected")],
)
def test_mistakes_of_the_analyst(
    desk: Handoff, tmp_path: Path, analyst: Callable[..., HandoffEmulator], fault: str, where: str
) -> None:
    ended = threading.Event()
    with analyst() as running:
        running.faults.arm(fault)
        desk.hand_over("cu", 7, 1, "s3")
        while not names(tmp_path, where) and not ended.wait(0.02):
            assert desk.collect() == ()
    assert running.state()["waiting"] == []  # the analyst has gone home
    assert len(names(tmp_path, where)) == 2


def test_the_same_results_under_two_names(
    desk: Handoff, tmp_path: Path, analyst: Callable[..., HandoffEmulator]
) -> None:
    with analyst() as running:
        running.faults.arm("twice")
        desk.hand_over("cu", 7, 1, "s3")
        desk.keep(watched(desk))
        while not names(tmp_path, "rejected"):
            assert desk.collect() == ()
    assert desk.collect() == ()


def test_options_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(LabError) as told:
        HandoffOptions(folder=tmp_path, mapping={**MAPPING, "sampel": "x"})
    assert told.value.field == "mapping.sampel"
