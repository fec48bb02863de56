"""The pace of emulated time: how many seconds of the laboratory pass in one real second."""

from __future__ import annotations

import time
from threading import Event


class Pace:
    """Laboratory time from a monotonic clock.

    Args:
        factor: laboratory seconds in one real second.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self._origin = time.monotonic()

    def now(self) -> float:
        """Laboratory seconds since the emulators began."""
        return (time.monotonic() - self._origin) * self.factor

    def wait(self, seconds: float, cancelled: Event) -> bool:
        """Wait for laboratory seconds; whether it was cancelled."""
        return cancelled.wait(max(seconds, 0.0) / self.factor)
