"""The one stateful class: a campaign that asks, is told, and remembers."""

from orchestrator.campaign.campaign import Campaign

__all__ = ["Campaign"]
