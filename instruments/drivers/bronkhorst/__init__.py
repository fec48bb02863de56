"""Bronkhorst mass-flow and pressure controllers over ProPar, through the maker's own library."""

from instruments.drivers.bronkhorst.device import Bronkhorst
from instruments.drivers.bronkhorst.options import BronkhorstOptions

__all__ = ["Bronkhorst", "BronkhorstOptions"]
