"""What a campaign's table says: which results count, the best so far, how good the predictions were.

All functions take the table of :meth:`orchestrator.campaign.Campaign.to_dataframe`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acquisition.objectives import Objective, OutcomeConstraint
from orchestrator.campaign.merit import goodness, keeps, non_dominated

Floats: TypeAlias = NDArray[np.float64]
Kind: TypeAlias = Literal["valid", "infeasible", "incomplete", "suspect", "invalid", "failed", "waiting"]

KINDS: Final[tuple[Kind, ...]] = ("valid", "infeasible", "incomplete", "suspect", "invalid", "failed", "waiting")
NINETY: Final = 1.6448536269514722
"""Half width of a central 90 % interval of the normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Reading:
    """One metric over the experiments that belong to a campaign's search, by id.

    Attributes:
        frame: their rows; controls, and what was rejected or cancelled, are left out.
        objective: the metric and its goal.
        ids: (n,) of the experiments.
        values: (n,) in the metric's unit, NaN where not measured.
        sems: (n,) one standard uncertainty, NaN where not assessed.
        kinds: (n,) what becomes of each result, see :data:`KINDS`. ``incomplete``: a constraint is not measured yet.
        best: (n,) the best ``valid`` value up to each experiment, NaN before the first.
        champion: position of the best valid experiment, or ``None``.
    """

    frame: pd.DataFrame
    objective: Objective
    ids: NDArray[np.int64]
    values: Floats
    sems: Floats
    kinds: NDArray[np.str_]
    best: Floats
    champion: int | None

    def of_kind(self, kind: Kind) -> NDArray[np.intp]:
        """Positions of the experiments of a kind."""
        return np.flatnonzero(self.kinds == kind)


def read(frame: pd.DataFrame, objective: Objective, constraints: Sequence[OutcomeConstraint] = ()) -> Reading:
    """Read one objective.

    Args:
        frame: a campaign's table.
        objective: the metric to read.
        constraints: outcomes that a result must keep to count.
    """
    rows = frame[(frame["origin"] != "control") & ~frame["state"].isin(["rejected", "cancelled"])]
    values = column(rows, objective.metric)
    kinds = _kinds(rows, values, constraints)
    leaders = _leaders(goodness(objective, values), kinds == "valid")
    best = np.array([np.nan if leader is None else values[leader] for leader in leaders], dtype=np.float64)
    return Reading(
        frame=rows,
        objective=objective,
        ids=rows.index.to_numpy(dtype=np.int64),
        values=values,
        sems=column(rows, f"{objective.metric}_sem"),
        kinds=kinds,
        best=best,
        champion=leaders[-1] if leaders else None,
    )


def column(frame: pd.DataFrame, name: str) -> Floats:
    """A column as numbers, NaN where the table has none."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)


def _kinds(rows: pd.DataFrame, values: Floats, constraints: Sequence[OutcomeConstraint]) -> NDArray[np.str_]:
    kinds = np.full(len(rows), "valid", dtype="<U10")
    for constraint in constraints:
        outcome = column(rows, constraint.metric)
        kinds[~keeps(constraint, outcome) & np.isfinite(outcome)] = "infeasible"
        kinds[np.isnan(outcome) & (kinds == "valid")] = "incomplete"
    for verdict in ("suspect", "invalid"):
        kinds[(rows["verdict"] == verdict).to_numpy(dtype=bool)] = verdict
    kinds[np.isnan(values)] = "waiting"
    kinds[(rows["state"] == "failed").to_numpy(dtype=bool)] = "failed"
    return kinds


def _leaders(utilities: Floats, counts: NDArray[np.bool_]) -> list[int | None]:
    """Position of the best one that counts, up to and with each row; the first of equals."""
    leaders: list[int | None] = []
    leader: int | None = None
    for row, utility in enumerate(utilities):
        if counts[row] and (leader is None or utility > utilities[leader]):
            leader = row
        leaders.append(leader)
    return leaders


def value_range(reading: Reading) -> tuple[float, float]:
    """Where the axis of results begins and ends: all values, target window, and room for what failed."""
    window = list(reading.objective.window) if reading.objective.goal == "target" else []
    values = np.append(reading.values, window)
    low, high = padded(values, np.append(reading.sems, [0.0] * len(window)))
    if len(reading.of_kind("failed")):
        low -= 0.07 * (high - low)
    return low, high


def padded(values: Floats, spreads: Floats) -> tuple[float, float]:
    """Range of values with their bars; enormous bars do not press the values together."""
    known = np.isfinite(values)
    if not known.any():
        return 0.0, 1.0
    values, spreads = values[known], np.nan_to_num(spreads[known])
    span = float(np.ptp(values)) or float(np.max(spreads)) or abs(float(values[0])) or 1.0
    spreads = np.minimum(spreads, 2.5 * span)
    low, high = float((values - spreads).min()), float((values + spreads).max())
    pad = 0.06 * (high - low) or 0.1 * span
    return low - pad, high + pad


def front(frame: pd.DataFrame, objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]) -> pd.Index:
    """Ids of the valid, feasible experiments that no other beats in all objectives, by their measured values."""
    readings = [read(frame, objective, constraints) for objective in objectives]
    counts = np.logical_and.reduce([reading.kinds == "valid" for reading in readings])
    utilities = np.stack([goodness(r.objective, r.values) for r in readings], axis=1)
    return readings[0].frame.index[non_dominated(utilities, counts)]


def initial_until(frame: pd.DataFrame) -> int | None:
    """Id of the last experiment before the first that a model proposed; ``None`` where no such phase is known."""
    last = None
    for id, origin, reason in zip(frame.index, frame["origin"], frame["reason"], strict=True):
        if origin == "confirm":
            continue
        if origin != "prior" and not str(reason).startswith("initial design"):
            break
        last = int(id)
    return last


def parameters_of(frame: pd.DataFrame) -> list[str]:
    """The parameter columns of a table."""
    return [str(name) for name in frame.columns if f"{name}_executed" in frame.columns]


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """The settings as best known: measured, else executed, else asked. Numbers where a column has only numbers."""
    known: dict[str, Any] = {}
    for name in parameters_of(frame):
        settled = frame[name].astype(object)
        for better in (f"{name}_executed", f"{name}_measured"):
            told = frame[better].astype(object)
            settled = settled.where(told.isna(), told)
        known[name] = settled.infer_objects()
    return pd.DataFrame(known, index=frame.index)


@dataclass(frozen=True)
class Calibration:
    """How predictions made before the experiments compare with the results.

    Attributes:
        n: results with a prediction; invalid ones are left out.
        within: share of them inside the 90 % interval of prediction and measurement uncertainty together.
        rmse: root of the mean squared difference, in the metric's unit.
        verdict: ``well``, ``overconfident``, ``cautious``; ``None`` where there are too few results to tell.
    """

    n: int
    within: float
    rmse: float
    verdict: Literal["well", "overconfident", "cautious"] | None


def calibration(reading: Reading) -> Calibration | None:
    """Compare an objective's predictions with its results; ``None`` where there is nothing to compare.

    The verdict asks whether a share of 90 % is compatible with the number found: a two-sided binomial test at 5 %.
    """
    mean, std = predictions(reading)
    rows = compared(reading)
    n = len(rows)
    if not n:
        return None
    miss = reading.values[rows] - mean[rows]
    spread = np.hypot(std[rows], np.nan_to_num(reading.sems[rows]))
    # a share of spread zero (a noise-free replicate) is inside where it is met
    inside = int(np.count_nonzero(np.abs(miss) <= NINETY * spread + 1e-12 * np.abs(mean[rows])))
    return Calibration(n, inside / n, float(np.sqrt(np.mean(miss**2))), _judge(inside, n))


def predictions(reading: Reading) -> tuple[Floats, Floats]:
    """Mean and standard deviation that the model gave each experiment beforehand; (n,) each, NaN where none."""
    metric = reading.objective.metric
    return column(reading.frame, f"{metric}_predicted"), column(reading.frame, f"{metric}_predicted_std")


def compared(reading: Reading) -> NDArray[np.intp]:
    """Positions of the experiments with a prediction and a result that is not invalid."""
    mean, _ = predictions(reading)
    usable = np.isin(reading.kinds, ["valid", "infeasible", "incomplete", "suspect"])
    return np.flatnonzero(usable & np.isfinite(mean) & np.isfinite(reading.values))


def _judge(inside: int, n: int) -> Literal["well", "overconfident", "cautious"] | None:
    below = sum(_binomial(k, n) for k in range(inside + 1))
    above = sum(_binomial(k, n) for k in range(inside, n + 1))
    if below < 0.025:
        return "overconfident"
    if above < 0.025:
        return "cautious"
    return "well" if n >= 10 else None


def _binomial(k: int, n: int, p: float = 0.9) -> float:
    """Probability of k in n, by logarithms: n may be thousands."""
    logarithm = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(logarithm + k * math.log(p) + (n - k) * math.log1p(-p))


def telling(reading: Reading, limit: int) -> list[str]:
    """The parameters to show where not all can be: those that go with the result most.

    Only parameters that vary are taken, in their own order. Ranked by the share of the results' variance of ranks that
    groups of similar settings explain (correlation ratio over four quantile groups, or the categories).
    """
    known = inputs(reading.frame)
    varied = [str(name) for name in known if len(known[name].dropna().unique()) > 1]
    if len(varied) <= limit:
        return varied
    rows = np.flatnonzero(np.isfinite(reading.values) & np.isin(reading.kinds, ["valid", "infeasible", "suspect"]))
    ranks = pd.Series(reading.values[rows]).rank()
    scores = {name: _explained(known[name].iloc[rows], ranks) for name in varied}
    kept = set(sorted(varied, key=lambda name: -scores[name])[:limit])
    return [name for name in varied if name in kept]


def _explained(settings: pd.Series[Any], ranks: pd.Series[float]) -> float:
    if len(ranks) < 2 or not ranks.var():
        return 0.0
    numeric = pd.api.types.is_numeric_dtype(settings)
    groups = (settings.rank(method="average") * 4 / (len(settings) + 1)).astype(int) if numeric else settings
    means = ranks.groupby(groups.to_numpy()).transform("mean")
    return float(means.var() / ranks.var())
