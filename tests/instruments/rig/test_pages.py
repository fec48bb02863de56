"""What the pages about rigs say is so."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from instruments.device import DeviceOptions
from instruments.errors import LabError
from instruments.rig.cells import CellBlock
from instruments.rig.file import RigFile
from instruments.rig.interlocks import SHORTEST_STALE, Interlock
from instruments.rig.roles import DEFAULT_ORDER, ROLES
from instruments.rig.safety_file import SafetyBlock

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "rig-file.md").read_text(encoding="utf-8")
SAFETY = (DOCS / "explanation" / "safety.md").read_text(encoding="utf-8")


def described(text: str) -> set[str]:
    """What is in code letters in the first column of a table."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize("model", [RigFile, SafetyBlock, Interlock, CellBlock, DeviceOptions])
def test_every_key_is_described(model: type) -> None:
    left_out = {"setup"}  # a cell's own keys stand in the file where the model has a setup
    assert set(model.model_fields) - left_out <= described(PAGE)  # type: ignore[attr-defined]


def test_every_role_is_described() -> None:
    assert described(PAGE) >= ROLES
    for number, stage in enumerate(DEFAULT_ORDER, start=1):
        names = ", ".join(f"`{role}`" for role in stage)
        assert f"| {number} | {names} |" in SAFETY


def test_the_numbers_are_those_of_the_program() -> None:
    block = SafetyBlock()
    assert f"| `heartbeat` | {block.heartbeat.value:g} s |" in PAGE
    assert f"| `tries` | {block.tries} |" in PAGE
    assert f"| `bound` | {block.bound.value:g} s |" in PAGE
    assert f"| `disconnect_after` | {block.disconnect_after.value:g} s |" in PAGE
    assert f"| `stale` | {SHORTEST_STALE:g} s, or four periods |" in PAGE


def test_the_example_is_a_rig_file() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[:1]
    data = YAML(typ="safe", pure=True).load(block)
    try:
        file = RigFile.parse(data)
    except LabError as problem:
        if "cannot be imported" in str(problem) or "there is no driver" in str(problem):
            pytest.skip(f"a driver of the example is not installed: {problem}")
        raise
    assert file.safety_plan.stages[0] == ("potentiostat-1",)
    assert list(file.safety_plan.disconnects) == ["potentiostat-1"]
