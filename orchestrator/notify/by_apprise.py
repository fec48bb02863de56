"""Delivery by apprise, which knows mail and about a hundred services of chat and telephone."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from orchestrator.errors import InputError, NotDelivered
from orchestrator.notify.addresses import Address
from orchestrator.notify.message import Message

_REFUSED: Final = frozenset({400, 401, 403, 404, 405, 410})
"""Statuses of HTTP that the same message would meet again."""

_STATUS = re.compile(r"\berror[=: ]+(\d{3})\b")


class ByApprise:
    """Delivers to one address of apprise.

    Args:
        address: as in apprise's documentation.

    Raises:
        InputError: apprise cannot use it.
    """

    def __init__(self, address: Address) -> None:
        with warnings.catch_warnings():  # its plugins, loaded at the first address, use what Python will drop
            warnings.simplefilter("ignore", DeprecationWarning)
            with _silent():
                import apprise

                asset = apprise.AppriseAsset(async_mode=False, secure_logging=True, app_id="Sabatier")
                self._apprise = apprise.Apprise(asset=asset)
                try:
                    usable = self._apprise.add(address.url)
                except Exception:  # noqa: BLE001  whatever a plugin raises, its words may hold the address
                    usable = False
        if not usable or len(self._apprise) != 1:
            raise InputError(
                f"the address {address.name!r} is none that can be used.",
                field="notify.to",
                mend=f"Correct it in {address.source}: one URL, such as mailtos://USER:PASSWORD@HOST?to=ADDRESS.",
            )

    def send(self, message: Message) -> None:
        """See :class:`orchestrator.notify.Notifier`."""
        with _silent() as heard:
            arrived = self._apprise.notify(body=message.text, title=message.title, body_format="text")
        if not arrived:
            raise _lost(heard)


class _Ear(logging.Filter):
    """Keeps what is logged in a thread that listens, and lets none of it through to any log."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record goes on to the handlers."""
        heard: list[str] | None = getattr(self.thread, "heard", None)
        if heard is None:
            return True
        if record.levelno >= logging.WARNING:
            heard.append(record.getMessage())
        return False


_EAR: Final = _Ear()
logging.getLogger("apprise").addFilter(_EAR)  # for good: threads that come and go would trip over each other


@contextmanager
def _silent() -> Iterator[list[str]]:
    """Keep apprise's words out of every log, since they name hosts and recipients; yields them meanwhile."""
    heard: list[str] = []
    _EAR.thread.heard = heard
    try:
        yield heard
    finally:
        _EAR.thread.heard = None


def _lost(heard: list[str]) -> NotDelivered:
    """Why nothing arrived; of apprise's own words only the number of an HTTP status is safe to show."""
    mend = "Check the address, and that the service can be reached from here."
    statuses = [int(found[1]) for line in heard if (found := _STATUS.search(line))]
    if not statuses:
        return NotDelivered("the service did not take the message, or could not be reached.", mend=mend)
    status = statuses[-1]
    try:
        phrase = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        phrase = ""
    return NotDelivered(f"the service answered with status {status}{phrase}.", final=status in _REFUSED, mend=mend)
