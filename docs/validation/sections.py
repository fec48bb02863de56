"""Sections of the page that compare the model with published numbers and with itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from model import LABELS, NOMINAL, SHOWN, hori_states, judged, kuhl_states, percent, solve, table

from simulators import published
from simulators._torch import double, one_thread
from simulators.cell import conditions, steady_state
from simulators.constants import FARADAY, PRODUCTS, SIMULATED
from simulators.film import Exchange, electrolyte, film_surface
from simulators.kinetics import CARBONS
from simulators.materials import elements_of, surface_sites


def hori() -> str:
    """Every metal of Hori's table beside the model."""
    rows = []
    for metal, state in hori_states().items():
        row = published.HORI[metal]
        tolerance = published.HORI_COPPER_TOLERANCE if metal == "Cu" else published.HORI_TOLERANCE
        pairs, worst = [], 0.0
        for key in SHOWN:
            expected, found = 100.0 * row.shares.get(key, 0.0), float(percent(state, key)[0])
            worst = max(worst, abs(found - expected))
            pairs.append(f"{expected:.1f} / {found:.1f}" if max(expected, found) >= 0.05 else "")
        shift = 1e3 * (float(state.on_she[0]) - row.on_she)
        fine = worst <= tolerance and abs(shift) <= 1e3 * published.HORI_POTENTIAL_TOLERANCE
        major = SIMULATED[int(state.efficiencies[0].argmax())] == row.major
        rows.append(
            [
                metal,
                f"{row.current:g}",
                f"{row.on_she:.2f}",
                f"{shift:+.0f}",
                *pairs,
                f"{worst:.1f} ({tolerance:g})",
                "yes" if fine and major else "**no**",
            ]
        )
    header = [
        "metal",
        "j",
        "E vs SHE",
        "model - E / mV",
        *(LABELS[key] for key in SHOWN),
        "largest deviation",
        "within",
    ]
    return table(header, rows)


def kuhl() -> str:
    """Kuhl's copper: root-mean-square deviations, and the order of products over potential."""
    data = np.array(published.KUHL)
    state = kuhl_states(data[:, 0])
    rows = []
    for column, key in enumerate(published.KUHL_PRODUCTS, start=2):
        deviation = float(np.sqrt(np.mean((percent(state, key) - data[:, column]) ** 2)))
        tolerance = published.KUHL_TOLERANCES.get(key)
        if tolerance is not None:
            rows.append([LABELS[key], f"{deviation:.1f} %", f"{tolerance:g} %", judged(deviation, tolerance)])
    current = float(np.sqrt(np.mean((np.log10(state.current.numpy()) - np.log10(data[:, 1])) ** 2)))
    rows.append(
        [
            "log10 j",
            f"{current:.3f}",
            f"{published.KUHL_CURRENT_TOLERANCE:g}",
            judged(current, published.KUHL_CURRENT_TOLERANCE),
        ]
    )
    return table(["", "root-mean-square deviation", "tolerance", "within"], rows)


def order_of_products() -> str:
    """Facts about copper that hold on the curves as wholes."""
    scale = np.arange(-1.18, -0.60, 0.005)
    state = kuhl_states(scale)
    curves = {key: percent(state, key) for key in SHOWN}
    onset = {key: scale[curves[key] > 1.0].max() for key in ("c2h4", "ch4")}
    at = int(np.abs(scale + 1.17).argmin())
    peak = {key: scale[curves[key].argmax()] for key in ("c2h4", "hcoo")}
    least = scale[curves["h2"].argmin()]
    facts = [
        (
            "ethylene begins before methane",
            f"{onset['c2h4']:.3f} against {onset['ch4']:.3f} V",
            onset["c2h4"] > onset["ch4"],
        ),
        ("ethylene is largest between -1.12 and -1.00 V", f"{peak['c2h4']:.3f} V", -1.12 <= peak["c2h4"] <= -1.0),
        (
            "more methane than ethylene at -1.17 V",
            f"{curves['ch4'][at]:.0f} against {curves['c2h4'][at]:.0f} %",
            curves["ch4"][at] > curves["c2h4"][at],
        ),
        ("hydrogen is least between -1.12 and -1.00 V", f"{least:.3f} V", -1.12 <= least <= -1.0),
        ("formate is largest above -0.95 V", f"{peak['hcoo']:.3f} V", peak["hcoo"] > -0.95),
    ]
    return table(
        ["fact", "model", "holds"], [(fact, model, "yes" if holds else "**no**") for fact, model, holds in facts], 3
    )


def series() -> str:
    """Trends that nothing was fitted to."""
    rows: list[tuple[str, str, str, bool]] = []

    def add(what: str, expected: str, values: np.ndarray[Any, Any], holds: bool, digits: int = 0) -> None:
        rows.append((what, expected, " ".join(f"{value:.{digits}f}" for value in values), holds))

    warm = solve({"Cu": 1.0}, conditions(current=5.0, temperature=273.15 + double([0.0, 10.0, 18.5, 30.0, 40.0])))
    methane, ethylene = percent(warm, "ch4"), percent(warm, "c2h4")
    source = "Hori et al., Chem. Lett. 1986"
    add(
        "copper, 5 mA cm-2, 0 to 40 degrees Celsius: CH4 / %",
        f"falls from about 65 ({source})",
        methane,
        bool((np.diff(methane) < 0).all()),
    )
    add("the same: C2H4 / %", f"rises towards 20 at 40 ({source})", ethylene, bool(ethylene[-1] > ethylene[0]))

    salt = solve({"Cu": 1.0}, conditions(current=5.0, concentration=double([30.0, 100.0, 300.0, 1000.0])))
    add(
        "copper, 5 mA cm-2, 0.03 to 1 M KHCO3: C2H4 / %",
        "falls (Hori)",
        percent(salt, "c2h4"),
        bool((np.diff(percent(salt, "c2h4")) < 0).all()),
    )
    add("the same: H2 / %", "rises (Hori)", percent(salt, "h2"), bool((np.diff(percent(salt, "h2")) > 0).all()))
    add(
        "the same: CH4 / %",
        "rises (Hori)",
        percent(salt, "ch4"),
        bool(percent(salt, "ch4")[-1] > percent(salt, "ch4")[0]),
    )

    silver = percent(solve({"Ag": 1.0}, conditions(double([-0.6, -0.8, -1.0, -1.1, -1.2]))), "co")
    add(
        "silver, -0.6 to -1.2 V: CO / %",
        "a volcano by transport (Hatsukade et al., PCCP 2014, 16, 13814)",
        silver,
        bool(silver.argmax() == 2),
    )

    cations = solve({"Cu": 1.0}, conditions(double([-1.0] * 5), cation=["Li", "Na", "K", "Rb", "Cs"]))
    partial = cations.partial_currents.numpy()
    c2h4, h2, ch4 = (partial[:, SIMULATED.index(key)] for key in ("c2h4", "h2", "ch4"))
    add(
        "copper, -1.0 V, Li to Cs: j(C2H4) / mA cm-2",
        "rises with the cation (Resasco et al., JACS 2017, 139, 11277)",
        c2h4,
        bool((np.diff(c2h4) > 0).all()),
        2,
    )
    add("the same: j(H2)", "within 20 % of K (Resasco)", h2, near_third(h2), 2)
    add("the same: j(CH4)", "within 20 % of K (Resasco)", ch4, near_third(ch4), 2)

    pressed = solve({"Cu": 1.0}, conditions(current=15.0, pressure=double([1.0, 3.0, 10.0])))
    add(
        "copper, 15 mA cm-2, 1 to 10 atm CO2: CO + HCOO- / %",
        "rises",
        percent(pressed, "co", "hcoo"),
        bool((np.diff(percent(pressed, "co", "hcoo")) > 0).all()),
    )

    blank = solve({"Cu": 1.0}, conditions(-1.0, pressure=1e-5))
    carbon = 100.0 - percent(blank, "h2")
    add("copper without CO2 (1e-5 atm): carbon products / %", "below 0.1", carbon, bool(carbon[0] < 0.1), 4)

    gde = solve({"Cu": 1.0}, conditions(current=double([50.0, 200.0, 500.0]), cell="gde", concentration=1000.0))
    add(
        "copper gas-diffusion electrode, 1 M KHCO3, 50, 200, 500 mA cm-2: CO / %",
        "falls",
        percent(gde, "co"),
        bool((np.diff(percent(gde, "co")) < 0).all()),
    )
    add("the same: C2H4 / %", "rises", percent(gde, "c2h4"), bool((np.diff(percent(gde, "c2h4")) > 0).all()))
    add("the same: surface pH", "rises", gde.ph.numpy(), bool((np.diff(gde.ph.numpy()) > 0).all()), 1)

    wet = solve(
        {"Cu": 1.0}, conditions(current=200.0, cell="gde", concentration=1000.0, flooded=double([0.0, 0.8, 1.0]))
    )
    add(
        "the same at 200 mA cm-2, 0, 80, 100 % flooded: H2 / %",
        "rises",
        percent(wet, "h2"),
        bool((np.diff(percent(wet, "h2")) > 0).all()),
    )
    return table(
        ["experiment", "published or expected", "model", "holds"],
        [(what, expected, values, "yes" if holds else "**no**") for what, expected, values, holds in rows],
        4,
    )


def near_third(values: np.ndarray[Any, Any]) -> bool:
    """Whether all values are within a fifth of the third."""
    return bool((np.abs(values / values[2] - 1.0) <= 0.2).all())


def film() -> str:
    """The film in closed form beside the boundary value problem."""
    rows = []
    for molar, microns, current, share, ph, co2 in published.BOUNDARY_VALUE_PROBLEM:
        run = conditions(-1.0, concentration=1e3 * molar)
        solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure)
        flux = 10.0 * current / FARADAY
        taken, given = double([share * flux / 2.0]), double([flux])
        oh, c = 10.0 * solution.oh, 0.5 * solution.co2
        for _ in range(400):
            next_c, next_oh = film_surface(
                solution, double([1e-6 * microns]), oh, Exchange(taken / c, double(0.0), given)
            )
            oh, c = torch.exp(0.5 * (oh.log() + next_oh.log())), torch.exp(0.5 * (c.log() + next_c.log()))
        found_ph, found_co2 = float(solution.surface_ph(oh.log())), float(c)
        fine = (
            abs(found_ph - ph) <= published.FILM_PH_TOLERANCE and abs(found_co2 - co2) <= published.FILM_CO2_TOLERANCE
        )
        pairs = f"{ph:.2f} / {found_ph:.2f}", f"{co2:.1f} / {found_co2:.1f}"
        rows.append([f"{molar:g}", microns, current, share, *pairs, "yes" if fine else "**no**"])
    header = ["KHCO3 / M", "film / um", "j / mA cm-2", "share to CO2", "pH", "CO2 / mol m-3", "within"]
    return table(header, rows, 0)


def conservation(count: int = 500) -> str:
    """How well charge and carbon close over random experiments without noise."""
    generator = np.random.default_rng(0)
    rows = []
    names = ("Cu", "Ag", "Au", "Zn", "Sn", "Al")
    fractions = double(generator.dirichlet(np.full(len(names), 0.5), count))
    elements = elements_of(names, NOMINAL)
    runs = {
        "H-cell, potential held": conditions(generator.uniform(-1.5, -0.5, count)),
        "H-cell, current held": conditions(current=generator.uniform(0.5, 15.0, count)),
        "gas-diffusion electrode, KHCO3": conditions(
            current=generator.uniform(20.0, 500.0, count), cell="gde", concentration=1000.0
        ),
        "gas-diffusion electrode, KOH": conditions(
            current=generator.uniform(20.0, 300.0, count), cell="gde", salt="hydroxide", concentration=1000.0
        ),
        "membrane-electrode assembly": conditions(current=generator.uniform(20.0, 300.0, count), cell="mea"),
    }
    for name, run in runs.items():
        with one_thread(), torch.no_grad():
            state = steady_state(surface_sites(fractions, elements, NOMINAL), run, strict=False)
        kept = state.converged
        charge = (state.efficiencies.sum(-1) - 1.0).abs()[kept].max()
        carbon = ((state.rates * CARBONS).sum(-1) / state.carbon - 1.0).abs()[kept].max()
        held = (
            "" if run.control == "potential" else f"{float((state.current / run.current - 1.0).abs()[kept].max()):.0e}"
        )
        spent = ((state.conversion.sum(-1) + state.carbonate)[kept].max()) if run.cell != "h_cell" else None
        rows.append(
            [
                name,
                f"{int(kept.sum())} of {count}",
                f"{float(charge):.0e}",
                f"{float(carbon):.0e}",
                held,
                "" if spent is None else f"{float(spent):.3f}",
            ]
        )
    header = ["cell", "converged", "charge", "carbon", "current", "conversion + carbonate, largest"]
    return table(header, rows)


def equilibrium() -> str:
    """The standard potentials above which nothing forms."""
    rows = [
        [
            LABELS[key],
            PRODUCTS[key].electrons,
            PRODUCTS[key].hydroxides,
            f"{PRODUCTS[key].equilibrium_potential(6.8):+.3f}",
        ]
        for key in SIMULATED
    ]
    return table(["product", "electrons", "hydroxide", "E0 at pH 6.8 / V vs RHE"], rows)
