"""Colours and marks that all pictures share; all of them are readable on white and on dark grey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from orchestrator.export.readings import Kind

BLUE: Final = "#3a7fc1"
ORANGE: Final = "#d9702b"
RED: Final = "#d24545"
AMBER: Final = "#b8860b"
GREY: Final = "#868d98"

SCALE: Final = ("#93a5c6", "#6c86bd", "#7a68ad", "#b5507f", "#dc5f4a", "#e8862c")
"""From poor to good; blue to orange, so that it reads with any colour vision."""


@dataclass(frozen=True)
class Mark:
    """How experiments of a kind are drawn: what a legend says, the colour, and plotly's symbol."""

    label: str
    colour: str
    symbol: str


MARKS: Final[Mapping[Kind, Mark]] = MappingProxyType(
    {
        "valid": Mark("valid", BLUE, "circle"),
        "infeasible": Mark("breaks a constraint", BLUE, "circle-open"),
        "incomplete": Mark("constraint not measured yet", BLUE, "circle-open-dot"),
        "suspect": Mark("suspect", AMBER, "diamond"),
        "invalid": Mark("invalid", GREY, "triangle-up-open"),
        "failed": Mark("failed", RED, "x-thin-open"),
        "waiting": Mark("no result yet", GREY, "line-ew-open"),
    }
)


def shade(share: float) -> str:
    """A colour of the scale.

    Args:
        share: from 0 (poor) to 1 (good).
    """
    place = min(max(share, 0.0), 1.0) * (len(SCALE) - 1)
    left = min(int(place), len(SCALE) - 2)
    a, b = (bytes.fromhex(SCALE[i][1:]) for i in (left, left + 1))
    return "#" + "".join(f"{round(x + (y - x) * (place - left)):02x}" for x, y in zip(a, b, strict=True))
