from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.readers import ReaderError, Recording
from instruments.readers.quantities import TABLES, UNITS, factor, fits

ReadText = Callable[..., Recording]

PLAIN = "time/s,potential/V,current/A\n0,-1.1,-0.01\n1,-1.2,-0.02\n"

values = st.floats(-1e6, 1e6, allow_subnormal=False)


def table(recording: Recording) -> dict[str, list[Any]]:
    (frame,) = recording.signals.values()
    return {str(name): frame[name].tolist() for name in frame}


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    steps=st.lists(st.floats(0, 100), min_size=1, max_size=10),
    dialect=st.sampled_from([",.", ";.", ";,", "\t.", "\t,", "|,"]),
    header=st.sampled_from(
        [
            ("time/s", "potential/V", "current/mA"),
            ("t / s", "E / V", "I / mA"),
            ("Time (s)", "Ewe [V]", "Current (mA)"),
            ("time_s", "potential_V", "current_mA"),
            ("t/s", "E/V vs Ag/AgCl", "I/mA"),
        ]
    ),
    line_break=st.sampled_from(["\n", "\r\n"]),
    comment=st.sampled_from(["", "# a comment, with; signs\n\n"]),
)
def test_a_trace_is_read_back(
    data: st.DataObject,
    steps: list[float],
    dialect: str,
    header: tuple[str, str, str],
    line_break: str,
    comment: str,
    read_text: ReadText,
) -> None:
    separator, decimal = dialect
    time = [sum(steps[: i + 1]) for i in range(len(steps))]
    potential, current = (data.draw(st.lists(values, min_size=len(time), max_size=len(time))) for _ in range(2))
    named = dict(zip(header, (time, potential, current), strict=True))
    order = data.draw(st.permutations(header))
    lines = [separator.join(order)]
    for row in zip(*(named[name] for name in order), strict=True):
        lines.append(separator.join(repr(float(value)).replace(".", decimal) for value in row))
    text = (comment + "\n".join(lines) + "\n").replace("\n", line_break)
    # where no number but those of the form 1,234 has a comma, the comma's meaning must be told
    recording = read_text("trace.csv", text, cathodic="negative", decimal=decimal if separator != "," else None)
    read = table(recording)
    assert read == {"time/s": time, "potential/V": potential, "current/mA": current} | dict.fromkeys(())
    assert list(recording.signals) == ["potentiostat"]


def test_what_it_says_about_itself(read_text: ReadText) -> None:
    text = "# cell 3\nt / s; E / V vs Ag/AgCl; I / mA; remark\n0; -1,1; -10; ok\n1; -1,25; -20; bubbles\n"
    recording = read_text("trace.csv", text, cathodic="negative", start="2024-05-01T12:00:00+02:00")
    assert recording.start_time == "2024-05-01T10:00:00+00:00"
    settings: Any = recording.metadata["settings"]
    assert settings["comments"] == ["cell 3"]
    assert settings["reference"] == {"E / V vs Ag/AgCl": "Ag/AgCl"}
    assert recording.notices == ("columns that potentiostat does not have are left out: remark",)
    assert table(recording)["potential/V"] == [-1.1, -1.25]


def test_the_sign_of_currents_must_be_said(read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="which sign") as caught:
        read_text("trace.csv", PLAIN)
    assert caught.value.field == "cathodic"
    assert table(read_text("trace.csv", PLAIN, cathodic="negative"))["current/A"] == [-0.01, -0.02]
    assert table(read_text("trace.csv", PLAIN, cathodic="positive"))["current/A"] == [0.01, 0.02]


@pytest.mark.parametrize(
    ("header", "match", "field"),
    [
        ("time,potential/V,current/A", "the column 'time' has no unit", "time"),
        ("time/s,E,current/A", "the column 'E' has no unit", "E"),
        ("time/m,potential/V,current/A", "'m' in the column 'time/m' is no unit of time", "time/m"),
        ("time/s,potential/V,I (ma)", r"'ma' in the column 'I \(ma\)' is no unit of current", "I (ma)"),
        ("time/s,U / V,current/A", "may be potential or cell_voltage", "U / V"),
        ("time/s,Voltage (V),current/A", "may be potential or cell_voltage", "Voltage (V)"),
        ("time/s,E / V vs RHE,current/A", "converted to another scale", "E / V vs RHE"),
        ("time/s,potential_V_vs_SHE,current/A", "converted to another scale", "potential_V_vs_SHE"),
        ("time/s,potential/V,j / mA cm-2", "there is no current", "current"),
        ("time/s,potential/V,signal", "a potential but no current", "table"),
        ("time/s,current/A,signal", "for a table potentiostat there is no potential", "potential"),
        ("time/s,potential/V,potential/V", "has the name of another", "columns"),
        ("time/s,potential/V,E/V", "several columns are potential", "potential/V"),
        ("time/s,potential/V,", "column 3 has no name", "columns"),
    ],
)
def test_what_is_not_clear_is_asked(header: str, match: str, field: str, read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match=match) as caught:
        read_text("trace.csv", PLAIN.replace("time/s,potential/V,current/A", header), cathodic="negative")
    assert caught.value.field == field
    assert caught.value.mend
    assert caught.value.line == 1


@pytest.mark.parametrize("said", [None, "potentiostat"])
def test_a_cell_without_a_reference_electrode(said: str | None, read_text: ReadText) -> None:
    text = "t / s;I / mA;U_cell / V\n0;-100;3.01\n1;-100;3.02\n"
    recording = read_text("cell.csv", text, cathodic="negative", table=said)
    assert list(recording.signals["potentiostat"].columns) == ["time/s", "current/mA", "cell_voltage/V"]


def test_current_densities_are_pointed_out(read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="multiply them by the area"):
        read_text("trace.csv", "t/s;E/V;j / mA cm-2\n0;-1;-10\n", cathodic="negative")


def test_columns_that_a_person_names(read_text: ReadText) -> None:
    text = "zeit;U;strom;extra\n0;-1100;10;a\n2;-1200;20;b\n"
    columns = {"zeit": "time/min", "U": "potential/mV", "strom": "current/mA"}
    recording = read_text("trace.csv", text, columns=columns, cathodic="positive")
    assert table(recording) == {
        "time/min": [0.0, 2.0],
        "potential/mV": [-1100.0, -1200.0],
        "current/mA": [-10.0, -20.0],
    }
    assert recording.notices[0] == "columns that potentiostat does not have are left out: extra"
    for wrong, match in [
        ({"nothing": "time/s"}, "there is no column 'nothing'"),
        ({**columns, "U": "potential"}, "'potential' has no unit of potential"),
        ({**columns, "U": "potential/A"}, "'potential/A' has no unit of potential"),
        ({**columns, "U": "energy/J"}, "no quantity of the raw-signal form"),
        ({**columns, "extra": "species/1"}, "species has no unit"),
    ]:
        with pytest.raises(ReaderError, match=match) as caught:
            read_text("trace.csv", text, columns=wrong, cathodic="positive")
        assert str(caught.value.field).startswith("columns.")


def test_symbols_whose_unit_tells_what_they_are(read_text: ReadText) -> None:
    text = "t/s,T/°C,E/V,I/A\n0,25,-1,-1\n1,26,-1,-1\n"
    assert table(read_text("a.csv", text, cathodic="negative"))["temperature/K"] == [298.15, 299.15]
    text = "freq/Hz,Re(Z)/ohm,-Im(Z)/ohm\n1000,5,1\n100,6,2\n"
    recording = read_text("a.csv", text)
    assert recording.signals.keys() == {"impedance"}
    assert table(recording)["z_imag/ohm"] == [-1.0, -2.0]


@pytest.mark.parametrize(
    ("text", "options", "match", "field", "line"),
    [
        ("t/s,E/V,I/A\n0,0,-1,1,-0,5\n", {}, "twice as many values", "separator", 2),
        ("t/s;E/V;I/A\n0;-1,1;-0.5\n", {}, "are mixed", "I/A", 2),
        ("t/s;E/V;I/A\n0;-1,125;-1,250\n1;-1,250;-1,500\n", {}, "decimal comma, or a comma between", "decimal", 2),
        ("t/s;E/V;I/A\n0;-1,5;-1\n", {"decimal": "."}, "does not have the decimal sign", "decimal", 2),
        ("t/s;E/V;I/A\n0;-1.5;-1\n", {"decimal": ","}, "does not have the decimal sign", "decimal", 2),
        ("t/s;E/V;I/A\n0;-1.5;-1\n", {"decimal": "x"}, "decimal is 'x'", "decimal", None),
        ("t/s;E/V;I/A\n0;-1;-1\n1;;-1\n", {}, "E/V is empty", "E/V", 3),
        ("t/s;E/V;I/A\n0;-1;-1\n\n1;-1;n.a.\n2;0;0\n", {}, "'n.a.', which is no measured number", "I/A", 4),
        ("t/s;E/V;I/A\n0;-1\n1;-1;-1\n", {}, "the row has 2 values", "the table", 2),
        ("t/s;E/V;I/A\n1;-1;-1\n0;-1;-1\n", {}, "time runs backwards", "time/s", 3),
        ("t/s;E/V;I/A\n", {}, "holds no points", None, 1),
        ("t/s\n0\n", {}, "one column only", "separator", 1),
        ("t/s;E/V,I/A\n0;1,2\n", {}, "split at several signs", "separator", 1),
        ("t/s;E/V;I/A\n0;1;2\n", {"separator": ","}, "one column only when split", "separator", 1),
        ("t/s;E/V;I/A\n0;1;2\n", {"separator": "x"}, "separator is 'x'", "separator", None),
        ('t/s;E/V;I/A\n0;"1;2\n', {}, "cannot be taken apart", None, 2),
        ("t/s;E/V;I/A\n0;1;2\n", {"table": "flow"}, "there is no inlet", "inlet", 1),
        ("t/s;E/V;I/A\n0;1;2\n", {"table": "flows"}, "there is no table 'flows'", "table", None),
        ("# nothing\n\n", {}, "only comments", None, None),
    ],
)  # fmt: skip
def test_damage_and_dialects(
    text: str, options: dict[str, Any], match: str, field: str | None, line: int | None, read_text: ReadText
) -> None:
    with pytest.raises(ReaderError, match=match) as caught:
        read_text("trace.csv", text, **{"cathodic": "negative", **options})
    assert (caught.value.field, caught.value.line) == (field, line)
    assert caught.value.mend


def test_a_comma_is_a_decimal_sign_where_the_numbers_or_a_person_say_so(read_text: ReadText) -> None:
    text = "t/s;E/V;I/A\n0;-1,125;-1,250\n1;-1,250;-1,500\n"
    assert table(read_text("a.csv", text, decimal=",", cathodic="negative"))["current/A"] == [-1.25, -1.5]
    clear = text.replace("-1,500", "-1,5")
    assert table(read_text("a.csv", clear, cathodic="negative"))["current/A"] == [-1.25, -1.5]
    small = text.replace("-1,", "-0,")
    assert table(read_text("a.csv", small, cathodic="negative"))["potential/V"] == [-0.125, -0.25]


def test_open_circuit_must_be_said(read_text: ReadText) -> None:
    text = "t/s,E/V\n0,0.1\n1,0.2\n"
    with pytest.raises(ReaderError, match="a potential but no current"):
        read_text("a.csv", text)
    assert table(read_text("a.csv", text, table="open_circuit")) == {"time/s": [0.0, 1.0], "potential/V": [0.1, 0.2]}


def test_liquids(read_text: ReadText) -> None:
    text = (
        "species,compartment,concentration/mmol L-1,method,detection_limit/mmol L-1\n"
        "Formate,catholyte,12.5,nmr,0.1\nEtOH,Anolyte,1.5,hplc,0.2\n"
    )
    recording = read_text("liquids.csv", text)
    assert recording.signals.keys() == {"liquid"}
    assert table(recording) == {
        "species": ["hcoo", "c2h5oh"],
        "compartment": ["catholyte", "anolyte"],
        "concentration/mmol L-1": [12.5, 1.5],
        "method": ["nmr", "hplc"],
        "detection_limit/mmol L-1": [0.1, 0.2],
    }
    with pytest.raises(ReaderError, match="species is 'Etanol', which is no known species") as caught:
        read_text("liquids.csv", text.replace("EtOH", "Etanol"))
    assert caught.value.line == 3
    assert table(read_text("liquids.csv", text.replace("EtOH", "X"), species={"X": "c2h5oh"}))["species"][1] == "c2h5oh"
    with pytest.raises(ReaderError, match="no known compartment"):
        read_text("liquids.csv", text.replace("catholyte", "bucket"))
    with pytest.raises(ReaderError, match="method is ''"):
        read_text("liquids.csv", text.replace("nmr", ""))


def test_what_is_not_known_of_every_sample(read_text: ReadText) -> None:
    text = "species,compartment,concentration/mM,detection_limit/mM\nFormate,catholyte,12.5,\nEtOH,anolyte,1.5,0.2\n"
    recording = read_text("liquids.csv", text)
    limit = recording.signals["liquid"]["detection_limit/mM"]
    assert limit.isna().tolist() == [True, False]
    assert recording.notices[0] == "detection_limit/mM is empty in 1 of 2 rows"
    with pytest.raises(ReaderError, match="concentration/mM is empty"):
        read_text("liquids.csv", text.replace("1.5", ""))


def test_a_row_of_units(read_text: ReadText) -> None:
    """As PalmSens writes it."""
    text = "Time;Potential;Current;Remark\ns;V;µA;\n0;-1,1;-10,5;a\n1;-1,2;-11,5;b\n;;;\n"
    recording = read_text("a.csv", text.encode("utf-16"), cathodic="negative")
    assert table(recording) == {"time/s": [0.0, 1.0], "potential/V": [-1.1, -1.2], "current/µA": [-10.5, -11.5]}
    assert recording.metadata["settings"]["columns"]["Current"] == "current"  # type: ignore[index]
    with pytest.raises(ReaderError, match="'V' in the column 'Current / V' is no unit of current") as caught:
        read_text("a.csv", text.replace("µA", "V"), cathodic="negative")
    assert caught.value.field == "Current / V"


def test_a_last_value_that_may_be_cut(read_text: ReadText) -> None:
    recording = read_text("a.csv", "t/s,E/V,I/A\n0,-1,-1e-05\n1,-1,-0.5", cathodic="negative")
    assert table(recording)["current/A"] == [-1e-5, -0.5]
    assert "line 3, the last of the file, has no line break, and may be cut" in recording.notices


def test_chromatograms(read_text: ReadText) -> None:
    text = "injection,time/min,species,area/pA s,detector\n1,5,H2,100,tcd\n1,5,CO,20,fid\n2,15,H2,101,tcd\n"
    recording = read_text("gc.csv", text)
    assert table(recording)["species"] == ["h2", "co", "h2"]
    assert table(recording)["injection"] == [1, 1, 2]
    with pytest.raises(ReaderError, match=r"1\.5, which is no whole number"):
        read_text("gc.csv", text.replace("\n2,", "\n1.5,"))
    with pytest.raises(ReaderError, match="for a table chromatograph there is no area"):
        read_text("gc.csv", text.replace("area/pA s", "height"))


def test_flows_keep_the_unit_that_the_setup_explains(read_text: ReadText) -> None:
    for unit in ("sccm", "mL min-1", "mL/min", "mol s-1", "umol/s", "mLn/min"):
        recording = read_text("flow.csv", f"time/s;inlet/{unit};outlet/{unit}\n0;20;19\n60;20;18\n")
        assert table(recording) == {
            "time/s": [0.0, 60.0],
            f"inlet/{unit}": [20.0, 20.0],
            f"outlet/{unit}": [19.0, 18.0],
        }
    with pytest.raises(ReaderError, match="'mL' in the column"):
        read_text("flow.csv", "time/s;inlet/mL\n0;20\n60;20\n")


def test_overloads(read_text: ReadText) -> None:
    text = "t/s;E/V;I/A;overload\n0;-1;-1;0\n1;-1;-1;TRUE\n2;-1;-1;no\n"
    assert table(read_text("a.csv", text, cathodic="negative"))["overload"] == [False, True, False]
    with pytest.raises(ReaderError, match="overload is 'maybe'"):
        read_text("a.csv", text.replace("TRUE", "maybe"), cathodic="negative")


def test_quantities_and_tables_agree() -> None:
    from instruments.readers.quantities import PLAIN as PLAIN_COLUMNS

    for needed, optional in TABLES.values():
        for quantity in (*needed, *optional):
            assert quantity in UNITS or quantity in PLAIN_COLUMNS
    for quantity, unit in UNITS.items():
        assert fits(quantity, unit)


@given(text=st.text(max_size=12) | st.from_regex(r"[A-Za-zµ%/*^ 0-9().-]{1,12}", fullmatch=True))
def test_any_text_is_a_unit_or_none(text: str) -> None:
    factor(text, "A m-2")
    for quantity in ("time", "area", "inlet", "fraction"):
        assert isinstance(fits(quantity, text), bool)


def test_a_meaning_that_is_no_text(read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="3 is no name") as error:
        read_text("trace.csv", PLAIN, columns={"time/s": 3})
    assert error.value.field == "columns.time/s"
