"""Whether a rig file names attributes that its devices have."""

from __future__ import annotations

from collections.abc import Mapping

from instruments.device import Device
from instruments.errors import LabError
from instruments.rig.file import RigFile
from instruments.rig.names import near
from instruments.rig.safety import OPEN


def check_attributes(file: RigFile, devices: Mapping[str, Device]) -> None:
    """Check limits, contacts and interlocks against what the devices can be asked for; asks nothing.

    Raises:
        LabError: an attribute is not there, or cannot be what it is used for.
    """
    for name, options in file.options.items():
        for attribute in options.limits:
            _there(devices[name], attribute, f"devices.{name}.limits.{attribute}")
    for path, _, place in file.filled():
        if place.attribute:
            _there(devices[place.device], place.attribute, path)
    for places in file.safety_plan.disconnects.values():
        for place in places:
            found = devices[place.device].attributes[place.attribute]
            if not found.settable or OPEN not in found.choices:
                raise LabError(f"{place} is no contact that can be opened.", field=f"devices.{place.device}")
    for number, interlock in enumerate(file.safety.interlocks):
        field = f"safety.interlocks.{number}"
        _there(devices[interlock.device], interlock.attribute, f"{field}.attribute")
        found = devices[interlock.device].attributes[interlock.attribute]
        words = set(interlock.must_be or ())
        if bool(words) != bool(found.choices):
            has = "words" if found.choices else "numbers"
            raise LabError(
                f"{field}: {interlock.attribute} of {interlock.device} reads {has}.",
                field=f"{field}.must_be" if words else f"{field}.low",
                mend="Give `must_be` for words, `low` and `high` for numbers.",
            )
        if unknown := sorted(words - set(found.choices)):
            raise LabError(
                f"{field}: {interlock.attribute} of {interlock.device} never reads {unknown[0]!r}.",
                field=f"{field}.must_be",
                mend=near(unknown[0], found.choices),
            )


def _there(device: Device, attribute: str, field: str) -> None:
    if attribute not in device.attributes:
        raise LabError(
            f"{field}: {device.name} has no attribute {attribute!r}.",
            field=field,
            mend=near(attribute, device.attributes),
        )
