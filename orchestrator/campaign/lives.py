"""For how long a sample may be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.store.records import AttemptRecord

if TYPE_CHECKING:
    from orchestrator.config.samples import SamplesBlock


def over(limits: SamplesBlock, life: Sequence[AttemptRecord], clock: float, wall: datetime | None) -> str:
    """Why the life of a sample is over; empty while it is not.

    Where time is real, the wall's clock counts too: a sample ages while no process runs.

    Args:
        limits: what a campaign allows.
        life: the attempts on the sample, in the order of their beginnings.
        clock: of the laboratory, now, s.
        wall: now; ``None`` where time passes only in a simulation.
    """
    if not life:
        return ""
    since, rested = _age(life, clock, wall), _rest(life, clock, wall)
    if limits.hours is not None and since > limits.hours:
        return f"its {limits.hours:g} hours are over: its first experiment began {since:.3g} h ago"
    if limits.open_circuit is not None and rested > limits.open_circuit:
        return f"it was at open circuit for {rested:.3g} h, longer than {limits.open_circuit:g} h"
    return ""


def _age(life: Sequence[AttemptRecord], clock: float, wall: datetime | None) -> float:
    """Hours since the first experiment began."""
    by_clock = clock - life[0].clock_started
    by_wall = 0.0 if wall is None else (wall - life[0].started).total_seconds()
    return max(by_clock, by_wall) / 3600.0


def _rest(life: Sequence[AttemptRecord], clock: float, wall: datetime | None) -> float:
    """Hours since the last experiment ended; 0 while one runs."""
    if any(attempt.state == "running" for attempt in life):
        return 0.0
    by_clock = clock - max(attempt.clock_started + (attempt.duration or 0.0) for attempt in life)
    ends = [attempt.finished for attempt in life if attempt.finished is not None]
    by_wall = 0.0 if wall is None or not ends else (wall - max(ends)).total_seconds()
    return max(by_clock, by_wall, 0.0) / 3600.0
