"""Intermediate results of a reduction, for the figures as well as for what is found about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.electrochemistry.chromatography import Gases
from instruments.electrochemistry.liquid_analysis import Amounts
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.reading import Reading
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.trends import Line
from instruments.electrochemistry.uncertain import Uncertain, Value


@dataclass(frozen=True, eq=False)
class Efficiencies:
    """Faradaic efficiencies of E experiments by product, P of them.

    Attributes:
        keys: of the products.
        values: [E, P].
        limits: the least that could be seen, NaN where not known, [E, P].
        below: where it was less than that, [E, P].
        absent: where nothing was seen and the limit is not known, [E, P].
    """

    keys: tuple[str, ...]
    values: Uncertain
    limits: Floats
    below: Flags
    absent: Flags

    def numbers(self, attribute: str) -> Floats:
        """A number of the product table by product, [P]."""
        return np.array([getattr(PRODUCTS[key], attribute) for key in self.keys], dtype=float)


@dataclass(frozen=True, eq=False)
class Balance:
    """Flows of carbon, mol s-1, [E] (rates by product [E, P]); ``None`` where they are not known."""

    rates: Uncertain
    feed: Value | None = None
    inlet: Value | None = None
    co2: Value | None = None
    carbonate: Value | None = None
    conversions: Uncertain | None = None


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that findings about an experiment may look at."""

    reading: Reading
    gases: Gases | None
    amounts: Amounts | None
    efficiencies: Efficiencies
    current: Value
    potential: Value | None
    balance: Balance
    hydrogen: Line | None
