"""Control over a campaign, kept alive while a loop runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from orchestrator.errors import LeaseLost, StoreError
from orchestrator.loop.leasing import Fence, uptime
from orchestrator.store.protocol import Store
from orchestrator.store.records import Lease, Owner

logger = logging.getLogger(__name__)

TTL = 30.0
BEAT = 5.0


@dataclass(frozen=True, slots=True)
class Held:
    """Control over a campaign.

    Attributes:
        lease: as it was acquired.
        fence: to be asked before anything is commanded or written.
        ttl: s, how long the lease lasts unless it is renewed.
        every: s, between renewals.
        renew: renews what else is held, and raises :class:`LeaseLost` where it is no more.
    """

    lease: Lease
    fence: Fence
    ttl: float
    every: float
    renew: Callable[[], None]


def nothing() -> None:
    """There is nothing else to renew."""


@contextmanager
def holding(
    store: Store,
    name: str,
    cancelled: Event,
    *,
    renew: Callable[[], None] = nothing,
    ttl: float = TTL,
    every: float = BEAT,
) -> Iterator[Held]:
    """Hold the lease of a campaign; when it is lost, or was not renewed in time, ``cancelled`` is set.

    Args:
        store: where the campaign is kept.
        name: of the campaign.
        cancelled: is set when control is lost.
        renew: renews what else is held, and raises :class:`LeaseLost` where it is no more: then, too.
        ttl: s, how long the lease lasts unless it is renewed.
        every: s, between renewals.

    Raises:
        LeaseHeld: another process controls the campaign; says who.
    """
    fence = Fence(name, ttl)
    lease = store.acquire(name, Owner.current(), ttl)
    over = Event()
    held = Held(lease, fence, ttl, every, renew)
    beat = Thread(target=_beat, args=(store, held, over, cancelled), name=f"lease of {name}", daemon=True)
    beat.start()
    try:
        yield held
    finally:
        over.set()
        beat.join()
        try:
            store.release(lease)
        except StoreError as problem:  # as on a full disk: how the campaign ended is the news
            logger.warning("control of campaign %s is not given back, and ends with this process: %s", name, problem)


def _beat(store: Store, held: Held, over: Event, cancelled: Event) -> None:
    lease = held.lease
    while not over.wait(held.every):
        try:
            held.fence.check()  # whoever slept past the end does not take it up again
            asked = uptime()
            lease = store.renew(lease, held.ttl)
            held.fence.prolong(asked, held.ttl)
            held.renew()
        except LeaseLost as lost:
            logger.error("control of campaign %s is lost: %s", lease.campaign, lost)
            cancelled.set()
            return
        except Exception as problem:  # noqa: BLE001  a moment's lock, a full disk: the lease outlives several beats
            logger.warning("the lease of campaign %s could not be renewed: %s", lease.campaign, problem)
