"""How near the end of a campaign is, from its store alone: nothing is fitted for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from acquisition.objectives import Objective
from acquisition.stopping import Progress
from orchestrator.campaign.history import History
from orchestrator.campaign.made import Conditions, catalyst
from orchestrator.campaign.progress import LATEST, NOTE, Spent, hours_passed, least, pace, spent
from orchestrator.campaign.words import AMENDMENT
from orchestrator.config.confirm import stored_rule
from orchestrator.config.samples import SamplesBlock
from orchestrator.store.protocol import Store
from orchestrator.store.records import CampaignRecord

if TYPE_CHECKING:
    from acquisition.problem import Problem

JUDGED: Final = ("target", "regret", "plateau")
"""Rules that need models."""


def standing(store: Store, record: CampaignRecord, used: Spent) -> dict[str, Any] | None:
    """Where a campaign stands by its stopping rules, as JSON values; ``None`` without rules (made in Python).

    What models say is as its loop saw it last.

    Args:
        store: where it is kept.
        record: the campaign.
        used: of its budgets.
    """
    rule = stored_rule(record.definition)
    if rule is None:
        return None
    costs = record.definition.get("costs")
    wanted = (record.definition.get("strategy") or {}).get("conditions_per_sample")
    mass, each, wait = _catalyst(store, record, wanted)
    seen = SimpleNamespace(
        objectives=[Objective(**o) for o in record.definition.get("objectives", [])],
        costs=None if costs is None else _costs(costs),
    )
    lasts, cells = pace(store.attempts(record.name, newest=LATEST)) if rule.needs_durations else (0.0, 1)
    now = Progress(
        problem=cast("Problem", seen),
        models=lambda: None,
        experiments=used.experiments,
        hours=hours_passed(store, record.name),
        cost=used.cost,
        next_cost=least(seen.costs, wanted is not None),
        gains=_gains(store, record.name) if rule.needs_gains else (),
        mass=mass,
        sample_mass=each,
        samples_wait=wait,
        lasts=lasts,
        cells=cells,
    )
    plain = rule.standing(now).plain()
    if not rule.looks_ahead:
        return plain
    # behind an amendment, no note is of these rules
    last = store.events(record.name, limit=1, kinds=(NOTE, AMENDMENT), newest=True)
    return _judged(plain, last[0].data["standing"] if last and last[0].kind == NOTE else plain)


def _catalyst(store: Store, record: CampaignRecord, wanted: Conditions) -> tuple[float, float, bool]:
    """What samples take of it; see :func:`orchestrator.campaign.made.catalyst`."""
    block = record.definition.get("samples")
    if block is None:
        return 0.0, 0.0, False
    limits = SamplesBlock.model_validate(block)
    history = History.of(store, record.name)
    return catalyst(limits, wanted, store.experiments(record.name), history, record.name, record.seed)


def _gains(store: Store, name: str) -> tuple[float | None, ...]:
    """What a model expected of each experiment that it proposed, in order."""
    return tuple(row.gain for row in spent(store.experiment_rows(name)) if row.origin == "asked")


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
