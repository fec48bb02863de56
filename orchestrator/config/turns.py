"""How campaigns that want the same devices take turns."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config.block import Block


class TurnsBlock(Block):
    """When this campaign has the devices that other campaigns of the store want as well."""

    priority: int = Field(default=0, ge=-1000, le=1000)
    """The campaign with the higher number goes first; one that has the devices gives them to it as soon as what runs
    has ended."""

    hours: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    """So long a campaign keeps the devices while another of the same priority waits, h."""
