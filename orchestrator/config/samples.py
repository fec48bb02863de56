"""What a campaign file says of samples. Light to import: ``status`` reads it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from orchestrator.config.block import Block
from orchestrator.errors import InputError


class SamplesBlock(Block):
    """What a sample needs."""

    catalyst_mass: Annotated[float, Field(gt=0)] | None = None
    """Catalyst on each fresh sample, mg."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        if isinstance(data, dict) and all(value is None for value in data.values()):
            raise InputError("says nothing of samples.", mend="Give `catalyst_mass`, or leave the key out.")
        return data
