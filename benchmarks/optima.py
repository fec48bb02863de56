"""Where the optima of the named chemistries lie, by brute force; with ``--write``, keep them for the package.

An optimum at a corner of the composition simplex makes a useless benchmark: the last column says how much an optimum
gains over the best single metal under the same conditions. ``Chemistry.optimum`` answers from
``simulators/data/optima.json`` for the worlds ``nominal`` and ``null``, and searches for ``shifted`` ones.

    python benchmarks/optima.py [--chemistry NAME] [--world NAME] [--seed N] [--metric NAME ...]
    python benchmarks/optima.py --write
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import simulators
from simulators import CHEMISTRIES, Chemistry, chemistry
from simulators.constants import FIGURES
from simulators.optimum import searched

TARGETS = ("fe_c2h4", "fe_c2plus", "fe_c2h5oh", "fe_ch4", "fe_co", "fe_hcoo", "j_c2h4", "j_c2plus")
WORLDS = ("nominal", "null")


def best_single_metal(virtual: Chemistry, best: dict[str, Any], metric: str, goal: str) -> float | None:
    """The best value of one metal alone under the conditions of an optimum; ``None`` without a composition."""
    import pandas as pd

    alloys = [each for each in virtual.space["parameters"] if each["type"] == "composition"]
    if not alloys:
        return None
    (alloy,) = alloys
    columns = [f"{alloy['name']}_{component}" for component in alloy["components"]]
    others = {name: value for name, value in best["parameters"].items() if name not in columns}
    numbers = [p for p in virtual.space["parameters"] if p["type"] == "continuous"]
    rows = []
    for column in columns:
        pure = dict.fromkeys(columns, 0.0) | {column: 1.0} | others
        for parameter in numbers[:1]:  # potential or current: every metal at its own best
            low, high = parameter["low"], parameter["high"]
            rows += [pure | {parameter["name"]: low + (high - low) * i / 200} for i in range(201)]
    values = virtual.truth(pd.DataFrame(rows))[metric]
    return float(values.max() if goal == "maximize" else values.min())


def told(virtual: Chemistry, metric: str, goal: str) -> str:
    """One line about an optimum."""
    started = time.perf_counter()
    best = virtual.optimum(metric, goal)
    seconds = time.perf_counter() - started
    where = ", ".join(
        f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
        for name, value in best["parameters"].items()
        if value != 0.0
    )
    single = best_single_metal(virtual, best, metric, goal)
    gain = "" if not single else f"{best['value'] / single - 1:+.1%} over a metal"
    return f"{metric:14s} {goal} {best['value']:10.4f}  {where}  {gain}  ({seconds:.1f} s)"


def write(path: Path) -> None:
    """Search all optima of the fixed worlds and keep them."""
    optima: dict[str, Any] = {}
    for name in CHEMISTRIES:
        for world in WORLDS:
            started = time.perf_counter()
            kept: dict[str, Any] = {}
            for metric in FIGURES:
                for goal in ("maximize", "minimize"):
                    parameters, value = searched(name, world, 0, metric, goal)
                    kept.setdefault(metric, {})[goal] = {"parameters": dict(parameters), "value": value}
            optima.setdefault(name, {})[world] = kept
            print(f"{name} {world}: {len(kept)} metrics in {time.perf_counter() - started:.0f} s", flush=True)
    about = "Optima by brute force; written by `python benchmarks/optima.py --write` whenever the physics changes."
    path.write_text(json.dumps({"about": about, "optima": optima}, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chemistry", choices=sorted(CHEMISTRIES), default="cu_alloys")
    parser.add_argument("--world", choices=["nominal", "shifted", "null"], default="nominal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metric", nargs="*")
    parser.add_argument("--write", action="store_true", help="keep the optima of all chemistries in the package")
    options = parser.parse_args()
    if options.write:
        write(Path(simulators.__file__).parent / "data" / "optima.json")
        return
    virtual = chemistry(options.chemistry, world=options.world, seed=options.seed)
    for metric in options.metric or dict.fromkeys([virtual.definition.target, *TARGETS]):
        print(told(virtual, metric, "maximize"))


if __name__ == "__main__":
    main()
