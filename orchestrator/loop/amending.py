"""A running loop goes on by another definition of its campaign."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from instruments.lab import Controlled, Recontrolled
from orchestrator.campaign.words import AMENDMENT, CONTROL
from orchestrator.loop.controls import controls_of
from orchestrator.loop.listener import told
from orchestrator.loop.terms import Terms

if TYPE_CHECKING:
    from orchestrator.config.definition import Definition
    from orchestrator.loop.confirming import Confirming
    from orchestrator.loop.ending import Ending
    from orchestrator.loop.proposing import Proposing
    from orchestrator.loop.turns import Turns
    from orchestrator.loop.work import Work

logger = logging.getLogger(__name__)


class Following:
    """Lets the parts of one loop follow the definition that its campaign follows.

    Args:
        work: what is in hand; its terms, cells and controls become those of the definition.
        ending: asks the definition's stopping rule.
        proposing: a space that had nothing left may have something now.
        confirming: the search may go on.
        turns: by the definition's priority.
    """

    def __init__(self, work: Work, ending: Ending, proposing: Proposing, confirming: Confirming, turns: Turns) -> None:
        self._work, self._ending, self._proposing, self._turns = work, ending, proposing, turns
        self._confirming = confirming

    def follow(self) -> None:
        """Take over the present definition, unless this was done already."""
        work, campaign = self._work, self._work.campaign
        if campaign.version == work.version or campaign.definition is None:
            return
        former, work.version = work.version, campaign.version
        work.terms = terms = Terms.of(campaign.definition.file)
        self._ending.rule = terms.search(campaign.costs)
        campaign.budget, campaign.reserved = terms.rule.most, terms.reserved
        self._proposing.exhausted = ""
        self._confirming.take_up()
        self._turns.policy = terms.turns
        work.cells.breakers = terms.breakers
        _control(work, campaign.definition)
        if self._other_laboratory(former):
            work.wait_for("holding", f"its laboratory was amended; `sabatier resume {campaign.name}` goes on in it")
        logger.info("version %d of the definition of campaign %s", campaign.version, campaign.name)
        told(work.listeners, "amended", campaign.version, campaign.definition)

    def _other_laboratory(self, version: int) -> bool:
        """Whether the laboratory was amended since a version: only in the moment in which this process began."""
        campaign = self._work.campaign
        events = campaign.store.events(campaign.name, kinds=(AMENDMENT,))
        return any(event.data["version"] > version and "lab" in event.data["was"] for event in events)


def _control(work: Work, definition: Definition) -> None:
    """Test the laboratory as the definition says from now on."""
    if not isinstance(work.lab, Recontrolled):
        return
    wanted = definition.build_lab()
    blocks = wanted.controls if isinstance(wanted, Controlled) else ()
    if list(blocks) == list(work.lab.controls):
        return
    work.lab.take_controls(blocks)
    if work.controls is not None:
        work.controls.take(blocks)
    else:
        store, name = work.campaign.store, work.campaign.name
        work.controls = controls_of(work.lab, work.hours, store.attempts(name), store.events(name, kinds=(CONTROL,)))
