"""What the page on instrument files prints is what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "instrument-files.md"
FENCE = re.compile(
    r"^(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def test_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    printed, compared = "", 0
    for block in FENCE.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "python":
            exec(compile(block["text"], str(PAGE), "exec"), names)
            printed = capsys.readouterr().out
        else:
            assert block["text"] == printed
            compared += 1
    assert compared == 4


def test_tables_and_options_are_described() -> None:
    import inspect

    from instruments.readers import FORMATS, read
    from instruments.readers.quantities import TABLES

    page = PAGE.read_text(encoding="utf-8")
    for name, (needed, optional) in TABLES.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert all(f"`{quantity}`" in row for quantity in (*needed, *optional)), name
    for name in FORMATS:
        assert f"| `{name}` |" in page
    described = set(inspect.signature(read).parameters) - {"path"}
    assert not [option for option in described if f"{option}=" not in page]
