"""The rig's time: that of the laboratory, which is faster than the wall's only where all instruments are emulated."""

from __future__ import annotations

import time


class RigClock:
    """Seconds of the laboratory since the rig was made.

    Args:
        pace: seconds of the laboratory in one real second.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace
        self._origin = time.monotonic()

    @property
    def virtual(self) -> bool:
        """Never: whoever waits does wait."""
        return False

    def now(self) -> float:
        """Seconds of the laboratory since the rig was made."""
        return (time.monotonic() - self._origin) * self.pace

    def real(self, seconds: float) -> float:
        """Real seconds that so many seconds of the laboratory take."""
        return max(seconds, 0.0) / self.pace
