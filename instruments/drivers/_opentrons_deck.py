"""What stands on a robot's deck, which tips are left, and how a volume is portioned: nothing here sends anything."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field, field_validator, model_validator

from instruments.drivers._opentrons_answers import Mount
from instruments.drivers._web import WebOptions
from instruments.electrochemistry._schema import Declared
from instruments.errors import LabError, LimitError

SLOT: Final = re.compile(r"[1-9]|1[01]|[A-D][1-4]")
PERMISSIBLE: Final = ((10.0, 0.012, 0.008), (20.0, 0.010, 0.005), (50.0, 0.010, 0.004), (math.inf, 0.008, 0.003))
"""Up to which nominal volume (uL), which systematic and random error of a piston pipette is permissible, relative to
the nominal volume and the same for all volumes that it dispenses: ISO 8655-2."""


class LabwareOptions(Declared):
    """Something that stands on the deck.

    Attributes:
        slot: ``1`` to ``11`` on an OT-2, ``A1`` to ``D4`` on a Flex.
        load_name: of its definition.
        namespace: of its definition.
        version: of its definition.
        tips: the mount whose pipette takes its tips, where it is a rack of tips.
        first_tip: the first one that is there; those before it in the order of the rack are used.
    """

    slot: str
    load_name: str
    namespace: str = "opentrons"
    version: int = 1
    tips: Mount | None = None
    first_tip: str = "A1"

    @field_validator("slot")
    @classmethod
    def _is_slot(cls, value: str) -> str:
        if not SLOT.fullmatch(value):
            raise LabError(f"{value!r} is no slot.", field="slot", mend="Write 1 to 11 (OT-2) or A1 to D4 (Flex).")
        return value


class DeckOptions(WebOptions):
    """What stands on a robot's deck, and how it works.

    Attributes:
        pipettes: names of the pipettes by mount, such as ``{right: p300_single_gen2}``.
        labware: what stands on the deck, by a name of your own; places are written ``name/well``.
        api_version: of the HTTP interface.
        flow_rate: of all liquid, uL s-1.
        aspirate_height: above the bottom of a well, mm.
        dispense_height: above the bottom of a well, mm.
        trash: where used tips go, where it is not the usual place of the model.
        stop_others: whether making safe also ends a run that this driver did not begin.
        command_timeout: of one command, laboratory s.
    """

    pipettes: Mapping[Mount, str]
    labware: Mapping[str, LabwareOptions]
    api_version: int = Field(3, ge=2)
    flow_rate: float = Field(50.0, gt=0.0, le=1000.0)
    aspirate_height: float = Field(1.0, ge=0.1, le=100.0)
    dispense_height: float = Field(2.0, ge=0.1, le=100.0)
    trash: str | None = None
    stop_others: bool = False
    command_timeout: float = Field(120.0, gt=0.0, le=3600.0)

    @model_validator(mode="after")
    def _fits(self) -> DeckOptions:
        slots: dict[str, str] = {}
        for name, labware in self.labware.items():
            if not name or "/" in name:
                raise LabError(f"{name!r} is no name of labware.", field="labware", mend="Use no slash.")
            if labware.slot in slots:
                raise LabError(
                    f"{name} and {slots[labware.slot]} stand in slot {labware.slot}.",
                    field=f"labware.{name}.slot",
                    mend="Give each its own.",
                )
            slots[labware.slot] = name
            if labware.tips is not None and labware.tips not in self.pipettes:
                raise LabError(
                    f"there is no pipette on the mount {labware.tips}.",
                    field=f"labware.{name}.tips",
                    mend="Name it under `pipettes`.",
                )
        return self


@dataclass(frozen=True, slots=True)
class Pipette:
    """A pipette on a mount; volumes in uL."""

    mount: Mount
    name: str
    low: float
    high: float
    channels: int = 1

    @property
    def sem(self) -> float:
        """Standard uncertainty of a dispensed volume, uL, of a pipette that is as good as ISO 8655-2 wants it."""
        systematic, random = next(pair for limit, *pair in PERMISSIBLE if self.high <= limit)
        return self.high * math.hypot(systematic / math.sqrt(3.0), random)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a volume is dispensed: with which pipette, in which portions, uL."""

    pipette: Pipette
    portions: tuple[float, ...]

    @property
    def sem(self) -> float:
        """Standard uncertainty of the volume, uL: what is systematic adds up over the portions."""
        return len(self.portions) * self.pipette.sem


def plan_volume(device: str, volume: float, pipettes: Iterable[Pipette], mount: Mount | None = None) -> Plan:
    """The pipette that needs the fewest portions, and of several the smallest.

    Args:
        device: name for errors.
        volume: uL.
        pipettes: that there are.
        mount: of the pipette that is to be used, where that matters.

    Raises:
        LimitError: there is no pipette for this volume.
    """
    usable = [p for p in pipettes if p.channels == 1 and (mount is None or p.mount == mount)]
    plans = []
    for pipette in usable:
        count = max(math.ceil(volume / pipette.high - 1e-9), 1)
        portion = volume / count
        if portion >= pipette.low:
            plans.append(Plan(pipette, (portion,) * count))
    if not plans:
        has = ", ".join(f"{p.name} from {p.low:g} uL" for p in usable) or "no pipette with one channel"
        raise LimitError(
            f"{volume:g} uL cannot be dispensed.", device=device, field="volume", mend=f"The robot has {has}."
        )
    return min(plans, key=lambda plan: (len(plan.portions), plan.pipette.high))


@dataclass
class TipRack:
    """Which tips of a rack are left, in the rack's order: column by column.

    Attributes:
        name: of the rack.
        mount: whose pipette takes them.
        first: the first one that is there.
        order: of its wells, once it is known.
    """

    name: str
    mount: Mount
    first: str
    order: tuple[str, ...] = ()
    taken: set[str] = field(default_factory=set)

    @property
    def left(self) -> tuple[str, ...]:
        """Wells with a tip; none as long as the order is not known."""
        start = self.order.index(self.first) if self.first in self.order else len(self.order)
        return tuple(well for well in self.order[start:] if well not in self.taken)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Labware in a run: the robot's name for it, and its wells in order."""

    labware_id: str
    wells: tuple[str, ...]


@dataclass
class Deck:
    """What is loaded in a run.

    Attributes:
        run_id: of it.
        pipettes: the robot's names by mount.
        labware: by name.
    """

    run_id: str
    pipettes: dict[Mount, str] = field(default_factory=dict)
    labware: dict[str, Loaded] = field(default_factory=dict)

    def find(self, device: str, place: str) -> tuple[str, str]:
        """The labware's id and the well of ``labware/well``.

        Raises:
            LimitError: there is no such place.
        """
        name, _, well = place.partition("/")
        loaded = self.labware.get(name)
        if loaded is None:
            known = ", ".join(self.labware) or "none"
            raise LimitError(f"there is no labware {name!r}.", device=device, field="place", mend=f"Known: {known}.")
        if well not in loaded.wells:
            mend = f"Its wells are {loaded.wells[0]} to {loaded.wells[-1]}." if loaded.wells else None
            raise LimitError(f"{name} has no well {well!r}.", device=device, field="place", mend=mend)
        return loaded.labware_id, well


def check_place(device: str, place: str, labware: Iterable[str]) -> None:
    """Whether a place is written as one, and its labware is known.

    Raises:
        LimitError: it is not.
    """
    name, slash, well = place.partition("/")
    if not slash or not well or name not in set(labware):
        known = ", ".join(labware) or "none"
        raise LimitError(
            f"{place!r} is no place.",
            device=device,
            field="place",
            mend=f"Write labware/well, such as plate/A1. Labware: {known}.",
        )
