"""How many of a pool's best candidates a strategy finds with so many experiments, and how soon the first.

Ten candidates are drawn at random (``numpy.random.default_rng(seed)``), the same for all strategies; the rest is
theirs. The best 1 % count as good (5 % in pools below 1,000 rows). ``found``: how many of them; ``first_hit``: the
experiment that found the first, the budget and one more where none did; ``has_best``: whether the single best is among
them. Tasks are plate 3496, real tables, and plates drawn at random, another one for each seed.

    python benchmarks/plate_duel.py [--tasks oer_plate_3496] [--seeds 20] [--out FILE] [--peers PYTHON]
"""

from __future__ import annotations

from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
from _duel.players import player
from _duel.pools import pool
from _duel.program import Duel, Game, Stopwatch, parser, run
from _duel.statistics import Figure

BUDGETS = {
    "oer_plate_3496": 100,
    "ocx24_co": 40,
    "ocx24_c2h4": 40,
    "gde_silver_copper": 20,
    "crossed_barrel": 60,
    "drawn_mixing": 60,
    "drawn_peaks": 60,
    "drawn_phases": 60,
}
FIGURES = (Figure("found", low=False), Figure("first_hit"), Figure("has_best", low=False), Figure("best_rank"))
PEERS = ("baybe", "physbo", "botorch", "random_forest")


def play(game: Game) -> dict[str, Any]:
    """One row: what a strategy found in one pool with one seed."""
    task = pool(game.task, game.seed, game.data)
    me = player(game.strategy, task.question, game.seed, game.peers)
    done = [int(i) for i in np.random.default_rng(game.seed).choice(len(task.rows), task.initial, replace=False)]
    for i in done:
        me.tell(i, {"y": float(task.outcomes[i])})
    watch = Stopwatch()
    while len(done) < min(game.budget, len(task.rows)):
        i = me.ask()
        watch.add(me.seconds)
        if i in done:
            raise ValueError(f"{game.strategy} asked row {i} again")
        done.append(i)
        me.tell(i, {"y": float(task.outcomes[i])})
    ranks = task.rank[done]
    hits = np.flatnonzero(ranks < task.top)
    return {
        **{"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget},
        **{"pool": len(task.rows), "top": task.top, "found": len(hits), "best_rank": int(ranks.min())},
        "first_hit": int(hits[0]) + 1 if len(hits) else game.budget + 1,
        "has_best": int(ranks.min() == 0),
        **watch.figures,
    }


def main() -> None:
    given = parser(__doc__ or "").parse_args()
    ours, others = ("auto", "discover"), ("random", *PEERS)
    run(Duel(play, BUDGETS, FIGURES, ours, others, ("ask_median_s", "ask_longest_s")), given)


if __name__ == "__main__":
    main()
