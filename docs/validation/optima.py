"""Where the optima of the chemistries lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model import table

from simulators import CHEMISTRIES, chemistry


def optima() -> str:
    """Where the chemistries are best."""
    rows = []
    for name, definition in CHEMISTRIES.items():
        virtual = chemistry(name)
        best = virtual.optimum(definition.target)
        none = chemistry(name, world="null").optimum(definition.target)
        rows.append([name, definition.target, f"{best['value']:.4g}", where(best), f"{none['value']:.4g}", where(none)])
    header = ["chemistry", "metric", "nominal", "where", "without synergy (`null`)", "where"]
    return table(header, rows, 6)


def where(best: dict[str, Any]) -> str:
    """Parameters of an optimum in words."""
    return ", ".join(
        f"{name.removeprefix('x_')} {value:.3g}" if isinstance(value, float) else str(value)
        for name, value in best["parameters"].items()
        if not (name.startswith("x_") and value < 5e-4)
    )


def shifted(seeds: Sequence[int] = (1, 2, 3, 4, 5)) -> str:
    """Whether optima of redrawn worlds are mixtures too."""
    rows = []
    for name, definition in CHEMISTRIES.items():
        if not any(each["type"] == "composition" for each in definition.space["parameters"]):
            continue
        found = [chemistry(name, world="shifted", seed=seed).optimum(definition.target) for seed in seeds]
        rows.append([name, definition.target, "; ".join(mixture(best) for best in found)])
    return table(
        ["chemistry", "metric", f"composition of the optimum in the shifted worlds {', '.join(map(str, seeds))}"],
        rows,
        3,
    )


def mixture(best: dict[str, Any]) -> str:
    """The composition of an optimum."""
    return " ".join(
        f"{name.removeprefix('x_')}{100 * value:.0f}"
        for name, value in best["parameters"].items()
        if name.startswith("x_") and value >= 5e-3
    )
