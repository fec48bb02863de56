"""Addresses of stores in PostgreSQL: what the driver is told, and what people are shown of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from orchestrator.errors import StoreError

SCHEMES: Final = ("postgresql", "postgres")

_PLAIN_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    Attributes:
        shown: for people and records, without what is secret.
        conninfo: for the driver, complete.
    """

    shown: str
    conninfo: str = field(repr=False)


_opened: Final[dict[str, str]] = {}
"""What the driver is told, by the address without its secrets: so that this process can open ``store.url`` again."""


def is_postgres(url: object) -> bool:
    """Whether an address names a PostgreSQL database."""
    scheme, found, _ = url.partition("://") if isinstance(url, str) else ("", "", "")
    return bool(found) and scheme in SCHEMES


def address(url: str) -> Address:
    """Take an address apart. Everything that libpq knows works: services, password files, its environment variables.

    An address without a password is completed by one that this process has opened before, or by ``SABATIER_STORE``,
    where that names the same database: addresses are handed on without their secrets.

    Raises:
        StoreError: the driver is missing, or it cannot read the address.
    """
    found, secret = _parse(url)
    if not secret:
        known = _opened.get(found.shown) or _from_environment(found.shown)
        if known is not None:
            return Address(found.shown, known)
    return found


def remember(place: Address) -> None:
    """Let this process open the shown address again."""
    _opened[place.shown] = place.conninfo


def driver() -> Any:
    """The module of the driver.

    Raises:
        StoreError: it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise StoreError(
            "stores in PostgreSQL need the driver psycopg, which is not installed.",
            field="store",
            mend="Install it: pip install 'sabatier[postgres]'.",
        ) from error
    return psycopg


def parts_of(conninfo: str) -> dict[str, str]:
    """What a driver's connection string says, by keyword."""
    from psycopg.conninfo import conninfo_to_dict

    return {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}


def without_secrets(parts: dict[str, str]) -> dict[str, str]:
    """The same parts but for passwords; a password file is none."""
    return {key: value for key, value in parts.items() if "password" not in key}


def _parse(url: str) -> tuple[Address, bool]:
    """An address, and whether it says a secret."""
    psycopg = driver()
    from psycopg.conninfo import make_conninfo

    try:
        parts: dict[str, str] | None = parts_of(url)
    except psycopg.ProgrammingError:
        parts = None  # what libpq says may repeat the address, and with it the password
    if parts is None:
        raise StoreError(
            "the address of the PostgreSQL store cannot be read.",
            field="store",
            mend="Write postgresql://USER@HOST:PORT/DATABASE; special characters in a name or password as %XX.",
        )
    harmless = without_secrets(parts)
    return Address(_shown(harmless), make_conninfo("", **parts)), harmless != parts


def _shown(parts: dict[str, str]) -> str:
    """The address of these parts, in one spelling."""
    rest = dict(parts)
    user, name = rest.pop("user", None), rest.pop("dbname", None)
    place = ""
    # sockets' folders, several hosts and the like stand among the options
    if _PLAIN_HOST.fullmatch(rest.get("host", "")) and "," not in rest.get("port", ""):
        place = rest.pop("host")
        if port := rest.pop("port", None):
            place += f":{port}"
    if user:
        place = f"{quote(user, safe='')}@{place}"
    options = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(rest.items()))
    return f"postgresql://{place}/{quote(name or '', safe='')}{f'?{options}' if options else ''}"


def _from_environment(shown: str) -> str | None:
    """What ``SABATIER_STORE`` says about the same database: a child process is told the address without secrets."""
    url = os.environ.get("SABATIER_STORE", "")
    if not is_postgres(url):
        return None
    found, _ = _parse(url)
    return found.conninfo if found.shown == shown else None
