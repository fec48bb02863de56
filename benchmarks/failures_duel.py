"""Failures suffered, and regret, where a quarter of the space does not work and nobody says where.

Each seed is another problem with another failing region; a quarter of uniformly drawn experiments fail. ``auto`` is
told failures of cause ``condition``, from which it learns. ``auto (ignores)`` is told that the equipment was at fault,
which teaches nothing about the space, ``auto (worst)`` that a failed experiment gave the worst value so far, a common
way out. ``recommended`` and ``regret`` are those of ``continuous_duel.py`` below the best value that works.

    python benchmarks/failures_duel.py [--seeds 20] [--out FILE]
"""

from __future__ import annotations

from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
from _duel.hidden import hidden
from _duel.players import Ours
from _duel.program import Duel, Game, Stopwatch, parser, run
from _duel.statistics import Figure

BUDGET = 40
TASKS = ("waves", "waves_near", "peaks", "peaks_near", "hartmann6", "hartmann6_near")
FIGURES = (
    Figure("failures", compare="ratio"),
    Figure("regret", compare="geometric"),
    Figure("recommended", compare="geometric"),
)


def play(game: Game) -> dict[str, Any]:
    """One row: what went wrong, and what was found."""
    task = hidden(game.task, game.seed)
    base = task.base
    name, _, manner = game.strategy.partition(" ")
    me, rng, watch = Ours(name, base.question, game.seed), np.random.default_rng(game.seed), Stopwatch()
    points: list[dict[str, float]] = []
    measured: list[float] = []
    failures = 0
    for _ in range(game.budget):
        point = me.ask()
        watch.add(me.seconds)
        x = base.array(point)[None, :]
        noise = base.noise * rng.normal()
        if not task.fails(x)[0]:
            measured.append(float(base.values(x)[0] + noise))
            points.append(point)
            me.tell(point, {"y": measured[-1]})
            continue
        failures += 1
        if manner == "(worst)" and measured:
            me.tell(point, {"y": min(measured)})
        else:
            me.fail("equipment" if manner == "(ignores)" else "condition")
    heights = base.values(np.array([base.array(point) for point in points]))
    best = base.array(me.best() or points[int(np.argmax(measured))])[None, :]
    # what does not work is worth no more than the worst that does
    recommended = heights.min() if task.fails(best)[0] else base.values(best)[0]
    return {
        **{"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget},
        "failures": failures,
        "regret": round((task.optimum - float(heights[int(np.argmax(measured))])) / base.scale, 5),
        "recommended": round((task.optimum - float(recommended)) / base.scale, 5),
        **watch.figures,
    }


def main() -> None:
    given = parser(__doc__ or "").parse_args()
    others = ("auto (ignores)", "auto (worst)", "random")
    run(Duel(play, dict.fromkeys(TASKS, BUDGET), FIGURES, ("auto",), others), given)


if __name__ == "__main__":
    main()
