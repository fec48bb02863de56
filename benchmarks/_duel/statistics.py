"""Paired comparisons: the same seeds for both sides, and a bootstrap interval of the mean difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 10_000
FEWEST = 6
"""Pairs below which a bootstrap interval says nothing."""

TINY = 1e-4
"""Floor of figures whose logarithm is taken: a regret of less is none."""


@dataclass(frozen=True)
class Figure:
    """A column of results: its name, whether less is better, and whether ratios tell more than differences."""

    name: str
    low: bool = True
    log: bool = False


def interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of paired differences (n,)."""
    draws = np.random.default_rng(0).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[draws].mean(1), [0.025, 0.975])
    return float(low), float(high)


def paired(rows: pd.DataFrame, figure: Figure, ours: str, baseline: str) -> dict[str, Any] | None:
    """How ``ours`` differs from ``baseline`` on what both have played; ``None`` where that is less than two games.

    With ``figure.log`` the geometric mean of ratios, else the mean difference; ``better``, ``worse`` or ``tie`` by
    whether the interval excludes one or zero, ``too few`` where pairs are too few to say.
    """
    values = rows.assign(value=rows[figure.name].astype(float)).pivot_table(
        index=["task", "seed"], columns="strategy", values="value"
    )
    if ours not in values or baseline not in values:
        return None
    both = values[[ours, baseline]].dropna()
    if len(both) < 2:
        return None
    if figure.log:
        both = np.log(both.clip(lower=TINY))
    differences = (both[ours] - both[baseline]).to_numpy()
    mean, (low, high) = float(differences.mean()), interval(differences)
    gain = low > 0 if not figure.low else high < 0
    loss = high < 0 if not figure.low else low > 0
    if figure.log:
        mean, low, high = np.exp([mean, low, high])
    return {
        "figure": figure.name,
        "against": baseline,
        "n": len(both),
        "ratio" if figure.log else "difference": mean,
        "low": low,
        "high": high,
        "verdict": "too few" if len(both) < FEWEST else "better" if gain else "worse" if loss else "tie",
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
