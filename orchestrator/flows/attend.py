"""What a worker runs for a deployed campaign: it looks at the store, and continues what nobody else continues.

A module of its own, so that a look, which comes every minute, imports neither models nor laboratories.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from orchestrator.flows.settings import FORMAT, apply_defaults, log_through

apply_defaults()

from prefect import flow  # noqa: E402  Prefect reads its settings when it is imported
from prefect.states import Completed  # noqa: E402

from orchestrator.errors import InputError, LeaseHeld  # noqa: E402
from orchestrator.flows.looking import Look, look, look_for_brain  # noqa: E402
from orchestrator.flows.schedules import LOOKED, bury, pause_schedule, sweep  # noqa: E402
from orchestrator.store.opening import open_store  # noqa: E402

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from orchestrator.store.protocol import Store

logger = logging.getLogger(__name__)

PACKAGES: Final = ("orchestrator", "acquisition", "instruments", "surrogates", "simulators")


@flow(name="run_campaign", flow_run_name="{campaign}", persist_result=False, retries=0)
def attend_campaign(campaign: str, store: str | None = None) -> State[Any]:
    """Continue a campaign if nobody does and it has not ended.

    Args:
        campaign: its name.
        store: address of a store in a file; without it that of the worker's own ``SABATIER_STORE``.

    Returns:
        A completed state: named after the campaign's, or :data:`LOOKED` where there was nothing to do.
    """
    return _attend(campaign, store, look, _continue)


@flow(name="think", flow_run_name="think for {campaign}", persist_result=False, retries=0)
def think_for(campaign: str, store: str | None = None) -> State[Any]:
    """Propose for a campaign that another process runs, if nobody does and it has not ended.

    Args:
        campaign: its name.
        store: as above.

    Returns:
        As above.
    """
    return _attend(campaign, store, look_for_brain, _think)


def _attend(
    campaign: str, store: str | None, asked: Callable[[Store, str], Look], work: Callable[[str, str, Event], str]
) -> State[Any]:
    """Do something for a campaign for as long as it takes, if a look says so.

    Args:
        campaign: its name.
        store: address of a store in a file.
        asked: the look.
        work: gets the campaign, the store and what ends it, and gives the campaign's state.
    """
    with _logging():
        sweep()
        address = store_of_worker(store)
        seen = _look(address, campaign, asked)
        if not seen.goes_on:
            if seen.ended:
                pause_schedule()
            return _nothing_to_do(campaign, seen.why)
        bury()
        cancelled = Event()
        with _signals(cancelled):
            try:
                state = work(campaign, address, cancelled)
            except LeaseHeld as held:  # another run was faster
                return _nothing_to_do(campaign, str(held))
        bury()  # once more: at the beginning, one that died in its first seconds still looked like a look
        if _look(address, campaign, asked).ended:
            pause_schedule()
        return Completed(name=state.capitalize(), message=f"Campaign {campaign} is {state}.")


def _continue(campaign: str, address: str, cancelled: Event) -> str:
    from orchestrator.flows.run import Hooks, sit_down

    return sit_down(campaign, address, None, Hooks(cancelled))


def _think(campaign: str, address: str, cancelled: Event) -> str:
    from orchestrator.loop.brain import Brain

    store = open_store(address, durable=False, create=False)
    try:
        return Brain(store, campaign, cancelled).serve()
    finally:
        store.close()


def _nothing_to_do(campaign: str, why: str) -> State[Any]:
    message = f"Nothing to do for campaign {campaign}: {why.rstrip('.')}."
    logger.info(message)
    return Completed(name=LOOKED, message=message)


def store_of_worker(address: str | None) -> str:
    """The address of the store that a worker uses.

    Args:
        address: as deployed, if it is one that holds on every computer.

    Raises:
        InputError: the worker was not told where the store is.
    """
    own = address or os.environ.get("SABATIER_STORE")
    if not own:
        raise InputError(
            "this worker was not told where the store is.",
            field="SABATIER_STORE",
            mend="Set SABATIER_STORE in the environment of the worker, and start it again.",
        )
    return own


def _look(address: str, campaign: str, asked: Callable[[Store, str], Look]) -> Look:
    store = open_store(address, durable=False, create=False)
    try:
        return asked(store, campaign)
    finally:
        store.close()


@contextmanager
def _signals(cancelled: Event) -> Iterator[None]:
    """Let a worker that is stopped end its campaign in good order instead of in the middle of a step."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        cancelled.set()

    former = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, was in former.items():
            signal.signal(number, was)


@contextmanager
def _logging() -> Iterator[None]:
    """Write what the house's packages log to stderr, which the worker hands on to its own log while it lives.

    Where the worker was killed, nobody reads any more; what merely shows a campaign must not end it.
    """
    handler, of_prefect = logging.StreamHandler(sys.stderr), logging.StreamHandler(sys.stderr)
    of_prefect.setLevel(logging.WARNING)  # the loop tells of its pieces itself
    for one in (handler, of_prefect):
        one.setFormatter(FORMAT)
    log_through(of_prefect)
    packages = [logging.getLogger(name) for name in PACKAGES]
    for package in packages:
        package.addHandler(handler)
        package.setLevel(logging.INFO)
        package.propagate = False
    try:
        yield
    finally:
        for package in packages:
            package.removeHandler(handler)
            package.propagate = True
