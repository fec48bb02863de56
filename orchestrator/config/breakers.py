"""When a cell, or the whole campaign, stops by itself since too much goes wrong."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config.block import Block


class Breakers(Block):
    """How much may go wrong before a cell is taken out of service, and before the campaign waits for a person."""

    cell: int = Field(default=3, ge=1)
    """So many attempts in a row without a usable result take a cell out of service."""

    cells: int = Field(default=2, ge=1)
    """So many cells out of service make the campaign hold; it also holds where none is left."""
