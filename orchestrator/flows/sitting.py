"""One sitting of a campaign under Prefect, from outside: the loop's end counts, not the engine's."""

from __future__ import annotations

import contextvars
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from orchestrator.flows.server import prefect_server
from orchestrator.flows.settings import log_to
from orchestrator.loop.listener import Listener
from orchestrator.store.records import CampaignState

GRACE: Final = 30.0
"""Seconds that Prefect may take to end its flow run after the loop is over."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """How a sitting ended.

    Attributes:
        state: of the campaign.
        orderly: whether Prefect has ended too; where not, its threads must not be waited for.
    """

    state: CampaignState
    orderly: bool


def sit(
    campaign: str,
    store: str,
    *,
    cancelled: Event,
    listeners: tuple[Listener, ...],
    logs: Path,
    files: str | None = None,
) -> Sitting:
    """Run a campaign of a store as a flow, until its loop is over.

    Args:
        campaign: its name.
        store: address of the store.
        cancelled: ends the loop in good order.
        listeners: are told what happens.
        logs: folder for what Prefect and its server say.
        files: address of raw signals.

    Raises:
        ServerError: there is no server.
        BaseException: whatever ended the loop.
    """
    with prefect_server(logs / "prefect-server.log") as server:
        from orchestrator.flows.run import Hooks, hooked, run_campaign

        log_to(logs / "prefect.log")
        hooks = Hooks(cancelled, listeners)

        def flow() -> None:
            try:
                run_campaign(campaign, store, files)
            except BaseException as problem:  # noqa: BLE001  handed on below
                hooks.problem = hooks.problem or problem
            finally:
                hooks.ended.set()

        with hooked(campaign, store, hooks):
            thread = Thread(target=contextvars.copy_context().run, args=(flow,), name="flow", daemon=True)
            thread.start()
            hooks.ended.wait()
            give_up = time.monotonic() + GRACE
            while thread.is_alive() and time.monotonic() < give_up:
                thread.join(0.2)
                if server.gone:
                    give_up = min(give_up, time.monotonic() + 2.0)
        if hooks.state is None and hooks.problem is not None:
            raise hooks.problem
        if hooks.state is None:
            raise RuntimeError("the flow ended without a word of its campaign")
        return Sitting(hooks.state, orderly=not thread.is_alive() and not server.gone)
