"""The rig on which faults happen: one cell with all its instruments, emulated, and much faster than a real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CELL: Final = "cell-1"
PACE: Final = 240.0
ANSWER: Final = 0.2
"""Time of one answer that the potentiostat's driver waits, s; by default it is 1 s."""
LONGEST: Final = 30.0
"""Real s within which a rig has said what became of its devices."""
FLOW, DENSITY = 20.0, 50.0
"""sccm, and mA cm-2."""
UNDER_CURRENT: Final = "under current"
"""The moment in the step electrolysis at which the current has flowed for a while."""
WARM: Final = 60.0
"""Laboratory s for which it has."""
LATER: Final[Mapping[str, tuple[str, str, float]]] = {
    "resistance": ("resistance", "potential", 0.0),
    UNDER_CURRENT: ("electrolysis", "current", WARM),
    "resistance after": ("resistance after", "potential", 0.0),
}
"""Faults that begin when the potentiostat drives its cell: the step, how it drives, and for how long it has, s."""

RIG: Final[Mapping[str, Any]] = {
    "version": 1,
    "name": "faulty",
    "pace": PACE,
    "devices": {
        "potentiostat": {
            "kind": "methodscript",
            "port": "socket://127.0.0.1:1",
            "family": "nexus1",
            "timeout": ANSWER,
            "limits": {"current": {"low": -0.6, "high": 0.0}},
        },
        "co2": {"kind": "alicat", "port": "socket://127.0.0.1:2", "gas": "CO2", "limits": {"flow": {"high": 60}}},
        "outlet": {"kind": "bronkhorst", "controls": "meter", "port": "socket://127.0.0.1:3"},
        "relay": {
            "kind": "numato_relay",
            "port": "socket://127.0.0.1:4",
            "contacts": {CELL: {"channel": 0, "safe": "open"}},
        },
        "selector": {"kind": "vici", "port": "socket://127.0.0.1:5", "positions": 6},
        "chromatograph": {"kind": "inficon_fusion", "address": "http://127.0.0.1:6"},
    },
    "cells": {
        CELL: {
            "kind": "gde",
            "area": "1.00 +/- 0.02 cm2",
            "membrane": "aem",
            "reference": {"electrode": "Ag/AgCl (3 M KCl)", "potential": "0.210 +/- 0.002 V"},
            "ph": "7.8 +/- 0.1",
            "ph_source": "assumed",
            "catholyte": "20 mL",
            "headspace": "4 mL",
            "flow_method": "outlet",
            "flow_reference": {"temperature": "0 degC", "pressure": "101.325 kPa"},
            "outlet_wet": False,
            "feed": {"co2": 1.0},
            "temperature": "25 +/- 1 degC",
            "accuracy": {"current": "0.2 %", "inlet": "1 %", "outlet": "1 %", "fraction": "2 %"},
            "stream": 2,
            "roles": {"potentiostat": "potentiostat", "gas": "co2", "outlet": "outlet", "disconnect": f"relay/{CELL}"},
        }
    },
    "shared": {"chromatograph": "chromatograph", "selector": "selector"},
    "safety": {
        "bound": "2 s",
        "interlocks": [
            {
                "name": "gas before current",
                "device": "co2",
                "attribute": "flow",
                "low": 2,
                "when": "current",
                "every": "0.1 s",
            },
        ],
    },
    "procedure": {
        "name": "constant_current",
        "duration": "9.5 min",
        "purge": "2 min",
        "open_circuit": "40 s",
        "interval": "8 s",
        "gas_flow": FLOW,
        "calibrated": [],
        "injections": {"first": "3.5 min", "every": "4.75 min", "least": 1, "flush": "30 s", "busy": "240 s"},
    },
    "emulation": {"chemistry": "gde_alloys", "seed": 1},
}
