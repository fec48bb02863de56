"""What changes a cell with time: constants of the ageing, all of them simulator parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from simulators.constants import PRODUCTS, SIMULATED
from simulators.errors import ChemistryError
from simulators.settings import CellKind

Parameter: TypeAlias = float | npt.NDArray[np.float64] | Tensor
"""One number, or one for each experiment."""

LIQUIDS: Final = tuple(key for key in SIMULATED if PRODUCTS[key].phase == "liquid")
"""Products that stay in the electrolyte, in the order of all arrays of them."""

LEACHING: Final = frozenset({"Zn", "Al", "Ga", "In", "Bi", "Fe"})
"""Elements that dissolve from the surface."""

SALT_LIMITS: Final[Mapping[CellKind, float]] = MappingProxyType({"h_cell": 1e3, "gde": 1.5, "mea": 0.06})
"""Product of the electrolyte's cations and the carbonate at the catalyst beyond which salt falls out, mol2 L-2."""

CLEAN_PRESSURE_DROP: Final = 1500.0
"""Across a gas channel and its electrode without salt, Pa."""

BLOCKED: Final = 0.8
"""Share of closed pores beyond which a gas-diffusion electrode counts as blocked."""

RINSED: Final = 0.1
"""Share of closed pores that a rinse leaves at most."""


@dataclass(frozen=True)
class Degradation:
    """How a cell ages. Rates are for an hour.

    Attributes:
        impurity: of the electrolyte, relative to salt as bought; 0.02 after purification.
        poisoning: of the sites by impurities, at an impurity of 1, h-1.
        growth: of the surface by restructuring in the end, relative.
        growth_time: over which it restructures, h.
        flooding: of a gas-diffusion electrode at -0.8 V vs RHE, h-1: 0.01 for carbon with a microporous layer, 0.05
            once aged, 2 without carbon.
        salting: rate at which salt closes pores at twice its limit, h-1.
        salt_limit: mol2 L-2; by default that of the kind of cell.
        rinsing: rate at which humid gas takes salt away, h-1.
        leaching: of :data:`LEACHING` elements under cathodic protection, h-1.
        open_leaching: the same at open circuit, h-1.
        open_time: at open circuit before the electrolysis, h.
        bubbles: share of gas in the electrolyte at 100 mA cm-2.
        stripping: loss of dissolved products with the gas, h-1.
        crossover: of dissolved products through the membrane, h-1.
        carried: share of the current that the catholyte's own anions carry out of it; the rest is left as alkalinity.
        rinses: times at which the gas side is rinsed, s.
        pulses: times of anodic pulses, which clean the sites of impurities, s.
    """

    impurity: Parameter = 0.02
    poisoning: Parameter = 1.5
    growth: Parameter = 0.2
    growth_time: float = 1.0 / 3.0
    flooding: Parameter = 0.01
    salting: Parameter = 0.5
    salt_limit: Parameter | None = None
    rinsing: Parameter = 0.0
    leaching: Parameter = 0.012
    open_leaching: Parameter = 0.30
    open_time: float = 1.0 / 60.0
    bubbles: Parameter = 0.03
    stripping: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"c2h5oh": 0.02, "c3h7oh": 0.03}))
    crossover: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"hcoo": 0.05, "ch3coo": 0.05}))
    carried: Parameter = 0.95
    rinses: tuple[float, ...] = ()
    pulses: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rates below zero and losses of products that do not dissolve."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                strange = set(value) - set(LIQUIDS)
                if strange:
                    raise ChemistryError(
                        f"{sorted(strange)[0]} does not stay in the electrolyte.",
                        field=each.name,
                        mend=f"Name some of {', '.join(LIQUIDS)}.",
                    )
                value = list(value.values())
            if value is not None and not bool((np.asarray(value, dtype=float) >= 0.0).all()):
                raise ChemistryError(
                    f"{each.name} is negative or not a number.", field=each.name, mend="Give 0 or more."
                )

    def spread(self, count: int) -> Degradation:
        """The same constants, each parameter as an array with one entry an experiment."""
        shared = ("growth_time", "open_time")
        arrays: dict[str, Any] = {
            each.name: np.broadcast_to(np.asarray(value, dtype=float).reshape(-1), count)
            for each in fields(self)
            if each.name not in shared
            and isinstance(value := getattr(self, each.name), int | float | np.ndarray | Tensor)
        }
        return replace(self, **arrays)

    def numbers(self, rows: npt.NDArray[np.int64]) -> Callable[[str], npt.NDArray[np.float64]]:
        """A look-up of spread parameters for the experiments of some rows."""
        return lambda name: np.asarray(getattr(self, name)[rows])

    @classmethod
    def none(cls) -> Degradation:
        """Nothing changes but the amount of liquid products."""
        return cls(
            impurity=0.0,
            growth=0.0,
            flooding=0.0,
            salting=0.0,
            leaching=0.0,
            open_leaching=0.0,
            bubbles=0.0,
            stripping=MappingProxyType({}),
            crossover=MappingProxyType({}),
            carried=1.0,
        )
