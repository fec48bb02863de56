"""The one stateful class: a campaign that asks, is told, and remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.campaign.campaign import Campaign

__all__ = ["Campaign"]


def __getattr__(name: str) -> Any:
    """Import the class when it is asked for: what only looks into a store need not wait for models."""
    if name == "Campaign":
        from orchestrator.campaign.campaign import Campaign

        return Campaign
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
