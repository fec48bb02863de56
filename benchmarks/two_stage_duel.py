"""How many electrodes must be made until one of the best is found, where each can be measured at several currents.

Data: the Open Catalyst Experiments (``ocx24_uoft.csv``; Abed et al., arXiv:2411.11783): 251 alloy electrodes of 93
compositions, each measured at five currents. An electrode's worth is its highest efficiency for CO; the best 5 % are
sought. ``(flat)``: each experiment is one composition at one current on an electrode of its own. ``(5)``: each new
electrode is measured at all five currents, as they were. ``(auto)``: the strategy decides whether another current on
an electrode that exists or a new electrode pays more; making one costs five measurements. An electrode of a composition
is drawn from its replicates, by the seed.

``electrodes_to_best``: how many were made until a measurement reached the worth of the best 5 % (one more than the
budget, which counts electrodes, where none did); ``measurements_to_best``: the same in measurements;
``electrodes_to_made``: until one of the best 5 % was made, whether or not its best current was tried. ``between``: what
the model holds to be the standard deviation between electrodes in the end, in per cent; the last table compares
that of models of a third, half and all of the data with what an analysis of variance finds.

    python benchmarks/two_stage_duel.py [--seeds 20] [--out FILE]
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
import pandas as pd
from _duel.program import Duel, Game, Stopwatch, parser, run
from _duel.statistics import Figure
from _duel.statistics import table as markdown

BUDGET = 40
"""Electrodes."""

CURRENT = "current_density_mA_cm2"
FIGURES = (
    Figure("electrodes_to_best"),
    Figure("electrodes_to_best", compare="geometric"),
    Figure("electrodes_to_made", compare="geometric"),
)


@cache
def table(data: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The measurements, and the columns of the composition, whose fractions sum to one."""
    if data is None:
        raise SystemExit("the electrodes need --data, the folder of measured tables")
    rows = pd.read_csv(Path(data) / "ocx24_uoft.csv").query("reaction == 'CO2R'").reset_index(drop=True)
    metals = [name for name in rows if name.startswith("t_")]
    rows[metals] = (rows[metals].div(rows[metals].sum(axis=1), axis=0)).round(6)
    rows[metals] = rows[metals].div(rows[metals].sum(axis=1), axis=0)
    rows[CURRENT] = rows[CURRENT].astype(float)
    return rows[[*metals, CURRENT, "sample_id", "fe_co"]], metals


def campaign(rows: pd.DataFrame, metals: list[str], strategy: str, seed: int, **options: Any) -> Any:
    """A campaign that may propose every composition at every current."""
    from acquisition import Objective, SearchSpace
    from orchestrator import Campaign

    candidates = rows[[*metals, CURRENT]].drop_duplicates().reset_index(drop=True)
    space = SearchSpace.from_pool(candidates, compositions={"t": metals}, stages={"t": "preparation"})
    return Campaign(space, [Objective("fe_co", "maximize")], strategy=strategy, seed=seed, **options)


class Workshop:
    """Makes electrodes: each of a composition is the next of its replicates, in an order drawn by seed."""

    def __init__(self, rows: pd.DataFrame, metals: list[str], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.values = {(s, c): v for s, c, v in zip(rows["sample_id"], rows[CURRENT], rows["fe_co"], strict=True)}
        groups = rows.groupby([rows[m].round(5) for m in metals], sort=True)["sample_id"].unique()
        self.replicates = {key: list(rng.permutation(names)) for key, names in groups.items()}
        self.metals, self.made = metals, 0
        self.mounted: dict[str, str] = {}

    def electrode(self, point: pd.Series, label: str | None) -> str:
        """The electrode of that label, made where it does not exist yet; without a label a new one."""
        if label is not None and label in self.mounted:
            return self.mounted[label]
        queue = self.replicates[tuple(point[self.metals].astype(float).round(5))]
        queue.append(queue.pop(0))
        self.made += 1
        if label is not None:
            self.mounted[label] = queue[-1]
        return queue[-1]


def play(game: Game) -> dict[str, Any]:
    """One row: after how many electrodes one of the best was found."""
    from acquisition.costs import Costs

    rows, metals = table(game.data)
    name, _, manner = game.strategy.partition(" ")
    options: dict[str, Any] = {}
    if manner == "(auto)":
        options = {"conditions_per_sample": "auto", "costs": Costs(experiment=1.0, preparation=5.0)}
    elif manner == "(5)":
        options = {"conditions_per_sample": 5}
    me = campaign(rows, metals, name, game.seed, **options)
    workshop, watch = Workshop(rows, metals, game.seed), Stopwatch()
    worth = rows.groupby("sample_id")["fe_co"].max()
    best = worth.nlargest(round(0.05 * len(worth)))
    measurements, reached, made = 0, None, None
    while reached is None:
        began = time.perf_counter()
        batch = me.ask(1)
        watch.add(time.perf_counter() - began)
        point = batch.iloc[0]
        electrode = workshop.electrode(point, str(point["sample"]) if "sample" in batch else None)
        if workshop.made > game.budget:
            break
        measurements += 1
        made = workshop.made if made is None and electrode in best.index else made
        value = workshop.values[electrode, float(point[CURRENT])]
        me.tell(batch.assign(fe_co=value, sample=batch.get("sample", f"electrode-{measurements}")))
        reached = workshop.made if value >= best.min() else None
    return {
        **{"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget},
        "electrodes_to_best": game.budget + 1 if reached is None else reached,
        "electrodes_to_made": game.budget + 1 if made is None else made,
        "measurements_to_best": measurements,
        "between": round(_between(me), 3),
        **watch.figures,
    }


def _between(me: Any) -> float:
    from acquisition.beliefs import fit

    return float(fit(me.problem()).models["fe_co"].surrogate.between)


def effect(data: str | None, every: int) -> dict[str, float]:
    """The standard deviation between electrodes of one composition, in per cent: of a model, and by their covariances.

    Of each so many compositions one counts: a table above some hundred rows is another model's, made for many data.

    The offset of an electrode is what its deviations from the mean of its composition at each current share: their
    average covariance over pairs of currents, with one degree of freedom lost for each composition.
    """
    whole, metals = table(data)
    rows = whole[whole.groupby(metals).ngroup() % every == 0]
    mean = rows.groupby([*metals, CURRENT])["fe_co"].transform("mean")
    wide = rows.assign(off=rows["fe_co"] - mean).pivot_table(index="sample_id", columns=CURRENT, values="off")
    products = wide.T.to_numpy() @ wide.to_numpy()
    shared = products[~np.eye(len(products), dtype=bool)].mean() / (len(wide) - len(rows[metals].drop_duplicates()))
    me = campaign(whole, metals, "auto", 0)
    me.tell(rows.rename(columns={"sample_id": "sample"}))
    return {
        "measurements": len(rows),
        "model": round(_between(me), 2),
        "analysis_of_variance": round(float(np.sqrt(max(shared, 0.0))), 2),
    }


def main() -> None:
    given = parser(__doc__ or "").parse_args()
    ours = ("auto (5)", "auto (auto)")
    others = ("auto (flat)", "random (5)", "random (flat)")
    costs = ("measurements_to_best", "between", "ask_s")
    run(Duel(play, {"ocx24_uoft": BUDGET}, FIGURES, ours, others, costs), given)
    print(f"\nstandard deviation between electrodes\n\n{markdown([effect(given.data, every) for every in (3, 2, 1)])}")


if __name__ == "__main__":
    main()
