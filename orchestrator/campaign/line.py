"""The line of campaigns that want the same devices, as the store has it; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from orchestrator.store.protocol import Store
from orchestrator.store.records import Hold

BRAIN: Final = "brain"
"""Kind of the lease of whoever proposes for a campaign that runs elsewhere; its name is the campaign's."""
DEVICE: Final = "device"
"""Kind of the leases of devices; they are named ``<rig>/<device>``."""
WAITING: Final = "waiting"
"""Kind of the holds of those who stand in line, named by their campaign."""


@dataclass(frozen=True, slots=True)
class Place:
    """One campaign's place in the line.

    Attributes:
        campaign: its name.
        priority: higher goes first.
        since: when it began to wait, ISO 8601 in UTC.
        devices: that it wants, ``<rig>/<device>``.
    """

    campaign: str
    priority: int
    since: str
    devices: frozenset[str]

    @classmethod
    def of(cls, hold: Hold) -> Place:
        """As it is written in the store."""
        data = hold.data
        return cls(hold.name, int(data["priority"]), str(data["since"]), frozenset(data["devices"]))

    @property
    def order(self) -> tuple[int, str, str]:
        """Sorts the line, the first one first."""
        return -self.priority, self.since, self.campaign


def line(store: Store, devices: frozenset[str]) -> list[Place]:
    """Those who wait for one of these devices, the first one first."""
    places = [Place.of(hold) for hold in store.held(WAITING)]
    return sorted((place for place in places if place.devices & devices), key=lambda place: place.order)


def turn_of(store: Store, campaign: str) -> dict[str, Any] | None:
    """What a campaign that waits for its turn waits for, as JSON values; ``None`` where it does not wait."""
    mine = next((Place.of(hold) for hold in store.held(WAITING) if hold.name == campaign), None)
    if mine is None:
        return None
    before = [place.campaign for place in line(store, mine.devices) if place.order < mine.order]
    users = {str(h.data.get("user", h.owner)) for h in store.held(DEVICE) if h.name in mine.devices}
    return {"since": mine.since, "priority": mine.priority, "behind": before, "used_by": sorted(users)}
