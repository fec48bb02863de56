"""What is known of a campaign without its documents: rows of columns, of which ten thousand are read in no time."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.store.records import ExperimentState, Origin


class FigureRow(NamedTuple):
    """One figure of merit of one experiment, with what decides whether it counts.

    Attributes:
        experiment: its id.
        metric: what was measured.
        value: in the metric's unit.
        sem: one standard uncertainty of it, or ``None``.
        censored: ``"below"`` or ``"above"`` where the value is only a bound.
        state: of the experiment.
        origin: who wanted the experiment.
        verdict: on the experiment: ``valid``, ``suspect`` or ``invalid``.
        told: position of the experiment's first tell in the campaign's order of tells.
    """

    experiment: int
    metric: str
    value: float
    sem: float | None
    censored: str | None
    state: ExperimentState
    origin: Origin
    verdict: str | None
    told: int | None


class ExperimentRow(NamedTuple):
    """An experiment in short. Attributes: as of :class:`~orchestrator.store.ExperimentRecord`."""

    id: int
    state: ExperimentState
    origin: Origin
    verdict: str | None
    told: int | None
    gain: float | None
    cost: float | None


class Kind(NamedTuple):
    """What experiments are counted by. Attributes: as of :class:`~orchestrator.store.ExperimentRecord`."""

    state: ExperimentState
    origin: Origin
    verdict: str | None
    cost: float | None
