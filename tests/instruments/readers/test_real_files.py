"""Files that real instruments wrote: points counted and values checked by eye against the text of each file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.readers import ReaderError, Recording, read

READABLE = {
    "Pt_poly_cv_CUT.mpt": {"potentiostat": 223},
    "chronoa_data.dta": {"potentiostat": 10},
    "chronoa_de_data.dta": {"potentiostat": 10},
    "cv_data.dta": {"potentiostat": 50},
    "eispot_data_curveaborted.dta": {"impedance": 5},
    "exampleDataBioLogic.mpt": {"impedance": 43},
    "exampleDataGamry.DTA": {"open_circuit": 387, "impedance": 72},
    "fusion_gc_15p_cu_10ma.fusion-data.json": {
        "chromatograph": 18,
        "chromatogram/moduleA:tcd": 8000,
        "chromatogram/moduleB:tcd": 8500,
    },
    "ocp_data.dta": {"open_circuit": 21},
}
UNREADABLE = {"cv_data_incompleteheader.dta": "CURVE", "exampleDataBioLogic_MissingFreq.mpt": "freq/Hz"}


def row(recording: Recording, table: str, index: int) -> dict[str, Any]:
    return recording.signals[table].iloc[index].to_dict()


def test_every_file_is_accounted_for(real: Path) -> None:
    assert {path.name for path in real.iterdir()} == READABLE.keys() | UNREADABLE.keys()


@pytest.mark.parametrize("name", READABLE)
def test_data(real: Path, name: str, all_known: Callable[[Recording], bool]) -> None:
    recording = read(real / name)
    assert {table: len(frame) for table, frame in recording.signals.items()} == READABLE[name]
    assert all_known(recording)
    assert recording.file == name
    metadata = json.loads(json.dumps(recording.metadata, allow_nan=False))
    for key in ("file", "sha256", "format", "instrument", "technique", "software", "start_time", "start_written"):
        assert isinstance(metadata[key], str)
        assert metadata[key]
    assert isinstance(metadata["settings"], dict)


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_clear_error(real: Path, name: str) -> None:
    with pytest.raises(ReaderError) as caught:
        read(real / name)
    assert caught.value.file == name
    assert caught.value.line is not None
    assert caught.value.field == UNREADABLE[name]
    assert caught.value.mend


def test_gamry_at_constant_potential(real: Path) -> None:
    recording = read(real / "chronoa_data.dta", timezone="America/New_York", date_order="month first")
    assert list(recording.signals["potentiostat"]) == ["time/s", "potential/V", "current/A", "overload"]
    assert row(recording, "potentiostat", 1) == {
        "time/s": 30.0,
        "potential/V": 0.499669,
        "current/A": 1.40441e-8,
        "overload": False,
    }
    assert row(recording, "potentiostat", 3)["time/s"] == 90.0001
    assert row(recording, "potentiostat", 9)["current/A"] == 3e-9
    assert recording.start_time == "2019-03-10T16:00:00+00:00"  # summer time began that night
    settings: Any = recording.metadata["settings"]
    assert settings["AREA"] == 1.0
    assert settings["VSTEP1"] == {"value": 0.5, "versus": "reference"}
    assert settings["CONDIT"] == {"enabled": False, "values": [15.0, 0.0]}
    assert settings["POSFEEDENABLE"] is False
    assert recording.metadata["technique"] == "CHRONOA"
    assert recording.notices == ("CURVE was to have 5258 points and has 10: it ended early, or the file was shortened",)


def test_gamry_with_decimal_commas(real: Path) -> None:
    german, english = read(real / "chronoa_de_data.dta"), read(real / "chronoa_data.dta")
    a, b = german.signals["potentiostat"], english.signals["potentiostat"]
    assert a.iloc[1:].equals(b.iloc[1:])
    assert row(german, "potentiostat", 0)["potential/V"] == -5e-4  # the files differ in their first point
    assert row(german, "potentiostat", 0)["current/A"] == -2e-8
    assert german.metadata["settings"]["TPRESTEP"] == 0.5  # type: ignore[index]


def test_gamry_with_several_curves(real: Path) -> None:
    table = read(real / "cv_data.dta").signals["potentiostat"]
    assert table["cycle"].tolist() == [cycle for cycle in range(1, 6) for _ in range(10)]
    assert table["time/s"].iloc[[0, 10, 49]].tolist() == [0.1, 120.2, 601.1]
    assert table["current/A"].iloc[6] == -3.10842e-10
    third = read(real / "cv_data.dta", curve=3).signals["potentiostat"]
    assert third["potential/V"].tolist() == table.loc[table["cycle"] == 3, "potential/V"].tolist()
    assert third["potential/V"].iloc[0] == 0.897846
    with pytest.raises(ReaderError, match="no curve 6"):
        read(real / "cv_data.dta", curve=6)


def test_gamry_impedance_that_was_aborted(real: Path) -> None:
    recording = read(real / "eispot_data_curveaborted.dta")
    assert row(recording, "impedance", 4) == {
        "frequency/Hz": 100.0,
        "z_real/ohm": 226.2954,
        "z_imag/ohm": -6.136346,
        "time/s": 6.0,
        "current/A": 1.454366e-6,
        "potential/V": 1.299218,
    }
    assert "the experiment was aborted" in recording.notices


def test_gamry_impedance_after_open_circuit(real: Path) -> None:
    recording = read(real / "exampleDataGamry.DTA", timezone="UTC")
    assert row(recording, "open_circuit", 0) == {"time/s": 0.258333 - 99.975, "potential/V": -0.346699}
    assert row(recording, "open_circuit", 386) == {"time/s": 0.0, "potential/V": -0.29198}
    assert row(recording, "impedance", 71)["z_imag/ohm"] == -6635.557
    assert row(recording, "impedance", 71)["frequency/Hz"] == 0.0158898
    assert recording.start_time == "2018-04-23T16:44:54.975000+00:00"  # 99.975 s after TIME
    settings: Any = recording.metadata["settings"]
    assert settings["NOTES"] == "-50mV +5.66X10^-4 D8"
    # 50 mV below open circuit is what the impedance was measured at: the flag of a potential is read rightly
    assert settings["VDC"] == {"value": -0.05, "versus": "open circuit"}
    direct = recording.signals["impedance"]["potential/V"]
    assert settings["EOC"] + settings["VDC"]["value"] == pytest.approx(direct.mean(), abs=1e-3)
    # reduction has a negative current below open circuit: the signs are those of IUPAC
    assert (recording.signals["impedance"]["current/A"] < 0).all()


def test_gamry_open_circuit(real: Path) -> None:
    recording = read(real / "ocp_data.dta", timezone="UTC", date_order="day first")
    assert row(recording, "open_circuit", 0) == {"time/s": 5.00833, "potential/V": 0.0205436}
    assert row(recording, "open_circuit", 20) == {"time/s": 105.175, "potential/V": 0.0345678}
    assert any("without a thermometer" in notice for notice in recording.notices)
    assert recording.start_time == "2020-02-10T17:18:00+00:00"
    assert recording.metadata["instrument"] == "Gamry REF600-00000"


def test_eclab_voltammogram_with_decimal_commas(real: Path) -> None:
    recording = read(real / "Pt_poly_cv_CUT.mpt", timezone="Europe/Copenhagen")
    assert row(recording, "potentiostat", 0) == {
        "time/s": 3.289600104471901,
        "current/mA": -2.604324994466466e-3,
        "potential/V": 0.87869531,
        "set_potential/V": 0.8789444,
        "cycle": 1,
    }
    assert row(recording, "potentiostat", 222)["current/mA"] == 1.777131863198953e-2
    assert row(recording, "potentiostat", 222)["cycle"] == 5
    assert recording.start_time == "2020-07-29T08:31:01+00:00"
    assert recording.metadata["technique"] == "Cyclic Voltammetry Advanced"
    assert recording.metadata["instrument"] == "BioLogic SP-200 (SN 0961)"
    settings: Any = recording.metadata["settings"]
    assert settings["Electrode surface area"] == "0,001 cm²"
    assert settings["E2 (V)"] == "1,600"
    # on platinum at the anodic limit the working electrode is the anode
    assert any("cell voltage is left out" in notice for notice in recording.notices)


def test_eclab_impedance(real: Path) -> None:
    recording = read(real / "exampleDataBioLogic.mpt")
    assert row(recording, "impedance", 0) == {
        "frequency/Hz": 1000.3201,
        "z_real/ohm": 65.470886,
        "z_imag/ohm": -0.38998979,
        "time/s": 0.7836904905780102,
        "current/mA": -0.048041187,
        "potential/V": -2.8677555e-4,
    }
    last = row(recording, "impedance", 42)  # the last line has no line break, and is complete
    assert (last["frequency/Hz"], last["z_imag/ohm"]) == (0.01689554, -2.3458567)
    assert recording.start_time == "unknown"
    assert recording.metadata["start_written"] == "02/04/2018 10:02:46"
    assert read(real / "exampleDataBioLogic.mpt", timezone="UTC").start_time == "2018-02-04T10:02:46+00:00"


def test_fusion(real: Path) -> None:
    recording = read(real / "fusion_gc_15p_cu_10ma.fusion-data.json")
    table = recording.signals["chromatograph"].set_index("species")
    assert recording.start_time == "2022-06-08T14:10:58.301000+00:00"
    assert table.index.tolist() == [
        *("h2", "o2", "n2", "ch4", "co", "unidentified", "co2", "c2h4", "c2h6", "unidentified", "c3h6", "c3h8"),
        *("ch3oh", "ch3cho", "c2h5oh", "c2h5cho", "c3h6o", "c3h7oh"),
    ]
    assert table.loc["co", "area/count s"] == 670.91
    assert table.loc["co", "fraction/1"] == 0.10866000627830139 / 100
    assert table.loc["c2h4", "retention/s"] == 39.06
    assert table.loc["h2", "detector"] == "moduleA:tcd"
    assert table.loc["c3h6", "area/count s"] == -25.555
    assert set(table.index[table["fraction/1"].isna()]) == {"o2", "n2", "unidentified", "c3h6"}
    # the instrument gives the sum of the fractions, which are of the whole sample
    assert table["fraction/1"].sum() == pytest.approx(0.19087328539610038 / 100, rel=1e-12)
    settings: Any = recording.metadata["settings"]
    assert settings["annotations"]["tags"] == ["Checkgas"]
    assert settings["calibration"]["moduleA:tcd"]["H2"]["area_percent"][0] == [346141, 4.88]
    assert recording.notices == (
        "peaks without a name, and so without a fraction: 29.76 s on moduleB:tcd, 64.22 s on moduleB:tcd",
        "the instrument has no calibration, and gives no fraction, for O2, N2, C3H6",
    )


def test_areas_of_fusion_are_integrals_of_its_traces(real: Path) -> None:
    """Counts times seconds above the line between a peak's ends, with retention from the trace's first value."""
    path = real / "fusion_gc_15p_cu_10ma.fusion-data.json"
    document, recording = json.loads(path.read_text()), read(path)
    table, checked = recording.signals["chromatograph"], 0
    for name, detector in document["detectors"].items():
        trace = recording.signals[f"chromatogram/{name}"]
        time, signal = trace["time/s"].to_numpy(), trace["signal/1"].to_numpy()
        for peak in detector["analysis"]["peaks"]:
            if peak["area"] < 500:
                continue
            inside = (time >= peak["start"]) & (time <= peak["end"])
            ends, line = (peak["start"], peak["end"]), peak["baselinePoints"]
            above = signal[inside] - np.interp(time[inside], ends, (line["start"], line["end"]))
            area = np.trapezoid(above, time[inside])
            assert peak["area"] == pytest.approx(area, rel=2e-3)
            assert time[inside][above.argmax()] == pytest.approx(peak["top"], abs=0.05)
            assert area == pytest.approx(
                table.loc[table["retention/s"] == peak["top"], "area/count s"].item(), rel=2e-3
            )
            checked += 1
    assert checked == 6
