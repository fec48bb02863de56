"""The command line of all duels: who plays what with which seeds, lines that exist are not played again."""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from _duel.peers import PEERS
from _duel.statistics import Figure, show

Play = Callable[["Game"], dict[str, Any]]

OLD_NAMES = {"sabatier": "auto", "sabatier_discover": "discover", "skopt_rf": "random_forest"}


@dataclass(frozen=True)
class Game:
    """One strategy on one task with one seed and a number of experiments; ``peers``: their interpreter, ``data``: the
    folder of measured tables."""

    task: str
    strategy: str
    seed: int
    budget: int
    peers: str | None = None
    data: str | None = None

    @property
    def key(self) -> tuple[str, str, int, int]:
        """By which a line of results is known."""
        return self.task, self.strategy, self.seed, self.budget


@dataclass(frozen=True)
class Duel:
    """A program: its tasks with their budgets, who plays, what is compared.

    ``play`` must be a function of a module's top level: with ``--jobs`` other processes import it.
    """

    play: Play
    tasks: dict[str, int]
    figures: Sequence[Figure]
    ours: Sequence[str] = ("auto",)
    others: Sequence[str] = ("random",)
    costs: Sequence[str] = ("ask_s",)


def parser(about: str, seeds: int = 20) -> argparse.ArgumentParser:
    """The options that all duels have."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", metavar="TASK")
    parser.add_argument("--strategies", nargs="+", metavar="NAME", help="instead of the program's own choice")
    parser.add_argument("--budget", type=int, help="experiments, instead of the task's own number")
    parser.add_argument("--out", type=Path, help="JSON lines are appended here, and those that exist are kept")
    parser.add_argument("--peers", help="interpreter of an environment with the other packages; without, they rest")
    parser.add_argument("--data", default=_shared(), help="folder of measured tables")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time; more than one spoils the seconds")
    return parser


def _shared() -> str | None:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return str(folder) if folder.is_dir() else None


def run(duel: Duel, given: argparse.Namespace) -> pd.DataFrame:
    """Play all games that are not in the file yet, print the tables, and give the rows."""
    strategies = given.strategies or [*duel.ours, *duel.others]
    tasks = {task: duel.tasks[task] for task in given.tasks} if given.tasks else duel.tasks
    rows = read(given.out)
    done = {(row["task"], row["strategy"], row["seed"], row.get("budget")) for row in rows}
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    games = [
        Game(task, strategy, seed, given.budget or budget, given.peers, given.data)
        for task, budget in tasks.items()
        for seed in seeds
        for strategy in strategies
        if _plays(strategy, given.peers)
    ]
    for row in _played(duel.play, [game for game in games if game.key not in done], given.jobs):
        rows.append(row)
        print(json.dumps(row), flush=True)
        if given.out:
            with given.out.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
    budgets = {task: given.budget or budget for task, budget in tasks.items()}
    rows = [row for row in rows if row["task"] in tasks and row.get("budget") == budgets[row["task"]]]
    table = pd.DataFrame(rows)
    if len(table):
        mine = [strategy for strategy in strategies if strategy in duel.ours] or strategies[:1]
        show(table, [f for f in duel.figures if f.name in table], mine, duel.costs)
    return table


def _played(play: Play, games: Sequence[Game], jobs: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        for game in games:
            yield play(game)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(play, game) for game in games]):
            yield future.result()


def _plays(strategy: str, peers: str | None) -> bool:
    """Whether a strategy is there: ours that is installed, or a peer whose environment was named."""
    if strategy in PEERS:
        return peers is not None
    from acquisition.strategies.registry import strategy_names

    return strategy.split(" ", maxsplit=1)[0] in strategy_names()


def read(path: Path | None) -> list[dict[str, Any]]:
    """Lines of an earlier run, of the shared protocol's programs too."""
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["strategy"] = OLD_NAMES.get(row["strategy"], row["strategy"])
        if "plate" in row:
            row |= {"task": row["plate"].removesuffix(".csv"), "found": row["top1pct_found"]}
            row |= {"first_hit": row["first_hit"] or row["budget"] + 1, "has_best": int(row["best_rank"] == 0)}
    return rows


class Stopwatch:
    """Seconds of each ask."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def add(self, seconds: float) -> None:
        """One more ask."""
        self.seconds.append(seconds)

    @property
    def figures(self) -> dict[str, float]:
        """Mean, median and longest ask of a game."""
        values = pd.Series(self.seconds or [0.0])
        return {
            "ask_s": round(float(values.mean()), 4),
            "ask_median_s": round(float(values.median()), 4),
            "ask_longest_s": round(float(values.max()), 4),
        }
