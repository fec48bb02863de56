from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instruments.readers import ReaderError, Recording

Text = Callable[..., str]
ReadText = Callable[..., Recording]
Trace = dict[str, list[float]]

values = st.floats(-1e6, 1e6, allow_subnormal=False)


def columns(trace: Trace, **more: list[float]) -> Trace:
    return {"time/s": trace["time"], "Ewe/V": trace["potential"], "I/mA": trace["current"], **more}


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    steps=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    decimal=st.sampled_from(".,"),
    line_break=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "cp1252"]),
    averaged=st.booleans(),
)
def test_a_trace_is_read_back(
    data: st.DataObject,
    steps: list[float],
    decimal: str,
    line_break: str,
    encoding: str,
    averaged: bool,
    eclab_text: Text,
    read_text: ReadText,
) -> None:
    time = [sum(steps[: i + 1]) for i in range(len(steps))]
    potential, current, other = (data.draw(st.lists(values, min_size=len(time), max_size=len(time))) for _ in range(3))
    named = {"time/s": time, "Cs/µF": other, "Ewe/V": potential, "<I>/mA" if averaged else "I/mA": current}
    order = data.draw(st.permutations(list(named)))
    text = eclab_text({name: named[name] for name in order}, decimal=decimal).replace("\n", line_break)
    table = read_text("trace.mpt", text.encode(encoding)).signals["potentiostat"]
    assert table["time/s"].tolist() == time
    assert table["potential/V"].tolist() == potential
    assert table["current/mA"].tolist() == current


def test_dates_have_the_month_first(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text(columns(trace), header=["Acquisition started on : 02/04/2018 10:02:46.500"])
    assert read_text("a.mpt", text).start_time == "unknown"
    assert read_text("a.mpt", text, timezone="UTC").start_time == "2018-02-04T10:02:46.500000+00:00"
    other = read_text("a.mpt", text, timezone="UTC", date_order="day first")
    assert other.start_time == "2018-04-02T10:02:46.500000+00:00"


def test_the_voltage_of_a_cell_whose_cathode_works(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text(columns(trace, **{"Ece/V": [1.0, 1.1, 1.2, 1.3]}))
    table = read_text("a.mpt", text).signals["potentiostat"]
    assert table["cell_voltage/V"].tolist() == [
        c - e for c, e in zip([1.0, 1.1, 1.2, 1.3], trace["potential"], strict=True)
    ]
    text = eclab_text(columns(trace, **{"Ece/V": [1.0, 1.1, 1.2, -1.3]}))
    recording = read_text("a.mpt", text)
    assert "cell_voltage/V" not in recording.signals["potentiostat"]
    assert any("not the cathode" in notice for notice in recording.notices)


def test_a_cell_without_a_reference_electrode(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    two = {"time/s": trace["time"], "I/mA": trace["current"], "Ewe-Ece/V": [-3.0, -3.1, -3.2, -3.3]}
    recording = read_text("a.mpt", eclab_text(two))
    table = recording.signals["potentiostat"]
    assert table["cell_voltage/V"].tolist() == [3.0, 3.1, 3.2, 3.3]
    assert "potential/V" not in table
    turned = read_text("a.mpt", eclab_text({**two, "Ewe-Ece/V": [3.0, 3.1, 3.2, 3.3]}), cathodic="positive")
    assert turned.signals["potentiostat"]["cell_voltage/V"].tolist() == [3.0, 3.1, 3.2, 3.3]
    assert any("is the anode" in notice for notice in turned.notices)
    with pytest.raises(ReaderError, match="changes its sign") as error:
        read_text("a.mpt", eclab_text({**two, "Ewe-Ece/V": [-3.0, -3.1, 0.2, -3.3]}))
    assert error.value.field == "Ewe-Ece/V"
    with pytest.raises(ReaderError, match="no column Ewe/V"):
        read_text("a.mpt", eclab_text({name: two[name] for name in ("time/s", "I/mA")}))


@pytest.mark.parametrize(("mode", "title"), [(1.0, "set_current/mA"), (2.0, "set_potential/V")])
def test_what_was_controlled(mode: float, title: str, trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    control = {"mode": [mode] * 4, "control/V/mA": [-1.0, -1.5, -1.5, -1.5]}
    table = read_text("a.mpt", eclab_text(columns(trace, **control))).signals["potentiostat"]
    assert table[title].tolist() == control["control/V/mA"]
    mixed = {**control, "mode": [mode, mode, 3.0, 3.0]}
    recording = read_text("a.mpt", eclab_text(columns(trace, **mixed)))
    assert "current in some points" in recording.notices[0]
    assert not any(name.startswith("set_") for name in recording.signals["potentiostat"])


def test_the_sign_is_turned_for_currents_alone(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text(columns(trace, **{"control/mA": [3.0] * 4}))
    table = read_text("a.mpt", text, cathodic="positive").signals["potentiostat"]
    assert table["current/mA"].tolist() == [-value for value in trace["current"]]
    assert table["set_current/mA"].tolist() == [-3.0] * 4
    assert table["potential/V"].tolist() == trace["potential"]


def test_open_circuit(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    without = {"time/s": trace["time"], "Ewe/V": trace["potential"]}
    recording = read_text("a.mpt", eclab_text(without, technique="Open Circuit Voltage"))
    assert list(recording.signals) == ["open_circuit"]
    assert recording.signals["open_circuit"]["potential/V"].tolist() == trace["potential"]
    with pytest.raises(ReaderError, match="there is no column I/mA or <I>/mA") as caught:
        read_text("a.mpt", eclab_text(without))
    assert caught.value.field == "I/mA"


def test_rests_between_spectra_are_left_out(eclab_text: Text, read_text: ReadText) -> None:
    named = {"freq/Hz": [0.0, 1e3, 1e2], "Re(Z)/Ohm": [0.0, 5.0, 6.0], "-Im(Z)/Ohm": [0.0, 1.0, 2.0]}
    recording = read_text("a.mpt", eclab_text(named))
    assert recording.signals["impedance"]["z_imag/ohm"].tolist() == [-1.0, -2.0]
    assert any(notice == "1 of 3 points have no frequency, and are left out" for notice in recording.notices)
    with pytest.raises(ReaderError, match="no point has a frequency"):
        read_text("a.mpt", eclab_text({**named, "freq/Hz": [0.0] * 3}))


def test_errors_that_the_instrument_marks(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    recording = read_text("a.mpt", eclab_text(columns(trace, error=[0.0, 1.0, 0.0, 0.0])))
    assert "EC-Lab marks 1 of 4 points with an error" in recording.notices


def test_a_name_without_values_shifts_nothing(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    """Names and values that differ in number are never paired off."""
    text = eclab_text(columns(trace)).replace("time/s\tEwe/V", "time/s\tmode\tEwe/V")
    with pytest.raises(ReaderError, match="the row has 3 values, and the table names 4 columns"):
        read_text("a.mpt", text)


@pytest.mark.parametrize("number", ["3", "999", "0", "1", "13"])
def test_a_header_of_another_length(number: str, trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text(columns(trace)).replace("Nb header lines : 8", f"Nb header lines : {number}")
    with pytest.raises(ReaderError) as caught:
        read_text("a.mpt", text)
    assert caught.value.field == "Nb header lines"
    assert caught.value.line == max(1, min(int(number), 12))  # the text has twelve lines


def test_a_header_without_its_length(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text(columns(trace)).replace("Nb header lines : 8", "")
    recording = read_text("a.mpt", text)
    assert len(recording.signals["potentiostat"]) == 4
    assert any("header is incomplete" in notice for notice in recording.notices)


def test_times_as_dates_and_numbers_that_overflow(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="its times are dates") as caught:
        read_text("a.mpt", eclab_text(columns(trace), header=["   Time format : Absolute"]))
    assert "Elapsed" in str(caught.value.mend)
    odd = read_text("a.mpt", eclab_text(columns(trace, **{"cycle number": [1.0, 1.0, 1.5, 2.0]})))
    assert "cycle" not in odd.signals["potentiostat"]
    assert any("cycle number" in notice for notice in odd.notices)


def test_a_last_number_that_is_cut(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    """Where the exponent of the last number is shorter than that above it, the number is not whole."""
    rows = "0.0\t-1.2\t-1.00E-002\n1.0\t-1.2\t-2.00E-002"
    text = eclab_text(columns({name: [] for name in trace})) + rows
    whole = read_text("a.mpt", text).signals["potentiostat"]
    assert whole["current/mA"].tolist() == [-1e-2, -2e-2]
    for cut in (1, 2, 3, 4, 5):
        recording = read_text("a.mpt", text[:-cut])
        assert recording.signals["potentiostat"]["current/mA"].tolist() == [-1e-2]
        assert any("is cut" in notice for notice in recording.notices)


def test_a_file_without_names_of_columns(read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="it has no line of column names") as caught:
        read_text("a.mpt", "EC-Lab ASCII FILE\n\nCyclic Voltammetry\n1\t2\t3\n")
    assert caught.value.field == "Nb header lines"


def test_columns_of_the_same_name(trace: Trace, eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text(columns(trace, **{"P/W": [0.0] * 4})).replace("P/W", "I/mA")
    with pytest.raises(ReaderError, match="two columns have the same name") as caught:
        read_text("a.mpt", text)
    assert caught.value.line == 8
