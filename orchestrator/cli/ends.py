"""How near the end of a campaign is, from its store alone: nothing is fitted for it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from acquisition.objectives import Objective
from acquisition.stopping import Progress
from orchestrator.campaign.history import History
from orchestrator.campaign.made import catalyst
from orchestrator.campaign.progress import NOTE, hours_of, least, spent
from orchestrator.campaign.words import AMENDMENT
from orchestrator.config.samples import SamplesBlock
from orchestrator.config.stop import StopBlock
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord, ExperimentRecord

if TYPE_CHECKING:
    from acquisition.problem import Problem

JUDGED: Final = ("target", "regret", "plateau")
"""Rules that need models."""


def standing(store: Store, record: CampaignRecord, records: Sequence[ExperimentRecord]) -> dict[str, Any] | None:
    """Where a campaign stands by its stopping rules, as JSON values; ``None`` without rules (made in Python).

    What models say is as its loop saw it last.
    """
    block = record.definition.get("stop")
    if not block:
        return None
    costs = record.definition.get("costs")
    asked, attempts = spent(records), store.attempts(record.name)
    limits = record.definition.get("samples")
    wanted = (record.definition.get("strategy") or {}).get("conditions_per_sample")
    mass, each, wait = catalyst(
        None if limits is None else SamplesBlock.model_validate(limits),
        wanted,
        records,
        History(attempts),
        record.name,
        record.seed,
    )
    seen = SimpleNamespace(
        objectives=[Objective(**o) for o in record.definition.get("objectives", [])],
        costs=None if costs is None else _costs(costs),
    )
    now = Progress(
        problem=cast("Problem", seen),
        models=lambda: None,
        experiments=len(asked),
        hours=hours_of(attempts, records),
        cost=sum(r.cost or 0.0 for r in asked),
        next_cost=least(seen.costs, wanted is not None),
        gains=tuple(r.gain for r in asked),
        mass=mass,
        sample_mass=each,
        samples_wait=wait,
    )
    rule = StopBlock.model_validate(block).rule()
    plain = rule.standing(now).plain()
    if not rule.looks_ahead:
        return plain
    notes = store.events(record.name, kinds=(NOTE, AMENDMENT))  # behind an amendment, none is of these rules
    return _judged(plain, notes[-1].data["standing"] if notes and notes[-1].kind == NOTE else plain)


def _costs(block: dict[str, Any]) -> Any:
    from acquisition.costs import Costs

    return Costs(**block)


def _judged(live: dict[str, Any], noted: dict[str, Any]) -> dict[str, Any]:
    """The live standing, with what models said filled in from a note of the same rules."""
    if live["rule"] in JUDGED:
        return noted
    if not live["parts"]:
        return live
    parts = [_judged(one, other) for one, other in zip(live["parts"], noted["parts"], strict=True)]
    met = [part["met"] for part in parts]
    return {**live, "parts": parts, "met": any(met) if live["rule"] == "any" else all(met)}


def words(standing: dict[str, Any] | None, indent: str = "") -> list[str]:
    """One line a rule: what it says, and how far it is from being met."""
    if standing is None:
        return []
    if standing["parts"]:
        head = "when any of these is met" if standing["rule"] == "any" else "when all of these are met"
        return [f"{indent}{head}", *(line for part in standing["parts"] for line in words(part, indent + "  "))]
    now = "nothing known yet" if standing["now"] is None else f"now {standing['now']:.4g} {standing['unit']}".rstrip()
    if standing.get("left") is not None:  # a note of an earlier release has none
        now += f", {standing['left']:.4g} left"
    return [f"{indent}{standing['text']} ({'met' if standing['met'] else now})"]
