"""Alicat mass-flow controllers and meters, and pressure controllers, over their ASCII protocol."""

from instruments.drivers.alicat.device import Alicat
from instruments.drivers.alicat.options import AlicatOptions

__all__ = ["Alicat", "AlicatOptions"]
