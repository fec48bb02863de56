"""Two objectives with an outcome constraint on a virtual gas-diffusion electrode: the hypervolume of what was found.

Current, gas flow, electrolyte, its concentration, cation and temperature vary in ``gde_conditions``; measurements
scatter as those of the simulated laboratory, and every seed is another laboratory. ``hypervolume``: of the truly
feasible experiments, by their noise-free values above nothing at all, as a share of the product of the two best values
that each objective has alone. ``wasted``: experiments that truly break the constraint. Strategies are told values
without uncertainties, since the scatter between electrodes is in none.

    python benchmarks/selectivity_duel.py [--seeds 20] [--out FILE] [--peers PYTHON]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
import pandas as pd
from _duel.players import player
from _duel.program import Duel, Game, Stopwatch, parser, run
from _duel.statistics import Figure

from instruments.lab import Measurement

BUDGET = 40
TASKS: dict[str, tuple[tuple[str, str], tuple[str, float]]] = {
    "efficiency_and_rate": (("ee_c2h4", "j_c2h4"), ("fe_h2", 0.25)),
    "selectivity_and_conversion": (("fe_c2plus", "spc_co2"), ("u_cell", 3.0)),
}
"""Two metrics to be maximised, and one with its upper bound."""

FIGURES = (Figure("hypervolume", low=False), Figure("hypervolume", low=False, compare="ratio"), Figure("wasted"))


class NoTime:
    """A clock that stands still."""

    virtual = True

    def now(self) -> float:
        return 0.0


@dataclass
class Bench:
    """What a laboratory is handed with a job."""

    seed: int
    sample: str
    cell: str = "cell-1"
    attempt: int = 1
    clock: NoTime = field(default_factory=NoTime)
    files: Path = Path()
    cancelled: Event = field(default_factory=Event)

    @contextmanager
    def journal(self, step: str, kind: str) -> Iterator[None]:
        yield

    def lease(self, device: str) -> nullcontext[None]:
        return nullcontext()

    def keep(self, measurement: Measurement) -> None:
        pass


def hypervolume(values: np.ndarray) -> float:
    """The area between the origin and points (n, 2)."""
    area, height = 0.0, 0.0
    for x, y in sorted(values.tolist(), reverse=True):
        if y > height:
            area, height = area + x * (y - height), y
    return area


def play(game: Game) -> dict[str, Any]:
    """One row: what a strategy found in one laboratory."""
    from instruments.lab import Job
    from simulators import SimulatedLab, SimulatedOptions, chemistry

    objectives, (bounded, upper) = TASKS[game.task]
    world = chemistry("gde_conditions")
    lab = SimulatedLab(world.columns, SimulatedOptions("gde_conditions", seed=game.seed))
    question = {
        "parameters": world.space["parameters"],
        "objectives": [(metric, "maximize") for metric in objectives],
        "constraints": {bounded: upper},
    }
    me, watch, points = player(game.strategy, question, game.seed, game.peers), Stopwatch(), []
    for number in range(1, game.budget + 1):
        point = me.ask()
        watch.add(me.seconds)
        points.append(point)
        context = Bench(seed=game.seed * 1000 + number, sample=f"electrode-{number}")
        observation = lab.execute(Job("duel", number, point), context).observation
        if observation is None:
            raise ValueError(f"an experiment failed in a laboratory without failures: {point}")
        me.tell(point, {m: float(observation.figures[m].value) for m in (*objectives, bounded)})
    truth = world.truth(pd.DataFrame(points))
    kept = truth[bounded].to_numpy() <= upper
    scale = [world.optimum(metric, "maximize")["value"] for metric in objectives]
    return {
        **{"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget},
        "hypervolume": round(hypervolume(truth.loc[kept, list(objectives)].to_numpy() / scale), 5),
        "wasted": int((~kept).sum()),
        **watch.figures,
    }


def main() -> None:
    given = parser(__doc__ or "").parse_args()
    costs = ("ask_s", "ask_median_s", "ask_longest_s")
    run(Duel(play, dict.fromkeys(TASKS, BUDGET), FIGURES, ("auto", "hypervolume"), ("random", "ax"), costs), given)


if __name__ == "__main__":
    main()
