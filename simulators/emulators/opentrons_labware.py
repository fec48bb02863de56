"""Labware and pipettes that an emulated Opentrons robot knows: definitions made from the pattern of their names."""

from __future__ import annotations

import re
from typing import Any, Final

GRIDS: Final = {
    "wellplate": {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24)},
    "tiprack": {96: (8, 12)},
    "reservoir": {1: (1, 1), 4: (1, 4), 12: (1, 12)},
    "tuberack": {6: (2, 3), 10: (2, 5), 15: (3, 5), 24: (4, 6)},
    "aluminumblock": {24: (4, 6), 96: (8, 12)},
}
CATEGORIES: Final = {
    "wellplate": "wellPlate",
    "tiprack": "tipRack",
    "reservoir": "reservoir",
    "tuberack": "tubeRack",
    "aluminumblock": "aluminumBlock",
}
PIPETTES: Final = {
    "p10_single": (1.0, 10.0, 1),
    "p20_single_gen2": (1.0, 20.0, 1),
    "p20_multi_gen2": (1.0, 20.0, 8),
    "p50_single": (5.0, 50.0, 1),
    "p300_single": (30.0, 300.0, 1),
    "p300_single_gen2": (20.0, 300.0, 1),
    "p300_multi_gen2": (20.0, 300.0, 8),
    "p1000_single_gen2": (100.0, 1000.0, 1),
    "p50_single_flex": (5.0, 50.0, 1),
    "p1000_single_flex": (5.0, 1000.0, 1),
}
"""Smallest and largest volume, uL, and channels."""
_PATTERN: Final = re.compile(
    r"[a-z0-9.]+(?:_[a-z0-9.]+)*?_(\d+)_(wellplate|tiprack|reservoir|tuberack|aluminumblock)"
    r"_(?:[a-z0-9.]+_)*?([\d.]+)(ul|ml)(?:_[a-z0-9._]+)?"
)


def definition(load_name: str, namespace: str, version: int) -> dict[str, Any] | None:
    """The definition of labware; ``None`` where there is none."""
    found = _PATTERN.fullmatch(load_name)
    if found is None or namespace != "opentrons" or version < 1:
        return None
    count, kind = int(found[1]), found[2]
    volume = float(found[3]) * (1000.0 if found[4] == "ml" else 1.0)
    if count not in GRIDS[kind]:
        return None
    rows, columns = GRIDS[kind][count]
    names = [[f"{chr(65 + row)}{column + 1}" for row in range(rows)] for column in range(columns)]
    tips = kind == "tiprack"
    parameters: dict[str, Any] = {
        "format": {96: "96Standard", 384: "384Standard"}.get(count, "irregular"),
        "isTiprack": tips,
        "loadName": load_name,
        "isMagneticModuleCompatible": False,
    }
    if tips:
        parameters |= {"tipLength": 59.3, "tipOverlap": 7.47}
    return {
        "schemaVersion": 2,
        "version": version,
        "namespace": namespace,
        "metadata": {
            "displayName": load_name.replace("_", " "),
            "displayCategory": CATEGORIES[kind],
            "displayVolumeUnits": "µL",
            "tags": [],
        },
        "brand": {"brand": load_name.split("_", maxsplit=1)[0], "brandId": [], "links": []},
        "parameters": parameters,
        "ordering": names,
        "cornerOffsetFromSlot": {"x": 0, "y": 0, "z": 0},
        "dimensions": {"xDimension": 127.76, "yDimension": 85.48, "zDimension": 64.0 if tips else 20.0},
        "wells": {
            name: {
                "depth": 59.3 if tips else 15.0,
                "x": 14.38 + 99.0 * column / max(columns - 1, 1),
                "y": 74.24 - 63.0 * row / max(rows - 1, 1),
                "z": 5.4,
                "totalLiquidVolume": volume,
                "diameter": 5.23,
                "shape": "circular",
            }
            for column, names_of in enumerate(names)
            for row, name in enumerate(names_of)
        },
        "groups": [{"wells": [name for column in names for name in column], "metadata": {}}],
    }
