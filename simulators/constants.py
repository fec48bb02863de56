"""What the virtual cell makes, and the constants that it shares with the reduction of data."""

from __future__ import annotations

from typing import Final

from instruments.electrochemistry.constants import FARADAY, GAS_CONSTANT, ROOM_TEMPERATURE, SCCM
from instruments.electrochemistry.products import PRODUCTS

__all__ = [
    "FARADAY",
    "FIGURES",
    "GAS_CONSTANT",
    "MA_PER_CM2",
    "MULTICARBON",
    "PRODUCTS",
    "ROOM_TEMPERATURE",
    "SCCM",
    "SIMULATED",
]

MA_PER_CM2: Final = 10.0
"""One mA cm-2 in A m-2."""

SIMULATED: Final = ("h2", "co", "hcoo", "ch4", "c2h4", "c2h5oh", "ch3coo", "c3h7oh")
"""The products that the virtual cell makes, in the order of all its rate tensors."""

MULTICARBON: Final = tuple(key for key in SIMULATED if PRODUCTS[key].carbons > 1)
"""Those with two or more carbon atoms: ``c2plus``."""

FIGURES: Final = (
    *(f"fe_{product}" for product in SIMULATED),
    "fe_c2plus",
    "fe_total",
    "j_total",
    *(f"j_{product}" for product in SIMULATED),
    "j_c2plus",
    "e_rhe",
    "u_cell",
    *(f"ee_{product}" for product in SIMULATED),
    "ee_c2plus",
    "spc_co2",
    "co2_carbonate",
)
"""The figures of merit of a simulated experiment, in the order of their tensors."""
