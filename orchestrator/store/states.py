"""Which state may follow which: the one table of the lifecycles, in force in every store.

Staying in a state is always allowed: it is an edit of the record. ``None`` stands for what does not exist yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar, get_args

from orchestrator.errors import IllegalTransition
from orchestrator.store.records import AttemptState, CampaignState, ExperimentState

CAMPAIGN_STATES: Final[tuple[CampaignState, ...]] = get_args(CampaignState)
EXPERIMENT_STATES: Final[tuple[ExperimentState, ...]] = get_args(ExperimentState)
ATTEMPT_STATES: Final[tuple[AttemptState, ...]] = get_args(AttemptState)

CAMPAIGN_ENDED: Final[frozenset[CampaignState]] = frozenset({"stopped", "completed", "failed"})
"""States in which a campaign has ended. A person may still continue it."""

EXPERIMENT_ENDED: Final[frozenset[ExperimentState]] = frozenset({"completed", "failed", "rejected", "cancelled"})
"""States in which nothing more is expected of an experiment."""

S = TypeVar("S", bound=str)
Table = Mapping[S | None, frozenset[S]]

EXPERIMENT_TRANSITIONS: Final[Table[ExperimentState]] = MappingProxyType(
    {
        # prior data and what people add by hand enter with their results; nothing enters running: it is recorded first
        None: frozenset({"proposed", "approved", "queued", "awaiting_analysis", "completed", "failed"}),
        # results may be told of anything that is pending, whoever executed it
        "proposed": frozenset(
            {"approved", "queued", "awaiting_analysis", "completed", "failed", "rejected", "cancelled"}
        ),
        "approved": frozenset(
            {"queued", "running", "awaiting_analysis", "completed", "failed", "rejected", "cancelled"}
        ),
        "queued": frozenset({"running", "awaiting_analysis", "completed", "failed", "rejected", "cancelled"}),
        # back to the queue: never started, or retried after a fault of the equipment
        "running": frozenset({"queued", "awaiting_analysis", "completed", "failed", "cancelled", "needs_inspection"}),
        "awaiting_analysis": frozenset({"completed", "failed", "cancelled"}),
        "completed": frozenset({"failed"}),  # amended
        "failed": frozenset({"completed", "queued"}),  # amended, run again
        "needs_inspection": frozenset({"queued", "awaiting_analysis", "completed", "failed", "cancelled"}),
        "rejected": frozenset(),
        "cancelled": frozenset(),
    }
)

CAMPAIGN_TRANSITIONS: Final[Table[CampaignState]] = MappingProxyType(
    {
        None: frozenset({"created", "running"}),
        "created": frozenset({"running", "paused", "stopped", "failed", "interrupted"}),
        "running": frozenset(
            {"paused", "holding", "halted", "stopping", "stopped", "completed", "failed", "interrupted"}
        ),
        "paused": frozenset({"running", "holding", "halted", "stopping", "stopped", "failed", "interrupted"}),
        "holding": frozenset({"running", "paused", "halted", "stopping", "stopped", "failed", "interrupted"}),
        "halted": frozenset({"running", "paused", "stopping", "stopped", "failed", "interrupted"}),
        "stopping": frozenset({"stopped", "halted", "completed", "failed", "interrupted"}),
        # whatever ended may be continued by a person's word
        "stopped": frozenset({"running"}),
        "completed": frozenset({"running"}),
        "failed": frozenset({"running", "stopped"}),
        "interrupted": frozenset({"running", "paused", "holding", "halted", "stopping", "stopped", "failed"}),
    }
)

ATTEMPT_TRANSITIONS: Final[Table[AttemptState]] = MappingProxyType(
    {
        None: frozenset({"running", "finished", "failed", "cancelled"}),
        "running": frozenset({"finished", "failed", "unknown", "cancelled"}),
        "unknown": frozenset({"finished", "failed", "cancelled"}),  # a person found out
        "finished": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }
)


def check_experiment(id: int, before: ExperimentState | None, after: ExperimentState) -> None:
    """Raise :class:`IllegalTransition` unless an experiment may go from ``before`` to ``after``."""
    _check(EXPERIMENT_TRANSITIONS, f"experiment {id}", before, after)


def check_campaign(name: str, before: CampaignState | None, after: CampaignState) -> None:
    """Raise :class:`IllegalTransition` unless a campaign may go from ``before`` to ``after``."""
    _check(CAMPAIGN_TRANSITIONS, f"campaign {name!r}", before, after)


def check_attempt(experiment: int, number: int, before: AttemptState | None, after: AttemptState) -> None:
    """Raise :class:`IllegalTransition` unless an attempt may go from ``before`` to ``after``."""
    _check(ATTEMPT_TRANSITIONS, f"attempt {number} of experiment {experiment}", before, after)


def _check(table: Table[S], what: str, before: S | None, after: S) -> None:
    if after not in table:
        known = ", ".join(state for state in table if state is not None)
        raise IllegalTransition(
            f"{what} cannot be {after!r}: there is no such state.", field="state", mend=f"Use one of {known}."
        )
    if before == after or after in table[before]:
        return
    allowed = ", ".join(sorted(table[before])) or "none"
    said = f"{what} cannot become {after} from {before}" if before else f"{what} cannot begin as {after}"
    raise IllegalTransition(f"{said} (possible: {allowed}).", field="state")
