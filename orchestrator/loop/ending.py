"""Whether a campaign is over, and why. What the rules say is written down, so that others can look."""

from __future__ import annotations

from acquisition.stopping import Experiments, Standing, StoppingRule
from acquisition.stopping.progress import check_rule
from instruments.lab import Lab
from orchestrator.campaign import Campaign
from orchestrator.campaign.progress import NOTE, outline
from orchestrator.errors import CampaignError
from orchestrator.store.changes import Note
from simulators.replay import ReplayLab


def rule_of(experiments: int | None, stop: StoppingRule | None) -> StoppingRule:
    """The rule that a loop obeys.

    Raises:
        CampaignError: there is none.
    """
    budget = None if experiments is None else Experiments(experiments)
    if budget is None and stop is None:
        raise CampaignError("a loop without a stopping rule never ends.", field="stop", mend="Give `experiments`.")
    return budget | stop if budget and stop else (budget or stop)  # type: ignore[return-value]


class Ending:
    """Asks the stopping rule of a loop.

    Attributes:
        rule: what is asked; an amendment may bring another.

    Raises:
        StoppingError: the rule may never end the campaign, or means nothing for it.
    """

    def __init__(self, campaign: Campaign, lab: Lab, rule: StoppingRule) -> None:
        check_rule(rule, outline(campaign), instant=isinstance(lab, ReplayLab))
        self._campaign, self.rule = campaign, rule
        self._written: Standing | None = None
        self.why = ""
        """Why no experiment was proposed, when that was last considered; empty if one was."""
        self.over = ""
        """Why the search is over for good, once the best are being confirmed."""

    def ask(self, hours: float) -> Standing:
        """Where the campaign stands after so many hours; what models say of it is written down."""
        standing = self._campaign.standing(self.rule, hours=hours)
        if standing != self._written and self.rule.looks_ahead:
            text = standing.reason or f"not yet {standing.text}"
            self._campaign.put(Note(NOTE, text, data={"standing": standing.plain()}))
            self._written = standing
        self.why = standing.reason
        return standing

    def in_words(self, exhausted: str) -> str:
        """Why the campaign is over, and what is still to come.

        Args:
            exhausted: why a finite space has nothing left, if it has not.
        """
        awaiting = sum(record.state == "awaiting_analysis" for record in self._campaign.experiments())
        late = f"; {awaiting} experiments await their analysis" if awaiting else ""
        return (self.over or exhausted or self.why) + late

    def too_dear(self, standing: Standing) -> None:
        """Nothing was proposed, since it would take more than is left."""
        if standing.fresh < 1:
            self.why = "what is left of the catalyst makes no further sample, and those that are there take no more"
            return
        costs = self._campaign.costs
        unit = "" if costs is None else f" {costs.unit}"
        self.why = f"the next experiment would cost more than the {standing.purse:.6g}{unit} that are left"
