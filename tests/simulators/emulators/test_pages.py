"""What the page about emulated instruments says is so."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import simulators.emulators
from simulators.emulators.catalog import BUILDERS
from simulators.emulators.control import ControlDesk
from simulators.emulators.emulator import Emulator
from simulators.emulators.faults import ON_THE_WIRE
from simulators.emulators.rig import EmulatedRig

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "emulators.md").read_text(encoding="utf-8")


def table(heading: str, text: str) -> str:
    """The first table under a heading."""
    found = re.search(rf"^#+ {heading}$.*?^(\|.*?)(?=^[^|]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1].strip()


def own_faults() -> dict[str, dict[str, str]]:
    """Faults of their own, by kind of instrument."""
    found = {}
    for module in pkgutil.walk_packages(simulators.emulators.__path__, "simulators.emulators."):
        for one in vars(import_module(module.name)).values():
            mine = isinstance(one, type) and issubclass(one, Emulator) and one.__module__ == module.name
            if mine and one.own_faults:
                found[module.name.split(".")[2]] = dict(one.own_faults)
    return dict(sorted(found.items()))


def test_faults_on_the_wire_are_those_that_can_be_armed() -> None:
    rows = [f"| `{name}` | {text} |" for name, text in ON_THE_WIRE.items()]
    assert table("Faults on the wire", PAGE) == "\n".join(["| fault | what happens |", "| --- | --- |", *rows])


def test_faults_of_instruments_are_those_that_can_be_armed() -> None:
    rows = [
        f"| `{kind}` | `{name}` | {text} |" for kind, faults in own_faults().items() for name, text in faults.items()
    ]
    heads = ["| instrument | fault | what happens |", "| --- | --- | --- |"]
    assert table("Faults of instruments", PAGE) == "\n".join([*heads, *rows])


def test_every_kind_of_instrument_is_named() -> None:
    for kind in BUILDERS:
        assert f"`{kind}`" in PAGE, kind


def test_requests_of_the_control_desk_are_those_that_it_describes_itself() -> None:
    described = import_module(ControlDesk.__module__).__doc__
    for request in re.findall(r"``((?:GET|POST|DELETE) /\w+)``", described or ""):
        assert f"| `{request}` |" in PAGE


@pytest.mark.parametrize(
    "key", re.findall(r"``(\w+)``", (EmulatedRig.__doc__ or "").split("says:")[1].split("Args")[0])
)
def test_every_key_of_the_block_is_described(key: str) -> None:
    assert f"`{key}`" in table("The block `emulation`", PAGE)
