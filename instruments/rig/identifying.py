"""Asking all devices what they are, at once and within a bound; moves nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Thread
from typing import Final

from instruments.device import Device, Identity
from instruments.errors import DeviceError, DeviceTimeout, InstrumentsError
from instruments.rig.brief import with_notes
from instruments.rig.roles import Instrument

LONGEST: Final = 15.0
"""s, for connecting and identifying all devices."""


def identify_all(devices: Mapping[str, Device], longest: float = LONGEST) -> dict[str, Identity | InstrumentsError]:
    """Connect to every device, each in a thread of its own, and ask it what it is.

    Args:
        devices: by name.
        longest: s, for all of them.

    Returns:
        For each device what it says that it is, or what is wrong.
    """
    found: dict[str, Identity | InstrumentsError] = {}
    threads = {
        name: Thread(target=_identify, args=(name, device, found), name=f"identify {name}", daemon=True)
        for name, device in devices.items()
    }
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + longest
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    silent = f"did not say what it is within {longest:g} s."
    return {name: found.get(name) or DeviceTimeout(silent, device=name) for name in devices}


def identified(devices: Mapping[str, Device], longest: float = LONGEST) -> dict[str, Identity]:
    """The same, for devices that must all be there.

    Raises:
        DeviceError: one is not; the message names all that are not, and each has a note.
    """
    found = identify_all(devices, longest)
    problems = {name: one for name, one in found.items() if isinstance(one, InstrumentsError)}
    if problems:
        name, first = next(iter(problems.items()))
        text = str(first.args[0]).removeprefix(f"{name}: ").rstrip(".")
        if len(problems) > 1:
            others = ", ".join(list(problems)[1:])
            text += f"; also not there, or not what they should be ({len(problems)} of {len(devices)}): {others}"
        problem = DeviceError(f"{text}.", device=name, field=f"devices.{name}", mend=first.mend)
        if len(problems) > 1:
            with_notes(problem, {each: str(one.args[0]) for each, one in problems.items()})
        raise problem from first
    return {name: one for name, one in found.items() if isinstance(one, Identity)}


def _identify(name: str, device: Instrument, found: dict[str, Identity | InstrumentsError]) -> None:
    try:
        device.connect()
        found[name] = device.identify()
    except InstrumentsError as problem:
        found[name] = problem
    except Exception as problem:  # noqa: BLE001  a driver's mistake is told like any other
        found[name] = DeviceError(f"its driver failed: {problem!r}.", device=name)
