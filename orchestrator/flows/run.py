"""The flow ``run_campaign``: one flow run is one sitting of one campaign. The store alone knows the truth."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Final, cast
from uuid import UUID

from orchestrator.flows.settings import apply_defaults

apply_defaults()

from prefect import flow  # noqa: E402  Prefect reads its settings when it is imported
from prefect.artifacts import (  # noqa: E402
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from orchestrator.campaign import Campaign  # noqa: E402
from orchestrator.campaign.merit import incumbent  # noqa: E402
from orchestrator.flows.engine import PrefectEngine  # noqa: E402
from orchestrator.loop.assembly import assemble, files_of  # noqa: E402
from orchestrator.loop.listener import Listener  # noqa: E402
from orchestrator.loop.loop import Loop  # noqa: E402
from orchestrator.store.opening import open_store  # noqa: E402
from orchestrator.store.records import AttemptRecord, ExperimentRecord  # noqa: E402

BETWEEN_ARTIFACTS: Final = 5.0
"""Seconds; two artifacts cost 70 ms."""


@dataclass(frozen=True)
class Hooks:
    """What a process that runs the flow itself wants of it."""

    cancelled: Event = field(default_factory=Event)
    listeners: tuple[Listener, ...] = ()


_hooks: dict[str, Hooks] = {}


@contextmanager
def hooked(campaign: str, hooks: Hooks) -> Iterator[None]:
    """Give hooks to the run of a campaign in this process; they cannot be parameters, which travel as JSON."""
    _hooks[campaign] = hooks
    try:
        yield
    finally:
        del _hooks[campaign]


@flow(name="run_campaign", flow_run_name="{campaign}", persist_result=False, retries=0)
def run_campaign(campaign: str, store: str | None = None) -> str:
    """Run or continue a campaign of a store until it ends.

    Args:
        campaign: its name.
        store: address of the store; by default ``SABATIER_STORE``, else below the current folder.

    Returns:
        The campaign's state.
    """
    hooks = _hooks.get(campaign, Hooks())
    reading = open_store(store, durable=False, create=False)
    parts = assemble(reading, campaign)
    if not parts.lab.repeat_is_safe:
        reading.close()
        reading = open_store(store, durable=True, create=False)
        parts = assemble(reading, campaign, parts.definition)
    try:
        stop = parts.definition.file.stop
        loop = Loop(
            parts.campaign,
            parts.lab,
            experiments=stop.experiments,
            batch=parts.definition.file.strategy.batch or 1,
            engine=PrefectEngine(),
            files=files_of(reading),
            cancelled=hooks.cancelled,
            listeners=(*hooks.listeners, _Artifacts(parts.campaign, stop.experiments)),
        )
        return loop.run()
    finally:
        reading.close()


class _Artifacts:
    """Shows progress and the best point in Prefect's pages."""

    def __init__(self, campaign: Campaign, budget: int) -> None:
        self._campaign, self._budget = campaign, budget
        self._key = re.sub(r"[^a-z0-9]+", "-", campaign.name.lower()).strip("-")
        self._progress: UUID | None = None
        self._last = -BETWEEN_ARTIFACTS

    def proposed(self, records: list[ExperimentRecord]) -> None:
        """See :class:`orchestrator.loop.Listener`."""

    def started(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:
        """See :class:`orchestrator.loop.Listener`."""

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        done = sum(r.told is not None and r.origin == "asked" for r in self._campaign.experiments())
        now = time.monotonic()
        if now - self._last >= BETWEEN_ARTIFACTS or done >= self._budget:
            self._last = now
            self._show(done)

    def _show(self, done: int) -> None:
        share = min(100.0, 100.0 * done / self._budget)
        text = f"{done} of {self._budget} experiments of {self._campaign.name}"
        if self._progress is None:
            created = create_progress_artifact(share, key=f"progress-{self._key}", description=text)
            self._progress = cast("UUID", created)  # a coroutine only where an event loop runs
        else:
            update_progress_artifact(self._progress, share, description=text)
        create_markdown_artifact(_markdown(self._campaign), key=f"best-{self._key}", description="best so far")


def _markdown(campaign: Campaign) -> str:
    best = incumbent(campaign.experiments(), campaign.objectives, campaign.outcome_constraints)
    if not best:
        return "No feasible result yet."
    lines = ["| | best so far, as measured |", "| --- | --- |"]
    for record in best:
        inputs = {**(record.asked or {}), **(record.executed or {})}
        lines += [f"| experiment | {record.id} |"]
        lines += [
            f"| {name} | {value:.6g} |" if isinstance(value, float) else f"| {name} | {value} |"
            for name, value in inputs.items()
            if value != 0
        ]
        lines += [f"| **{metric}** | **{v.value:.5g}** |" for metric, v in record.values.items() if v.value is not None]
    return "\n".join(lines)
