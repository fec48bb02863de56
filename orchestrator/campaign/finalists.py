"""The best points of a search, that fresh samples are to confirm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.campaign.merit import goodness, keeps, non_dominated
from orchestrator.campaign.progress import teaches
from orchestrator.store.records import ExperimentRecord

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign

Floats: TypeAlias = NDArray[np.float64]
Expected: TypeAlias = tuple[Floats, Floats]
"""Means and standard deviations, one a point."""


@dataclass(frozen=True, slots=True)
class Finalist:
    """A point that is worth confirming.

    Attributes:
        experiment: the first that was done there.
        settings: as asked, so that they can be asked again.
        prediction: by metric, ``mean`` and ``std`` of the noise-free value there.
        measurement: the same of one measurement there, with the scatter that the model learned; empty without a model.
    """

    experiment: int
    settings: dict[str, Any]
    prediction: dict[str, dict[str, float]]
    measurement: dict[str, dict[str, float]]


def finalists(campaign: Campaign, top: int, possible: Callable[[Mapping[str, Any]], bool]) -> list[Finalist]:
    """The best different points that are expected to keep all outcome constraints, the best first.

    They are judged by the mean of the strategy's model at their settings as asked: there fresh samples are made. Where
    the strategy has no model, by the means of what was measured there; what was not valid or is only a bound does not
    count then. With several objectives, points of the Pareto front, each the one that adds most to the hypervolume of
    those before it; where the front has too few, those of the front that is left without them.

    Args:
        campaign: what was asked and told.
        top: so many; fewer where there are no more.
        possible: whether settings can be executed.
    """
    groups = _groups(campaign, possible)
    if not groups:
        return []
    points = campaign.space.to_array(pd.DataFrame([_settings(group[0]) for group in groups]))
    expected = _expected(campaign, groups, points)
    noisy = _modelled(campaign, points, noise=True)
    good = np.array([all(np.isfinite(expected[m][0][i]) for m in campaign.metrics) for i in range(len(groups))])
    for constraint in campaign.outcome_constraints:
        good &= keeps(constraint, expected[constraint.metric][0])
    chosen = _best(campaign, expected, good, top)
    return [
        Finalist(
            groups[i][0].id,
            _settings(groups[i][0]),
            _plain(expected, i),
            _plain(noisy, i),
        )
        for i in chosen
    ]


def _plain(expected: Mapping[str, Expected], row: int) -> dict[str, dict[str, float]]:
    return {metric: {"mean": float(mean[row]), "std": float(std[row])} for metric, (mean, std) in expected.items()}


def _settings(record: ExperimentRecord) -> dict[str, Any]:
    """Settings that can be asked again: those asked, of prior data those executed."""
    return dict(record.asked or record.executed or {})


def _groups(campaign: Campaign, possible: Callable[[Mapping[str, Any]], bool]) -> list[list[ExperimentRecord]]:
    """The completed experiments at each different point of the space that can be executed, the oldest first."""
    space = campaign.space
    known = [r for r in campaign.experiments() if r.state == "completed" and teaches(r, campaign.metrics)]
    if not known:
        return []
    points = space.to_array(pd.DataFrame([_settings(r) for r in known]))
    groups: dict[bytes, list[ExperimentRecord]] = {}
    for record, key, inside in zip(known, space.keys(points), space.contains(points), strict=True):
        if inside:
            groups.setdefault(key, []).append(record)
    return [group for group in groups.values() if possible(_settings(group[0]))]


def _expected(campaign: Campaign, groups: Sequence[Sequence[ExperimentRecord]], points: Floats) -> dict[str, Expected]:
    """What is expected at each point, by metric; NaN where nothing is known."""
    if modelled := _modelled(campaign, points, noise=False):
        return modelled
    pooled = {metric: [_pooled(group, metric) for group in groups] for metric in campaign.metrics}
    return {m: (np.array([mean for mean, _ in at]), np.array([std for _, std in at])) for m, at in pooled.items()}


def _modelled(campaign: Campaign, points: Floats, *, noise: bool) -> dict[str, Expected]:
    """What the model of the campaign's strategy expects at each point, by metric; empty where it has none."""
    from acquisition.strategies.model_based import ModelBased

    if not isinstance(campaign.strategy, ModelBased):
        return {}
    beliefs = {metric: model.predict(points, noise=noise) for metric, model in campaign.models().items()}
    return {metric: (beliefs[metric].mean, beliefs[metric].std) for metric in campaign.metrics}


def _pooled(group: Sequence[ExperimentRecord], metric: str) -> tuple[float, float]:
    """Mean of what was measured at a point, and its standard error: of one value that which was told with it."""
    told = [r.values[metric] for r in group if r.verdict == "valid" and metric in r.values]
    known = [(v.value, v.sem) for v in told if v.value is not None and v.censored is None]
    if not known:
        return math.nan, math.nan
    values = np.array([value for value, _ in known])
    if len(known) == 1:
        return float(values[0]), known[0][1] or 0.0
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def _best(campaign: Campaign, expected: Mapping[str, Expected], good: NDArray[np.bool_], top: int) -> list[int]:
    """Rows of the best points, the best first; of equally good ones those that more is known of."""
    utilities = np.stack([goodness(o, expected[o.metric][0]) for o in campaign.objectives], axis=1)
    if len(campaign.objectives) == 1:
        rows = np.flatnonzero(good)
        order = np.lexsort((rows, expected[campaign.objectives[0].metric][1][rows], -utilities[rows, 0]))
        return [int(row) for row in rows[order][:top]]
    from acquisition.hypervolume import spanning

    chosen: list[int] = []
    left = good.copy()
    while len(chosen) < top and left.any():
        front = np.flatnonzero(non_dominated(utilities, left))
        chosen += [int(front[row]) for row in spanning(utilities[front], campaign.objectives, top - len(chosen))]
        left[front] = False
    return chosen
