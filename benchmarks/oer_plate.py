"""Runs `sabatier run examples/oer_plate.yaml` for several seeds, and says when each found a catalyst of the best 1 %.

The baseline is random drawing without replacement: the first of K good ones among N is expected at draw
(N + 1) / (K + 1).

    python benchmarks/oer_plate.py PATH/TO/oer_plate_3496.csv [--seeds 10] [--engine prefect]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "oer_plate.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--engine", default="prefect")
    given = parser.parse_args()
    plate = pd.read_csv(given.table)["overpotential_V"]
    top = max(1, len(plate) // 100)
    limit = plate.nsmallest(top).iloc[-1]
    print(json.dumps({"pool": len(plate), "best_1_percent_V": limit, "random_first_hit": (len(plate) + 1) / (top + 1)}))
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/sabatier.db"
        sabatier = [sys.executable, "-m", "orchestrator.cli"]
        for seed in range(given.seeds):
            name = f"oer-{seed}"
            command = [
                *sabatier,
                "run",
                EXAMPLE,
                "--table",
                given.table,
                "--seed",
                seed,
                "--name",
                name,
                "--store",
                store,
            ]
            began = time.perf_counter()
            subprocess.run(
                [str(w) for w in [*command, "--engine", given.engine, "-q"]], check=True, capture_output=True
            )
            seconds = time.perf_counter() - began
            subprocess.run(
                [*sabatier, "export", name, "-o", f"{folder}/{name}", "--store", store], check=True, capture_output=True
            )
            values = pd.read_csv(f"{folder}/{name}/experiments.csv").set_index("experiment")["overpotential_V"]
            hits = values.index[values <= limit + 1e-9]
            found += bool(len(hits))
            row = {"seed": seed, "experiments": len(values), "best_V": values.min(), "seconds": round(seconds, 1)}
            print(json.dumps(row | {"first_hit": int(hits[0]) if len(hits) else None, "hits": len(hits)}), flush=True)
    print(json.dumps({"seeds_with_a_hit": found, "of": given.seeds}))


if __name__ == "__main__":
    main()
