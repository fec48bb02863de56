"""The validation page says what the model does."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program that makes the page; its modules are neighbours, as when it is run."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "validation")
    before = set(sys.modules)
    yield importlib.import_module("make")
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(ROOT / "docs")):
            del sys.modules[name]


def same(old: str, new: str) -> bool:
    """Equal texts, and numbers equal to a unit of their last place; rounding errors (1e-12) only stay small."""
    if NUMBER.sub("#", old) != NUMBER.sub("#", new):
        return False
    for a, b in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
        if a == b:
            continue
        if "e" in a:
            if max(float(a), float(b)) > 1e-6:
                return False
            continue
        digits = len(a.partition(".")[2])
        if abs(float(a) - float(b)) > 1.5 * 10.0**-digits:
            return False
    return True


@pytest.mark.parametrize("section", ["hori", "kuhl", "order_of_products", "series", "film", "optima"])
def test_a_section_is_what_the_program_writes(section: str, program: ModuleType) -> None:
    page = (ROOT / "docs" / "reference" / "validation.md").read_text(encoding="utf-8").splitlines()
    made = getattr(program, section)().splitlines()
    begin = page.index(made[0])
    for old, new in zip(page[begin : begin + len(made)], made, strict=True):
        assert same(old, new), f"{old}\n{new}\nmake validation writes the page anew"


@pytest.mark.parametrize("section", ["hori", "kuhl", "order_of_products", "film"])
def test_every_tolerance_is_kept(section: str, program: ModuleType) -> None:
    assert "**no**" not in getattr(program, section)()


@pytest.mark.soak
def test_the_whole_page_and_its_pictures_can_be_made(tmp_path: Path, program: ModuleType) -> None:
    (tmp_path / "reference").mkdir()
    (tmp_path / "pictures").mkdir()
    program.main(tmp_path)
    page = (ROOT / "docs" / "reference" / "validation.md").read_text(encoding="utf-8").splitlines()
    made = (tmp_path / "reference" / "validation.md").read_text(encoding="utf-8").splitlines()
    assert len(page) == len(made)
    counts = made.index("## Quality control")  # a verdict at its very threshold may fall to either side elsewhere
    for old, new in zip(page[:counts], made[:counts], strict=True):
        assert same(old, new), f"{old}\n{new}"
    assert "**no**" not in "\n".join(made[counts:])
    names = {path.name for path in (tmp_path / "pictures").glob("*.svg")}
    assert names == {f"validation-{name}.svg" for name in ("hori", "kuhl", "gde")}
