"""Liquid products whose analysis comes hours later: results by their vials' labels, and the figures that they add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from instruments.electrochemistry.quality import DEFAULT_RULES
from instruments.electrochemistry.rules import QualityRules
from instruments.electrochemistry.setup import KEY, Setup
from instruments.lab import Measurement, Observation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Late:
    """Results that have come for one attempt.

    Attributes:
        campaign: its name.
        experiment: its id.
        attempt: which execution.
        sample: id of the electrode.
        liquid: table of the raw-signal form.
        taken: what the hand-over is told when they are kept: ``handoff.keep(late.taken)``.
    """

    campaign: str
    experiment: int
    attempt: int
    sample: str
    liquid: pd.DataFrame
    taken: Any


def results(handoff: Any) -> Iterator[Late]:
    """Results that have come and are not kept yet.

    Args:
        handoff: the device of that role.

    Raises:
        DeviceError: its folder cannot be read.
    """
    from instruments.drivers.handoff.results import liquid_table

    for taken in handoff.collect():
        for label, found in taken.results.items():
            yield Late(label.campaign, label.experiment, label.attempt, label.sample, liquid_table(found), taken)


def with_liquids(measurement: Measurement, liquid: pd.DataFrame) -> Measurement:
    """A measurement with the table of its liquid analysis, which its setup then names as analysed."""
    setup = Setup.from_metadata(measurement.metadata)
    phases = tuple(dict.fromkeys([*(setup.analysed or ("gas",)), "liquid"]))
    changed = Setup(**{**setup.model_dump(exclude_none=True), "analysed": phases})
    metadata = {**measurement.metadata, KEY: changed.to_metadata()[KEY]}
    return Measurement({**measurement.signals, "liquid": liquid}, metadata)


def completed(
    measurement: Measurement, liquid: pd.DataFrame, awaited: Iterable[str], rules: QualityRules = DEFAULT_RULES
) -> Observation:
    """What the analysis of the liquid adds: the figures that were awaited, and the verdict on all of it.

    Args:
        measurement: of the attempt, as it was stored.
        liquid: its table.
        awaited: metrics that the outcome had named.
        rules: of quality control.

    Raises:
        SignalError: the table is wrong, or nothing can be computed.
    """
    from instruments.electrochemistry.reduction import reduce

    reduction = reduce(with_liquids(measurement, liquid), rules=rules)
    wanted = set(awaited)
    figures = {name: figure for name, figure in reduction.figures.items() if name in wanted}
    return replace(reduction.observation, figures=figures, report=reduction.report())
