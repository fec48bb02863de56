"""The element table: descriptors and calibrated constants, with their sources in ``data/metals.json``."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

STEPS: Final = (
    "co2_to_co",
    "co2_to_formate",
    "water_to_h2",
    "buffer_to_h2",
    "co_desorption",
    "co_to_methane",
    "co_coupling",
)
"""Elementary steps with a rate constant, in the order of all tensors of constants."""


@cache
def element_table() -> MappingProxyType[str, Any]:
    """Element symbol to its row of ``data/metals.json``."""
    text = files("simulators").joinpath("data/metals.json").read_text(encoding="utf-8")
    return MappingProxyType(json.loads(text)["elements"])


@cache
def element_names() -> tuple[str, ...]:
    """The elements that the model knows."""
    return tuple(element_table())
