"""How the devices of a rig file are wired, as far as their emulators must know: plain data, not the rig's own model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from simulators.errors import EmulatorError

ADDRESSES: Final = ("port", "address", "resource")
"""Keys under which a device's block says where it is, by kind of connection."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A role that a device fills.

    Attributes:
        role: such as ``gas``.
        cell: whose; empty for one that all cells share.
        part: of the device, such as a contact of a relay; empty for all of it.
    """

    role: str
    cell: str
    part: str


@dataclass(frozen=True)
class Wired:
    """A rig file as plain data.

    Attributes:
        data: of the file.
    """

    data: Mapping[str, Any]

    @cached_property
    def devices(self) -> dict[str, Mapping[str, Any]]:
        """The blocks of the devices.

        Raises:
            EmulatorError: there are none.
        """
        devices = self._block("devices")
        if not devices:
            raise EmulatorError("the rig file has no devices.", field="devices")
        return devices

    @cached_property
    def cells(self) -> dict[str, Mapping[str, Any]]:
        """The blocks of the cells."""
        return self._block("cells")

    @cached_property
    def emulation(self) -> Mapping[str, Any]:
        """How the emulators behave."""
        return self._block("emulation")

    def _block(self, name: str) -> dict[str, Any]:
        block = self.data.get(name) or {}
        if not isinstance(block, Mapping):
            raise EmulatorError(f"{name}: a mapping is wanted, not {block!r}.", field=name)
        return {str(key): value for key, value in block.items()}

    def filled(self, device: str) -> list[Filled]:
        """The roles that a device fills."""
        places = [
            (cell, role, str(place))
            for cell, block in self.cells.items()
            for role, place in (block.get("roles") or {}).items()
        ]
        places += [("", role, str(place)) for role, place in self._block("shared").items()]
        found = []
        for cell, role, place in places:
            name, _, part = place.partition("/")
            if name == device:
                found.append(Filled(str(role), cell, part))
        return found

    def first(self, device: str) -> Filled | None:
        """The first role that a device fills."""
        return next(iter(self.filled(device)), None)

    def listens(self, device: str) -> tuple[str, int]:
        """Host and port of a device's address, which must be on this computer's loopback.

        Raises:
            EmulatorError: it is another address, or none.
        """
        block = self.devices[device]
        key = self.key(device)
        text = str(block[key])
        host, port = _host_and_port(text)
        try:
            local = host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            local = False
        if port is None or not local:
            raise EmulatorError(
                f"{device}: an emulator cannot listen at {text!r}.",
                field=f"devices.{device}.{key}",
                mend="Give it an address on this computer, such as socket://127.0.0.1:5101 or http://127.0.0.1:5102.",
            )
        return ("127.0.0.1" if host == "localhost" else host), port

    def key(self, device: str) -> str:
        """The key under which a device's block says where it is.

        Raises:
            EmulatorError: it says nothing.
        """
        for key in ADDRESSES:
            if key in self.devices[device]:
                return key
        raise EmulatorError(f"{device} has no address.", field=f"devices.{device}", mend="Give `port` or `address`.")

    def at(self, addresses: Mapping[str, str]) -> dict[str, Any]:
        """The file with other addresses.

        Args:
            addresses: by device, as emulators say where they listen.
        """
        devices = {}
        for name, block in self.devices.items():
            devices[name] = dict(block)
            if name in addresses:
                key = self.key(name)
                devices[name][key] = _visa(addresses[name]) if key == "resource" else addresses[name]
        return {**self.data, "devices": devices}


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.upper().startswith("TCPIP"):  # TCPIP0::host::port::SOCKET
        parts = text.split("::")
        return (parts[1], int(parts[2])) if len(parts) == 4 and parts[2].isdigit() else (text, None)
    parsed = urlsplit(text)
    try:
        port = parsed.port
    except ValueError:  # no number
        port = None
    return parsed.hostname or "", port


def _visa(address: str) -> str:
    host, port = _host_and_port(address)
    return f"TCPIP::{host}::{port}::SOCKET"
