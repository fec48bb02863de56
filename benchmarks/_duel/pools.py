"""Pools of measured candidates: plates and tables of real experiments, and plates drawn by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TENTHS = 10
MOST_PRESENT = 4
"""Elements of one spot of a plate, as on plate 3496."""


@dataclass(frozen=True)
class Pool:
    """Candidates (n, d), their outcomes (n,), and what is asked of them."""

    rows: np.ndarray
    outcomes: np.ndarray
    goal: str
    initial: int = 10

    @property
    def question(self) -> Mapping[str, Any]:
        """What a player is told of it."""
        return {"pool": self.rows.tolist(), "objectives": [("y", self.goal)]}

    @property
    def rank(self) -> np.ndarray:
        """(n,), 0 for the best."""
        better = self.outcomes if self.goal == "minimize" else -self.outcomes
        return np.argsort(np.argsort(better, kind="stable"), kind="stable")

    @property
    def top(self) -> int:
        """How many count as good: the best 1 %, of pools below 1,000 rows 5 %."""
        return max(1, len(self.rows) // (100 if len(self.rows) >= 1000 else 20))


def pool(task: str, seed: int, data: str | None) -> Pool:
    """The pool of that name; a plate drawn by seed is another one for each.

    Raises:
        SystemExit: a measured table is wanted, and nobody said where it is.
    """
    if task.startswith("drawn_"):
        return drawn(task.removeprefix("drawn_"), seed)
    if data is None:
        raise SystemExit(f"{task} needs --data, the folder of measured tables")
    return MEASURED[task](Path(data))


def plate(folder: Path) -> Pool:
    """Overpotentials of 2,121 oxides of six metals (Rohr et al., Chem. Sci. 11, 2696 (2020))."""
    table = pd.read_csv(folder / "oer_plate_3496.csv").to_numpy(float)
    rows, outcomes = table[:, :-1], table[:, -1]
    # the shared protocol's order, so that the same seeds draw the same initial spots
    _, kept = np.unique(np.round(rows, 6), axis=0, return_index=True)
    return Pool(rows[kept], outcomes[kept], "minimize")


def electrodes(metric: str, current: float, folder: Path) -> Pool:
    """Alloys of the Open Catalyst Experiments at one current, replicates averaged."""
    table = pd.read_csv(folder / "ocx24_uoft.csv")
    table = table[(table["reaction"] == "CO2R") & (table["current_density_mA_cm2"] == current)]
    metals = [name for name in table if name.startswith("t_")]
    means = table.groupby(metals)[metric].mean().reset_index()
    rows = means[metals].to_numpy()
    return Pool(rows / rows.sum(1, keepdims=True), means[metric].to_numpy(), "maximize")


def silver_copper(folder: Path) -> Pool:
    """Thirty gas-diffusion electrodes, replicates averaged: ethylene (arXiv:2502.06323)."""
    inputs = ["ag_fraction", "nafion_vol_uL", "sustainion_vol_uL"]
    means = pd.read_csv(folder / "gde_silver_copper.csv").groupby(inputs)["fe_c2h4_pct"].mean().reset_index()
    return Pool(means[inputs].to_numpy(float), means["fe_c2h4_pct"].to_numpy(), "maximize", initial=5)


def barrels(folder: Path) -> Pool:
    """Six hundred printed structures, replicates averaged (Liang et al., npj Comput. Mater. 7, 188 (2021))."""
    inputs = ["n", "theta", "r", "t"]
    means = pd.read_csv(folder / "crossed_barrel.csv").groupby(inputs)["toughness"].mean().reset_index()
    return Pool(means[inputs].to_numpy(float), means["toughness"].to_numpy(), "maximize")


MEASURED = {
    "oer_plate_3496": plate,
    "ocx24_co": lambda folder: electrodes("fe_co", 200, folder),
    "ocx24_c2h4": lambda folder: electrodes("fe_c2h4", 200, folder),
    "gde_silver_copper": silver_copper,
    "crossed_barrel": barrels,
}


def grid(elements: int) -> np.ndarray:
    """(n, elements): all compositions in tenths with at most four elements present."""
    rows = []
    for present in range(1, min(MOST_PRESENT, elements) + 1):
        for which in combinations(range(elements), present):
            for cuts in combinations(range(1, TENTHS), present - 1):
                row = np.zeros(elements)
                row[list(which)] = np.diff([0, *cuts, TENTHS]) / TENTHS
                rows.append(row)
    return np.array(rows)


def drawn(kind: str, seed: int) -> Pool:
    """A plate of 4 to 8 elements whose landscape is drawn by seed, and whose spots scatter by a twentieth.

    ``mixing``: pure elements and pairs that help or harm one another (Scheffe's quadratic); ``peaks``: a mild slope
    and a few optima that are broad or narrow; ``phases``: one element opens another regime above a threshold.
    """
    rng = np.random.default_rng([seed, 23])
    elements = int(rng.integers(4, 9))
    x = grid(elements)
    y = x @ rng.normal(size=elements)
    if kind == "mixing":
        pairs = rng.normal(size=(elements, elements)) * (rng.random((elements, elements)) < 0.4)
        y += 4 * np.einsum("ni,ij,nj->n", x, pairs, x)
    elif kind == "peaks":
        for _ in range(5):
            centre = x[rng.integers(len(x))]
            y += rng.uniform(1, 3) * np.exp(-((x - centre) ** 2).sum(1) / (2 * rng.uniform(0.1, 0.3) ** 2))
    else:
        key, partner = rng.choice(elements, 2, replace=False)
        opened = 1 / (1 + np.exp(-(x[:, key] - rng.uniform(0.15, 0.45)) / 0.03))
        y += 2 * opened * (rng.normal() + 3 * np.sqrt(x[:, partner]) * (1 - x[:, partner]))
    return Pool(x, y + 0.05 * y.std() * rng.normal(size=len(y)), "maximize")
