"""What a rig holds in stock, as its file declares it: precursors, tips, blanks, gases, liquids, room for waste.

Amounts of liquids and gases count in mL (gases as the volume that their meter counts), pieces in ones. Each piece of a
kind has a place, so that a liquid handler knows which tip is the next. How much is left at a moment is what the ledger
says (:mod:`instruments.rig.ledger`): the file declares what was there when the rig was first started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Concentration, Quantity, Ratio, Volume
from instruments.errors import LabError, LabHolds

MILLILITRE: Final = 1e6
"""mL in a cubic metre."""
PIECES: Final = "1"

_RANGE: Final = re.compile(r"(?P<labware>[^/]+)/(?P<first>[A-Z][1-9]\d?)\.\.(?P<last>[A-Z][1-9]\d?)")


class StockShort(LabHolds):
    """There is too little of something, or it has expired: nothing can start until a person has refilled it.

    Attributes:
        item: of the stock.
        have: what is there and not promised to others, in ``unit``.
        need: in ``unit``.
        unit: ``mL``, or ``1`` for pieces.
    """

    def __init__(self, message: str, *, item: str, have: float, need: float, unit: str, mend: str) -> None:
        super().__init__(message, field=f"stock.{item}", mend=mend)
        self.item, self.have, self.need, self.unit = item, have, need, unit


def wells(text: str) -> tuple[str, ...]:
    """Places that a short form names, column by column as an eight-channel pipette counts them.

    Args:
        text: ``plate-1/A1..H12``, or one place.

    Raises:
        LabError: the range ends before it begins.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return (text,)
    first, last = match["first"], match["last"]
    rows = range(ord(first[0]), ord(last[0]) + 1)
    columns = range(int(first[1:]), int(last[1:]) + 1)
    if not rows or not columns:
        raise LabError(f"{text!r} ends before it begins.", field="places", mend="Write it like plate-1/A1..H12.")
    return tuple(f"{match['labware']}/{chr(row)}{column}" for column in columns for row in rows)


def _written_out(given: Any) -> Any:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return given
    return tuple(place for text in texts for place in wells(text))


Places: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_written_out)]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of which there is a limited amount.

    Attributes:
        name: dotted, such as ``precursors.Cu`` or ``tips``.
        unit: ``mL`` or ``1``.
        amount: when the rig was first started.
        dead: what cannot be taken out of its vessel.
        low: below this a notice is given.
        lot: of the maker.
        expires: the last day on which it may be used.
        places: of pieces, one each.
    """

    name: str
    unit: str
    amount: float
    dead: float = 0.0
    low: float = 0.0
    lot: str = ""
    expires: date | None = None
    places: tuple[str, ...] = ()


class _Stocked(Declared):
    """What all of them have: lot, expiry."""

    lot: str = ""
    expires: date | None = None


class Fluid(_Stocked):
    """A gas, or a liquid that is taken from a vessel.

    Attributes:
        volume: that is there.
        dead: what cannot be taken out.
        low: below this a notice is given.
        lot: of the maker.
        expires: the last day on which it may be used.
        place: ``labware/well`` where a liquid handler finds it.
    """

    volume: Volume
    dead: Volume = Quantity(0.0, "m3")
    low: Volume = Quantity(0.0, "m3")
    place: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Fluid:
        for name in ("volume", "dead", "low"):
            if getattr(self, name).value < 0.0:
                raise LabError(f"{name}: a volume cannot be negative.", field=name)
        return self

    def item(self, name: str) -> Item:
        """It as an item of the stock."""
        amount, dead, low = (volume.value * MILLILITRE for volume in (self.volume, self.dead, self.low))
        return Item(name, "mL", amount, dead, low, lot=self.lot, expires=self.expires)


class Precursor(Fluid):
    """A solution of which electrodes are made.

    Attributes:
        element: that it brings.
        salt: that is dissolved, for people.
        concentration: of the element.
    """

    element: str
    salt: str = ""
    concentration: Concentration

    @model_validator(mode="after")
    def _reachable(self) -> Precursor:
        if self.place is None:
            raise LabError("a precursor needs a place.", field="place", mend="Give it as labware/well.")
        if self.concentration.value <= 0.0:
            raise LabError("a concentration must be more than 0.", field="concentration")
        return self


class CheckGas(Fluid):
    """A gas mixture with a certificate.

    Attributes:
        fractions: mole fractions by species, ``"0.0100 +/- 0.0001"``.
    """

    fractions: dict[str, Ratio] = Field(min_length=1)

    @model_validator(mode="after")
    def _sum(self) -> CheckGas:
        shares = [share.value for share in self.fractions.values()]
        if min(shares) < 0.0 or sum(shares) > 1.0 + 1e-9:
            raise LabError("mole fractions are at least 0, and at most 1 together.", field="fractions")
        return self


class Pieces(_Stocked):
    """Things that are counted: tips, electrode blanks, wells to mix in, vials.

    Attributes:
        count: how many there are; by default one on each place.
        places: where, ``[plate-1/A1..H12]``; without it they are only counted.
        low: below this a notice is given.
    """

    count: int | None = Field(default=None, ge=0)
    places: Places = ()
    low: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _one_a_place(self) -> Pieces:
        if self.count is None and not self.places:
            raise LabError("nothing says how many there are.", field="count", mend="Give `count` or `places`.")
        if len(set(self.places)) != len(self.places):
            raise LabError("a place stands there twice.", field="places", mend="Keep one of the two.")
        if self.places and self.number > len(self.places):
            raise LabError(f"{self.number} pieces have {len(self.places)} places.", field="count")
        return self

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.places) if self.count is None else self.count

    def item(self, name: str) -> Item:
        """They as an item of the stock."""
        return Item(
            name,
            PIECES,
            float(self.number),
            low=float(self.low),
            lot=self.lot,
            expires=self.expires,
            places=self.places,
        )


class Waste(Declared):
    """Room for waste: it is used up like anything else, and refilled by emptying.

    Attributes:
        capacity: of the empty container.
        low: below this much room a notice is given.
    """

    capacity: Volume
    low: Volume = Quantity(0.0, "m3")

    def item(self, name: str) -> Item:
        """The room as an item of the stock."""
        return Item(name, "mL", self.capacity.value * MILLILITRE, low=self.low.value * MILLILITRE)


class Stock(Declared):
    """The block ``stock`` of a rig file; what is not declared is not counted.

    Attributes:
        precursors: solutions of elements, by name.
        tips: of the liquid handler.
        blanks: electrode substrates.
        vessels: wells in which a deposit is mixed.
        vials: for samples of the electrolyte.
        solvent: with which deposits and dilutions are filled up.
        electrolyte: fresh catholyte.
        rinse: liquid with which a cell is rinsed.
        gases: by species, such as ``co2``.
        check_gases: mixtures with a certificate, by name.
        waste: room for what leaves the cells.
    """

    precursors: dict[str, Precursor] = Field(default_factory=dict)
    tips: Pieces | None = None
    blanks: Pieces | None = None
    vessels: Pieces | None = None
    vials: Pieces | None = None
    solvent: Fluid | None = None
    electrolyte: Fluid | None = None
    rinse: Fluid | None = None
    gases: dict[str, Fluid] = Field(default_factory=dict)
    check_gases: dict[str, CheckGas] = Field(default_factory=dict)
    waste: Waste | None = None

    @model_validator(mode="after")
    def _apart(self) -> Stock:
        liquids: dict[str, Fluid] = {f"precursors.{name}": one for name, one in self.precursors.items()}
        liquids |= {name: one for name, one in (("solvent", self.solvent), ("rinse", self.rinse)) if one is not None}
        seen: dict[str, str] = {}
        for name, one in liquids.items():
            if one.place is not None and (other := seen.setdefault(one.place, name)) != name:
                field = f"{name}.place"
                raise LabError(f"{field}: {one.place} is the place of {other}.", field=field, mend="Give each its own.")
        return self

    def items(self) -> Mapping[str, Item]:
        """Everything that is counted, by dotted name."""
        return {item.name: item for item in self._items()}

    def _items(self) -> Iterator[Item]:
        for group in ("precursors", "gases", "check_gases"):
            for name, fluid in getattr(self, group).items():
                yield fluid.item(f"{group}.{name}")
        for name in ("tips", "blanks", "vessels", "vials", "solvent", "electrolyte", "rinse", "waste"):
            one = getattr(self, name)
            if one is not None:
                yield one.item(name)
