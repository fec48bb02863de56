"""The validation page says what the model does."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_validation", ROOT / "docs" / "make_validation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


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
def test_a_section_is_what_the_program_writes(section: str) -> None:
    page = (ROOT / "docs" / "reference" / "validation.md").read_text(encoding="utf-8").splitlines()
    made = getattr(program(), section)().splitlines()
    begin = page.index(made[0])
    for old, new in zip(page[begin : begin + len(made)], made, strict=True):
        assert same(old, new), f"{old}\n{new}\nmake validation writes the page anew"


@pytest.mark.parametrize("section", ["hori", "kuhl", "order_of_products", "film"])
def test_every_tolerance_is_kept(section: str) -> None:
    assert "**no**" not in getattr(program(), section)()


@pytest.mark.soak
def test_the_whole_page_and_its_pictures_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = program()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PAGE", tmp_path / "validation.md")
    monkeypatch.setattr(module, "PICTURES", tmp_path)
    module.main()
    page = (ROOT / "docs" / "reference" / "validation.md").read_text(encoding="utf-8").splitlines()
    made = (tmp_path / "validation.md").read_text(encoding="utf-8").splitlines()
    assert len(page) == len(made)
    counts = made.index("## Quality control")  # a verdict at its very threshold may fall to either side elsewhere
    for old, new in zip(page[:counts], made[:counts], strict=True):
        assert same(old, new), f"{old}\n{new}"
    assert "**no**" not in "\n".join(made[counts:])
    assert {path.name for path in tmp_path.glob("*.svg")} == {f"validation-{n}.svg" for n in ("hori", "kuhl", "gde")}
