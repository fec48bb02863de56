"""What limits a campaign: its cells, or a device that they share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.store.records import AttemptRecord

FEWEST: Final = 3
"""Fewer attempts tell nothing of how long one takes."""
LATEST: Final = 200
"""So many attempts are looked at, the last ones: a campaign may have changed since."""
CELLS: Final = "cells"


@dataclass(frozen=True, slots=True)
class Load:
    """How long one experiment occupies what experiments share.

    Attributes:
        resource: the device's name, or ``cells``.
        seconds: by the laboratory's clock; of cells, shared by those in service, without what was waited for devices.
        sem: standard uncertainty of that, s.
        waited: mean time for which an experiment waited for it, s; 0 of cells.
    """

    resource: str
    seconds: float
    sem: float
    waited: float

    @property
    def most(self) -> float:
        """Experiments an hour that it allows."""
        return 3600.0 / self.seconds

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "resource": self.resource,
            "seconds": self.seconds,
            "sem": self.sem,
            "waited": self.waited,
            "most_per_hour": self.most,
        }


def loads(attempts: Sequence[AttemptRecord], out: Collection[str] = ()) -> list[Load]:
    """What experiments share, the bottleneck first; empty where too little is known.

    Every experiment needs a cell and its devices once, so that ``1 / seconds`` of each resource bounds the rate of the
    campaign (the asymptotic bound of a closed queueing network; Denning and Buzen, ACM Comput. Surv. 10, 225, 1978,
    "Bottleneck analysis"). The one with the greatest load is the bottleneck, however long the others are waited for.

    Args:
        attempts: of the campaign, in any order.
        out: cells that are out of service.
    """
    ended = [a for a in attempts if a.state in ("finished", "failed") and a.duration]
    ended = sorted(ended, key=lambda a: a.clock_started)[-LATEST:]
    cells = {a.cell for a in ended} - set(out)
    if len(ended) < FEWEST or not cells:
        return []
    own = [max((a.duration or 0.0) - sum(waited for _, waited in a.used.values()), 0.0) for a in ended]
    found = [_load(CELLS, [seconds / len(cells) for seconds in own], 0.0)]
    for device in sorted({device for a in ended for device in a.used}):
        times = [a.used.get(device, (0.0, 0.0)) for a in ended]
        waited = statistics.fmean(waited for _, waited in times)
        found.append(_load(device, [busy for busy, _ in times], waited))
    return sorted((load for load in found if load.seconds > 0), key=lambda load: -load.seconds)


def _load(resource: str, seconds: Sequence[float], waited: float) -> Load:
    sem = statistics.stdev(seconds) / math.sqrt(len(seconds))
    return Load(resource, statistics.fmean(seconds), sem, waited)
