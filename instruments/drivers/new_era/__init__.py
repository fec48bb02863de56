"""Syringe pumps of New Era (NE-1000 family), in their safe mode with checksums and a watchdog, or in the basic one."""

from instruments.drivers.new_era.device import NewEra
from instruments.drivers.new_era.dispensing import Dispense
from instruments.drivers.new_era.options import NewEraOptions

__all__ = ["Dispense", "NewEra", "NewEraOptions"]
