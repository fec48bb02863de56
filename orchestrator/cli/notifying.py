"""``sabatier notify``: whether a message to somebody arrives, before a campaign relies on it."""

from __future__ import annotations

import platform
import sys

from orchestrator.errors import NotDelivered
from orchestrator.notify.addresses import address_file, addresses_of, known_addresses
from orchestrator.notify.message import Message
from orchestrator.notify.notifier import notifier_of


def send_test(name: str | None) -> None:
    """Send a test message to an address, or show the names of all.

    Raises:
        InputError: there is no such address, or nothing that is installed can use it.
        NotDelivered: it did not arrive.
    """
    if name is None:
        _show()
        return
    address = addresses_of([name])[0]
    host = platform.node() or "unknown"
    message = Message("", (), "Sabatier: a test", f"This is a test of the address {name!r}.\n\nHost: {host}")
    try:
        notifier_of(address).send(message)
    except NotDelivered as problem:
        raise NotDelivered(f"{name} was not told: {problem}", field=name) from None
    sys.stdout.write(f"{name}: the service took the message; see whether it is there.\n")


def _show() -> None:
    known = known_addresses()
    if not known:
        sys.stdout.write(
            f"No address is known on this computer. Put one into a variable SABATIER_NOTIFY_NAME, or into "
            f"{address_file()}.\n"
        )
    for address in known.values():
        sys.stdout.write(f"{address.name}  (from {address.source})\n")
