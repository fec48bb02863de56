"""How experiments are run: the kind of cell, what is held, and the settings of a batch as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from torch import Tensor

from simulators._torch import Record, double
from simulators.constants import ROOM_TEMPERATURE, SCCM
from simulators.control import conductivity
from simulators.errors import ChemistryError
from simulators.film import CATIONS
from simulators.settings import CellKind

Control: TypeAlias = Literal["potential", "current"]
Salt: TypeAlias = Literal["bicarbonate", "hydroxide"]

DEFAULT_CONCENTRATION: Final = 100.0
"""mol m-3 of the salt."""

DEFAULT_THICKNESS: Final = 100e-6
"""m; the boundary layer of a stirred H-cell."""

DEFAULT_INLET: Final = 20.0 * SCCM / 1e-4
"""CO2 that enters the gas channel, mol m-2 s-1: twenty standard cubic centimetres a minute for each cm2."""


@dataclass(frozen=True)
class CellDesign:
    """What a kind of cell has by default; simulator parameters.

    Attributes:
        thickness: of the boundary layer, or of the membrane, m.
        roughness: real over geometric area of the cathode.
        gap: of electrolyte that the current crosses, m.
        contact: resistance of leads and membrane, ohm m2.
    """

    thickness: float
    roughness: float
    gap: float
    contact: float


DESIGNS: Final = MappingProxyType(
    {
        "h_cell": CellDesign(thickness=DEFAULT_THICKNESS, roughness=1.0, gap=5e-3, contact=2e-4),
        "gde": CellDesign(thickness=50e-6, roughness=30.0, gap=1.5e-3, contact=5e-5),
        "mea": CellDesign(thickness=50e-6, roughness=30.0, gap=0.0, contact=8e-5),
    }
)


@dataclass(frozen=True)
class Conditions(Record):
    """How a batch of experiments is run; every tensor has one entry an experiment.

    Attributes:
        potential: V vs RHE at the bulk pH, as applied; not a number where the current is held.
        temperature: K.
        concentration: of the salt, mol m-3.
        salting_out: parameter of the cation, m3 kmol-1.
        promotion: of CO2 activation by the cation.
        thickness: of the boundary layer or membrane, m.
        pressure: of CO2, atm.
        current: mA cm-2, a positive cathodic magnitude; not a number where the potential is held.
        hydroxide: 1 where the salt is a hydroxide, 0 where it is a bicarbonate.
        resistance: of the cell times its area, ohm m2.
        uncompensated: share of it that stands between applied and interfacial potential.
        inlet: CO2 that enters, mol m-2 s-1 over the geometric area.
        flooded: share of a gas-diffusion electrode that gas does not reach.
        crust: share of its pores that salt closes.
        bubbles: share of gas in the electrolyte at 100 mA cm-2, which raises the resistance.
        cell: kind of cell, the same for the batch.
        control: what is held, the same for the batch.
    """

    potential: Tensor
    temperature: Tensor
    concentration: Tensor
    salting_out: Tensor
    promotion: Tensor
    thickness: Tensor
    pressure: Tensor
    current: Tensor
    hydroxide: Tensor
    resistance: Tensor
    uncompensated: Tensor
    inlet: Tensor
    flooded: Tensor
    crust: Tensor
    bubbles: Tensor
    cell: CellKind = "h_cell"
    control: Control = "potential"

    def each(self, change: Callable[[Tensor], Tensor]) -> Conditions:
        """The same conditions with every tensor changed."""
        kept = ("cell", "control")
        changed: dict[str, Any] = {f.name: change(getattr(self, f.name)) for f in fields(self) if f.name not in kept}
        return replace(self, **changed)

    @property
    def design(self) -> CellDesign:
        """What this kind of cell has by default."""
        return DESIGNS[self.cell]


def conditions(
    potential: object = None,
    *,
    current: object = None,
    cell: CellKind = "h_cell",
    temperature: object = ROOM_TEMPERATURE,
    concentration: object = DEFAULT_CONCENTRATION,
    cation: str | Sequence[str] = "K",
    salt: Salt | Sequence[Salt] = "bicarbonate",
    thickness: object = None,
    pressure: object = 1.0,
    resistance: object = None,
    compensation: object = 1.0,
    inlet: object = DEFAULT_INLET,
    flooded: object = 0.0,
    crust: object = 0.0,
    bubbles: object = 0.0,
) -> Conditions:
    """Conditions of a batch; everything broadcasts against everything.

    Args:
        potential: V vs RHE at the bulk pH: to hold it. It is the potential of the interface where all of the ohmic
            drop is compensated.
        current: mA cm-2, a positive cathodic magnitude: to hold it instead.
        cell: its kind, one for the batch.
        temperature: K.
        concentration: of the salt, mol m-3.
        cation: its symbol, or one for each experiment.
        salt: ``bicarbonate`` or ``hydroxide``, or one for each experiment.
        thickness: of the boundary layer or membrane, m; by default that of the kind of cell.
        pressure: of CO2, atm.
        resistance: of the cell times its area, ohm m2; by default from leads, gap and conductivity.
        compensation: share of the resistance that the instrument compensates.
        inlet: CO2 that enters, mol m-2 s-1 over the geometric area.
        flooded: share of a gas-diffusion electrode that gas does not reach, 0 to 1.
        crust: share of its pores that salt closes, 0 to below 1.
        bubbles: share of gas in the electrolyte at 100 mA cm-2, which raises the resistance.

    Raises:
        ChemistryError: neither or both of potential and current are given, or an H-cell has a hydroxide electrolyte.
    """
    if (potential is None) == (current is None):
        raise ChemistryError(
            "a cell holds either its potential or its current.", field="potential", mend="Give exactly one of the two."
        )
    if cell not in DESIGNS:
        raise ChemistryError(f"there is no cell {cell!r}.", field="cell", mend=f"There are {', '.join(DESIGNS)}.")
    salts = [salt] if isinstance(salt, str) else list(salt)
    for each in salts:
        if each not in ("bicarbonate", "hydroxide"):
            raise ChemistryError(f"there is no salt {each!r}.", field="salt", mend="Use bicarbonate or hydroxide.")
    if cell == "h_cell" and "hydroxide" in salts:
        raise ChemistryError(
            "CO2 turns the hydroxide of an H-cell into bicarbonate.", field="salt", mend="Use bicarbonate."
        )
    symbols = [cation] if isinstance(cation, str) else list(cation)
    salting, promotion, mobility = double([CATIONS[symbol] for symbol in symbols]).unbind(-1)
    design = DESIGNS[cell]
    hydroxide = double([float(each == "hydroxide") for each in salts])
    warmth, molarity = double(temperature).reshape(-1), double(concentration).reshape(-1)
    _check("temperature", warmth)
    _check("concentration", molarity)
    if resistance is None:
        resistance = design.contact + design.gap / _conductivity(molarity, warmth, mobility, hydroxide)
    columns: tuple[object, ...] = (
        float("nan") if potential is None else potential,
        warmth,
        molarity,
        salting,
        promotion,
        design.thickness if thickness is None else thickness,
        pressure,
        float("nan") if current is None else current,
        hydroxide,
        resistance,
        1.0 - double(compensation),
        inlet,
        flooded,
        crust,
        bubbles,
    )
    tensors = [double(column).reshape(-1) for column in columns]
    count = max(len(column) for column in tensors)
    control: Control = "potential" if current is None else "current"
    settings: dict[str, Any] = dict(zip((field.name for field in fields(Conditions)), tensors, strict=False))
    for name, column in settings.items():
        if name not in get_args(Control) or name == control:  # what is not held is not a number
            _check(name, column)
        settings[name] = column.expand(count)
    return Conditions(**settings, cell=cell, control=control)


_RANGES: Final = MappingProxyType(
    {
        "potential": (-math.inf, math.inf, "V vs RHE"),
        "current": (0.0, math.inf, "mA cm-2, more than 0"),
        "temperature": (250.0, 400.0, "K"),
        "concentration": (0.0, 12_000.0, "mol m-3, more than 0"),
        "thickness": (0.0, 1.0, "m, more than 0"),
        "pressure": (-1e-300, 1e3, "atm"),
        "resistance": (-1e-300, math.inf, "ohm m2"),
        "uncompensated": (-1e-300, 2.0, "of the resistance; compensation is at most 1"),
        "inlet": (0.0, math.inf, "mol m-2 s-1, more than 0"),
        "flooded": (-1e-300, 1.0 + 1e-12, "of the electrode, 0 to 1"),
        "crust": (-1e-300, 1.0, "of the pores, 0 to below 1"),
        "bubbles": (-1e-300, 1.0, "of the electrolyte, 0 to below 1"),
    }
)
"""Open intervals in which settings mean something, and their units."""


def _check(name: str, column: Tensor) -> None:
    """Refuse a setting without meaning."""
    if name not in _RANGES:
        return
    low, high, unit = _RANGES[name]
    values = column.detach().numpy()
    if not (
        low < values.item() < high if len(values) == 1 else len(values) and ((low < values) & (values < high)).all()
    ):
        wrong = next((each for each in values.tolist() if not low < each < high), "empty")
        raise ChemistryError(f"{name} is {wrong}.", field=name, mend=f"It is a number of {unit}.")


def _conductivity(*columns: Tensor) -> Tensor:
    """As :func:`simulators.control.conductivity`, without torch's overhead where no gradient is wanted."""
    if any(column.requires_grad for column in columns):
        traced: Tensor = conductivity(*columns)
        return traced
    return double(conductivity(*(column.numpy() for column in columns)))
