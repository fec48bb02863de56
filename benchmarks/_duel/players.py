"""Who plays: our strategies through a campaign, as users call them, and others through a process of their own."""

from __future__ import annotations

import atexit
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from _duel.peers import PEERS

Point = Any
"""The values of a point's columns by name, or the row of a pool."""

Question = Mapping[str, Any]
"""JSON values: ``parameters`` as in a campaign file, or ``pool``, a list of rows; ``objectives``, pairs of metric and
goal; ``constraints``, by metric its upper bound."""


class Player(Protocol):
    """Asked and told by a duel; ``seconds`` are those of the last ask and the tell before it."""

    seconds: float

    def ask(self) -> Point: ...

    def tell(self, point: Point, values: Mapping[str, float]) -> None: ...

    def best(self) -> Point | None: ...


def player(strategy: str, question: Question, seed: int, peers: str | None) -> Player:
    """The player of that name; other packages' live in the environment of the interpreter ``peers``."""
    if strategy not in PEERS:
        return Ours(strategy, question, seed)
    if peers is None:
        raise SystemExit(f"{strategy} needs --peers, the interpreter of an environment where it is installed")
    return Peer(strategy, question, seed, peers)


class Ours:
    """A campaign in memory. Points that were not asked are prior data."""

    def __init__(self, strategy: str, question: Question, seed: int, **options: Any) -> None:
        from acquisition import Objective, OutcomeConstraint
        from orchestrator import Campaign

        space, self.pool = space_of(question)
        self.campaign = Campaign(
            space,
            [Objective(metric, goal) for metric, goal in question["objectives"]],
            outcome_constraints=[OutcomeConstraint(m, upper=u) for m, u in question.get("constraints", {}).items()],
            strategy=strategy,
            seed=seed,
            **options,
        )
        self.seconds = self._telling = 0.0
        self._asked: pd.DataFrame | None = None
        self._untold: list[pd.DataFrame] = []

    def ask(self) -> Point:
        self._flush()
        began = time.perf_counter()
        self._asked = self.campaign.ask(1)
        self.seconds, self._telling = time.perf_counter() - began + self._telling, 0.0
        return self._point(self._asked)

    def tell(self, point: Point, values: Mapping[str, float]) -> None:
        if self._asked is not None and point == self._point(self._asked):
            row, self._asked = self._asked.assign(**values), None
            self._flush()
            self._take(row)
        else:
            row = pd.DataFrame([point]) if self.pool is None else self.pool.iloc[[point]]
            self._untold.append(row.assign(**values))

    def fail(self, cause: str) -> None:
        """The experiment asked last did not work."""
        assert self._asked is not None
        row, self._asked = self._asked.assign(status="failed", failure_cause=cause), None
        self._take(row)

    def best(self) -> Point | None:
        """As :meth:`Campaign.best` recommends; ``None`` where it expects no executed point to be feasible."""
        self._flush()
        best = self.campaign.best()
        return None if best.empty else self._point(best)

    def _flush(self) -> None:
        if self._untold:
            self._take(pd.concat(self._untold, ignore_index=True))
            self._untold = []

    def _take(self, rows: pd.DataFrame) -> None:
        began = time.perf_counter()
        self.campaign.tell(rows)
        self._telling += time.perf_counter() - began

    def _point(self, frame: pd.DataFrame) -> Point:
        first = frame[list(self.campaign.space.columns)].iloc[0]
        if self.pool is None:
            return first.to_dict()
        return self._rows[tuple(first.round(6))]

    @property
    def _rows(self) -> Mapping[tuple[float, ...], int]:
        if not hasattr(self, "_index"):
            assert self.pool is not None
            self._index = {row: i for i, row in enumerate(self.pool.round(6).itertuples(index=False, name=None))}
        return self._index


def space_of(question: Question) -> tuple[Any, pd.DataFrame | None]:
    """The search space of a question, and its pool where it has one."""
    from acquisition import SearchSpace

    if "pool" in question:
        rows: Sequence[Sequence[float]] = question["pool"]
        pool = pd.DataFrame(rows, columns=[f"c{i}" for i in range(len(rows[0]))])
        return SearchSpace.from_pool(pool), pool
    from orchestrator.config.model import ParameterSpace

    block = ParameterSpace.model_validate({"parameters": question["parameters"]})
    return SearchSpace(list(block.parameters)), None


class Peer:
    """Another package's strategy, in a process of its interpreter that answers JSON lines (see ``peers.py``)."""

    def __init__(self, strategy: str, question: Question, seed: int, interpreter: str) -> None:
        self._process = _process(interpreter, strategy)
        self.seconds = 0.0
        self._say({"do": "begin", "question": question, "seed": seed})

    def ask(self) -> Point:
        answer = self._say({"do": "ask"})
        self.seconds = answer["seconds"]
        return answer["point"]

    def tell(self, point: Point, values: Mapping[str, float]) -> None:
        self._say({"do": "tell", "point": point, "values": dict(values)})

    def best(self) -> Point | None:
        return self._say({"do": "best"})["point"]

    def _say(self, message: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"the process of {self._process.args} has ended: its last words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@cache
def _process(interpreter: str, strategy: str) -> subprocess.Popen[str]:
    """One process a package for all games: importing some of them takes ten seconds."""
    process = subprocess.Popen(
        [interpreter, str(Path(__file__).with_name("peers.py")), strategy],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
