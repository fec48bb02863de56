"""Pictures of the validation page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from model import LABELS, SHOWN, hori_states, kuhl_states, percent, solve

from simulators import published
from simulators.cell import conditions
from simulators.constants import SIMULATED

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


def pictures(folder: Path) -> None:
    """Draw the pictures of the page into a folder."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "validation", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    draw_hori(folder)
    draw_kuhl(folder)
    draw_gde(folder)


def draw_hori(folder: Path) -> None:
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
    save(figure, folder, "validation-hori")


def draw_kuhl(folder: Path) -> None:
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
    save(figure, folder, "validation-kuhl")


def draw_gde(folder: Path) -> None:
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
    save(figure, folder, "validation-gde")


def save(figure: Any, folder: Path, name: str) -> None:
    """Write a picture without its date."""
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
