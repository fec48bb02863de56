"""Makes a deployment of a campaign on the configured Prefect server, for workers of a process work pool."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.errors import InputError
from orchestrator.flows.server import check_server
from orchestrator.flows.settings import apply_defaults

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

RUN: Final = "run_campaign"
THINK: Final = "think"
ENTRYPOINTS: Final = {
    RUN: "orchestrator.flows.attend.attend_campaign",
    THINK: "orchestrator.flows.attend.think_for",
}
"""Of each flow. Imported by the worker from its own installation: no code travels."""
WHAT: Final = {
    RUN: "Looks whether somebody runs the campaign, and continues it where nobody does.",
    THINK: "Looks whether somebody proposes for the campaign, and does so where nobody does.",
}
"""What each flow does, for Prefect's pages."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """Where a campaign was deployed.

    Attributes:
        url: of the server's API.
        pool: the work pool.
        pool_is_new: whether it was made for this.
    """

    url: str
    pool: str
    pool_is_new: bool


def configured_server() -> str:
    """The address of the configured Prefect server's API; it answers.

    Raises:
        InputError: none is configured.
        ServerError: it does not answer.
    """
    apply_defaults()
    from prefect.settings import PREFECT_API_URL

    url: str | None = PREFECT_API_URL.value()
    if not url:
        raise InputError(
            "no Prefect server is configured, and workers need one that stays.",
            field="PREFECT_API_URL",
            mend="Start one with `prefect server start`, and set PREFECT_API_URL to the address that it names.",
        )
    check_server(url)
    return url


def deploy(
    campaign: str, store: str | None, *, pool: str, every: float, brain_pool: str | None = None
) -> tuple[Deployed, ...]:
    """Make or update the deployments of a campaign, their schedules active.

    Args:
        campaign: its name; that of the deployments too.
        store: address of the store for workers, if it is a file; never one with a password.
        pool: a process work pool, of those who run it; made where there is none of this name.
        every: seconds from look to look.
        brain_pool: that of those who propose for it; without, whoever runs it does.

    Returns:
        Where those are who run it, and where those who propose.

    Raises:
        InputError: no server is configured, or a pool is of another type.
        ServerError: it does not answer.
    """
    url = configured_server()
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        pools = {RUN: pool} | ({} if brain_pool is None else {THINK: brain_pool})
        new = {flow: make_pool(client, name) for flow, name in pools.items()}
        for flow, name in pools.items():
            _deploy(client, flow, campaign, store, name, every)
        if brain_pool is None:
            try:
                client.delete_deployment(client.read_deployment_by_name(f"{THINK}/{campaign}").id)
            except ObjectNotFound:
                logger.debug("campaign %s has no brain elsewhere", campaign)
    return tuple(Deployed(url, name, new[flow]) for flow, name in pools.items())


def _deploy(client: SyncPrefectClient, flow: str, campaign: str, store: str | None, pool: str, every: float) -> None:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule

    client.create_deployment(
        flow_id=client.create_flow_from_name(flow),
        name=campaign,
        entrypoint=ENTRYPOINTS[flow],
        description=WHAT[flow],
        parameters={"campaign": campaign, "store": store},
        schedules=[DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=every)))],
        work_pool_name=pool,
        job_variables={"working_dir": "."},  # the folder in which the worker was started, not a temporary one
    )


def make_pool(client: SyncPrefectClient, pool: str) -> bool:
    """Make a process work pool unless there is one of this name; whether it is new.

    Raises:
        InputError: it is of another type.
    """
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        kind = client.read_work_pool(pool).type
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
        return True
    if kind != "process":
        raise InputError(
            f"the work pool {pool!r} is of the type {kind!r}.", field="--pool", mend="Name one of the type process."
        )
    return False
