"""Rigs: devices wired into cells, what keeps them safe, and what runs experiments on them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instruments.rig.calling import ask_guardian, emergency_stop
    from instruments.rig.check import CheckReport, check_rig
    from instruments.rig.file import RigFile
    from instruments.rig.halting import Halt, Halting
    from instruments.rig.rig import Rig

_HOMES = {
    "CheckReport": "check",
    "Halt": "halting",
    "Halting": "halting",
    "Rig": "rig",
    "RigFile": "file",
    "ask_guardian": "calling",
    "check_rig": "check",
    "emergency_stop": "calling",
}

__all__ = ["CheckReport", "Halt", "Halting", "Rig", "RigFile", "ask_guardian", "check_rig", "emergency_stop"]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use: a guardian needs few of them, and must start quickly."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"instruments.rig.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
