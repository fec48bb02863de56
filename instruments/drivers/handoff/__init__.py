"""Analysis elsewhere: samples are handed over under a label, and result files of HPLC or NMR come back hours later."""

from instruments.drivers.handoff.device import Handoff, HandoffOptions
from instruments.drivers.handoff.folder import Taken
from instruments.drivers.handoff.labels import Label, label_of, verified
from instruments.drivers.handoff.results import Column, Result, ResultMapping, detection_limit, liquid_table, parse

__all__ = [
    "Column",
    "Handoff",
    "HandoffOptions",
    "Label",
    "Result",
    "ResultMapping",
    "Taken",
    "detection_limit",
    "label_of",
    "liquid_table",
    "parse",
    "verified",
]
