"""Seconds and memory of an ask, by the number of observations and the size of the pool.

Each cell runs in a process of its own on one thread: a campaign is told n noisy values of a smooth function of six
fractions (or six free parameters), and asked. ``cold`` is the first ask, with nothing to start from; ``warm`` the
median of those that follow, one result told before each. ``peak`` is the largest resident memory of the process,
``rise`` what of it the campaign added to the imported packages and the pool. Exponents are slopes of log seconds over
log size, by least squares.

    python benchmarks/ask_cost.py [--observations 100 1000 2000 5000] [--pools 1000 10000 100000 1000000] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import _duel  # noqa: F401  sets the number of threads before numpy is imported

# isort: split
import numpy as np
import pandas as pd
from _duel.statistics import table as markdown

OBSERVED = (100, 1000, 2000, 5000)
ROWS = (1000, 10_000, 100_000, 1_000_000)
D = 6
WITH_POOLS = 100
"""Observations where the pool's size varies."""


def peak() -> float:
    """Largest resident memory so far, GB."""
    import resource

    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def outcome(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth function of (n, 6) with noise."""
    return np.sin(3 * x @ np.arange(1, D + 1) / D) + x[:, 0] * x[:, 1] + 0.05 * rng.normal(size=len(x))


def measure(kind: str, observed: int, rows: int, strategy: str, asks: int) -> dict[str, Any]:
    """One cell, in this process."""
    from acquisition import Continuous, Objective, SearchSpace
    from orchestrator import Campaign

    names = [f"c{i}" for i in range(D)]
    rng = np.random.default_rng(0)
    if kind == "pool":
        pool = pd.DataFrame(rng.dirichlet(np.ones(D), rows), columns=names)
        space = SearchSpace.from_pool(pool)
        x = pool.iloc[rng.choice(rows, observed, replace=False)]
    else:
        space = SearchSpace([Continuous(name, 0.0, 1.0) for name in names])
        x = pd.DataFrame(rng.random((observed, D)), columns=names)
    campaign = Campaign(space, [Objective("y", "maximize")], strategy=strategy, seed=0)
    campaign.tell(x.assign(y=outcome(x.to_numpy(), rng)))
    before, seconds = peak(), []
    for _ in range(asks + 1):
        began = time.perf_counter()
        batch = campaign.ask(1)
        seconds.append(time.perf_counter() - began)
        campaign.tell(batch.assign(y=outcome(batch[names].to_numpy(float), rng)))
    return {
        **{"kind": kind, "strategy": strategy, "observations": observed, "rows": rows},
        **{"cold_s": round(seconds[0], 3), "warm_s": round(float(np.median(seconds[1:])), 3)},
        **{"longest_s": round(max(seconds), 3), "peak_gb": round(peak(), 3), "rise_gb": round(peak() - before, 3)},
    }


def exponent(table: pd.DataFrame, size: str, seconds: str) -> float:
    """Slope of the logarithm of seconds over that of the size."""
    return float(np.polyfit(np.log(table[size].astype(float)), np.log(table[seconds]), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--observations", type=int, nargs="+", default=OBSERVED)
    parser.add_argument("--pools", type=int, nargs="*", default=ROWS, help="rows of the pools, at 100 observations")
    parser.add_argument("--kinds", nargs="+", choices=["free", "pool"], default=["free", "pool"])
    parser.add_argument("--strategies", nargs="+", default=["auto"])
    parser.add_argument("--asks", type=int, default=3, help="warm ones")
    parser.add_argument("--out", type=Path, help="JSON lines are appended here, and those that exist are kept")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cell:
        kind, observed, rows, strategy = given.cell
        print(json.dumps(measure(kind, int(observed), int(rows), strategy, given.asks)))
        return
    lines = given.out.read_text(encoding="utf-8").splitlines() if given.out and given.out.exists() else []
    results = [json.loads(line) for line in lines]
    done = {(r["kind"], r["observations"], r["rows"], r["strategy"]) for r in results}
    cells = [("free", n, 0) for n in given.observations if "free" in given.kinds]
    cells += [("pool", WITH_POOLS, rows) for rows in given.pools if "pool" in given.kinds]
    for strategy in given.strategies:
        for cell in cells:
            if (*cell, strategy) in done:
                continue
            command = [sys.executable, __file__, "--asks", given.asks, "--cell", *cell, strategy]
            ran = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True)
            results.append(json.loads(ran.stdout.splitlines()[-1]))
            print(json.dumps(results[-1]), flush=True)
            if given.out:
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(results[-1]) + "\n")
    table = pd.DataFrame(results)
    for (strategy, kind), group in table.groupby(["strategy", "kind"]):
        print(f"\n{strategy}, {kind}\n\n{markdown(group.drop(columns=['strategy', 'kind']).to_dict('records'))}")
        size = "observations" if kind == "free" else "rows"
        if len(group) > 1:
            print(
                f"\nexponent in {size}: "
                + ", ".join(f"{s} {exponent(group, size, s):.2f}" for s in ("cold_s", "warm_s"))
            )


if __name__ == "__main__":
    main()
