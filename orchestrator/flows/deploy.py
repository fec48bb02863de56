"""Makes a deployment of a campaign on the configured Prefect server, for workers of a process work pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.errors import InputError
from orchestrator.flows.server import check_server
from orchestrator.flows.settings import apply_defaults

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

ENTRYPOINT: Final = "orchestrator.flows.attend.attend_campaign"
"""Imported by the worker from its own installation: no code travels."""


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


def deploy(campaign: str, store: str | None, *, pool: str, every: float) -> Deployed:
    """Make or update the deployment of a campaign, its schedule active.

    Args:
        campaign: its name; that of the deployment too.
        store: address of the store for workers, if it is a file; never one with a password.
        pool: a process work pool; made where there is none of this name.
        every: seconds from look to look.

    Raises:
        InputError: no server is configured, or the pool is of another type.
        ServerError: it does not answer.
    """
    url = configured_server()
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule

    with get_client(sync_client=True) as client:
        new = make_pool(client, pool)
        client.create_deployment(
            flow_id=client.create_flow_from_name("run_campaign"),
            name=campaign,
            entrypoint=ENTRYPOINT,
            description=f"Looks whether somebody runs campaign {campaign}, and continues it where nobody does.",
            parameters={"campaign": campaign, "store": store},
            schedules=[DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=every)))],
            work_pool_name=pool,
            job_variables={"working_dir": "."},  # the folder in which the worker was started, not a temporary one
        )
    return Deployed(url, pool, new)


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
