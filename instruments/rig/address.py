"""Where devices are: whether an address can only be that of an emulator on this computer."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_VISA_NETWORK: Final = re.compile(r"TCPIP\d*::(?P<host>[^:]+|\[.+\])(::.*)?", re.IGNORECASE)
_VISA_SERIAL: Final = re.compile(r"ASRL(?P<port>/.+?)(::INSTR)?", re.IGNORECASE)
_NOWHERE: Final = frozenset({"replay", "loop"})
"""Schemes behind which there is no device at all."""


def is_emulated(address: str) -> bool:
    """Whether nothing but an emulator can be there: this computer's own network address, or a pseudo-terminal.

    Args:
        address: as pyserial, PyVISA and HTTP have them; a folder is nobody's instrument.
    """
    network = _VISA_NETWORK.fullmatch(address)
    if network is not None:
        return _is_this_computer(network["host"].strip("[]"))
    serial = _VISA_SERIAL.fullmatch(address)
    if serial is not None:
        return _is_harmless(serial["port"])
    if "://" in address:
        parts = urlsplit(address)
        return parts.scheme in _NOWHERE or _is_this_computer(parts.hostname or "")
    return _is_harmless(address)


def _is_this_computer(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_harmless(path: str) -> bool:
    """Whether a path is that of a pseudo-terminal or of a folder."""
    if not path:
        return False
    try:
        real = Path(path).resolve()
    except (OSError, RuntimeError):
        return False
    return real.is_dir() or real.as_posix().startswith("/dev/pts/")
