"""What is not a readable file at all, and which format a file is of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from instruments.readers import FORMATS, ReaderError, Recording, read
from instruments.readers import source as source_module

ReadText = Callable[..., Recording]
Text = Callable[..., str]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it is empty"),
        (b" \r\n\t\n", "it is empty"),
        (b"BIO-LOGIC MODULAR FILE\x1a  \0\0", "a binary file of EC-Lab"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an office program"),
        (b"EXPLAIN\nTAG\tCV\n\0\0\0", "it is a binary file"),
        (b"\xff\xfeE\0X\0P\0L\0A\0I\0N\0\n\0\x00\xd8", "claims to be utf-16"),
        (b"hello", "does not begin like one"),
    ],
)
@pytest.mark.parametrize("name", ["file.dta", "file.mpt"])
def test_no_files_of_instruments(content: bytes, match: str, name: str, read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match=match) as caught:
        read_text(name, content)
    assert caught.value.file == name
    assert caught.value.mend


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    for path, match in [
        (tmp_path / "none.dta", "no such file"),
        (tmp_path, "a folder or a device"),
        (tmp_path / "a\0b", "cannot be opened|no such file"),
        (tmp_path / ("x" * 5000), "cannot be opened"),
        (tmp_path / "none.dta" / "below", "no such file"),
    ]:
        with pytest.raises(ReaderError, match=match) as caught:
            read(path)
        assert caught.value.field == "path"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dta"
    path.write_text("EXPLAIN")
    path.chmod(0)
    with pytest.raises(ReaderError, match="cannot be opened"):
        read(path)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LARGEST", 1024)
    path = tmp_path / "a.dta"
    path.write_bytes(b"EXPLAIN\n" * 200)
    with pytest.raises(ReaderError, match="at most 0 are read"):
        read(path)


def test_the_content_tells_the_format(trace: dict[str, list[float]], eclab_text: Text, read_text: ReadText) -> None:
    text = eclab_text({"time/s": trace["time"], "Ewe/V": trace["potential"], "I/mA": trace["current"]})
    for name in ("trace.mpt", "trace.txt"):
        recording = read_text(name, text)
        assert recording.metadata["format"] == "eclab"
        assert not any("is named" in notice for notice in recording.notices)
    recording = read_text("trace.dta", text)
    assert recording.metadata["format"] == "eclab"
    assert recording.notices[0] == "the file is named .dta, and was read as a file of the format EC-Lab"


def test_a_format_that_the_content_does_not_have(read_text: ReadText) -> None:
    for name, match in [("gamry", "not EXPLAIN"), ("eclab", "not 'EC-Lab ASCII FILE'"), ("fusion", "not valid JSON")]:
        with pytest.raises(ReaderError, match=match):
            read_text("a.csv", "t/s,E/V,I/A\n0,1,2\n", format=name)
    with pytest.raises(ReaderError, match="there is no format 'xml'") as caught:
        read_text("a.csv", "t/s,E/V,I/A\n0,1,2\n", format="xml")
    assert all(name in str(caught.value.mend) for name in FORMATS)
    assert read_text("a.log", "t/s,E/V,I/A\n0,1,2\n", format="csv", cathodic="negative").signals
    with pytest.raises(ReaderError, match="its format is not known"):
        read_text("a.log", "t/s,E/V,I/A\n0,1,2\n")


def test_options_of_other_formats_are_refused(read_text: ReadText) -> None:
    with pytest.raises(ReaderError, match="curve= means nothing for a file of format 'csv'") as caught:
        read_text("a.csv", "t/s,E/V,I/A\n0,1,2\n", curve=1)
    assert caught.value.field == "curve"


def test_the_package_is_light() -> None:
    """Importing it loads neither pandas nor pint."""
    program = (
        "import sys, instruments, instruments.readers; instruments.readers.ReaderError;"
        "heavy = {'pandas', 'pint', 'numpy', 'scipy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_error_says_where_and_what(read_text: ReadText) -> None:
    with pytest.raises(ReaderError) as caught:
        read_text("a.csv", "t/s,E/V,I/A\n0,1,x\n", cathodic="negative")
    assert str(caught.value) == (
        "a.csv, line 2: I/A is 'x', which is no measured number. Restore the value, or leave out the row."
    )
    assert isinstance(caught.value, ValueError)
