"""What a definition says of how a loop goes on; an amendment may change all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from acquisition.stopping import StoppingRule
from orchestrator.config.approval import needs_approval
from orchestrator.config.breakers import Breakers
from orchestrator.config.confirm import ConfirmBlock, reserve_of
from orchestrator.config.turns import TurnsBlock
from orchestrator.store.records import ExperimentState

if TYPE_CHECKING:
    from acquisition.costs import Costs
    from orchestrator.config.model import CampaignFile

Approval: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Whether an experiment of these settings must be approved by a person."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one loop.

    Attributes:
        rule: ends the campaign, where nothing is kept to confirm the best.
        batch: propose so many together; cells that are free at once may ask for more.
        approval: what a person must approve before it is started; ``None``: nothing.
        breakers: how much may go wrong before a cell is taken out of service, and before the campaign waits for a
            person; ``None``: no cell is taken out by itself.
        turns: how it shares the laboratory's devices with other campaigns of its store.
        confirm: how the best are confirmed when the search is over; ``None``: not at all.
    """

    rule: StoppingRule
    batch: int = 1
    approval: Approval | None = None
    breakers: Breakers | None = None
    turns: TurnsBlock = field(default_factory=TurnsBlock)
    confirm: ConfirmBlock | None = None

    @classmethod
    def of(cls, file: CampaignFile) -> Terms:
        """What a campaign file says."""
        approval = None if file.approval == "none" else partial(needs_approval, file.approval)
        return cls(file.stop.rule(), file.strategy.batch or 1, approval, file.breakers, file.turns, file.confirm)

    def first_state(self, settings: Mapping[str, Any]) -> ExperimentState:
        """Of a new experiment: whether it waits for a person's approval."""
        return "proposed" if self.approval is not None and self.approval(settings) else "queued"

    @property
    def reserved(self) -> int:
        """So many experiments are kept to confirm the best."""
        return 0 if self.confirm is None else self.confirm.experiments

    def search(self, costs: Costs | None) -> StoppingRule:
        """The rule that ends the search: the best are to be confirmed with what it leaves.

        Raises:
            StoppingError: nothing is left for the search.
        """
        return self.rule.reserving(reserve_of(self.confirm, costs))
