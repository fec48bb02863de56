"""The loop: campaigns, their store, their flows, their command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.campaign import Campaign
    from orchestrator.errors import (
        CampaignError,
        InputError,
        OrchestratorError,
        OutsideSpaceWarning,
        StoreError,
        TellError,
    )

__all__ = [
    "Campaign",
    "CampaignError",
    "InputError",
    "OrchestratorError",
    "OutsideSpaceWarning",
    "StoreError",
    "TellError",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from importlib import import_module

        home = "orchestrator.campaign" if name == "Campaign" else "orchestrator.errors"
        return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__part_of__ = "sabatier"  # tells this package from others of its name
