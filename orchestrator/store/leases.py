"""Who may control a campaign or use a device: the rules of leases, the same in every store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

from orchestrator.errors import LeaseHeld, LeaseLost, UnstorableValue
from orchestrator.store import codec
from orchestrator.store.codec import Row
from orchestrator.store.records import EventRecord, Hold, Lease, Owner

Kept = Mapping[str, Any]

CAMPAIGN: Final = "campaign"
"""The kind of the leases of campaigns' controllers."""


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


@dataclass(frozen=True, slots=True)
class Terms:
    """What a store judges leases by.

    Attributes:
        clock: what times are taken from.
        shared: whether several computers use the store.
    """

    clock: Clock
    shared: bool = False


def thing(kind: str, name: str) -> tuple[str, str]:
    """What is to be held, as stores keep its names.

    Raises:
        UnstorableValue: it has no name, or is leased in another way.
    """
    if kind == CAMPAIGN:
        raise UnstorableValue("campaigns are not held.", field="kind", mend="Use acquire, renew and release.")
    for what, value in (("kind", kind), ("name", name)):
        if not value:
            raise UnstorableValue(f"what is held needs a {what}.", field=what)
    return codec.text(kind), codec.text(name)


def acquired(
    kept: Kept | None,
    kind: str,
    name: str,
    owner: Owner,
    ttl: float,
    terms: Terms,
    data: Mapping[str, Any] = MappingProxyType({}),
) -> Row:
    """The row of a lease that ``owner`` takes.

    Raises:
        LeaseHeld: another process, or an earlier holder in this one, has it.
        UnstorableValue: it would last no time, or its data are not JSON.
    """
    if kept is not None and kept["held"] and not _free(kept, terms):
        holder = owner_of(kept)
        campaign = kind == CAMPAIGN
        raise LeaseHeld(
            f"{kind} {name!r} is {'controlled' if campaign else 'held'} by {holder}.",
            owner=holder,
            data=data_of(kept),
            field="name",
            mend=f"{'Stop that one first' if campaign else 'Wait for that one'}; if it has died elsewhere, its lease "
            f"ends by itself at {kept['expires']:%Y-%m-%d %H:%M:%S} UTC.",
        )
    token = 1 if kept is None else kept["token"] + 1
    content = asdict(owner) | ({"data": dict(data)} if data else {})
    return {
        "token": token,
        "held": True,
        "document": codec.encode(content, f"{kind} {name}"),
        **_until(ttl, terms.clock),
    }


def renewed(kept: Kept | None, kind: str, name: str, token: int, ttl: float, clock: Clock) -> Row:
    """The row of a lease that its holder prolongs. An expired one that nobody took yet is still its holder's.

    Raises:
        LeaseLost: it was released, or another holds it.
    """
    check_token(kept, kind, name, token)
    return {**(kept or {}), **_until(ttl, clock)}


def check_token(kept: Kept | None, kind: str, name: str, token: int) -> None:
    """Fence: refuse whoever does not hold the newest lease.

    Raises:
        LeaseLost: the lease of this token was released, or another holds a newer one.
    """
    if kept is None or kept["token"] < token:
        raise LeaseLost(f"nobody was ever given lease {token} of {kind} {name!r}.", field="token")
    if kept["token"] > token:
        control = "control of " if kind == CAMPAIGN else ""
        raise LeaseLost(
            f"this process lost {control}{kind} {name!r}: {owner_of(kept)} took over.",
            field="token",
            mend=f"Leave the {kind} to that process.",
        )
    if not kept["held"]:
        raise LeaseLost(f"the lease {token} of {kind} {name!r} was released.", field="token")


def owner_of(kept: Kept) -> Owner:
    """The last holder of a lease."""
    content = codec.decode(kept["document"])
    content.pop("data", None)
    return Owner(**content)


def data_of(kept: Kept) -> dict[str, Any]:
    """What the last holder of a lease noted with it."""
    data: dict[str, Any] = codec.decode(kept["document"]).get("data", {})
    return data


def in_force(kept: Kept | None, terms: Terms) -> bool:
    """Whether somebody holds a lease, and has neither died nor run out of time."""
    return kept is not None and bool(kept["held"]) and not _free(kept, terms)


def lease_of(name: str, kept: Kept) -> Lease:
    """A row as the lease of a campaign."""
    return Lease(name, owner_of(kept), kept["token"], kept["expires"])


def hold_of(kind: str, name: str, kept: Kept) -> Hold:
    """A row as the hold of anything."""
    return Hold(kind, name, owner_of(kept), kept["token"], kept["expires"], data_of(kept))


def holds(kept: Kept | None, token: int) -> bool:
    """Whether the lease of this token is the present one."""
    return kept is not None and bool(kept["held"]) and kept["token"] == token


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


def _free(kept: Kept, terms: Terms) -> bool:
    """Whether a held lease may be taken from its holder: it is dead for certain, or its time is over."""
    holder = owner_of(kept)
    if holder.alive(shared=terms.shared) is False:
        return True
    # A wall clock that is set forth must not expire a lease, one that is set back not prolong it: within one boot the
    # monotonic clock decides.
    ours = Owner.current()
    if holder.boot and holder.host == ours.host and holder.boot.partition("+")[0] == ours.boot.partition("+")[0]:
        return bool(terms.clock.monotonic() >= kept["deadline"])
    return bool(terms.clock.now() >= kept["expires"])


def _until(ttl: float, clock: Clock) -> Row:
    if not 0 < ttl < 1e9:
        raise UnstorableValue(f"a lease cannot last {ttl} s.", field="ttl", mend="Use a positive number of seconds.")
    return {"expires": clock.now().astimezone(UTC) + timedelta(seconds=ttl), "deadline": clock.monotonic() + ttl}
