"""How fast the virtual cell is, on one core, beside the speeds it has to have.

Random alloys under random settings, solved in batches and one by one, everything included: sites from compositions,
electrolyte, search and figures. Times are the best of several, as other work on the machine only ever adds to them.

    OMP_NUM_THREADS=1 python benchmarks/cell_speed.py [--batch 4096] [--repeat 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from simulators._torch import double, one_thread
from simulators.cell import conditions, steady_state
from simulators.elements import element_names
from simulators.evolution import evolve
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

SIX = ("Cu", "Ag", "Au", "Zn", "Sn", "Al")
WORLD = World()
DRAW = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    """A kind of experiment, the range of what is held, and the targets: experiments a second, and ms for one."""

    title: str
    held: str
    low: float
    high: float
    a_second: float
    milliseconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    elements: tuple[str, ...] = SIX


HYDROXIDE = {"cell": "gde", "concentration": 1000.0, "salt": "hydroxide"}
CASES = (
    Case("H-cell, potential", "potential", -1.4, -0.5, 20_000, 2),
    Case("H-cell, current", "current", 0.1, 50.0, 2_500, 15),
    Case("H-cell, applied potential", "potential", -1.6, -0.5, 2_500, 15, {"compensation": 0.15}),
    Case("GDE KHCO3, current", "current", 10.0, 1000.0, 1_000, 40, {"cell": "gde", "concentration": 1000.0}),
    Case("GDE KOH, current", "current", 10.0, 1000.0, 1_000, 40, HYDROXIDE),
    Case("GDE KOH, 16 elements", "current", 10.0, 1000.0, 1_000, 40, HYDROXIDE, element_names()),
    Case("MEA, current", "current", 10.0, 1000.0, 1_000, 40, {"cell": "mea"}),
)


def seconds(task: Callable[[], object], repeat: int) -> float:
    """The shortest of several times."""
    task()
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - started)
    return best


def drawn(case: Case, count: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """Compositions and settings."""
    fractions = double(DRAW.dirichlet(np.full(len(case.elements), 0.4), count))
    if case.held == "current":
        values = np.exp(DRAW.uniform(np.log(case.low), np.log(case.high), count))
    else:
        values = DRAW.uniform(case.low, case.high, count)
    return fractions, {case.held: values, **case.settings}


def line(case: Case, batch: int, repeat: int) -> str:
    """One row of the report."""
    fractions, settings = drawn(case, batch)

    def solve(rows: slice) -> Any:
        elements = elements_of(case.elements, WORLD)
        run = conditions(**{**settings, case.held: settings[case.held][rows]})
        return steady_state(surface_sites(fractions[rows], elements, WORLD), run, strict=False)

    together = batch / seconds(lambda: solve(slice(None)), repeat)
    alone = [seconds(lambda row=row: solve(slice(row, row + 1)), 4 * repeat) for row in range(5)]
    lost = int((~solve(slice(None)).converged).sum())
    return (
        f"{case.title:28s}{together:10,.0f}{case.a_second:10,.0f}{1e3 * np.median(alone):10.2f}"
        f"{case.milliseconds:10.0f}{lost:8d}"
    )


def hour(title: str, repeat: int, **settings: Any) -> str:
    """One row about an hour of one experiment, seen every ten minutes."""
    elements, fractions = elements_of(SIX, WORLD), drawn(CASES[0], 1)[0]
    run, times = conditions(**settings), np.linspace(0.0, 3600.0, 7)
    taken = seconds(lambda: evolve(fractions, elements, WORLD, run, times=times), repeat)
    return f"{title:28s}{'':20s}{1e3 * taken:10.2f}{30:10d}"


def main() -> None:
    """Print all speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args()
    print(f"{'':28s}{'a second':>10s}{'target':>10s}{'one, ms':>10s}{'target':>10s}{'lost':>8s}")
    with one_thread(), torch.no_grad():
        for case in CASES:
            print(line(case, chosen.batch, chosen.repeat), flush=True)
        print(hour("an hour, H-cell", chosen.repeat, current=5.0))
        print(hour("an hour, GDE", chosen.repeat, current=300.0, cell="gde", concentration=1000.0))


if __name__ == "__main__":
    main()
