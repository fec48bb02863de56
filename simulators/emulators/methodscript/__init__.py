"""Potentiostats that speak MethodSCRIPT: EmStat Pico, EmStat4 and Nexus, with the scripts that they interpret."""

from simulators.emulators.methodscript.instrument import MethodScriptEmulator

__all__ = ["MethodScriptEmulator"]
