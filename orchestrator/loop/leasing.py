"""The fence in the process itself: whoever slept past the end of a lease commands and writes nothing more."""

from __future__ import annotations

import time
from threading import Lock

from orchestrator.errors import LeaseLost


def uptime() -> float:
    """Seconds since this computer started, those that it slept included where the system counts them (Linux)."""
    counted = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if counted is None else time.clock_gettime(counted)


class Fence:
    """Closes by itself when a lease has not been renewed in time.

    Asking costs no query. It is the counterpart to the fencing number, which the store checks: that one stops a
    process once another has taken over, this one already when another may.

    Args:
        campaign: whose lease it is.
        ttl: how long the lease lasts from now, s.
    """

    def __init__(self, campaign: str, ttl: float) -> None:
        self._campaign, self._lock = campaign, Lock()
        self._ends = uptime() + ttl

    def prolong(self, asked: float, ttl: float) -> None:
        """The lease was renewed.

        Args:
            asked: :func:`uptime` before the renewal was asked for.
            ttl: how long it lasts from then, s.
        """
        with self._lock:
            self._ends = max(self._ends, asked + ttl)

    def permits(self) -> bool:
        """Whether the lease is in force."""
        with self._lock:
            return uptime() < self._ends

    def check(self) -> None:
        """Refuse to go on without a lease in force.

        Raises:
            LeaseLost: it has run out.
        """
        with self._lock:
            late = uptime() - self._ends
        if late >= 0:
            raise LeaseLost(
                f"control of campaign {self._campaign!r} ran out {late:.1f} s ago: this process was stopped, "
                "the computer slept, or the store could not be reached.",
                field="token",
                mend=f"Nothing is lost: continue with `sabatier resume {self._campaign}`.",
            )
