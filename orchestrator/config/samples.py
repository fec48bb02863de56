"""What a campaign file says of samples. Light to import: ``status`` reads it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, Strict, model_validator

from orchestrator.config.block import Block
from orchestrator.errors import InputError


class SamplesBlock(Block):
    """What a sample needs, and how long it may be used."""

    catalyst_mass: Annotated[float, Field(gt=0)] | None = None
    """Catalyst on each fresh sample, mg."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """A sample may be used for so long after its first experiment began, by the laboratory's clock."""

    uses: Annotated[int, Strict(), Field(ge=1)] | None = None
    """A sample may be used for so many experiments."""

    open_circuit: Annotated[float, Field(gt=0)] | None = None
    """Hours that a sample may be at open circuit between two experiments."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        if isinstance(data, dict) and all(value is None for value in data.values()):
            mend = "Give `catalyst_mass`, `hours`, `uses` or `open_circuit`, or leave the key out."
            raise InputError("says nothing of samples.", mend=mend)
        return data

    @property
    def ages(self) -> bool:
        """Whether the life of a sample ends with time."""
        return not (self.hours is None and self.open_circuit is None)
