"""The campaign file: its schema, how it is read and checked, and what a campaign is defined by.

Files are read by :func:`orchestrator.config.load.load`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.config.definition import Definition
    from orchestrator.config.model import CampaignFile
    from orchestrator.config.schema import json_schema

__all__ = ["CampaignFile", "Definition", "json_schema"]

_HOMES = {"CampaignFile": "model", "Definition": "definition", "json_schema": "schema"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: these modules need pandas, which the command line's help must not wait for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
