"""What a look changes on Prefect's server: late runs, runs of the dead, and the schedule of what has ended.

Everything here serves order on Prefect's pages. A server that does not answer is logged, and changes nothing.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runtime import deployment, flow_run
from prefect.states import Crashed

logger = logging.getLogger(__name__)

LOOKED: Final = "Looked"
"""Name of the state of a run that found nothing to do."""

PAGE: Final = 200
"""Runs that are asked for at once: the most that a server gives."""

ORDER: Final = FlowRunSort.EXPECTED_START_TIME_ASC

A_LOOK: Final = timedelta(seconds=30)
"""A run that started longer ago than this is no look any more."""


def _tolerant(work: Callable[[SyncPrefectClient, UUID], None]) -> Callable[[], None]:
    """Do something for the deployment that the present run belongs to, if it does and the server answers."""

    @functools.wraps(work)
    def wrapped() -> None:
        if deployment.id is None:
            return
        try:
            with get_client(sync_client=True) as client:
                work(client, UUID(str(deployment.id)))
        except (httpx.HTTPError, PrefectException) as problem:
            logger.warning("Prefect's server did not take a change: %s", problem)

    return wrapped


@_tolerant
def sweep(client: SyncPrefectClient, id: UUID) -> None:
    """Take away runs that are late, as after a time without any worker, and former ones that found nothing to do."""
    looked = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[LOOKED])))
    for which in (_late(), looked):
        while runs := _runs(client, id, which):
            for run in runs:
                _take_away(client, run)


def sweep_pool(pool: str) -> None:
    """Take away all looks of a work pool that are late: one that comes now tells as much."""
    ours = FlowFilter(name=FlowFilterName(any_=["run_campaign", "think"]))
    there = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    with get_client(sync_client=True) as client:
        while runs := client.read_flow_runs(
            flow_filter=ours, work_pool_filter=there, flow_run_filter=_late(), sort=ORDER, limit=PAGE
        ):
            for run in runs:
                _take_away(client, run)


def _late() -> FlowRunFilter:
    return FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )


@_tolerant
def bury(client: SyncPrefectClient, id: UUID) -> None:
    """Say of runs whose process died that they crashed: nothing else tells the server. Nobody runs the campaign now."""
    which = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
        start_time=FlowRunFilterStartTime(before_=datetime.now(UTC) - A_LOOK),
    )
    for run in _runs(client, id, which):
        if str(run.id) != flow_run.id:
            client.set_flow_run_state(run.id, Crashed(message="Its process died; the campaign goes on."), force=True)


@_tolerant
def pause_schedule(client: SyncPrefectClient, id: UUID) -> None:
    """Let no more runs come, until the campaign is deployed again."""
    for schedule in client.read_deployment_schedules(id):
        client.update_deployment_schedule(id, schedule.id, active=False)


def _runs(client: SyncPrefectClient, id: UUID, which: FlowRunFilter) -> list[FlowRun]:
    ours = DeploymentFilter(id=DeploymentFilterId(any_=[id]))
    return client.read_flow_runs(flow_run_filter=which, deployment_filter=ours, sort=ORDER, limit=PAGE)


def _take_away(client: SyncPrefectClient, run: FlowRun) -> None:
    try:
        client.delete_flow_run(run.id)
    except ObjectNotFound:  # another look was faster
        logger.debug("the run %s is gone already", run.id)
