"""The rig file: which devices there are, how they are wired into cells, and what keeps them safe.

It is parsed from plain data, as YAML gives it; each block's model stands in the module that owns its concept. Errors
are :class:`~instruments.errors.LabError` with the dotted name of the entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from instruments.device import DeviceOptions
from instruments.drivers.installed import options_of
from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.units import Quantity
from instruments.errors import InstrumentsError, LabError
from instruments.rig.address import is_emulated
from instruments.rig.cells import CellBlock
from instruments.rig.interlocks import Interlock
from instruments.rig.names import Place, near
from instruments.rig.roles import CURRENT, DISCONNECT, FLOWING, OWN, ROLES
from instruments.rig.safety import OPEN, Bounds, SafetyPlan
from instruments.rig.safety_file import SafetyBlock

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""Of rigs, devices and cells: a part of a file's name on every system."""
STALE_OF_CURRENTS: Final = 30.0
"""s; a potentiostat tells no current and no cell voltage while it measures a spectrum."""


class RigFile(Declared):
    """A whole rig file.

    Attributes:
        version: of the file's form.
        name: of the rig, after which its files are named.
        pace: seconds of the laboratory in one real second; other than 1 only where all instruments are emulated.
        devices: the drivers' blocks by name, as they were written; see :meth:`options`.
        cells: electrolysis positions by name.
        shared: roles of all cells, each filled by a device that is leased.
        settings: conditions that this rig always has.
        safety: what keeps it safe.
        stock: what is there to be used up.
        recipe: how a composition is dispensed.
        procedure: what an experiment is.
        calibrations: folder of calibration records.
        calibration: how the chromatograph is calibrated.
        controls: experiments that test the laboratory.
        transcripts: folder of recordings of what goes over the wires; without it nothing is recorded.
        emulation: how an emulator of this rig behaves; means nothing to the rig.

    Raises:
        LabError: the file is wrong; ``field`` says where.
    """

    version: Literal[1] = 1
    name: str
    pace: float = Field(default=1.0, gt=0.0, le=1000.0)
    devices: Mapping[str, Mapping[str, Any]]
    cells: Mapping[str, CellBlock]
    shared: Mapping[str, str] = Field(default_factory=dict)
    settings: Mapping[str, float | str] = Field(default_factory=dict)
    safety: SafetyBlock = Field(default_factory=SafetyBlock)
    stock: Mapping[str, Any] = Field(default_factory=dict)
    recipe: Mapping[str, Any] = Field(default_factory=dict)
    procedure: Mapping[str, Any] = Field(default_factory=dict)
    calibrations: str | None = None
    calibration: Mapping[str, Any] = Field(default_factory=dict)
    controls: tuple[Mapping[str, Any], ...] = ()
    transcripts: str | None = None
    emulation: Mapping[str, Any] = Field(default_factory=dict)

    @classmethod
    def parse(cls, data: Any) -> RigFile:
        """Check plain data.

        Raises:
            LabError: they are no rig file.
        """
        if not isinstance(data, Mapping):
            raise LabError("a rig file is a mapping with `name`, `devices` and `cells`.", field="name")
        return cls(**{str(key): value for key, value in data.items()})

    @field_validator("name")
    @classmethod
    def _a_name(cls, name: str) -> str:
        _named(name, "a rig", "name")
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> RigFile:
        if not self.devices or not self.cells:
            field = "cells" if self.devices else "devices"
            raise LabError(f"{field}: a rig has at least one.", field=field)
        for group in ("devices", "cells"):
            for name in getattr(self, group):
                _named(name, f"one of the {group}", f"{group}.{name}")
        for name in self.devices:
            self._check_address(name)
        for path, role, place in self.filled():
            self._check_role(path, role, place)
        self._check_order()
        self._check_disconnects()
        self._check_owners()
        self._check_currents()
        self._check_unique("stream")
        self._check_unique("seat")
        for number, interlock in enumerate(self.safety.interlocks):
            field = f"safety.interlocks.{number}"
            self._check_device(interlock.device, f"{field}.device")
            if interlock.cell is not None and interlock.cell not in self.cells:
                raise LabError(
                    f"{field}: there is no cell {interlock.cell!r}.",
                    field=f"{field}.cell",
                    mend=near(interlock.cell, self.cells),
                )
        return self

    @property
    def equipment(self) -> tuple[str, ...]:
        """Its devices as others know them, ``<rig>/<device>``."""
        return tuple(f"{self.name}/{device}" for device in self.devices)

    @cached_property
    def options(self) -> Mapping[str, DeviceOptions]:
        """The checked options of each device.

        Raises:
            LabError: a block is wrong; never after the file was checked.
        """
        return {name: _options(name, block) for name, block in self.devices.items()}

    def devices_of(self, role: str, cell: str | None = None) -> tuple[str, ...]:
        """The devices that fill a role, in the file's order.

        Args:
            role: to be filled.
            cell: only in this cell; shared roles are no cell's.
        """
        where: list[Mapping[str, str]] = [block.roles for name, block in self.cells.items() if cell in (None, name)]
        if cell is None:
            where.append(self.shared)
        return tuple(dict.fromkeys(Place.of(roles[role]).device for roles in where if role in roles))

    def cells_of(self, device: str) -> tuple[str, ...]:
        """The cells in which a device fills a role."""
        return tuple(
            name
            for name, block in self.cells.items()
            if any(Place.of(place).device == device for place in block.roles.values())
        )

    @cached_property
    def interlocks(self) -> tuple[Interlock, ...]:
        """The interlocks, each with its `stale`: what a source of current tells may be longer in coming."""
        currents = {name for role in CURRENT for name in self.devices_of(role)}
        patient = {"stale": Quantity(STALE_OF_CURRENTS, "s")}
        return tuple(
            one.model_copy(update=patient) if one.stale is None and one.device in currents else one
            for one in self.safety.interlocks
        )

    @cached_property
    def safety_plan(self) -> SafetyPlan:
        """What is made safe when: a device in the first stage that one of its roles is in, those of no stage last."""
        stages: list[list[str]] = []
        left = dict.fromkeys(self.devices)
        for roles in self.safety.stages:
            whole = [place.device for _, role, place in self.filled() if role in roles and not place.attribute]
            stages.append([name for name in dict.fromkeys(whole) if name in left])
            left = {name: None for name in left if name not in stages[-1]}
        stages.append(list(left))
        disconnects: dict[str, tuple[Place, ...]] = {}
        for block in self.cells.values():
            for role in CURRENT & set(block.roles):
                if DISCONNECT in block.roles:
                    contact = Place.of(block.roles[DISCONNECT])
                    device = Place.of(block.roles[role]).device
                    disconnects[device] = (*disconnects.get(device, ()), contact)
        return SafetyPlan(
            tuple(tuple(stage) for stage in stages if stage),
            frozenset(name for role in CURRENT for name in self.devices_of(role)),
            disconnects,
            Bounds(self.safety.tries, self.safety.bound.value, self.safety.disconnect_after.value),
        )

    def filled(self) -> Iterator[tuple[str, str, Place]]:
        """Each role that is filled, with its dotted name in the file."""
        for cell, block in self.cells.items():
            for role, place in block.roles.items():
                yield f"cells.{cell}.roles.{role}", role, Place.of(place)
        for role, place in self.shared.items():
            yield f"shared.{role}", role, Place.of(place)

    def _check_address(self, name: str) -> None:
        addresses = self.options[name].addresses
        real = [address for address in addresses if not is_emulated(address)]
        if self.pace != 1.0 and real:
            raise LabError(
                f"pace is {self.pace:g}, but {name} at {real[0]} is no emulator on this computer.",
                field="pace",
                mend="Real instruments know only `pace: 1`.",
            )

    def _check_device(self, name: str, field: str) -> None:
        if name not in self.devices:
            raise LabError(f"{field}: there is no device {name!r}.", field=field, mend=near(name, self.devices))

    def _check_role(self, path: str, role: str, place: Place) -> None:
        known = ROLES | {name for stage in self.safety.stages for name in stage}
        if role not in known:
            raise LabError(
                f"{path}: {role!r} is no role that is known here.",
                field=path,
                mend=f"{near(role, known)} A role of your own is named in `safety.order` too.",
            )
        self._check_device(place.device, path)

    def _check_order(self) -> None:
        stage_of = {role: number for number, stage in enumerate(self.safety.stages) for role in stage}
        used = {role for _, role, _ in self.filled()}
        last = len(self.safety.stages)
        currents = {role: stage_of.get(role, last) for role in sorted(used & CURRENT)}
        flows = {role: stage_of.get(role, last) for role in sorted(used & FLOWING)}
        for current, at in currents.items():
            for flow, other in flows.items():
                if at >= other:
                    raise LabError(
                        f"safety.order: {flow} would stop before or with {current}, but current stops before flow.",
                        field="safety.order",
                        mend=f"Put {current} into an earlier stage.",
                    )

    def _check_disconnects(self) -> None:
        for path, role, place in self.filled():
            if role != DISCONNECT:
                continue
            if not place.attribute:
                raise LabError(
                    f"{path}: {place} is a whole device.", field=path, mend=f"Name a contact: {place}/CONTACT."
                )
            contacts = self.devices[place.device].get("contacts")
            contact = contacts.get(place.attribute) if isinstance(contacts, Mapping) else None
            if isinstance(contact, Mapping) and contact.get("safe", OPEN) != OPEN:
                field = f"devices.{place.device}.contacts.{place.attribute}.safe"
                raise LabError(
                    f"{field}: the contact would connect the cell again when its relay is made safe.",
                    field=field,
                    mend="Write `safe: open`.",
                )

    def _check_owners(self) -> None:
        """What one cell switches, or measures of it, cannot be another cell's as well."""
        seen: dict[tuple[str, Place], str] = {}
        for cell, block in self.cells.items():
            for role in OWN & set(block.roles):
                place = Place.of(block.roles[role])
                if (other := seen.setdefault((role, place), cell)) != cell:
                    field = f"cells.{cell}.roles.{role}"
                    raise LabError(
                        f"{field}: {place} is the {role} of {other}.", field=field, mend="Give each cell its own."
                    )

    def _check_currents(self) -> None:
        """Interlocks and making safe know the cell of each source of current: it has one, and its wire is its own."""
        at: dict[str, str] = {}
        for path, role, place in self.filled():
            if role not in CURRENT:
                continue
            if path.startswith("shared."):
                raise LabError(
                    f"{path}: cells cannot share a {role}.", field=path, mend="Name it in `roles` of its cell."
                )
            if place.attribute:
                mend = f"Write {place.device}."
                raise LabError(f"{path}: a {role} is a whole device, not {place}.", field=path, mend=mend)
            at.update(dict.fromkeys(self.options[place.device].addresses, place.device))
        for name, options in self.options.items():
            for address in options.addresses:
                if (source := at.get(address, name)) != name:
                    field = f"devices.{name}"
                    raise LabError(
                        f"{field}: {address} is the address of {source}.",
                        field=field,
                        mend="Each device that drives a current has an address of its own.",
                    )

    def _check_unique(self, key: Literal["stream", "seat"]) -> None:
        seen: dict[int | str, str] = {}
        for name, block in self.cells.items():
            value = getattr(block, key)
            if value is not None and (other := seen.setdefault(value, name)) != name:
                field = f"cells.{name}.{key}"
                raise LabError(
                    f"{field}: {value} is the {key} of {other}.", field=field, mend="Give each cell its own."
                )


def _named(name: str, what: str, field: str) -> None:
    if not NAME.fullmatch(name):
        raise LabError(
            f"{field}: {name!r} is no name of {what}.", field=field, mend="Use letters, digits, -, _ and full stops."
        )


def _options(name: str, block: Mapping[str, Any]) -> DeviceOptions:
    field = f"devices.{name}"
    if "kind" not in block:
        raise LabError(f"{field}: the kind of the device is missing.", field=f"{field}.kind", mend="Name its driver.")
    try:
        return options_of(str(block["kind"]), {str(key): value for key, value in block.items()})
    except InstrumentsError as problem:
        inner = problem.field or ""
        raise LabError(
            f"{field}: {problem.args[0]}", field=f"{field}.{inner}".rstrip("."), mend=problem.mend
        ) from problem
