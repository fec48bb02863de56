"""``sabatier deploy``: hands a campaign to the workers of a Prefect server."""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.campaign.defining import definition_of
from orchestrator.campaign.words import DEPLOY
from orchestrator.cli.failures import FAILED, refuse, told
from orchestrator.cli.running import refuse_memory
from orchestrator.config.load import load
from orchestrator.flows.deploy import Deployed, configured_server, deploy
from orchestrator.flows.server import ServerError
from orchestrator.flows.worker import work
from orchestrator.loop.assembly import open_for, register
from orchestrator.notify.telling import check_people
from orchestrator.steering.saying import account, say
from orchestrator.store.changes import Note
from orchestrator.store.opening import open_store
from orchestrator.store.protocol import Store


def deploy_campaign(
    campaign: str,
    *,
    table: Path | None,
    name: str | None,
    seed: int | None,
    store: str | None,
    pool: str,
    every: float,
    brain_pool: str | None,
    who: str | None,
) -> None:
    """Register a campaign file, or find a campaign of the store, and let workers run it."""
    refuse_memory(store)
    try:
        configured_server()  # before the store is touched
        kept, name = _campaign(campaign, table=table, name=name, seed=seed, store=store)
        try:
            address = kept.url if _is_file(kept) else None
            places = deploy(name, address, pool=pool, every=every, brain_pool=brain_pool)
            who = who or account()
            say(kept, name, [Note(DEPLOY, f"handed to the workers of the pool {pool}")], who=who, doing="be deployed")
        finally:
            kept.close()
    except ServerError as problem:
        refuse(told(problem), FAILED)
    sys.stdout.write(_words(name, places, every, store_is_file=_is_file(kept)))


def start_worker(pool: str, *, limit: int, name: str | None) -> None:
    """Work until a signal; ends the process with the worker's exit status."""
    try:
        status = work(pool, limit=limit, name=name)
    except ServerError as problem:
        refuse(told(problem), FAILED)
    sys.exit(status)


def _campaign(
    campaign: str, *, table: Path | None, name: str | None, seed: int | None, store: str | None
) -> tuple[Store, str]:
    """The store, and the name of the campaign in it."""
    if not Path(campaign).is_file() and Path(campaign).suffix not in (".yaml", ".yml"):
        reading = open_store(store, durable=False, create=False)
        definition_of(reading, campaign)
        return reading, campaign
    definition = load(Path(campaign), table, name=name, seed=seed)
    for notice in definition.notices:
        sys.stderr.write(f"note: {notice}\n")
    check_people(definition.file.notify)
    kept = open_for(store, definition.build_lab())
    register(kept, definition)
    return kept, definition.file.name


def _is_file(store: Store) -> bool:
    return store.url.startswith("sqlite:///")


def _words(name: str, places: tuple[Deployed, ...], every: float, *, store_is_file: bool) -> str:
    where = "on this computer" if store_is_file else "with SABATIER_STORE set"
    lines = [
        f"campaign {name} is deployed on {places[0].url}; a worker looks every {every:g} s whether somebody runs it."
    ]
    for place, does in zip(places, ("runs it", "proposes for it"), strict=False):
        new = ", which is new," if place.pool_is_new else ""
        lines.append(f"pool {place.pool}{new} {does}; a worker, {where}: sabatier worker --pool {place.pool}")
    return "\n".join(lines) + "\n"
