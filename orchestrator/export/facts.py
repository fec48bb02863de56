"""What a report says of a campaign in words and tables; everything is plain text, escaped by the template."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from instruments.metrics import unit_of
from orchestrator.campaign.confirmation import confirmation
from orchestrator.campaign.links import links
from orchestrator.campaign.progress import spent
from orchestrator.campaign.versions import history
from orchestrator.config.changes import shown
from orchestrator.config.confirm import stored_rule
from orchestrator.config.spaces import units_of
from orchestrator.errors import NothingTold
from orchestrator.export import words
from orchestrator.export.hover import fractions_of
from orchestrator.store.records import CampaignRecord
from orchestrator.store.states import EXPERIMENT_STATES

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign

PACKAGES: Final = (
    "sabatier", "torch", "gpytorch", "botorch", "numpy", "scipy", "pandas", "pyarrow", "sqlalchemy",
    "prefect", "plotly",
)  # fmt: skip
MOST_BEST: Final = 25
"""Rows of a Pareto front that a report shows at most."""


@dataclass(frozen=True)
class Quantity:
    """A named number: text with uncertainty, and its unit."""

    name: str
    text: str
    unit: str = ""


@dataclass(frozen=True)
class Outcome:
    """One metric at one of the best points: the model's mean ± std, and what was measured."""

    name: str
    meaning: str
    unit: str
    model: str
    raw: str
    is_objective: bool


@dataclass(frozen=True)
class Best:
    """One of the best points."""

    experiment: int
    parameters: tuple[Quantity, ...]
    left_out: int
    outcomes: tuple[Outcome, ...]
    samples: int


@dataclass(frozen=True)
class BestPoints:
    """The best points, how many more there are, and why there are none."""

    points: tuple[Best, ...]
    more: int
    why_none: str


def lede(campaign: Campaign) -> str:
    """The campaign in one sentence."""
    aims = words.listed([words.goal(objective) for objective in campaign.objectives])
    bounds = words.listed([words.bound(constraint) for constraint in campaign.outcome_constraints])
    columns = words.count(len(campaign.space.columns), "parameter")
    return f"{aims[0].upper()}{aims[1:]}{f', keeping {bounds},' if bounds else ''} over {columns}."


def glossary(campaign: Campaign) -> list[tuple[str, str]]:
    """What the campaign's metrics mean, where that is known."""
    return [(metric, words.meaning(metric)) for metric in campaign.metrics if words.meaning(metric)]


def facts(campaign: Campaign, record: CampaignRecord) -> list[tuple[str, str]]:
    """The head's list of facts."""
    strategy, lab = record.definition.get("strategy") or {}, record.definition.get("lab") or {}
    ran = [*([("Started", words.moment(record.started))]), ("Finished", words.moment(record.finished))]
    if record.started and record.finished:
        ran.append(("Took", words.duration((record.finished - record.started).total_seconds())))
    search = stored_rule(record.definition)
    rows = [
        ("Strategy", strategy.get("name") or type(campaign.strategy).__name__.lower()),
        ("Laboratory", lab.get("type") or "results told by hand"),
        ("Seed", str(record.seed)),
        *([("Ends after", search.text())] if search else []),
        *_plan(campaign),
        *_links(campaign),
        *ran,
    ]
    size = campaign.space.size
    if size is not None:
        rows.insert(2, ("Space", f"{size:,} points".replace(",", " ")))
    if campaign.space.constraints:
        rows.append(("Constraints", "; ".join(words.restriction(c) for c in campaign.space.constraints)))
    return rows


def _links(campaign: Campaign) -> list[tuple[str, str]]:
    """What the campaign goes on from, and what goes on from it; nothing where there is nothing."""
    linked = links(campaign.store, campaign.name)
    rows = [("Began with", f"{linked.experiments} results of campaign {linked.after}")] if linked.after else []
    return rows + ([("Followed by", ", ".join(linked.followed_by))] if linked.followed_by else [])


def _plan(campaign: Campaign) -> list[tuple[str, str]]:
    """What the campaign says of samples, batches and costs; nothing where it says nothing."""
    rows, records = [], spent(campaign.experiments())
    if (wanted := campaign.conditions_per_sample) is not None:
        samples = words.count(len({r.sample for r in records}), "sample")
        as_wanted = "as many experiments on each as pay" if wanted == "auto" else f"{wanted} experiments on each"
        rows.append(("Samples", f"{samples}, {as_wanted}"))
    if campaign.fixed:
        rows.append(("Equal within a batch", ", ".join(campaign.fixed)))
    if campaign.costs is not None:
        rows.append(("Cost", f"{sum(r.cost or 0.0 for r in records):g} {campaign.costs.unit}"))
    return rows


def states(frame: pd.DataFrame) -> list[tuple[str, str, int]]:
    """State, its name in words, and how many experiments are in it; those that occur."""
    counts = frame["state"].value_counts()
    return [(s, s.replace("_", " "), int(counts[s])) for s in EXPERIMENT_STATES if s in counts.index]


def amendments(campaign: Campaign) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    """What was amended: when and by whom, why, and each field with what it was and became."""
    return [
        (
            f"Version {version.number}, {words.moment(version.time)}, {version.who}",
            version.why,
            [(change.field, shown(change.was), shown(change.now)) for change in version.changes],
        )
        for version in history(campaign.store, campaign.name)
    ]


def versions() -> list[tuple[str, str]]:
    """Python and the packages that decide what a campaign does, as installed where the report is written."""
    rows = [("python", platform.python_version())]
    for name in PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    return rows


def best(campaign: Campaign, frame: pd.DataFrame) -> BestPoints:
    """The best feasible executed points, as the model judges them."""
    try:
        table = campaign.best()
    except NothingTold:
        return BestPoints((), 0, "No result is known yet that a best point could be judged by.")
    if not len(table):
        return BestPoints((), 0, "No executed point is expected to keep all outcome constraints.")
    shown = table.iloc[:MOST_BEST]
    points = tuple(_best(campaign, frame, row) for row in shown.reset_index().to_dict("records"))
    return BestPoints(points, len(table) - len(shown), "")


def _best(campaign: Campaign, frame: pd.DataFrame, row: dict[Any, Any]) -> Best:
    units, fractions = units_of(campaign.space), fractions_of(campaign.space)
    id = int(row["experiment"])
    present = [c for c in campaign.space.columns if not (c in fractions and row[c] == 0)]
    aims = {objective.metric for objective in campaign.objectives}
    outcomes = tuple(
        Outcome(
            name=metric,
            meaning=words.meaning(metric),
            unit=words.pretty_unit(unit_of(metric)),
            model=words.uncertain(row[f"{metric}_mean"], row[f"{metric}_std"]),
            raw=told(frame, id, metric),
            is_objective=metric in aims,
        )
        for metric in campaign.metrics
    )
    parameters = tuple(Quantity(c, words.number(row[c]), words.pretty_unit(units.get(c))) for c in present)
    return Best(id, parameters, len(campaign.space.columns) - len(present), outcomes, int(row["samples"]))


@dataclass(frozen=True)
class Check:
    """One metric at a point that was confirmed: what was expected, what fresh samples gave, and whether they agree."""

    experiment: int
    name: str
    unit: str
    expected: str
    found: str
    samples: int
    left: str
    verdict: str


def checks(campaign: Campaign) -> tuple[Check, ...]:
    """How the best points compare with what was expected of them; empty where none is confirmed."""
    found = []
    for point in confirmation(campaign.store, campaign.name) or ():
        left = [f"{point.waiting} still to come"] * bool(point.waiting)
        left += [f"{point.failed} without a valid result"] * bool(point.failed)
        for metric, seen in point.metrics.items():
            mean = float("nan") if seen.mean is None else seen.mean
            sem = float("nan") if seen.sem is None else seen.sem
            expected, unit = words.uncertain(seen.expected, seen.expected_std), words.pretty_unit(unit_of(metric))
            result = words.uncertain(mean, sem)
            found.append(
                Check(point.experiment, metric, unit, expected, result, seen.samples, ", ".join(left), seen.verdict)
            )
    return tuple(found)


def told(frame: pd.DataFrame, id: int, metric: str) -> str:
    """A result as it was told, with its uncertainty."""
    row = frame.loc[id]
    censored = row.get(f"{metric}_censored")
    return words.uncertain(
        _float(row.get(metric)), _float(row.get(f"{metric}_sem")), censored if isinstance(censored, str) else None
    )


def _float(value: Any) -> float:
    return float("nan") if value is None or pd.isna(value) else float(value)


def results_of(frame: pd.DataFrame, first: Sequence[str], limit: int) -> tuple[list[str], int]:
    """Metrics to show: some first, then others that have values; and how many are left out."""
    others = [
        str(name)
        for name in frame.columns
        if f"{name}_predicted_std" in frame.columns and name not in first and np.isfinite(_floats(frame[name])).any()
    ]
    room = max(limit - len(first), 0)
    return [*first, *others[:room]], max(len(others) - room, 0)


def _floats(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
