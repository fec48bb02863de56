"""The devices of a laboratory, each held by one process at a time, whichever campaign or command that is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any, Final

from orchestrator.campaign.line import DEVICE
from orchestrator.errors import LeaseHeld, LeaseLost
from orchestrator.store.protocol import Store
from orchestrator.store.records import Hold, Owner

logger = logging.getLogger(__name__)

TTL: Final = 30.0
BEAT: Final = 5.0


class DeviceLeases:
    """Leases of some devices, taken and given back together.

    Args:
        store: where it is written who has which.
        names: of the devices, ``<rig>/<device>``.
        user: who uses them, as ``campaign cu-alloys``.
        ttl: how long a lease lasts unless it is renewed, s.
    """

    def __init__(self, store: Store, names: Iterable[str], user: str, ttl: float = TTL) -> None:
        self._store, self._names, self._user, self._ttl = store, sorted(set(names)), user, ttl
        self._held: list[Hold] = []
        self._lock = Lock()

    def take(self) -> None:
        """Take all or none.

        Raises:
            LeaseHeld: another process has one; says which, who and since when.
        """
        owner = Owner.current()
        data = {"user": self._user, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        taken: list[Hold] = []
        try:
            for name in self._names:
                taken.append(self._store.hold(DEVICE, name, owner, self._ttl, data=data))
        except LeaseHeld as held:
            self._drop(taken)
            raise _refused(self._names[len(taken)], held) from held
        except BaseException:
            self._drop(taken)
            raise
        with self._lock:
            self._held = taken

    def renew(self) -> None:
        """Keep what is held.

        Raises:
            LeaseLost: another process has one of them.
        """
        with self._lock:
            self._held = [self._store.keep(hold, self._ttl) for hold in self._held]

    def give_back(self) -> None:
        """Let others have them."""
        with self._lock:
            held, self._held = self._held, []
        self._drop(held)

    def _drop(self, held: Iterable[Hold]) -> None:
        for hold in held:
            self._store.drop(hold)


@contextmanager
def using(
    store: Store, names: Iterable[str], user: str, lost: Event, *, ttl: float = TTL, every: float = BEAT
) -> Iterator[None]:
    """Hold devices for the block, as a command does that runs no campaign.

    Args:
        store: where it is written who has which.
        names: of the devices, ``<rig>/<device>``.
        user: who uses them, as ``sabatier rig calibrate``.
        lost: is set where another process has taken one of them: then nothing more is to be commanded.
        ttl: how long a lease lasts unless it is renewed, s.
        every: between renewals, s.

    Raises:
        LeaseHeld: another process has one; says which, who and since when.
    """
    leases = DeviceLeases(store, names, user, ttl)
    leases.take()
    try:
        with renewed(leases.renew, lost, "a device", every):
            yield
    finally:
        leases.give_back()


@contextmanager
def renewed(renew: Callable[[], object], lost: Event, what: str, every: float = BEAT) -> Iterator[None]:
    """Renew what is held, in a thread, for the block.

    Args:
        renew: does it once; raises :class:`LeaseLost` where another process has it.
        lost: is set then.
        what: is held, for the log.
        every: between renewals, s.
    """
    over = Event()

    def beat() -> None:
        while not over.wait(every):
            try:
                renew()
            except LeaseLost as problem:
                logger.error("%s is lost: %s", what, problem)
                lost.set()
                return
            except Exception as problem:  # noqa: BLE001  a moment's lock, a full disk: a lease outlives several beats
                logger.warning("the lease of %s could not be renewed: %s", what, problem)

    thread = Thread(target=beat, name=f"lease of {what}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _refused(name: str, held: LeaseHeld) -> LeaseHeld:
    rig, _, device = name.rpartition("/")
    data: Mapping[str, Any] = held.data
    user, since = data.get("user", "another process"), data.get("since", "")
    when = f" since {datetime.fromisoformat(since).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return LeaseHeld(
        f"{device} of {rig} is in use by {user}, {held.owner}{when}.",
        owner=held.owner,
        data=held.data,
        field="lab",
        mend="Wait for that one, or end it; if it has died on another computer, its leases end by themselves within "
        f"{TTL:g} s.",
    )
