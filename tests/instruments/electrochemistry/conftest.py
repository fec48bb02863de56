"""A cell on paper: known production rates, and the signals that perfect or imperfect instruments would record."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from instruments.electrochemistry import Calibration, Calibrations, Setup
from instruments.electrochemistry.constants import FARADAY, SCCM
from instruments.electrochemistry.products import PRODUCTS
from instruments.lab import Measurement

SLOPE, INTERCEPT = 5000.0, 0.01
DAY = datetime.date(2026, 5, 1)
STANDARD = SCCM

COPPER: Mapping[str, float] = {
    "h2": 0.20,
    "co": 0.05,
    "ch4": 0.30,
    "c2h4": 0.25,
    "hcoo": 0.08,
    "c2h5oh": 0.06,
    "ch3coo": 0.03,
    "c3h7oh": 0.03,
}


@dataclass(frozen=True)
class Bench:
    """A steady run, unless told otherwise.

    Attributes:
        efficiency: true Faradaic efficiencies.
        method: for the outlet flow.
        stoichiometric: whether hydroxide takes CO2 from the gas for good.
        points: of the trace.
        times: of the injections, s.
        current: A, a magnitude.
        volume: of the catholyte, mL.
        decay: relative loss of ethylene's efficiency to hydrogen, per hour.
        setup: changes to the setup; None leaves a key out.
        scatter: relative error of each peak, [injections, species], or 0.
        factors: errors by instrument, as factors on what it reports; of the liquids (``volume``) also one a species.
    """

    efficiency: Mapping[str, float] = field(default_factory=lambda: dict(COPPER))
    method: str = "outlet"
    stoichiometric: bool = False
    points: int = 61
    seconds: float = 3600.0
    times: tuple[float, ...] = (1200.0, 2400.0, 3600.0)
    current: float = 0.05
    inlet: float = 20.0 * SCCM
    volume: float = 8.0
    decay: float = 0.0
    setup: Mapping[str, Any] = field(default_factory=dict)
    scatter: Any = 0.0
    factors: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, **changes: Any) -> Bench:
        """Another run."""
        return replace(self, **changes)

    def with_setup(self, **changes: Any) -> Bench:
        """The same run, described otherwise."""
        return replace(self, setup={**self.setup, **changes})

    def at(self, hours: float) -> dict[str, float]:
        """True efficiencies at a time."""
        lost = self.efficiency.get("c2h4", 0.0) * self.decay * hours
        changed = dict(self.efficiency)
        if lost:
            changed["c2h4"] -= lost
            changed["h2"] += lost
        return changed

    def rates(self, hours: float = 0.0) -> dict[str, float]:
        """mol s-1."""
        return {k: fe * self.current / (PRODUCTS[k].electrons * FARADAY) for k, fe in self.at(hours).items()}

    def flows(self, hours: float = 0.0) -> dict[str, float]:
        """True flows: of carbonate, CO2 at the outlet, and all gas there with the internal standard."""
        rates = self.rates(hours)
        carbonate = 0.5 * sum(PRODUCTS[k].hydroxides * r for k, r in rates.items()) if self.stoichiometric else 0.0
        co2 = self.inlet - sum(PRODUCTS[k].carbons * r for k, r in rates.items()) - carbonate
        gas = co2 + sum(r for k, r in rates.items() if PRODUCTS[k].phase == "gas")
        standard = STANDARD if self.method == "internal_standard" else 0.0
        return {"carbonate": carbonate, "co2": co2, "outlet": gas + standard, "standard": standard}

    def described(self) -> Setup:
        """The setup."""
        fields: dict[str, Any] = {
            "date": DAY.isoformat(),
            "cell": "h_cell",
            "regime": "neutral",
            "area": "1 +/- 0.02 cm2",
            "reference": "Ag/AgCl (KCl sat.)",
            "ph": "6.8 +/- 0.03",
            "temperature": "298.15 +/- 0.3 K",
            "resistance": "5 +/- 0.25 ohm",
            "compensated": 0.85,
            "flow_method": self.method,
            "outlet_wet": False,
            "feed": {"co2": 1.0},
            "carbonate": "stoichiometric" if self.stoichiometric else "none",
            "headspace": "4 mL",
            "loop_time": "5 s",
            "catholyte": f"{self.volume} +/- {0.01 * self.volume} mL",
            "liquid_mode": "batch",
            "accuracy": {"current": "0.2 %", "inlet": "1 %", "outlet": "1 %", "potential": "1 mV", "liquid": "3 %"},
        }
        if self.method == "internal_standard":
            fields["standard"] = {
                "species": "n2",
                "flow": f"{STANDARD} +/- {0.01 * STANDARD} mol s-1",
                "position": "before",
            }
        fields.update(self.setup)
        return Setup(**{name: value for name, value in fields.items() if value is not None})

    def calibrations(self) -> Calibrations:
        """One record a gas."""
        return Calibrations(
            Calibration(
                device="",
                species=species,
                date=datetime.date(2026, 4, 20),
                coefficients=(INTERCEPT, SLOPE),
                covariance=((1e-6, 0.0), (0.0, (0.02 * SLOPE) ** 2)),
                signal_unit="pA s",
                low=1e-5,
                high=1.0 if species in ("co2", "n2") else 0.02,
                detection_limit=3e-6,
                r_squared=0.9995,
                repeatability=0.015,
                noise=0.005,
            )
            for species in (*(k for k in self.efficiency if PRODUCTS[k].phase == "gas"), "co2", "n2")
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Signals."""
        time = np.linspace(0.0, self.seconds, self.points)
        factor = {name: self.factors.get(name, 1.0) for name in ("current", "outlet", "inlet", "slope", "volume")}
        rows = []
        for i, at in enumerate(self.times):
            hours = at / 3600.0
            flows = self.flows(hours)
            moles = {k: r for k, r in self.rates(hours).items() if PRODUCTS[k].phase == "gas"} | {"co2": flows["co2"]}
            if flows["standard"]:
                moles["n2"] = flows["standard"]
            for j, (species, rate) in enumerate(moles.items()):
                error = 1.0 + (self.scatter if np.isscalar(self.scatter) else self.scatter[i][j])
                area = SLOPE * factor["slope"] * rate / flows["outlet"] * error + INTERCEPT
                rows.append((i + 1, at, species, area))
        nodes = np.linspace(0.0, self.seconds, 7)
        outlet = [self.flows(t / 3600.0)["outlet"] * factor["outlet"] for t in nodes]
        mean = self.rates(0.5 * self.seconds / 3600.0)
        liquids = [k for k in self.efficiency if PRODUCTS[k].phase == "liquid"]
        molar = np.array([mean[k] * self.seconds / (self.volume * 1e-6) / 1e3 for k in liquids])
        return {
            "potentiostat": pd.DataFrame(
                {
                    "time/s": time,
                    "current/A": -self.current * factor["current"],
                    "potential/V": -1.7,
                    "cell_voltage/V": 3.0,
                    "set_potential/V": -1.7,
                }
            ),
            "chromatograph": pd.DataFrame(rows, columns=["injection", "time/s", "species", "area/pA s"]),
            "flow": pd.DataFrame(
                {"time/s": nodes, "inlet/mol s-1": self.inlet * factor["inlet"], "outlet/mol s-1": outlet}
            ),
            "liquid": pd.DataFrame(
                {
                    "species": liquids,
                    "compartment": "catholyte",
                    "concentration/mol L-1": molar * factor["volume"],
                    "concentration_sem/mol L-1": 0.04 * molar,
                    "detection_limit/mol L-1": 1.5e-5,
                }
            ),
        }

    def measurement(self, **tables: pd.DataFrame | None) -> Measurement:
        """A measurement, with some tables replaced or (None) left out."""
        signals = {name: table for name, table in {**self.tables(), **tables}.items() if table is not None}
        return Measurement(signals, {**self.described().to_metadata(), "calibrations": self.calibrations().to_json()})


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
