"""The flow ``run_campaign``: one flow run is one sitting of one campaign. The store alone knows the truth."""

from __future__ import annotations

import contextvars
import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
from orchestrator.campaign.progress import ended  # noqa: E402
from orchestrator.config.definition import Definition  # noqa: E402
from orchestrator.flows.engine import PrefectEngine  # noqa: E402
from orchestrator.loop.assembly import assemble, loop_of  # noqa: E402
from orchestrator.loop.listener import Listener  # noqa: E402
from orchestrator.notify.telling import notifying  # noqa: E402
from orchestrator.store.opening import open_store  # noqa: E402
from orchestrator.store.records import AttemptRecord, CampaignState, ExperimentRecord  # noqa: E402

logger = logging.getLogger(__name__)

BETWEEN_ARTIFACTS: Final = 5.0
"""Seconds; two artifacts cost 70 ms."""

PATIENCE: Final = 5.0
"""Seconds that the end of a campaign waits for the server."""


@dataclass
class Hooks:
    """What a process that runs the flow itself wants of it, and learns from it.

    Attributes:
        cancelled: ends the loop in good order.
        listeners: are told what happens.
        ended: is set when the loop is over, whatever the engine still does.
        state: of the campaign, once it is over.
        problem: the exception that ended the loop, if one did.
    """

    cancelled: Event = field(default_factory=Event)
    listeners: tuple[Listener, ...] = ()
    ended: Event = field(default_factory=Event)
    state: CampaignState | None = None
    problem: BaseException | None = None


_hooks: dict[tuple[str, str | None], Hooks] = {}


@contextmanager
def hooked(campaign: str, store: str | None, hooks: Hooks) -> Iterator[None]:
    """Give hooks to the run of a campaign in this process; they cannot be parameters, which travel as JSON."""
    _hooks[campaign, store] = hooks
    try:
        yield
    finally:
        del _hooks[campaign, store]


@flow(name="run_campaign", flow_run_name="{campaign}", persist_result=False, retries=0)
def run_campaign(campaign: str, store: str | None = None, files: str | None = None) -> str:
    """Run or continue a campaign of a store until it ends.

    Args:
        campaign: its name.
        store: address of the store; by default ``SABATIER_STORE``, else below the current folder.
        files: address of raw signals; by default ``SABATIER_FILES``, else a folder beside the store.

    Returns:
        The campaign's state.
    """
    hooks = _hooks.get((campaign, store), Hooks())
    try:
        return sit_down(campaign, store, files, hooks)
    except BaseException as problem:
        hooks.problem = problem
        raise
    finally:
        hooks.ended.set()


def sit_down(campaign: str, store: str | None, files: str | None, hooks: Hooks) -> CampaignState:
    """Run or continue a campaign of a store inside the present flow run."""
    reading = open_store(store, durable=False, create=False)
    parts = assemble(reading, campaign)
    if not parts.lab.repeat_is_safe:
        reading.close()
        reading = open_store(store, durable=True, create=False)
        parts = assemble(reading, campaign, parts.definition)
    stop = parts.definition.file.stop.rule()
    artifacts = _Artifacts(parts.campaign, stop.most)
    try:
        listeners = (*hooks.listeners, artifacts)
        with notifying(parts, listeners) as people:
            listeners = (*listeners, *people)
            engine = PrefectEngine()
            loop = loop_of(parts, reading, engine=engine, files=files, cancelled=hooks.cancelled, listeners=listeners)
            hooks.state = loop.run()
        return hooks.state
    finally:
        hooks.ended.set()
        artifacts.close()
        reading.close()


class _Artifacts(Listener):
    """Shows progress and the best point in Prefect's pages, from its own thread: a slow server holds up nothing."""

    def __init__(self, campaign: Campaign, budget: int | None) -> None:
        self._campaign, self._budget = campaign, budget
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="artifacts")
        self._posting: Future[None] | None = None
        self._key = re.sub(r"[^a-z0-9]+", "-", campaign.name.lower()).strip("-")
        self._progress: UUID | None = None
        self._last = -BETWEEN_ARTIFACTS

    def learned(self, record: ExperimentRecord, attempt: AttemptRecord) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        now = time.monotonic()
        if now - self._last >= BETWEEN_ARTIFACTS and (self._posting is None or self._posting.done()):
            self._last = now
            self._post()

    def amended(self, version: int, definition: Definition) -> None:  # noqa: ARG002
        """See :class:`orchestrator.loop.Listener`."""
        self._budget = definition.file.stop.rule().most

    def close(self) -> None:
        """Show the last state, if the server takes it within some seconds."""
        wait([self._posting] if self._posting else [], timeout=PATIENCE)
        if self._posting is None or self._posting.done():
            self._post()
            wait([self._posting] if self._posting else [], timeout=PATIENCE)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _post(self) -> None:
        # the flow's context goes with it: artifacts belong to its run
        self._posting = self._pool.submit(contextvars.copy_context().run, self._try_to_show)

    def _try_to_show(self) -> None:
        try:
            self._show()
        except Exception:
            logger.warning("Prefect's server does not take artifacts", exc_info=True)

    def _show(self) -> None:
        done = ended(self._campaign.experiments())
        share = 0.0 if self._budget is None else min(100.0, 100.0 * done / self._budget)
        of = "" if self._budget is None else f" of {self._budget}"
        text = f"{done}{of} experiments of {self._campaign.name}"
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
