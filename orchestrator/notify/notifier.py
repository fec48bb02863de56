"""Whoever delivers messages: an installed notifier for the scheme of an address, else apprise."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final, Protocol, runtime_checkable

from orchestrator.errors import InputError
from orchestrator.notify.addresses import Address
from orchestrator.notify.message import Message

GROUP: Final = "sabatier.notifiers"
"""Entry points: scheme of an address to a callable that takes the address and returns a :class:`Notifier`."""


@runtime_checkable
class Notifier(Protocol):
    """Delivers messages to one address; called from one thread."""

    def send(self, message: Message) -> None:
        """Deliver a message, and return once it has arrived. Must end within about a minute.

        Raises:
            NotDelivered: it has not arrived; it is tried again. The words are shown, so they hold no part of the
                address. Of other exceptions only the name is shown.
        """


def notifier_of(address: Address) -> Notifier:
    """Who delivers to an address.

    Raises:
        InputError: nothing that is installed can use it.
    """
    scheme = address.url.partition("://")[0].lower()
    points = [point for point in entry_points(group=GROUP) if point.name.lower() == scheme]
    if len({point.value for point in points}) > 1:
        raise InputError(
            f"two installed distributions both deliver to the address {address.name!r} ({GROUP}).",
            field="notify.to",
            mend="Uninstall one of them.",
        )
    if points:
        return _installed(points[0], address)
    from orchestrator.notify.by_apprise import ByApprise

    return ByApprise(address)


def _installed(point: EntryPoint, address: Address) -> Notifier:
    try:
        made = point.load()(address.url)
    except Exception as problem:  # noqa: BLE001  its words may hold the address
        raise InputError(
            f"the notifier {point.value} cannot use the address {address.name!r} ({type(problem).__name__}).",
            field="notify.to",
            mend=f"Correct the address in {address.source}.",
        ) from None
    if not isinstance(made, Notifier):
        raise InputError(f"what {point.value} makes has no method `send`.", field="notify.to")
    return made
