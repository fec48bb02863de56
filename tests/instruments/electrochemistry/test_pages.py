"""The pages of the data reduction say what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import instruments.electrochemistry as package
from instruments.electrochemistry import PRODUCTS, REFERENCE_ELECTRODES, RULES, Setup
from instruments.electrochemistry.core import SOURCES
from instruments.electrochemistry.products import SIDE_GASES
from instruments.electrochemistry.rules import as_markdown
from instruments.electrochemistry.setup import Accuracy, Checks

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


@pytest.fixture(scope="module")
def reduction() -> str:
    return (REFERENCE / "data-reduction.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rules() -> str:
    return (REFERENCE / "quality-rules.md").read_text(encoding="utf-8")


def test_the_table_of_rules_is_that_of_the_code(rules: str) -> None:
    assert as_markdown() in rules
    assert len(re.findall(r"^\| `\w+` \| Q\d\d \|", rules, re.MULTILINE)) == len(RULES)


def test_the_command_prints_the_table() -> None:
    command = [sys.executable, "-W", "error", "-m", "instruments.electrochemistry.rules"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == as_markdown()


def test_every_field_of_the_setup_is_described(reduction: str) -> None:
    for record in (Setup, Accuracy, Checks):
        for name in record.model_fields:
            assert f"`{name}`" in reduction, name


def test_every_source_and_species_is_described(reduction: str) -> None:
    for name in set(SOURCES) - {"calibrations"}:  # told by the id of each
        assert f"`{name}`" in reduction, name
    for key in (*PRODUCTS, *SIDE_GASES):
        assert f"`{key}`" in reduction, key


def test_reference_electrodes_are_those_of_the_code(reduction: str) -> None:
    for row in REFERENCE_ELECTRODES.values():
        slope = "not known" if row.slope is None else f"{1e3 * row.slope:g}"
        potential = f"{row.potential:g}" + (" (vs RHE)" if row.scale == "RHE" else "")
        assert f"| `{row.name}` | {potential} | {slope} | {1e3 * row.sem:g} |" in reduction


def test_the_package_is_light_until_it_is_used() -> None:
    code = (
        "import sys, instruments.electrochemistry as e; "
        "heavy = {'pint', 'pandas', 'scipy', 'numpy', 'pydantic'} & set(sys.modules); "
        "assert not heavy, heavy; e.PRODUCTS; assert 'pint' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing
