"""The virtual cell as the validation asks it, and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch

from simulators import published
from simulators._torch import double, one_thread
from simulators.cell import SteadyState, conditions, steady_state
from simulators.conditions import Conditions
from simulators.constants import SIMULATED
from simulators.film import electrolyte
from simulators.materials import elements_of, surface_sites
from simulators.worlds import World

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


def kuhl_states(potentials: Iterable[float]) -> SteadyState:
    """Kuhl's copper at potentials on his scale."""
    return solve({"Cu": 1.0}, conditions(on_model_scale(potentials, published.KUHL_OFFSET)))


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numeric: int = 1) -> str:
    """A table; columns from ``numeric`` on are aligned to the right."""
    lines = ["| " + " | ".join(header) + " |"]
    lines.append("| " + " | ".join("---" if i < numeric else "---:" for i in range(len(header))) + " |")
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def judged(deviation: float, tolerance: float) -> str:
    """Whether a deviation is within its tolerance."""
    return "yes" if abs(deviation) <= tolerance else "**no**"
