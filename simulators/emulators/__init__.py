"""Instruments in software that speak the real protocols over real wires, with one virtual cell behind them.

Nothing here knows a driver: emulators and drivers meet only as bytes, so that each tests the other.
"""
