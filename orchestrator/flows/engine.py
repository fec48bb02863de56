"""Runs the pieces of a loop as Prefect tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE

from orchestrator.loop.engine import Piece, Running

T = TypeVar("T")


@task(name="propose", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def _propose(label: str, function: Callable[[], Any]) -> Any:  # noqa: ARG001  the label names the task run
    return function()


@task(name="execute", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def _execute(label: str, function: Callable[[], Any]) -> Any:  # noqa: ARG001
    return function()


@task(name="learn", task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def _learn(label: str, function: Callable[[], Any]) -> Any:  # noqa: ARG001
    return function()


_TASKS = {"propose": _propose, "execute": _execute, "learn": _learn}


class PrefectEngine:
    """Every piece is a task run with a name that people can read. To be used inside a flow."""

    def call(self, piece: Piece, label: str, function: Callable[[], T]) -> T:
        """See :class:`orchestrator.loop.Engine`."""
        return cast("T", _TASKS[piece](label, function))

    def submit(self, piece: Piece, label: str, function: Callable[[], T]) -> Running[T]:
        """See :class:`orchestrator.loop.Engine`."""
        return cast("Running[T]", _TASKS[piece].submit(label, function))

    def close(self) -> None:
        """The flow's task runner waits for its tasks."""
