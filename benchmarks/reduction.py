"""How many experiments a second the data reduction takes, in batches and one by one.

Every experiment has a trace of 100 points, 3 injections with 5 gaseous products, CO2 and nitrogen, and 4 liquids; it
is reduced to about 40 figures with all covariances and judged by all rules. The baseline is a loop over single calls
of `reduce`, which also read the tables.

    OMP_NUM_THREADS=1 python benchmarks/reduction.py [--experiments 8192]
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from instruments.electrochemistry import Calibration, Calibrations, Setup, reduce, reduce_all
from instruments.electrochemistry.batch import gather
from instruments.electrochemistry.constants import FARADAY, SCCM
from instruments.electrochemistry.core import CHUNK, reduce_batch
from instruments.electrochemistry.prepare import prepare
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.quality import judge
from instruments.electrochemistry.signals import read_signals
from instruments.lab import Measurement

TARGET = 10_000
GASES = ("h2", "co", "ch4", "c2h4", "c2h6")
EFFICIENCIES = dict(zip((*GASES, "hcoo", "c2h5oh", "ch3coo", "c3h7oh"),
                        (0.2, 0.05, 0.3, 0.24, 0.01, 0.08, 0.06, 0.03, 0.03), strict=True))  # fmt: skip
CURRENT, SECONDS, VOLUME, INLET = 0.05, 3600.0, 8e-6, 20.0 * SCCM


def measurement(noise: float, rng: np.random.Generator) -> Measurement:
    """One experiment; `noise` is the relative scatter of its peaks."""
    rates = {key: share * CURRENT / (PRODUCTS[key].electrons * FARADAY) for key, share in EFFICIENCIES.items()}
    co2 = INLET - sum(PRODUCTS[key].carbons * rate for key, rate in rates.items())
    outlet = co2 + sum(rates[key] for key in GASES)
    fractions = {**{key: rates[key] / outlet for key in GASES}, "co2": co2 / outlet, "n2": 1e-4}
    rows = [
        (n + 1, 1200.0 * (n + 1), key, 5000.0 * x * (1.0 + noise * rng.normal()))
        for n in range(3)
        for key, x in fractions.items()
    ]
    points = np.linspace(0.0, SECONDS, 100)
    liquids = [key for key in EFFICIENCIES if key not in GASES]
    current = -CURRENT * (1.0 + 1e-3 * rng.normal(size=100))
    potentiostat = {"time/s": points, "current/A": current, "potential/V": -1.7, "cell_voltage/V": 3.0}
    concentrations = [rates[key] * SECONDS / VOLUME / 1e3 for key in liquids]
    signals = {
        "potentiostat": pd.DataFrame({**potentiostat, "set_potential/V": -1.7}),
        "chromatograph": pd.DataFrame(rows, columns=["injection", "time/s", "species", "area/pA s"]),
        "flow": pd.DataFrame({"time/s": [0.0, SECONDS], "inlet/mol s-1": INLET, "outlet/mol s-1": outlet}),
        "liquid": pd.DataFrame(
            {
                "species": liquids,
                "compartment": "catholyte",
                "concentration/mol L-1": concentrations,
                "concentration_sem/mol L-1": 0.04 * np.array(concentrations),
                "detection_limit/mol L-1": 1.5e-5,
            }
        ),
    }
    setup = Setup(
        date="2026-05-01", cell="h_cell", area="1 +/- 0.02 cm2", reference="Ag/AgCl (KCl sat.)", ph="6.8 +/- 0.03",
        temperature="25 +/- 0.3 degC", resistance="5 +/- 0.25 ohm", compensated=0.85, flow_method="outlet",
        outlet_wet=False, feed={"co2": 1.0}, carbonate="none", headspace="4 mL", loop_time="5 s",
        catholyte="8.0 +/- 0.1 mL", liquid_mode="batch", stability_of="fe_c2h4",
        accuracy={"current": "0.2 %", "inlet": "1 %", "outlet": "1 %", "potential": "1 mV", "liquid": "3 %"},
    )  # fmt: skip
    return Measurement(signals, setup.to_metadata())


def calibrations() -> Calibrations:
    """One record a gas."""
    return Calibrations(
        Calibration(
            device="", species=key, date=datetime.date(2026, 4, 20), coefficients=(0.0, 5000.0),
            covariance=((1e-6, 0.0), (0.0, 1e4)), signal_unit="pA s", low=1e-5, high=1.0 if key == "co2" else 0.02,
            detection_limit=3e-6, r_squared=0.9995, repeatability=0.015, noise=0.005,
        )
        for key in (*GASES, "co2", "n2")
    )  # fmt: skip


def rate(count: int, run: Callable[[], object], repeats: int = 3) -> float:
    """Experiments a second, the best of some repeats."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return count / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=8192)
    count = parser.parse_args().experiments
    rng, records = np.random.default_rng(0), calibrations()
    few = [measurement(0.01, rng) for _ in range(64)]
    prepared = []
    for each in few:
        setup = Setup.from_metadata(each.metadata)
        prepared.append(prepare(read_signals(each, setup), setup, records).batch)
    batch = gather((prepared * (count // len(few) + 1))[:count])

    def figures_only() -> None:
        for start in range(0, count, CHUNK):
            reduce_batch(batch[start : start + CHUNK])

    def judged() -> None:
        for start in range(0, count, CHUNK):
            judge(reduce_batch(batch[start : start + CHUNK]).evidence)

    single = rate(len(few), lambda: [reduce(each, calibrations=records) for each in few])
    rows = [
        ("baseline: a loop over `reduce`", single),
        ("`reduce_all` from tables", rate(len(few), lambda: reduce_all(few, calibrations=records))),
        ("batch: figures and covariances", rate(count, figures_only)),
        ("batch: figures, covariances and verdicts", rate(count, judged)),
    ]
    print(f"{'':42} {'a second':>10} {'baseline':>9}")
    for name, speed in rows:
        print(f"{name:42} {speed:10,.0f} {speed / single:8.1f}x")
    print(f"\none `reduce`: {1e3 / single:.1f} ms; target for batches: {TARGET:,} a second")


if __name__ == "__main__":
    main()
