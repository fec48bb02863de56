"""Paired comparisons: the same seeds for both sides, and a bootstrap interval of the mean difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

RESAMPLES = 10_000
FEWEST = 6
"""Pairs below which a bootstrap interval says nothing."""

TINY = 1e-3
"""Floor of figures of which ratios are taken: a regret of less is none."""


@dataclass(frozen=True)
class Figure:
    """A column of results: its name, whether less is better, and how two sides are compared.

    ``difference`` of the means, ``ratio`` of the means, or ``geometric``: the geometric mean of ratios.
    """

    name: str
    low: bool = True
    compare: Literal["difference", "ratio", "geometric"] = "difference"


def contrast(ours: np.ndarray, theirs: np.ndarray, compare: str) -> tuple[float, float, float]:
    """How paired values (n,) differ, and the 95 % percentile bootstrap interval of that (pairs are drawn again)."""
    if compare == "geometric":
        ours, theirs = (np.log(np.maximum(side, TINY)) for side in (ours, theirs))
    draws = np.random.default_rng(0).integers(len(ours), size=(RESAMPLES, len(ours)))

    def of(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
        if compare == "ratio":
            return np.asarray(mine / np.maximum(other, TINY))
        return np.asarray(np.exp(mine - other) if compare == "geometric" else mine - other)

    low, high = np.quantile(of(ours[draws].mean(1), theirs[draws].mean(1)), [0.025, 0.975])
    return float(of(ours.mean(), theirs.mean())), float(low), float(high)


def paired(rows: pd.DataFrame, figure: Figure, ours: str, baseline: str) -> dict[str, Any] | None:
    """How ``ours`` differs from ``baseline`` on what both have played; ``None`` where that is less than two games.

    The verdict is ``better``, ``worse`` or ``tie`` by whether the interval excludes no difference, ``too few`` where
    pairs are too few to say.
    """
    values = rows.assign(value=rows[figure.name].astype(float)).pivot_table(
        index=["task", "seed"], columns="strategy", values="value"
    )
    if ours not in values or baseline not in values:
        return None
    both = values[[ours, baseline]].dropna()
    if len(both) < 2:
        return None
    found, low, high = contrast(both[ours].to_numpy(), both[baseline].to_numpy(), figure.compare)
    same = 0.0 if figure.compare == "difference" else 1.0
    less, more = high < same, low > same
    verdict = "tie" if not (less or more) else "better" if less == figure.low else "worse"
    return {
        "figure": figure.name,
        "against": baseline,
        "pairs": len(both),
        "as": figure.compare,
        "value": found,
        "low": low,
        "high": high,
        "verdict": verdict if len(both) >= FEWEST else "too few",
    }


def summary(rows: pd.DataFrame, figures: Sequence[Figure]) -> pd.DataFrame:
    """Median and mean of each figure, one row a strategy."""
    table: dict[str, Mapping[str, float]] = {}
    for strategy, group in rows.groupby("strategy", sort=False):
        line: dict[str, float] = {"n": len(group)}
        for figure in figures:
            values = group[figure.name].astype(float)
            line |= {f"{figure.name} median": values.median(), f"{figure.name} mean": values.mean()}
        table[str(strategy)] = line
    return pd.DataFrame(table).T


def show(rows: pd.DataFrame, figures: Sequence[Figure], ours: Sequence[str], costs: Iterable[str] = ("ask_s",)) -> None:
    """Print a table for each task, and one over all tasks together where there are several.

    Args:
        rows: columns task, strategy, seed and the figures.
        figures: what is compared.
        ours: strategies that are compared with all others.
        costs: figures that are shown, but not compared.
    """
    shown = [*figures, *(Figure(cost) for cost in costs)]
    shown = [figure for figure in shown if figure.name in rows]
    groups = list(rows.groupby("task", sort=False))
    if len(groups) > 1:
        groups.append(("all tasks", rows))
    for task, group in groups:
        print(f"\n{task}\n\n{_text(summary(group, shown).reset_index(names='strategy'))}")
        for mine in ours:
            others = [strategy for strategy in dict.fromkeys(group["strategy"]) if strategy != mine]
            lines = [paired(group, f, mine, other) for f in shown if f in figures for other in others]
            if found := [line for line in lines if line is not None]:
                print(f"\n{mine} on {task}, paired by seed, 95 % intervals\n\n{_text(pd.DataFrame(found))}")


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="")
