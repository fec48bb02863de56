"""Who may control a campaign: the rules of leases, the same in every store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from orchestrator.errors import LeaseHeld, LeaseLost, UnstorableValue
from orchestrator.store import codec
from orchestrator.store.codec import Row
from orchestrator.store.records import EventRecord, Lease, Owner

Kept = Mapping[str, Any]


class Clock(Protocol):
    """What a store takes its times from."""

    def now(self) -> datetime:
        """Wall time, aware."""

    def monotonic(self) -> float:
        """Seconds of a clock that all processes of one boot share and nobody sets."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The computer's own."""

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


def acquired(kept: Kept | None, name: str, owner: Owner, ttl: float, clock: Clock) -> Row:
    """The row of a lease that ``owner`` takes.

    Raises:
        LeaseHeld: another process, or an earlier controller in this one, holds it.
    """
    if kept is not None and kept["held"] and not _free(kept, clock):
        holder = owner_of(kept)
        raise LeaseHeld(
            f"campaign {name!r} is controlled by {holder}.",
            owner=holder,
            field="name",
            mend="Stop that one first; if it has died elsewhere, its lease ends by itself "
            f"at {kept['expires']:%Y-%m-%d %H:%M:%S} UTC.",
        )
    token = 1 if kept is None else kept["token"] + 1
    return {"token": token, "held": True, "document": codec.encode(asdict(owner), "owner"), **_until(ttl, clock)}


def renewed(kept: Kept | None, lease: Lease, ttl: float, clock: Clock) -> Row:
    """The row of a lease that its holder prolongs. An expired one that nobody took yet is still its holder's.

    Raises:
        LeaseLost: it was released, or another holds it.
    """
    check_token(kept, lease.campaign, lease.token)
    return _until(ttl, clock)


def check_token(kept: Kept | None, name: str, token: int) -> None:
    """Fence: refuse whoever does not hold the newest lease.

    Raises:
        LeaseLost: the lease of this token was released, or another holds a newer one.
    """
    if kept is None or kept["token"] < token:
        raise LeaseLost(f"nobody was ever given lease {token} of campaign {name!r}.", field="token")
    if kept["token"] > token:
        raise LeaseLost(
            f"this process lost control of campaign {name!r}: {owner_of(kept)} took over.",
            field="token",
            mend="Leave the campaign to that process.",
        )
    if not kept["held"]:
        raise LeaseLost(f"the lease {token} of campaign {name!r} was released.", field="token")


def owner_of(kept: Kept) -> Owner:
    """The last holder of a lease."""
    return Owner(**codec.decode(kept["document"]))


def present(name: str, kept: Kept | None, clock: Clock) -> Lease | None:
    """The lease in force; ``None`` where nobody holds one, or its holder is dead or out of time."""
    return lease_of(name, kept) if kept is not None and kept["held"] and not _free(kept, clock) else None


def lease_of(name: str, kept: Kept) -> Lease:
    """A row as a lease."""
    return Lease(name, owner_of(kept), kept["token"], kept["expires"])


def holds(kept: Kept | None, lease: Lease) -> bool:
    """Whether a lease is the campaign's present one."""
    return kept is not None and bool(kept["held"]) and kept["token"] == lease.token


def event(before: Kept | None, after: Kept, sequence: int, clock: Clock) -> Row:
    """The log's row for a lease that changed hands; ``sequence`` is that of the campaign's last event."""
    who = str(owner_of(after))
    former = str(owner_of(before)) if before is not None and before["held"] else None
    why = "released" if not after["held"] else "took over" if former else "acquired"
    holder = who if after["held"] else None
    record = EventRecord(
        sequence=sequence + 1,
        time=clock.now(),
        who=who,
        kind="lease",
        before=former,
        after=holder,
        why=why,
        data={"token": after["token"]},
    )
    return codec.event_row(record)


def _free(kept: Kept, clock: Clock) -> bool:
    """Whether a held lease may be taken from its holder: it is dead for certain, or its time is over."""
    holder = owner_of(kept)
    if holder.alive() is False:
        return True
    # A wall clock that is set forth must not expire a lease, one that is set back not prolong it: within one boot the
    # monotonic clock decides.
    ours = Owner.current()
    if holder.boot and holder.host == ours.host and holder.boot.partition("+")[0] == ours.boot.partition("+")[0]:
        return bool(clock.monotonic() >= kept["deadline"])
    return bool(clock.now() >= kept["expires"])


def _until(ttl: float, clock: Clock) -> Row:
    if not 0 < ttl < 1e9:
        raise UnstorableValue(f"a lease cannot last {ttl} s.", field="ttl", mend="Use a positive number of seconds.")
    return {"expires": clock.now().astimezone(UTC) + timedelta(seconds=ttl), "deadline": clock.monotonic() + ttl}
