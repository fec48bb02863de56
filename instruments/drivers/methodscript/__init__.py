"""Potentiostats that speak MethodSCRIPT (EmStat Pico, EmStat4, Nexus)."""

from instruments.drivers.methodscript.device import MethodScriptOptions, MethodScriptPotentiostat
from instruments.drivers.methodscript.record import Point, Record
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
    "MethodScriptOptions",
    "MethodScriptPotentiostat",
    "OpenCircuit",
    "Point",
    "Record",
    "Technique",
]
