"""Addresses by name, from the environment or from a file that only its owner may read.

An address is a URL with a password or token in it. It is never shown, logged, stored or put into an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from orchestrator.config.document import parse
from orchestrator.config.hints import listed, nearest
from orchestrator.config.notify import check_name
from orchestrator.errors import InputError

PREFIX: Final = "SABATIER_NOTIFY_"
FILE: Final = "SABATIER_NOTIFY_FILE"
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go.

    Attributes:
        name: by which campaign files know it.
        url: the address itself, with its secrets; no ``repr`` shows it.
        source: the variable or the file that holds it.
    """

    name: str
    url: str = field(repr=False)
    source: str


def addresses_of(names: Iterable[str]) -> list[Address]:
    """The addresses of these names.

    Raises:
        InputError: a name has no address on this computer, or the file of addresses cannot be used.
    """
    known = known_addresses()
    found = []
    for name in names:
        address = known.get(_key(name))
        if address is None:
            there = [one.name for one in known.values()]
            near = nearest(name, there)
            hint = f" Did you mean {near!r}?" if near else f" Known: {listed(there)}." if there else ""
            raise InputError(
                f"no address named {name!r} is known on this computer.{hint}",
                field="notify.to",
                mend=f"Put it into the variable {PREFIX}{_key(name)}, or into {address_file()}.",
            )
        found.append(Address(name, address.url, address.source))
    return found


def known_addresses() -> dict[str, Address]:
    """All addresses that this computer knows, those of the environment first.

    Returns:
        By name in capitals with ``_`` for ``-``, as in the names of variables.

    Raises:
        InputError: the file of addresses cannot be used.
    """
    set_here = {
        variable.removeprefix(PREFIX): url.strip()
        for variable, url in sorted(os.environ.items())
        if variable.startswith(PREFIX) and variable != FILE and url.strip()
    }
    known = {key: Address(key.lower(), url, PREFIX + key) for key, url in set_here.items() if key}
    return known | {key: address for key, address in _from_file().items() if key not in known}


def address_file() -> Path:
    """The file of addresses: what ``SABATIER_NOTIFY_FILE`` names, else ``sabatier/notify.yaml`` of one's settings."""
    if named := os.environ.get(FILE):
        return Path(named).expanduser()
    settings = os.environ.get("XDG_CONFIG_HOME")
    return (Path(settings) if settings else Path.home() / ".config") / "sabatier" / "notify.yaml"


def _key(name: str) -> str:
    return name.upper().replace("-", "_")


def _from_file() -> dict[str, Address]:
    path = address_file()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & OTHERS:
                raise _wrong(
                    path, f"{path} holds passwords, and others than you can reach it.", f"Do `chmod 600 {path}`."
                )
            content = file.read()
    except FileNotFoundError:
        if FILE not in os.environ:
            return {}
        raise _wrong(path, f"{path} does not exist.", f"Correct {FILE}.") from None
    except OSError as problem:
        raise _wrong(path, f"{path} cannot be read: {problem.strerror}.", "Check its permissions.") from None
    return _entries(path, content)


def _entries(path: Path, content: bytes) -> dict[str, Address]:
    mend = 'Write a line `NAME: "ADDRESS"` for each.'
    if not content.strip():
        return {}
    try:
        document = parse(content, str(path))
    except InputError as problem:  # its words may be those of the file
        line = problem.line or 1
        raise _wrong(path, f"{path}:{line}: this is no YAML that can be read.", mend) from None
    if not isinstance(document.data, dict):
        raise _wrong(path, f"{path}:1: this is no list of names with their addresses.", mend)
    found: dict[str, Address] = {}
    for name, url in document.data.items():
        where = f"{path}:{document.line((name,))}"
        try:
            check_name(name)
        except InputError:
            raise _wrong(path, f"{where}: this cannot name an address.", mend) from None
        if not isinstance(url, str) or not url.strip():
            raise _wrong(path, f"{where}: the address of {name!r} is no text.", mend)
        if _key(name) in found:
            raise _wrong(path, f"{where}: {name!r} is there twice.", "Keep one of the two.")
        found[_key(name)] = Address(name, url.strip(), str(path))
    return found


def _wrong(path: Path, text: str, mend: str) -> InputError:
    return InputError(text, mend=mend, file=str(path))
