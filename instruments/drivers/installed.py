"""Which drivers there are: those that are installed, by their kind, and any other by module and class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from instruments.device import DeviceOptions
from instruments.errors import LabError


def options_of(kind: str, block: Mapping[str, Any]) -> DeviceOptions:
    """The options of one device of a rig file.

    Args:
        kind: names the driver, see entry points ``sabatier.drivers``; ``module:Class`` names a class of options that
            is not installed as a plug-in.
        block: the device's block.

    Raises:
        LabError: there is no such driver, or the block is wrong.
    """
    options: DeviceOptions = _options_class(kind)(**{**block, "kind": kind})
    return options


def _options_class(kind: str) -> type[DeviceOptions]:
    from importlib import import_module
    from importlib.metadata import entry_points

    module, colon, name = kind.partition(":")
    if colon:
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as problem:
            raise LabError(
                f"the driver {kind!r} cannot be imported ({problem}).",
                field="kind",
                mend="Write module:Class, with the module's folder in PYTHONPATH.",
            ) from problem
        if not (isinstance(found, type) and issubclass(found, DeviceOptions)):
            raise LabError(f"{kind!r} is no class of device options.", field="kind")
        return found
    known = {point.name: point for point in entry_points(group="sabatier.drivers")}
    if kind not in known:
        from difflib import get_close_matches

        near = get_close_matches(kind, known, n=1)
        mend = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}."
        raise LabError(f"there is no driver {kind!r}.", field="kind", mend=mend)
    try:
        loaded: type[DeviceOptions] = known[kind].load()
    except (ImportError, AttributeError) as problem:
        raise LabError(
            f"the driver {kind!r} cannot be imported ({problem}).", field="kind", mend="Install its package again."
        ) from problem
    return loaded
