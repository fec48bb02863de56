"""Print where the optima of the named chemistries lie, by brute force.

An optimum at a corner of the composition simplex makes a useless benchmark: the last column says how much an optimum
gains over the best single metal. Run as ``python benchmarks/optima.py [--chemistry NAME] [--world NAME] [--seed N]``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from simulators import CHEMISTRIES, Chemistry, chemistry

METRICS = ("fe_c2h4", "fe_c2plus", "fe_c2h5oh", "fe_ch4", "fe_co", "fe_hcoo", "j_c2h4", "j_c2plus")


def best_single_metal(virtual: Chemistry, metric: str) -> float:
    """The best value that one metal alone reaches at any potential of the space."""
    (potential,) = (each for each in virtual.space["parameters"] if each["name"] == "potential")
    (alloy,) = (each for each in virtual.space["parameters"] if each["type"] == "composition")
    points = pd.DataFrame(
        [
            {"metal": metal, "potential": value}
            for metal in alloy["components"]
            for value in np.linspace(potential["low"], potential["high"], 401)
        ]
    )
    return float(virtual.truth(points)[metric].max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chemistry", choices=sorted(CHEMISTRIES), default="cu_alloys")
    parser.add_argument("--world", choices=["nominal", "shifted", "null"], default="nominal")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    virtual = chemistry(options.chemistry, world=options.world, seed=options.seed)
    for metric in METRICS:
        started = time.perf_counter()
        best = virtual.optimum(metric)
        where = ", ".join(
            f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}"
            for name, value in best["parameters"].items()
            if value != 0.0
        )
        gain = ""
        if any(each["type"] == "composition" for each in virtual.space["parameters"]):
            gain = f"{best['value'] / best_single_metal(virtual, metric) - 1:+.1%} over a metal"
        print(f"{metric:10s} {best['value']:8.4f}  {where}  {gain}  ({time.perf_counter() - started:.1f} s)")


if __name__ == "__main__":
    main()
