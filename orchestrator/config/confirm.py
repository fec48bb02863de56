"""The block of a campaign file that has the best confirmed, and what that keeps back. Light: ``status`` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, Strict

from acquisition.stopping import Reserve, StoppingRule
from orchestrator.config.block import Block
from orchestrator.config.stop import StopBlock

if TYPE_CHECKING:
    from acquisition.costs import Costs


class ConfirmBlock(Block):
    """How the best points are confirmed once the search is over."""

    top: Annotated[int, Strict(), Field(ge=1)] = 1
    """So many of the best points."""

    samples: Annotated[int, Strict(), Field(ge=2)] = 3
    """Each is measured on so many fresh samples; from one alone nobody knows how samples scatter."""

    @property
    def experiments(self) -> int:
        """So many experiments in all."""
        return self.top * self.samples


def reserve_of(confirm: ConfirmBlock | None, costs: Costs | None) -> Reserve:
    """What confirming takes of the budgets: each experiment with its sample, without what depends on the settings."""
    if confirm is None:
        return Reserve()
    each = 0.0 if costs is None else costs.experiment + costs.preparation
    return Reserve(confirm.experiments, confirm.experiments * each)


def stored_rule(definition: Mapping[str, Any]) -> StoppingRule | None:
    """When the search of a stored definition is over; ``None`` where nothing says so (made in Python)."""
    stop, confirm, costs = (definition.get(key) for key in ("stop", "confirm", "costs"))
    if not stop:
        return None
    rule = StopBlock.model_validate(stop).rule()
    if confirm is None:
        return rule
    from acquisition.costs import Costs

    return rule.reserving(reserve_of(ConfirmBlock.model_validate(confirm), Costs(**costs) if costs else None))
