"""What emulated relay cards share: contacts that may stick."""

from __future__ import annotations

from collections.abc import Mapping

from simulators.emulators.alone import Settable
from simulators.emulators.faults import Faults
from simulators.emulators.roles import Switch

STUCK = "the contact of `channel` (all without it) stays as it is, and the card says so"


class Contacts:
    """The coils of a card, and the contacts that they move.

    Args:
        count: of coils.
        switches: contacts by coil; stand-ins for the others. A coil with current closes its contact.
        faults: of the card.
    """

    def __init__(self, count: int, switches: Mapping[int, Switch] | None, faults: Faults) -> None:
        self.count, self._faults = count, faults
        self._switches: dict[int, Switch] = {i: Settable() for i in range(count)}
        self._switches.update(switches or {})

    def set(self, channel: int, on: bool) -> None:
        """Give current to a coil, or take it away."""
        if self._faults.holds("stuck"):
            armed = self._faults.take("stuck")
            if armed is not None and armed.values.get("channel", channel) == channel:
                return
        self._switches[channel].set(on)

    def on(self, channel: int) -> bool:
        """Whether a coil has current."""
        return self._switches[channel].closed()

    def state(self) -> Mapping[str, object]:
        """All coils."""
        return {str(i): self.on(i) for i in range(self.count)}
