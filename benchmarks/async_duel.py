"""What eight asynchronous cells cost in regret, experiment for experiment.

A cell that becomes free asks for its next experiment while the seven others still run: the choice knows of them, but
not their results. Durations are log-normal in virtual time, drawn by seed, as is the noise of each experiment.
``auto (8 cells)`` is compared with ``auto (1 cell)`` after the same number of experiments; figures are those of
``continuous_duel.py``, their geometric ratio says by how much the regret grows. ``faster``: how many times sooner the
eight cells are done.

    python benchmarks/async_duel.py [--seeds 20] [--out FILE]
"""

from __future__ import annotations

import heapq
from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
from _duel.functions import problem
from _duel.players import Ours
from _duel.program import Duel, Game, parser, run
from _duel.statistics import Figure

BUDGET = 48
SPREAD = 0.5
"""Of the logarithm of an experiment's duration."""

TASKS = ("hartmann6", "ackley5", "mixture6", "waves", "peaks")
FIGURES = tuple(Figure(name, compare="geometric") for name in ("regret", "recommended", "best_seen"))


def play(game: Game) -> dict[str, Any]:
    """One row: the regrets of a campaign with so many cells."""
    task = problem(game.task, game.seed)
    name, cells = game.strategy.split(" ", 1)
    me = Ours(name, task.question, game.seed)
    rng = np.random.default_rng(game.seed)
    noise, durations = task.noise * rng.normal(size=game.budget), np.exp(SPREAD * rng.normal(size=game.budget))
    running: list[tuple[float, int, Any]] = []  # (virtual time of the end, number, what was asked)
    points, measured, now = [], [], 0.0
    for number in range(game.budget + int(cells[1])):
        if number >= int(cells[1]) or number >= game.budget:  # all cells are busy, or nothing is left to ask
            if not running:
                break
            now, done, batch = heapq.heappop(running)
            points.append(batch.iloc[0].to_dict())
            measured.append(float(task.values(task.array(points[-1])[None, :])[0] + noise[done]))
            me.campaign.tell(batch.assign(y=measured[-1]))
        if number < game.budget:
            heapq.heappush(running, (now + durations[number], number, me.campaign.ask(1)))
    regrets = [task.regret(point) for point in points]
    return {
        **{"task": game.task, "strategy": game.strategy, "seed": game.seed, "budget": game.budget},
        "regret": round(regrets[int(np.argmax(measured))], 5),
        "recommended": round(task.regret(me.best()), 5),
        "best_seen": round(min(regrets), 5),
        "hours": round(now, 3),
    }


def main() -> None:
    given = parser(__doc__ or "").parse_args()
    others = ("auto (1 cell)", "random (8 cells)")
    run(Duel(play, dict.fromkeys(TASKS, BUDGET), FIGURES, ("auto (8 cells)",), others, ("hours",)), given)


if __name__ == "__main__":
    main()
