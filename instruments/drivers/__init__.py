"""Drivers, one module a protocol; rig files name them by their ``kind`` (entry points ``sabatier.drivers``)."""
