"""The instruments that are emulated, as far as scripts can tell them apart.

After appendix B of the MethodSCRIPT manual 1.8. Which types of variable each instrument measures is an assumption: that
the Nexus knows ``ag`` and ``ac``, the EmStat4 ``ac`` and the EmStat Pico neither lets hosts meet all three cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Model:
    """One instrument.

    Attributes:
        version: what follows the family in its firmware's name.
        potentials: V, by mode.
        ranges: nominal currents in A with the index that packages carry, from the smallest.
        shift: what is added to the index where it holds a current.
        full: share of the nominal current that a range measures.
        compliance: between counter and working electrode, V.
        frequency: the highest, Hz.
        measures: types of variable.
    """

    version: str
    potentials: Mapping[int, tuple[float, float]]
    ranges: tuple[tuple[float, int], ...]
    shift: int
    full: float
    compliance: float
    frequency: float
    measures: frozenset[str]


def _decades(smallest: float, indices: range) -> tuple[tuple[float, int], ...]:
    return tuple((smallest * 10.0**i, index) for i, index in enumerate(indices))


_PICO: Final = tuple(
    zip((1e-7, 2e-6, 4e-6, 8e-6, 16e-6, 32e-6, 63e-6, 125e-6, 250e-6, 5e-4, 1e-3, 5e-3), range(12), strict=True)
)
_BASIC: Final = frozenset({"ab", "ba"})

MODELS: Final[Mapping[str, Model]] = {
    "espico": Model(
        version="1600",
        potentials={2: (-1.25, 2.0), 3: (-1.7, 2.0), 4: (-1.7, 2.0)},
        ranges=_PICO,
        shift=0,
        full=0.6,
        compliance=2.6,
        frequency=200e3,
        measures=_BASIC,
    ),
    "es4_lr": Model(
        version="1400",
        potentials=dict.fromkeys((2, 3, 6), (-3.0, 3.0)),
        ranges=_decades(1e-9, range(3, 25, 3)),
        shift=0,
        full=3.0,
        compliance=5.0,
        frequency=200e3,
        measures=_BASIC | {"ac"},
    ),
    "es4_hr": Model(
        version="1400",
        potentials=dict.fromkeys((2, 3, 6), (-6.0, 6.0)),
        ranges=_decades(1e-7, range(9, 28, 3)),
        shift=0,
        full=2.0,
        compliance=8.0,
        frequency=200e3,
        measures=_BASIC | {"ac"},
    ),
    "nexus1": Model(
        version="1100",
        potentials=dict.fromkeys((2, 3, 6), (-10.0, 10.0)),
        ranges=((1e-10, 16), *_decades(1e-9, range(6)), *_decades(1e-3, range(8, 12))),
        shift=32,
        full=1.05,
        compliance=12.0,
        frequency=1e6,
        measures=_BASIC | {"ac", "ag"},
    ),
}

COMMUNICATION: Final = {
    "t": 1, "CC": 32, "CM": 33, "S": 34, "G": 35, "l": 36, "r": 37, "e": 38, "Fmscr": 43, "Lmscr": 44, "i": 48, "v": 49,
    "h": 96, "H": 97, "Z": 98, "Y": 99, "R": 101,
}  # fmt: skip
"""Bits of the answer to ``CC``."""
SCRIPTING: Final = {
    "var": 1, "store_var": 3, "copy_var": 4, "add_var": 5, "sub_var": 6, "mul_var": 7, "div_var": 8, "set_e": 9,
    "wait": 12, "loop": 13, "endloop": 14, "breakloop": 15, "if": 16, "else": 17, "elseif": 18, "endif": 19, "meas": 21,
    "meas_loop_lsv": 23, "meas_loop_cv": 24, "meas_loop_ca": 28, "meas_loop_ocp": 30, "meas_loop_eis": 31,
    "set_autoranging": 32, "pck_start": 33, "pck_add": 34, "pck_end": 35, "set_max_bandwidth": 36, "cell_on": 38,
    "cell_off": 39, "set_pgstat_mode": 40, "send_string": 41, "set_pgstat_chan": 42, "abort": 62, "timer_start": 63,
    "timer_get": 64, "set_range": 65, "set_range_minmax": 66, "meas_loop_cp": 67, "set_i": 68,
}  # fmt: skip
"""Bits of the answer to ``CM``."""


def mask(bits: Mapping[str, int]) -> str:
    """Bits as hexadecimal digits."""
    return f"{sum(1 << bit for bit in bits.values()):032X}"
