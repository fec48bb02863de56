"""Campaigns that want the same devices take turns: by priority, then by how long they have waited.

A campaign that wants devices stands in line for them, which is written in the store for all to see. Whoever is first of
those that want one of the same devices takes all of its own, as soon as they are free. Who has them gives way, between
experiments, to a higher priority at once, to an equal one after its hours, and to anybody while it has nothing to do
itself. It stands in line before it lets go, so that nobody is overtaken by one who comes later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

from orchestrator.campaign.line import WAITING, Place, line
from orchestrator.campaign.words import TURN
from orchestrator.config.turns import TurnsBlock
from orchestrator.errors import LeaseHeld, LeaseLost, StoreError
from orchestrator.loop.devices import DeviceLeases
from orchestrator.loop.leasing import uptime
from orchestrator.loop.listener import Listener, told
from orchestrator.store.protocol import Store
from orchestrator.store.records import Hold, Owner

logger = logging.getLogger(__name__)

BETWEEN: Final = 1.0
"""Real seconds between looks at the line."""


class Turns:
    """The turns of one campaign.

    Args:
        store: where it is written who has what, and who waits.
        campaign: its name.
        devices: of its laboratory; without any it never waits and never gives way.
        policy: its priority, and how long it keeps the devices.
        ttl: how long a place in the line lasts unless it is renewed, s.
        listeners: are told who is waited for.
    """

    def __init__(
        self,
        store: Store,
        campaign: str,
        devices: Sequence[str],
        policy: TurnsBlock,
        *,
        ttl: float,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.policy = policy
        self._store, self._campaign, self._devices, self._ttl = store, campaign, frozenset(devices), ttl
        self._listeners = listeners
        self._leases = DeviceLeases(store, devices, f"campaign {campaign}", ttl)
        self._place: Hold | None = None
        self._since = 0.0
        self._said = ""

    @property
    def alone(self) -> bool:
        """Whether the laboratory has nothing that others could want."""
        return not self._devices

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        try:
            self.end()
        except StoreError as trouble:  # as on a full disk: how the campaign ended is the news
            logger.warning("the devices of campaign %s end with this process: %s", self._campaign, trouble)

    def renew(self) -> None:
        """Keep what is held: the devices.

        Raises:
            LeaseLost: another process has one of them.
        """
        self._leases.renew()

    def wait(self, goes_on: Callable[[], bool], wants: Callable[[], bool], pause: Callable[[float], Any]) -> bool:
        """Stand in line until the devices are this campaign's.

        Args:
            goes_on: asked again and again; false where waiting has become pointless.
            wants: whether the devices would be used at once; one who would not lets others go first.
            pause: waits so many seconds, or less.

        Returns:
            Whether the devices are held now.
        """
        if self.alone:
            return True
        began = time.monotonic()
        self._said = ""
        try:
            while goes_on():
                if not wants():
                    self._leave()  # whoever does not want them must not keep others waiting
                elif self._take():
                    if self._said:
                        self._tell(f"has its turn after {(time.monotonic() - began) / 60:.3g} min")
                    return True
                pause(BETWEEN)
        finally:
            self._leave()
        return False

    def _take(self) -> bool:
        first = self._stand()[0]
        if first.campaign != self._campaign:
            self._say(f"waits for its turn behind campaign {first.campaign} (priority {first.priority})")
            return False
        try:
            self._leases.take()
        except LeaseHeld as held:
            self._say(f"waits for its turn: {held.args[0]}")
            return False
        self._since = uptime()
        return True

    def _stand(self) -> list[Place]:
        """Stand in line, or go on doing so; the line as it is now."""
        if self._place is not None and self._place.data["priority"] != self.policy.priority:  # amended
            self._leave()
        if self._place is not None:
            try:
                self._place = self._store.keep(self._place, self._ttl)
            except LeaseLost:  # this process slept for longer than a place lasts
                self._place = None
        if self._place is None:
            data = {
                "priority": self.policy.priority,
                "since": datetime.now(UTC).isoformat(),
                "devices": sorted(self._devices),
            }
            self._place = self._store.hold(WAITING, self._campaign, Owner.current(), self._ttl, data=data)
        return line(self._store, self._devices)

    def _leave(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self._store.drop(place)

    def gives_way(self, *, idle: bool = False) -> str:
        """To whom the devices should be given as soon as nothing runs, and why; empty where to nobody.

        Args:
            idle: whether this campaign has no use for them now.
        """
        if self.alone:
            return ""
        waiting = [place for place in line(self._store, self._devices) if place.campaign != self._campaign]
        if not waiting:
            return ""
        first, mine = waiting[0], self.policy.priority
        who = f"campaign {first.campaign} (priority {first.priority})"
        if first.priority > mine:
            return f"{who} goes before this one (priority {mine})"
        if idle:
            return f"{who} waits, and there is nothing to do here now"
        hours = (uptime() - self._since) / 3600.0
        if first.priority == mine and hours >= self.policy.hours:
            return f"{who} has waited, and this one had its {self.policy.hours:g} h"
        return ""

    def end(self) -> None:
        """Let others have the devices."""
        self._leave()
        self._leases.give_back()

    def give_way(self, why: str, *, wants: bool) -> None:
        """Let the next one have the devices, since nothing runs any more.

        Args:
            why: for people.
            wants: whether this campaign would go on at once; then it stands in line before it lets go.
        """
        self._tell(f"gives way: {why}")
        if wants:
            self._stand()
        self._leases.give_back()

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._tell(text)

    def _tell(self, text: str) -> None:
        logger.info("campaign %s %s", self._campaign, text)
        told(self._listeners, "noticed", TURN, text)
