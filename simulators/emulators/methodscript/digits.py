"""How an instrument writes numbers into packages, and reads them in scripts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

PREFIXES: Final = "afpnum kMGTPE"
"""From 1e-18 to 1e18 in steps of a thousand."""
SCALES: Final[Mapping[str, float]] = {prefix: 10.0 ** (3 * i - 18) for i, prefix in enumerate(PREFIXES)}
HALF: Final = 0x8000000
"""Stands for zero in seven hexadecimal digits."""
_NUMBER: Final = re.compile(r"([+-]?\d+)([afpnumkMGTPEi]?)")
_BITS: Final = re.compile(r"0x([0-9A-Fa-f]+)i?|0b([01]+)i?")


def packed(value: float, integer: bool = False) -> str:
    """Seven digits and a prefix: the finest in which the value has room."""
    if integer:
        return f"{int(value) + HALF:07X}i"
    if not math.isfinite(value):
        return "     nan"
    if value == 0.0:
        return f"{HALF:07X} "
    for prefix in PREFIXES:
        count = round(value / SCALES[prefix])
        if -HALF <= count < HALF:
            return f"{count + HALF:07X}{prefix}"
    return "     nan"


def read(text: str) -> tuple[float, bool] | None:
    """Value of a literal and whether it is an integer; ``None`` for what is no literal."""
    if bits := _BITS.fullmatch(text):
        return float(int(bits[1], 16) if bits[1] else int(bits[2], 2)), True
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    count, prefix = int(match[1]), match[2]
    if abs(count) >= 2**31:
        return None
    if prefix == "i":
        return float(count), True
    power = 3 * PREFIXES.index(prefix or " ") - 18
    return (count / 10**-power if power < 0 else float(count * 10**power)), False
