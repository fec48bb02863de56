"""The electrochemical techniques that procedures ask a potentiostat for, and what a resistance is.

Potentiostat drivers take these records; a driver for another maker's instrument takes them too.
"""

from __future__ import annotations

from instruments.drivers.methodscript.techniques import (
    ChronoAmperometry,
    ChronoPotentiometry,
    CyclicVoltammetry,
    Impedance,
    LinearSweep,
    OpenCircuit,
    Technique,
)

__all__ = [
    "ChronoAmperometry",
    "ChronoPotentiometry",
    "CyclicVoltammetry",
    "Impedance",
    "LinearSweep",
    "OpenCircuit",
    "Technique",
]
