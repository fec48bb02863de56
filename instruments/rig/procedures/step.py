"""What a procedure is made of: steps as data, so that everything that will be set is known before anything moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from instruments.device import Value
from instruments.errors import LabError
from instruments.lab import Parameters, StepKind
from instruments.rig.cells import CellBlock
from instruments.rig.mounted import Mounted
from instruments.rig.names import Place

if TYPE_CHECKING:
    from instruments.rig.procedures.execution import Execution
    from instruments.rig.program import Program

SETS: Final[Mapping[str, str]] = {
    "gas": "setpoint",
    "back_pressure": "setpoint",
    "electrolyte_pump": "rate",
    "anolyte_pump": "rate",
    "rinse_pump": "rate",
    "bath": "setpoint",
    "heater": "setpoint",
    "selector": "position",
    "robot": "volume",
}
"""Which attribute of a role's device is set, unless the rig file names another (``device/attribute``)."""

READS: Final[Mapping[str, str]] = {
    "gas": "flow",
    "outlet": "flow",
    "back_pressure": "pressure",
    "pressure": "pressure",
    "electrolyte_pump": "rate",
    "bath": "temperature",
    "heater": "temperature",
    "temperature": "temperature",
    "ph": "ph",
    "cell_voltage": "voltage",
    "balance": "mass",
    "selector": "position",
}
"""The same for what is read."""


@dataclass(frozen=True, slots=True)
class SetPoint:
    """Something that a step will set.

    Attributes:
        device: by its name in the rig file.
        attribute: of the device.
        value: in the attribute's unit, or a word.
        to: the other end, where only a range is known beforehand.
    """

    device: str
    attribute: str
    value: Value
    to: Value | None = None

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values that must be allowed."""
        return (self.value,) if self.to is None else (self.value, self.to)

    def covers(self, device: str, attribute: str, value: Value) -> bool:
        """Whether a value is what was announced."""
        if (device, attribute) != (self.device, self.attribute):
            return False
        if isinstance(value, str) or any(isinstance(end, str) for end in self.ends):
            return value in self.ends
        ends = [float(end) for end in self.ends]
        slack = 1e-9 * max(1.0, *map(abs, ends))
        return min(ends) - slack <= value <= max(ends) + slack

    def __str__(self) -> str:
        def told(value: Value) -> str:
            return value if isinstance(value, str) else f"{value:g}"

        until = "" if self.to is None else f" to {told(self.to)}"
        return f"{self.device}.{self.attribute} = {told(self.value)}{until}"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a procedure.

    Attributes:
        name: for the journal and for people.
        kind: ``idempotent``: may be done again; ``non-repeatable``: uses something up; ``needs-inspection``: broken
            off, it leaves something that a person must look at.
        action: does it.
        sets: all that it sets; anything else is refused while it runs.
        seconds: that it takes, of the laboratory, as far as is known.
        takes: of the stock, in mL or pieces.
        leases: shared devices that it holds from beginning to end.
        uses: shared devices that it holds now and then.
        kept: its effect outlasts the attempt and is remembered, such as a sample that is mounted.
        closing: nothing more is measured by it or after it: where it fails, the results stand and the cell waits for
            a person.
        says: what it does, in words.
    """

    name: str
    kind: StepKind
    action: Callable[[Execution], None] = field(repr=False, compare=False)
    sets: tuple[SetPoint, ...] = ()
    seconds: float = 0.0
    takes: Mapping[str, float] = field(default_factory=dict)
    leases: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    kept: bool = False
    closing: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """The cell for which a procedure is planned.

    Attributes:
        name: of the cell.
        program: what the rig does, with its file.
        mounted: the sample that is in it; ``None`` where none is known to be, or only a dry run is made.
    """

    name: str
    program: Program
    mounted: Mounted | None = None

    @property
    def block(self) -> CellBlock:
        """The cell in the rig file."""
        return self.program.file.cells[self.name]

    def has(self, role: str) -> bool:
        """Whether a device fills a role here."""
        return role in self.block.roles or role in self.program.file.shared

    def shared(self, role: str) -> bool:
        """Whether the device of a role is shared with other cells, so that it must be leased.

        A contact or channel that is this cell's own is not, whichever card it is on.
        """
        place = self.place(role)
        if role in self.block.roles and place.attribute:
            return False
        users = self.program.file.cells_of(place.device)
        return role not in self.block.roles or len(users) > 1

    def place(self, role: str) -> Place:
        """The device of a role, and the attribute that the rig file names, if any.

        Raises:
            LabError: no device fills it.
        """
        text = self.block.roles.get(role) or self.program.file.shared.get(role)
        if text is None:
            raise LabError(
                f"{self.name} has no {role}.", field=f"cells.{self.name}.roles.{role}", mend="Name its device."
            )
        return Place.of(text)

    def sets(self, role: str, value: Value, to: Value | None = None, *, attribute: str | None = None) -> SetPoint:
        """A set point of a role's device.

        Args:
            role: whose device is set.
            value: in the attribute's unit.
            to: the other end, where only a range is known beforehand.
            attribute: of the device; by default the one that the rig file names, or the usual one of the role.

        Raises:
            LabError: no device fills the role, or nothing says which attribute is meant.
        """
        place = self.place(role)
        return SetPoint(place.device, attribute_of(place, role, attribute, SETS), value, to)

    def leases(self, roles: Sequence[str]) -> tuple[str, ...]:
        """The devices of these roles that are shared with other cells."""
        return tuple(dict.fromkeys(self.place(role).device for role in roles if self.has(role) and self.shared(role)))


def attribute_of(place: Place, role: str, given: str | None, usual: Mapping[str, str]) -> str:
    """The attribute that is meant.

    Raises:
        LabError: nothing says.
    """
    name = given or place.attribute or usual.get(role, "")
    if not name:
        raise LabError(
            f"nothing says which attribute of {place.device} ({role}) is meant.",
            field=f"roles.{role}",
            mend="Name it in the rig file: device/attribute.",
        )
    return name


@dataclass(frozen=True, slots=True)
class Request:
    """What a procedure is planned for.

    Attributes:
        parameters: the settings of the experiment.
        sample: the id of the electrode.
    """

    parameters: Parameters
    sample: str = ""
