"""Makes ``docs/reference/validation.md`` and its pictures anew: ``make validation``.

Every number of the page is computed here; a test computes them again and compares.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from pydantic import TypeAdapter

from acquisition import SearchSpace
from acquisition.parameters import Parameter
from instruments.lab import Job, Outcome
from orchestrator.loop.context import VirtualClock
from simulators import CHEMISTRIES, Chemistry, SimulatedLab, SimulatedOptions, chemistry, published
from simulators._torch import double, one_thread
from simulators.cell import SteadyState, conditions, steady_state
from simulators.conditions import Conditions
from simulators.constants import FARADAY, PRODUCTS, SIMULATED
from simulators.faults import FAULTS
from simulators.film import Exchange, electrolyte, film_surface
from simulators.kinetics import CARBONS
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "validation.md"
PICTURES: Final = ROOT / "docs" / "pictures"
NOMINAL: Final = World()
SHOWN: Final = ("h2", "co", "hcoo", "ch4", "c2h4", "c2h5oh", "c3h7oh")
LABELS: Final = {
    "h2": "H2",
    "co": "CO",
    "hcoo": "HCOO-",
    "ch4": "CH4",
    "c2h4": "C2H4",
    "c2h5oh": "C2H5OH",
    "ch3coo": "CH3COO-",
    "c3h7oh": "C3H7OH",
}
COLOURS: Final = {
    "h2": "#7f8c8d",
    "co": "#c0392b",
    "hcoo": "#8e44ad",
    "ch4": "#2980b9",
    "c2h4": "#27ae60",
    "c2h5oh": "#f39c12",
    "ch3coo": "#16a085",
    "c3h7oh": "#795548",
}


# The model


def solve(composition: dict[str, float], run: Conditions, mixing: float = 1.0) -> SteadyState:
    """A batch of cells with one composition."""
    elements = elements_of(tuple(composition), NOMINAL)
    fractions = double([list(composition.values())]).expand(len(run.potential), -1)
    with one_thread(), torch.no_grad():
        return steady_state(surface_sites(fractions, elements, NOMINAL, mixing), run)


def percent(state: SteadyState, *products: str) -> np.ndarray[Any, Any]:
    """Faradaic efficiencies in per cent, [experiments], summed over products."""
    values: np.ndarray[Any, Any] = (
        100.0 * state.efficiencies[:, [SIMULATED.index(key) for key in products]].sum(1).numpy()
    )
    return values


def on_model_scale(on_rhe: Iterable[float], offset: float) -> np.ndarray[Any, Any]:
    """Published potentials vs RHE on the model's own scale, by way of the standard hydrogen electrode."""
    run = conditions(0.0)
    solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure)
    return np.array(list(on_rhe)) - offset + 0.05916 * float(solution.ph)


# Markdown


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numeric: int = 1) -> str:
    """A table; columns from ``numeric`` on are aligned to the right."""
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("| " + " | ".join("---" if i < numeric else "---:" for i in range(len(header))) + " |")
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def judged(deviation: float, tolerance: float) -> str:
    """Whether a deviation is within its tolerance."""
    return "yes" if abs(deviation) <= tolerance else "**no**"


# Sections


def hori_states() -> dict[str, SteadyState]:
    """Hori's metals at their published currents."""
    states = {}
    for metal, row in published.HORI.items():
        run = conditions(
            current=row.current,
            temperature=published.HORI_TEMPERATURE,
            concentration=published.HORI_CONCENTRATION,
        )
        states[metal] = solve({metal: 1.0}, run)
    return states


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


def kuhl_states(potentials: Iterable[float]) -> SteadyState:
    """Kuhl's copper at potentials on his scale."""
    return solve({"Cu": 1.0}, conditions(on_model_scale(potentials, published.KUHL_OFFSET)))


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


BOUNDARY_VALUE_PROBLEM: Final = (
    (0.1, 50, 5, 0.3, 9.72, 27.5),
    (0.1, 100, 5, 0.3, 9.87, 17.2),
    (0.1, 100, 10, 0.3, 10.36, 6.9),
    (0.1, 50, 20, 0.2, 10.55, 15.4),
    (0.5, 50, 10, 0.3, 9.43, 22.9),
    (0.5, 100, 10, 0.3, 9.70, 13.1),
    (0.5, 100, 20, 0.2, 10.09, 6.6),
    (1.0, 100, 20, 0.2, 9.77, 7.4),
)
"""Salt in mol L-1, film in um, mA cm-2, share of the current that consumes CO2 by two electrons; then pH and CO2 in
mol m-3 at the surface, by the numerical solution of diffusion and reaction of four species."""


def film() -> str:
    """The film in closed form beside the boundary value problem."""
    rows = []
    for molar, microns, current, share, ph, co2 in BOUNDARY_VALUE_PROBLEM:
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
        fine = abs(found_ph - ph) <= 0.05 and abs(found_co2 - co2) <= 1.2
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


def optima() -> str:
    """Where the chemistries are best."""
    rows = []
    for name, definition in CHEMISTRIES.items():
        virtual = chemistry(name)
        best = virtual.optimum(definition.target)
        none = chemistry(name, world="null").optimum(definition.target)
        rows.append([name, definition.target, f"{best['value']:.4g}", where(best), f"{none['value']:.4g}", where(none)])
    header = ["chemistry", "metric", "nominal", "where", "without synergy (`null`)", "where"]
    return table(header, rows, 6)


def where(best: dict[str, Any]) -> str:
    """Parameters of an optimum in words."""
    return ", ".join(
        f"{name.removeprefix('x_')} {value:.3g}" if isinstance(value, float) else str(value)
        for name, value in best["parameters"].items()
        if not (name.startswith("x_") and value < 5e-4)
    )


def shifted(seeds: Sequence[int] = (1, 2, 3, 4, 5)) -> str:
    """Whether optima of redrawn worlds are mixtures too."""
    rows = []
    for name, definition in CHEMISTRIES.items():
        if not any(each["type"] == "composition" for each in definition.space["parameters"]):
            continue
        found = [chemistry(name, world="shifted", seed=seed).optimum(definition.target) for seed in seeds]
        rows.append([name, definition.target, "; ".join(mixture(best) for best in found)])
    return table(
        ["chemistry", "metric", f"composition of the optimum in the shifted worlds {', '.join(map(str, seeds))}"],
        rows,
        3,
    )


def mixture(best: dict[str, Any]) -> str:
    """The composition of an optimum."""
    return " ".join(
        f"{name.removeprefix('x_')}{100 * value:.0f}"
        for name, value in best["parameters"].items()
        if name.startswith("x_") and value >= 5e-3
    )


# Quality control


@dataclass(frozen=True)
class _Moment:
    """What the loop would hand down with a job."""

    seed: int
    sample: str
    cell: str = "cell-1"
    attempt: int = 1
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(0.0))
    files: Path = Path()
    cancelled: Event = field(default_factory=Event)

    def journal(self, step: str, kind: str) -> nullcontext[None]:  # noqa: ARG002
        """Nothing is written."""
        return nullcontext()

    def lease(self, device: str) -> nullcontext[None]:  # noqa: ARG002
        """Nothing is shared."""
        return nullcontext()


def outcome(lab: SimulatedLab, parameters: dict[str, Any], seed: int) -> Outcome:
    """One experiment on an electrode of its own."""
    return lab.execute(Job("validation", 1, parameters), _Moment(seed, f"electrode-{seed}"))


def verdicts(outcomes: Iterable[Outcome]) -> tuple[Counter[str], Counter[str]]:
    """How often each verdict and each reason came."""
    names: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for each in outcomes:
        verdict = each.observation.verdict if each.observation else None
        names[verdict.name if verdict else "failed"] += 1
        reasons.update({reason.partition(" ")[0] for reason in verdict.reasons} if verdict else ())
    return names, reasons


def healthy(count: int = 200) -> str:
    """Runs without faults."""
    rows = []
    for name in ("cu_alloys", "electrolyte_cations", "gde_alloys", "gde_conditions"):
        virtual = chemistry(name)
        points = build_points(virtual, 4 * count)
        current = virtual.truth(points)["j_total"]
        kind = virtual.definition.cell
        points = points[(current > 1.0) & (current < 50.0)] if kind == "h_cell" else points
        lab = SimulatedOptions(name, signals="raw").build(virtual.columns, {})
        records = points.head(count).to_dict("records")
        names, reasons = verdicts(outcome(lab, {str(k): v for k, v in p.items()}, i) for i, p in enumerate(records))
        total = sum(names.values())
        rows.append([name, total, *(names[v] for v in ("valid", "suspect", "invalid", "failed")), told(reasons)])
    return table(["chemistry", "runs", "valid", "suspect", "invalid", "failed", "reasons"], rows)


def faulty(count: int = 50) -> str:
    """Runs with one fault each."""
    rows = []
    for fault, spec in FAULTS.items():
        name = "gde_alloys" if "h_cell" not in spec.kinds else "cu_alloys"
        virtual = chemistry(name)
        lab = SimulatedOptions(name, signals="raw", faults={fault: 1.0}).build(virtual.columns, {})
        best = virtual.optimum(virtual.definition.target)["parameters"]
        names, reasons = verdicts(outcome(lab, best, seed) for seed in range(count))
        found = names["invalid"] + (names["suspect"] if spec.verdict == "suspect" else 0)
        fine = "yes" if found >= 0.95 * count else "**no**"
        rows.append([fault.replace("_", " "), spec.summary, spec.verdict, f"{found} of {count}", fine, told(reasons)])
    return table(["fault", "what happened", "to be found as", "found", "at least 95 %", "by the rules"], rows, 3)


def told(reasons: Counter[str], most: int = 4) -> str:
    """The commonest reasons with their numbers."""
    return ", ".join(f"{name} {count}" for name, count in reasons.most_common(most))


def build_points(virtual: Chemistry, count: int) -> pd.DataFrame:
    """Random points of a chemistry's space."""
    space = SearchSpace([TypeAdapter(Parameter).validate_python(each) for each in virtual.space["parameters"]])
    return space.to_frame(space.sample(count, np.random.default_rng(0)))


# Pictures


def pictures() -> None:
    """Draw the pictures of the page."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "validation", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    draw_hori()
    draw_kuhl()
    draw_gde()


def draw_hori() -> None:
    """Stacked bars: published beside simulated."""
    import matplotlib.pyplot as plt

    states = hori_states()
    figure, axes = plt.subplots(figsize=(9.5, 3.8), layout="constrained")
    for place, (metal, state) in enumerate(states.items()):
        for offset, shares in (
            (-0.2, {key: 100 * published.HORI[metal].shares.get(key, 0.0) for key in SHOWN}),
            (0.2, {key: float(percent(state, key)[0]) for key in SHOWN}),
        ):
            base = 0.0
            for key in SHOWN:
                axes.bar(place + offset, shares[key], 0.36, base, color=COLOURS[key], alpha=1.0 if offset > 0 else 0.55,
                         label=LABELS[key] if place == 0 and offset > 0 else None)  # fmt: skip
                base += shares[key]
    axes.set_xticks(range(len(states)), list(states))
    axes.set(ylabel="Faradaic efficiency / %", ylim=(0.0, 104.0))
    axes.set_title("Left, pale: Hori (sum made 100 %). Right: model at the same current", fontsize=9)
    axes.legend(ncols=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    save(figure, "validation-hori")


def draw_kuhl() -> None:
    """Curves of the model and Kuhl's points."""
    import matplotlib.pyplot as plt

    data = np.array(published.KUHL)
    scale = np.linspace(-1.19, -0.64, 111)
    state = kuhl_states(scale)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained", width_ratios=[2, 1])
    for column, key in enumerate(published.KUHL_PRODUCTS, start=2):
        left.plot(scale, percent(state, key), color=COLOURS[key], label=LABELS[key])
        left.plot(data[:, 0], data[:, column], "o", color=COLOURS[key], markersize=4)
    left.set(xlabel="E / V vs RHE", ylabel="Faradaic efficiency / %")
    left.legend(frameon=False, ncols=2)
    right.semilogy(scale, state.current, color="black", label="model")
    right.semilogy(data[:, 0], data[:, 1], "o", color="black", markersize=4, label="Kuhl")
    right.set(xlabel="E / V vs RHE", ylabel="j / mA cm$^{-2}$")
    right.legend(frameon=False)
    save(figure, "validation-kuhl")


def draw_gde() -> None:
    """A copper gas-diffusion electrode over current, in two electrolytes."""
    import matplotlib.pyplot as plt

    current = np.geomspace(10.0, 600.0, 60)
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained", sharey=True)
    for axis, salt, name in zip(axes, ("bicarbonate", "hydroxide"), ("1 M KHCO3", "1 M KOH"), strict=True):
        state = solve({"Cu": 1.0}, conditions(current=current, cell="gde", concentration=1000.0, salt=salt))
        for key in SIMULATED:
            axis.semilogx(current, percent(state, key), color=COLOURS[key], label=LABELS[key])
        axis.set(xlabel="j / mA cm$^{-2}$", title=f"Copper gas-diffusion electrode, {name}")
    axes[0].set(ylabel="Faradaic efficiency / %", ylim=(0.0, 64.0))
    axes[1].legend(frameon=False, ncols=2)
    save(figure, "validation-gde")


def save(figure: Any, name: str) -> None:
    """Write a picture without its date."""
    figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})


# The page

TEMPLATE: Final = """# Validation of the virtual laboratory

This page is made by `make validation` from the model as it is; a test compares its numbers with the code. Published
numbers and their sources stand in [`simulators/published.py`](../../simulators/published.py).

Two kinds of agreement are kept apart. **Calibration**: three to five constants for each metal were fitted to Hori's
table, copper's also to Kuhl's curves, so that agreement there says that the equations can hold the data, no more.
**Checks**: nothing was fitted to the trends further below. Descriptors of sp metals, cation factors, rates of ageing,
sizes of noise and all alloy synergy are *simulator parameters*: chosen for their order of magnitude or to make a
benchmark worth running, never literature values.

## Calibration: Hori's metals

Polycrystalline metals in 0.1 M KHCO3 at 18.5 degrees Celsius; Hori et al., Electrochim. Acta 1994, 39, 1833. The model
holds the published current (j in mA cm-2). Efficiencies in per cent, *published / model*, the published ones made to
sum to 100 (in palladium's row the charge that went into absorbed hydrogen is missing). Tolerances: 3 % (copper 6 %) and
20 mV, and the major product the same. Mercury (HCOO- 99.5 %) and thallium (HCOO- 95.1 %) are in Hori's table, but not
in the model. For bismuth, CO 3 % and H2 20 % were assumed.

{hori}

![Hori's metals: published efficiencies beside the model's](../pictures/validation-hori.svg)

## Calibration: copper over potential

Kuhl et al., Energy Environ. Sci. 2012, 5, 7050: polycrystalline copper in 0.1 M KHCO3.

{kuhl}

{order}

![Copper over potential: Kuhl's points and the model's curves](../pictures/validation-kuhl.svg)

Known deviation: below 1 mA cm-2 (-0.7 to -0.9 V) the model makes too much hydrogen and too little CO.

## Checks: trends that nothing was fitted to

The last column judges the trend, not the numbers.

{series}

Known deviations: methane does not rise with the concentration of bicarbonate; a little platinum, palladium or gallium
in copper acts more strongly than in experiments.

![A copper gas-diffusion electrode over current in two electrolytes](../pictures/validation-gde.svg)

## The film of an H-cell

The boundary layer is in closed form. Beside it, *numerical solution / film*: the boundary value problem of diffusion
and reaction of CO2, HCO3-, CO3-- and OH-. Tolerances: 0.05 in pH, 1.2 mol m-3.

{film}

## Conservation

Random alloys of six metals under random conditions, without noise. *Charge*: largest deviation of the sum of all
efficiencies from 1; *carbon*: of the carbon in products from the CO2 consumed, relative; *current*: of the held
current, relative. What is converted and what leaves as carbonate together never exceed the feed.

{conservation}

No product forms above its equilibrium potential:

{equilibrium}

## Where the optima lie

By brute force (`python benchmarks/optima.py`: a lattice over the whole space, then ever closer looks around its best
points). An optimum at a corner of the composition simplex would make a useless benchmark. In the world `null` metals
do not feel one another: there the best composition is a pure metal, and a strategy that reports a synergy has made it
up.

{optima}

{shifted}

## Quality control

Runs of the simulated laboratory with raw signals. Without faults: random points at which an H-cell carries 1 to 50 mA
cm-2. An alarm there is false unless the run really is poor: the ohmic drop of a badly conducting electrolyte at a high
current is uncertain indeed. With a fault: the best point of the chemistry, with one gross error each. At least 95 % of
them should be found, and at most 2 % of healthy runs be blamed.

{healthy}

{faulty}
"""


def page() -> str:
    """The page's text."""
    return TEMPLATE.format(
        hori=hori(),
        kuhl=kuhl(),
        order=order_of_products(),
        series=series(),
        film=film(),
        conservation=conservation(),
        equilibrium=equilibrium(),
        optima=optima(),
        shifted=shifted(),
        healthy=healthy(),
        faulty=faulty(),
    )


def main() -> None:
    """Write page and pictures."""
    PAGE.write_text(page(), encoding="utf-8")
    pictures()
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} and its pictures are made.\n")


if __name__ == "__main__":
    main()
