"""Regret after 40 noisy experiments on functions whose optimum is known.

``regret``: how much less than the optimum the point with the highest measured value truly gives; ``recommended``: the
same of the point that the strategy recommends (``Campaign.best``; Ax's and BayBE's best by model, Optuna's best
measured); ``best_seen``: of the best point measured, which nobody can know. Noise is drawn by
``numpy.random.default_rng(seed)``, the same for all strategies. ``--suite broad`` plays families of functions instead,
each seed another problem, so that nothing is tuned to three functions.

    python benchmarks/continuous_duel.py [--suite issue|broad] [--seeds 20] [--out FILE] [--peers PYTHON]
"""

from __future__ import annotations

from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
from _duel.functions import BROAD, ISSUE, problem
from _duel.players import player
from _duel.program import Duel, Game, Stopwatch, parser, run
from _duel.statistics import Figure

BUDGET = 40
FIGURES = tuple(Figure(name, compare="geometric") for name in ("regret", "recommended", "best_seen"))
PEERS = ("ax", "baybe", "optuna_gp", "optuna_tpe")


def play(game: Game) -> dict[str, Any]:
    """One row: the regrets of one strategy on one function with one seed."""
    task = problem(game.task, game.seed)
    me = player(game.strategy, task.question, game.seed, game.peers)
    rng, watch = np.random.default_rng(game.seed), Stopwatch()
    points, measured = [], []
    for _ in range(game.budget):
        point = me.ask()
        watch.add(me.seconds)
        measured.append(float(task.values(task.array(point)[None, :])[0] + task.noise * rng.normal()))
        points.append(point)
        me.tell(point, {"y": measured[-1]})
    regrets = [task.regret(point) for point in points]
    best = me.best()
    chosen = points[int(np.argmax(measured))] if best is None else best
    return {
        **{"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget},
        "regret": round(regrets[int(np.argmax(measured))], 5),
        "recommended": round(task.regret(chosen), 5),
        "best_seen": round(min(regrets), 5),
        **watch.figures,
    }


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--suite", choices=["issue", "broad"], default="issue")
    given = options.parse_args()
    tasks = dict.fromkeys(ISSUE if given.suite == "issue" else BROAD, BUDGET)
    costs = ("ask_s", "ask_median_s", "ask_longest_s")
    run(Duel(play, tasks, FIGURES, ("auto",), ("random", *PEERS), costs), given)


if __name__ == "__main__":
    main()
