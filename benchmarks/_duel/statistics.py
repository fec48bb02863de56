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


def summary(rows: pd.DataFrame, figures: Sequence[str]) -> list[dict[str, Any]]:
    """One line a strategy: how many games, and of each figure the median and, in brackets, the mean."""
    lines = []
    for strategy, group in rows.groupby("strategy", sort=False):
        line: dict[str, Any] = {"strategy": strategy, "games": len(group)}
        for figure in figures:
            values = group[figure].astype(float).dropna()
            line[figure] = f"{values.median():.3g} ({values.mean():.3g})" if len(values) else ""
        lines.append(line)
    return lines


def show(rows: pd.DataFrame, figures: Sequence[Figure], ours: Sequence[str], costs: Iterable[str] = ("ask_s",)) -> None:
    """Print a table for each task, and one over all tasks together where there are several.

    Args:
        rows: columns task, strategy, seed and the figures.
        figures: what is compared.
        ours: strategies that are compared with all others.
        costs: figures that are shown, but not compared.
    """
    shown = [name for name in dict.fromkeys([*(f.name for f in figures), *costs]) if name in rows]
    groups = list(rows.groupby("task", sort=False))
    if len(groups) > 1:
        groups.append(("all tasks", rows))
    for task, group in groups:
        print(f"\n**{task}**: median (mean)\n\n{table(summary(group, shown))}")
        for mine in ours:
            others = [strategy for strategy in dict.fromkeys(group["strategy"]) if strategy != mine]
            lines = [paired(group, figure, mine, other) for figure in figures for other in others]
            if found := [line for line in lines if line is not None]:
                print(f"\n`{mine}` on {task}, paired by seed, 95 % intervals\n\n{table(found)}")


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Lines as a table in Markdown, its columns aligned."""
    heads = list(dict.fromkeys(head for line in lines for head in line))
    cells = [heads, *([_cell(line.get(head, "")) for head in heads] for line in lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    cells.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
