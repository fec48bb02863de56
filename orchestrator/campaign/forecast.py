"""When a campaign will have used its budget up, judged by how long its experiments took."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orchestrator.campaign.progress import Spent
from orchestrator.store.records import AttemptRecord

FEWEST: Final = 3
"""Fewer attempts tell nothing of how long one takes."""
COURSES: Final = 200
"""So many ways in which a campaign may go on are looked at."""
MOST_DRAWN: Final = 500
"""Experiments that are drawn one by one."""
VIRTUAL: Final = 0.5
"""Attempts that took less of the wall's time than this share of the laboratory's were simulated."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The expected end of a campaign.

    Attributes:
        hours: until then, by the laboratory's clock.
        sem: standard uncertainty of that, h: of what is known of durations, and of what the coming ones happen to be.
        experiments: that are still to end.
        cells: that they are shared by.
        at: by the wall's clock; ``None`` where time is simulated.
    """

    hours: float
    sem: float
    experiments: int
    cells: int
    at: datetime | None

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        at = None if self.at is None else self.at.isoformat(timespec="seconds")
        return {
            "hours": self.hours,
            "sem": self.sem,
            "experiments": self.experiments,
            "cells": self.cells,
            "at": at,
        }


def finish(
    attempts: Sequence[AttemptRecord],
    used: Spent,
    left: Mapping[str, float],
    out: Collection[str],
    now: datetime,
) -> Finish | None:
    """When the budget will be used up; nothing where there is no budget, or too little is known.

    The cells in service take one experiment after the other, each of a duration like those of the ones that ended.

    Args:
        attempts: all of them; of a long campaign the last ones, and all that run.
        used: of the campaign's budgets.
        left: what is left of each budget, by the stopping rule's key: ``experiments``, ``hours``, ``cost``;
            for ``catalyst_mass`` the share of what is used so far.
        out: cells that are out of service.
        now: the wall's clock.
    """
    times = [a.duration for a in attempts if a.state in ("finished", "failed") and a.duration]
    cells = {a.cell for a in attempts} - set(out)
    if len(times) < FEWEST or not cells:
        return None
    clock = max(a.clock_started + (a.duration or 0.0) for a in attempts)
    real = _real(attempts)
    flying = [a for a in attempts if a.state == "running" and a.cell in cells]
    more = _coming(used, left, statistics.fmean(times), len(cells))
    if more is None:
        return None
    gone = [(now - a.started).total_seconds() if real else clock - a.clock_started for a in flying]
    ends = _ends(np.array(times), gone, len(cells), more)
    at = now + timedelta(seconds=float(ends.mean())) if real else None
    return Finish(float(ends.mean()) / 3600.0, float(ends.std()) / 3600.0, more + len(flying), len(cells), at)


def _ends(times: NDArray[np.float64], gone: Sequence[float], cells: int, more: int) -> NDArray[np.float64]:
    """Ends of the last experiment, s from now, as they may come: durations are drawn from those that were seen.

    Each course draws from a resample of its own (bootstrap), so that what is not known of the mean counts as well.

    Args:
        times: durations so far, s.
        gone: of those that run, the time that has passed, s.
        cells: that take one experiment after the other.
        more: experiments that are still to be started.
    """
    rng = np.random.default_rng(0)
    weights = _weights(times, np.array(gone))
    known = rng.choice(times, size=(COURSES, len(times)), p=weights)
    free = np.zeros((COURSES, cells))
    for i, passed in enumerate(gone):
        share = np.where(times > passed, weights, 0.0)
        free[:, i] = rng.choice(times, COURSES, p=share / share.sum()) - passed if share.any() else 0.0
    far = max(0, (more - MOST_DRAWN) // cells)  # so many in each cell, which the law of large numbers sums up
    free += far * known.mean(axis=1, keepdims=True)
    free += np.sqrt(far) * known.std(axis=1, keepdims=True) * rng.standard_normal(free.shape)
    rows = np.arange(COURSES)
    for _ in range(more - far * cells):
        free[rows, free.argmin(axis=1)] += known[rows, rng.integers(len(times), size=COURSES)]
    ends: NDArray[np.float64] = free.max(axis=1)
    return ends


def _weights(times: NDArray[np.float64], gone: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of each duration, given that others have lasted longer than so far: the long ones still run.

    The estimate of Kaplan and Meier, J. Am. Stat. Assoc. 53, 457 (1958).
    """
    order = np.argsort(times, kind="stable")
    weights, above = np.empty(len(times)), 1.0
    for rank, i in enumerate(order):
        weights[i] = above / (len(times) - rank + (gone >= times[i]).sum())
        above -= weights[i]
    weights /= weights.sum()
    return weights


def _real(attempts: Sequence[AttemptRecord]) -> bool:
    """Whether the laboratory's time is the wall's."""
    ended = [a for a in attempts if a.finished is not None and a.duration]
    wall = sum((a.finished - a.started).total_seconds() for a in ended if a.finished is not None)
    return wall >= VIRTUAL * sum(a.duration or 0.0 for a in ended)


def _coming(used: Spent, left: Mapping[str, float], mean: float, cells: int) -> int | None:
    """How many experiments will still be started; ``None`` where nothing limits that."""
    limits = []
    if "experiments" in left:
        limits.append(left["experiments"])
    if "hours" in left:  # what is started before the end of the time goes to its own end
        limits.append(left["hours"] * 3600.0 / mean * cells)
    if "cost" in left and used.priced:
        limits.append(left["cost"] * used.priced / used.cost)
    if "catalyst_mass" in left and used.experiments:
        limits.append(left["catalyst_mass"] * used.experiments)
    return max(0, math.ceil(min(limits) - 1e-9)) + used.waiting if limits else None
