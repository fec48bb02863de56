"""Names that mean something of their own in the tables that people tell and are shown."""

from __future__ import annotations

from typing import Final

RESERVED: Final = frozenset(
    {
        "experiment",
        "sample",
        "samples",
        "state",
        "status",
        "origin",
        "reason",
        "verdict",
        "verdict_reasons",
        "calibrations",
        "failure_cause",
        "failure_reason",
    }
)
"""No parameter and no metric may have one of these."""
