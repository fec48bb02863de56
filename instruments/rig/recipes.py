"""From a composition to volumes that a pipette can dispense, and back to the composition that these volumes make.

A deposit of ``n`` moles in all takes ``V_i = x_i n / c_i`` of the precursor of element ``i``. A pipette dispenses in
steps and not below a minimum: volumes are rounded to its steps, what is too little is taken from a dilution, and the
composition that is told as executed is that of the rounded volumes, ``x_i = c_i V_i / sum_j c_j V_j``. Its uncertainty
is propagated to first order (GUM, JCGM 100) from each dispense and each concentration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Quantity, Ratio, Volume, quantity
from instruments.errors import LabError
from instruments.lab import Parameters
from instruments.rig.stock import Precursor, Stock

MICROLITRE: Final = 1e9
"""uL in a cubic metre."""
NOTHING: Final = 1e-6
"""A mole fraction below this is none: it comes from the arithmetic of a search space."""
SUM: Final = 2e-3
"""How far fractions may be from a sum of 1."""

Amount = Annotated[Quantity, BeforeValidator(lambda given: quantity(given, "mol"))]


class RecipeError(LabError):
    """A composition cannot be made. ``field`` is the component's column, or the part of the recipe."""


class Recipe(Declared):
    """The block ``recipe`` of a rig file: how a composition becomes a deposit.

    Attributes:
        prefix: of the columns with mole fractions, ``x`` for ``x_Cu``.
        amount: of metal in a deposit, moles; or give ``volume``.
        volume: of the mixed precursors; with ``amount`` as well, the rest of it is filled up with ``solvent``.
        minimum: the smallest volume that is dispensed.
        step: of the pipette.
        largest: volume of one dispense; more is dispensed in several portions.
        accuracy: standard uncertainty of one dispense, relative to it.
        floor: the same for a small one; both are added in quadrature.
        most_components: in one deposit.
        vessel: what a well holds in which a deposit is mixed.
        deposit: of the mixture that goes onto the electrode; by default all.
        dilutions: by precursor, factors of intermediate dilutions for what is too little to be dispensed.
        dilution_volume: of each intermediate dilution, made fresh in a well of its own.
        mix: times that the mixture is drawn up and dispensed.
    """

    prefix: str = "x"
    amount: Amount | None = None
    volume: Volume | None = None
    minimum: Volume = Quantity(2e-9, "m3")
    step: Volume = Quantity(1e-10, "m3")
    largest: Volume = Quantity(3e-7, "m3")
    accuracy: Ratio = Quantity(0.01, "1")
    floor: Volume = Quantity(0.0, "m3")
    most_components: int | None = Field(default=None, ge=1)
    vessel: Volume | None = None
    deposit: Volume | None = None
    dilutions: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    dilution_volume: Volume = Quantity(2e-7, "m3")
    mix: int = Field(default=3, ge=0, le=50)

    @model_validator(mode="after")
    def _possible(self) -> Recipe:
        if self.amount is None and self.volume is None:
            raise LabError("nothing says how much is made.", field="amount", mend="Give `amount` or `volume`.")
        for name in ("amount", "volume", "minimum", "step", "largest", "vessel", "deposit", "dilution_volume"):
            value = getattr(self, name)
            if value is not None and value.value <= 0.0:
                raise LabError(f"{name}: must be more than 0.", field=name)
        for name in ("accuracy", "floor"):
            if getattr(self, name).value < 0.0:
                raise LabError(f"{name}: must not be negative.", field=name)
        if self.minimum.value < self.step.value or self.largest.value < self.minimum.value:
            raise LabError("volumes must rise from `step` over `minimum` to `largest`.", field="minimum")
        smallest = self.minimum.value * (1.0 - 1e-9)
        for name, factors in self.dilutions.items():
            for factor in factors:
                if factor <= 1.0 or self.dilution_volume.value / factor < smallest:
                    raise LabError(
                        f"a dilution of {name} by {factor:g} cannot be made: its factor must be more than 1, and"
                        f" {_microlitres(self.dilution_volume):g} uL over it at least the minimum dispense.",
                        field=f"dilutions.{name}",
                        mend="Give a smaller factor, or a larger `dilution_volume`.",
                    )
        return self

    def columns(self, stock: Stock) -> tuple[str, ...]:
        """The columns of a search space that it understands."""
        return tuple(dict.fromkeys(f"{self.prefix}_{one.element}" for one in stock.precursors.values()))

    def composition(self, parameters: Parameters) -> dict[str, float] | None:
        """Mole fractions by element, those that are none left out; ``None`` where no column is about them.

        Raises:
            RecipeError: a fraction is none, or they do not sum to 1.
        """
        head = f"{self.prefix}_"
        given = {name.removeprefix(head): value for name, value in parameters.items() if name.startswith(head)}
        if not given:
            return None
        for element, value in given.items():
            if isinstance(value, str) or not math.isfinite(value) or not -NOTHING <= value <= 1.0 + SUM:
                raise RecipeError(f"{head}{element}: {value!r} is no mole fraction.", field=f"{head}{element}")
        total = sum(float(value) for value in given.values())
        if abs(total - 1.0) > SUM:
            raise RecipeError(f"mole fractions sum to {total:.6g}, not to 1.", field=f"{head}{next(iter(given))}")
        return {element: float(value) / total for element, value in given.items() if float(value) > NOTHING}


@dataclass(frozen=True, slots=True)
class Dispense:
    """One volume from one vessel to another, with a fresh tip.

    Attributes:
        source: item of the stock, or a name of an intermediate vessel.
        target: ``mixture``, the intermediate dilution, or ``electrode``.
        volume: uL.
    """

    source: str
    target: str
    volume: float


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a deposit is made.

    Attributes:
        dispenses: in their order.
        executed: mole fractions by element that these volumes make.
        executed_sem: their standard uncertainties.
        volume: of the mixture, uL.
        deposit: of it that goes onto the electrode, uL.
        vessels: wells that are used, the one of the mixture first.
    """

    dispenses: tuple[Dispense, ...]
    executed: Mapping[str, float]
    executed_sem: Mapping[str, float]
    volume: float
    deposit: float
    vessels: tuple[str, ...]

    def needs(self, stock: Stock) -> dict[str, float]:
        """What is taken from stock: mL by item, and pieces."""
        needs: dict[str, float] = {}
        items = stock.items()
        for dispense in self.dispenses:
            if dispense.source in items:
                needs[dispense.source] = needs.get(dispense.source, 0.0) + dispense.volume / 1000.0
        pieces = {"tips": (len(self.dispenses), stock.tips), "vessels": (len(self.vessels), stock.vessels)}
        return needs | {name: float(count) for name, (count, declared) in pieces.items() if declared is not None}


@dataclass(frozen=True, slots=True)
class _Share:
    """One component: what is dispensed of what."""

    element: str
    item: str
    volume: float
    factor: float
    moles: float
    relative_sem: float


def prepare(recipe: Recipe, stock: Stock, composition: Mapping[str, float]) -> Preparation:
    """Volumes for a composition.

    Args:
        recipe: of the rig.
        stock: which declares the precursors.
        composition: mole fractions by element, which sum to 1.

    Raises:
        RecipeError: it cannot be made; names the component and why.
    """
    precursors = _precursors(recipe, stock, composition)
    if recipe.most_components is not None and len(composition) > recipe.most_components:
        raise RecipeError(
            f"{len(composition)} components are more than the {recipe.most_components} of one deposit.",
            field=f"{recipe.prefix}_{min(composition, key=lambda element: composition[element])}",
        )
    total = _moles(recipe, precursors, composition)
    shares = [_share(recipe, name, one, composition[one.element], total) for name, one in precursors]
    solvent = _solvent(recipe, stock, shares)
    volume = sum(share.volume for share in shares) + solvent
    if recipe.vessel is not None and volume > _microlitres(recipe.vessel) * (1.0 + 1e-9):
        largest = max(shares, key=lambda share: share.volume)
        raise RecipeError(
            f"the deposit takes {volume:g} uL, most of it {largest.element}, and a vessel holds"
            f" {_microlitres(recipe.vessel):g} uL.",
            field=f"{recipe.prefix}_{largest.element}",
            mend="Use a more concentrated precursor, or make less.",
        )
    deposit = volume if recipe.deposit is None else _microlitres(recipe.deposit)
    if deposit > volume * (1.0 + 1e-9):
        raise RecipeError(f"{deposit:g} uL are to be deposited, {volume:g} uL are mixed.", field="recipe.deposit")
    executed, sems = _fractions(shares)
    dispenses, vessels = _dispenses(recipe, shares, solvent, deposit)
    return Preparation(dispenses, executed, sems, volume, deposit, vessels)


def _precursors(recipe: Recipe, stock: Stock, composition: Mapping[str, float]) -> list[tuple[str, Precursor]]:
    """Item and precursor of each element; the most concentrated one where there are several."""
    chosen: list[tuple[str, Precursor]] = []
    for element in composition:
        known = [(name, one) for name, one in stock.precursors.items() if one.element == element]
        if not known:
            elements = ", ".join(dict.fromkeys(one.element for one in stock.precursors.values())) or "none"
            raise RecipeError(
                f"there is no precursor of {element}.",
                field=f"{recipe.prefix}_{element}",
                mend=f"There are those of {elements}.",
            )
        chosen.append(max(known, key=lambda pair: pair[1].concentration.value))
    return chosen


def _moles(recipe: Recipe, precursors: list[tuple[str, Precursor]], composition: Mapping[str, float]) -> float:
    """Of metal in the deposit."""
    if recipe.amount is not None:
        return recipe.amount.value
    assert recipe.volume is not None  # noqa: S101  the recipe was checked
    each = sum(composition[one.element] / one.concentration.value for _, one in precursors)
    return recipe.volume.value / each


def _share(recipe: Recipe, name: str, one: Precursor, fraction: float, total: float) -> _Share:
    """The volume of one component, from its stock or from the weakest dilution that is needed."""
    exact = MICROLITRE * fraction * total / one.concentration.value
    minimum, step = _microlitres(recipe.minimum), _microlitres(recipe.step)
    for wanted in (1.0, *sorted(recipe.dilutions.get(name, ()))):
        factor = 1.0 if wanted == 1.0 else _diluted(recipe, wanted)[0]
        volume = _stepped(exact * factor, step)
        if volume >= minimum * (1.0 - 1e-9):
            if factor > 1.0 and volume > _microlitres(recipe.dilution_volume):
                break
            moles = one.concentration.value / factor * volume / MICROLITRE
            return _Share(one.element, name, volume, factor, moles, _relative_sem(recipe, one, volume, factor))
    raise RecipeError(
        f"{recipe.prefix}_{one.element} = {fraction:.4g} takes {exact:.3g} uL of {name}, and the pipette dispenses at"
        f" least {minimum:g} uL.",
        field=f"{recipe.prefix}_{one.element}",
        mend="Leave the element out, take more of it, or declare a dilution of its precursor.",
    )


def _relative_sem(recipe: Recipe, one: Precursor, volume: float, factor: float) -> float:
    """Relative standard uncertainty of the moles of one component."""
    concentration = (one.concentration.sem or 0.0) / one.concentration.value
    parts = [concentration, _dispensed(recipe, volume)]
    if factor > 1.0:  # c / f, with f = (stock + solvent) / stock: both were dispensed
        _, part, rest = _diluted(recipe, factor)
        share = 1.0 - 1.0 / factor
        parts += [share * _dispensed(recipe, part), share * _dispensed(recipe, rest)]
    return math.hypot(*parts)


def _diluted(recipe: Recipe, factor: float) -> tuple[float, float, float]:
    """The factor of a dilution as it can be pipetted, and its volumes of precursor and solvent, uL."""
    whole, step = _microlitres(recipe.dilution_volume), _microlitres(recipe.step)
    part = _stepped(whole / factor, step)
    rest = _stepped(whole - part, step)
    return (part + rest) / part, part, rest


def _dispensed(recipe: Recipe, volume: float) -> float:
    """Relative standard uncertainty of a volume in uL that may take several dispenses, each with its own error."""
    times = _times(recipe, volume)
    each = volume / times
    return math.hypot(recipe.accuracy.value, _microlitres(recipe.floor) / each) / math.sqrt(times)


def _times(recipe: Recipe, volume: float) -> int:
    return max(1, math.ceil(volume / _microlitres(recipe.largest) - 1e-9))


def _solvent(recipe: Recipe, stock: Stock, shares: list[_Share]) -> float:
    """What is filled up with solvent, uL."""
    diluted = next((share for share in shares if share.factor > 1.0), None)
    filled = recipe.amount is not None and recipe.volume is not None
    if (diluted or filled) and stock.solvent is None:
        raise RecipeError("the recipe needs a solvent.", field="stock.solvent", mend="Declare `stock.solvent`.")
    if not filled or recipe.volume is None:
        return 0.0
    rest = _microlitres(recipe.volume) - sum(share.volume for share in shares)
    if rest < -1e-6:
        most = max(shares, key=lambda share: share.volume)
        raise RecipeError(
            f"the precursors take {-rest:.4g} uL more than the {_microlitres(recipe.volume):g} uL of the deposit, most"
            f" of them {most.element}.",
            field=f"{recipe.prefix}_{most.element}",
            mend="Use a more concentrated precursor, a larger `volume` or a smaller `amount`.",
        )
    rounded = _stepped(max(rest, 0.0), _microlitres(recipe.step))
    return rounded if rounded >= _microlitres(recipe.minimum) else 0.0  # it changes no fraction


def _fractions(shares: list[_Share]) -> tuple[dict[str, float], dict[str, float]]:
    """Mole fractions of the rounded volumes, with ``dx_i/dn_j = (delta_ij - x_i) / n``."""
    total = sum(share.moles for share in shares)
    executed = {share.element: share.moles / total for share in shares}
    sems = {}
    for share in shares:
        x = executed[share.element]
        parts = [
            ((1.0 if other is share else 0.0) - x) * executed[other.element] * other.relative_sem for other in shares
        ]
        sems[share.element] = math.hypot(*parts)
    return executed, sems


def _dispenses(
    recipe: Recipe, shares: list[_Share], solvent: float, deposit: float
) -> tuple[tuple[Dispense, ...], tuple[str, ...]]:
    """In their order: dilutions, solvent, precursors, deposit; and the vessels."""
    moves: list[Dispense] = []
    vessels = ["mixture"]
    sources = {share.element: f"precursors.{share.item}" for share in shares}
    for share in shares:
        if share.factor > 1.0:
            name = f"{share.item} / {share.factor:g}"
            vessels.append(name)
            _, part, rest = _diluted(recipe, share.factor)
            moves += [Dispense("solvent", name, rest), Dispense(sources[share.element], name, part)]
            sources[share.element] = name
    if solvent > 0.0:
        moves.append(Dispense("solvent", "mixture", solvent))
    moves += [Dispense(sources[share.element], "mixture", share.volume) for share in shares]
    moves.append(Dispense("mixture", "electrode", round(deposit, 6)))
    return tuple(moves), tuple(vessels)


def makeable(recipe: Recipe, stock: Stock, parameters: Parameters) -> str | None:
    """Why the composition in these settings cannot be made; ``None`` where it can be, or none is asked for."""
    try:
        composition = recipe.composition(parameters)
        if composition is not None:
            prepare(recipe, stock, composition)
    except RecipeError as problem:
        return str(problem)
    return None


def _stepped(volume: float, step: float) -> float:
    return round(round(volume / step) * step, 6)


def _microlitres(volume: Quantity) -> float:
    return round(volume.value * MICROLITRE, 9)
