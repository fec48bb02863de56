"""Control over a campaign, kept alive while a loop runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from orchestrator.errors import LeaseLost
from orchestrator.store.protocol import Store
from orchestrator.store.records import Lease, Owner

logger = logging.getLogger(__name__)

TTL = 30.0
BEAT = 5.0


@contextmanager
def holding(store: Store, name: str, cancelled: Event) -> Iterator[Lease]:
    """Hold the lease of a campaign; when it is lost, ``cancelled`` is set.

    Raises:
        LeaseHeld: another process controls the campaign; says who.
    """
    lease = store.acquire(name, Owner.current(), TTL)
    over = Event()
    beat = Thread(target=_beat, args=(store, lease, over, cancelled), name=f"lease of {name}", daemon=True)
    beat.start()
    try:
        yield lease
    finally:
        over.set()
        beat.join()
        store.release(lease)


def _beat(store: Store, lease: Lease, over: Event, cancelled: Event) -> None:
    while not over.wait(BEAT):
        try:
            lease = store.renew(lease, TTL)
        except LeaseLost as lost:
            logger.error("control of campaign %s is lost: %s", lease.campaign, lost)
            cancelled.set()
            return
        except Exception as problem:  # noqa: BLE001  a moment's lock, a full disk: the lease outlives several beats
            logger.warning("the lease of campaign %s could not be renewed: %s", lease.campaign, problem)
