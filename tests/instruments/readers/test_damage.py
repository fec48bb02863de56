"""Real files, cut and damaged at random: data or one clear error, and never a number that is not in the file."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from instruments.readers import ReaderError, Recording, read

TEXTS = [
    "Pt_poly_cv_CUT.mpt",
    "chronoa_data.dta",
    "chronoa_de_data.dta",
    "cv_data.dta",
    "eispot_data_curveaborted.dta",
    "exampleDataBioLogic.mpt",
    "exampleDataGamry.DTA",
    "ocp_data.dta",
]
OTHERS = [
    "cv_data_incompleteheader.dta",
    "exampleDataBioLogic_MissingFreq.mpt",
    "fusion_gc_15p_cu_10ma.fusion-data.json",
]


def attempt(path: Path) -> Recording | None:
    """What is read, or nothing where there was one clear error."""
    wrong: ReaderError | None = None
    try:
        return read(path, timezone="UTC")
    except ReaderError as error:
        wrong = error
    assert wrong.file == path.name
    assert wrong.mend
    assert str(wrong).startswith(path.name)
    return None


@pytest.mark.parametrize("name", TEXTS)
def test_a_cut_file_gives_the_beginning_of_its_data(real: Path, tmp_path: Path, name: str) -> None:
    content = (real / name).read_bytes()
    whole = read(real / name, timezone="UTC")
    size, (kind, frame) = len(content), list(whole.signals.items())[-1]
    chance = random.Random(name)
    cuts = [chance.randrange(1, size) for _ in range(50)] + [size - back for back in range(1, 40)]
    found = 0
    for cut in cuts:
        path = tmp_path / name
        path.write_bytes(content[:cut])
        recording = attempt(path)
        if recording is None or kind not in recording.signals:
            continue
        part = recording.signals[kind]
        # one curve alone has no cycle, an open circuit alone its own clock, and the cell voltage depends on all points
        own = {"cycle", "cell_voltage/V"} | ({"time/s"} if kind == "open_circuit" else set())
        assert set(part) - own <= set(frame)
        for column in set(part) - own:
            assert part[column].tolist() == frame[column].tolist()[: len(part)], (cut, column)
        found += 1
    assert found > 20


@pytest.mark.parametrize("name", [*TEXTS, *OTHERS])
def test_a_damaged_file_gives_data_or_one_error(
    real: Path, tmp_path: Path, name: str, all_known: Callable[[Recording], bool]
) -> None:
    content = (real / name).read_bytes()
    chance = random.Random(name)
    for _ in range(60 if len(content) < 100_000 else 25):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 1, 3, 20])):
            place = chance.randrange(len(damaged))
            match chance.randrange(5):
                case 0:
                    damaged[place] = chance.randrange(256)
                case 1:
                    del damaged[place : place + chance.randrange(1, 200)]
                case 2:
                    damaged[place:place] = damaged[place : place + chance.randrange(1, 200)]
                case 3:
                    damaged[place] = chance.choice(b"\t\n,.;-+eE0123456789\"'{}[]NaI")
                case 4:
                    damaged[place:place] = bytes(
                        chance.choice([b"\t", b"\n", b"\r\n", b",", b"nan", b"1e999", b"\xff\xfe"])
                    )
        path = tmp_path / name
        path.write_bytes(damaged)
        recording = attempt(path)
        if recording is not None:
            assert recording.signals
            assert all(len(table) for table in recording.signals.values())
            assert all_known(recording)
