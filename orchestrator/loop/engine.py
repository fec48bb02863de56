"""Who runs the pieces of a loop: plain threads here, a workflow engine elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Piece: TypeAlias = Literal["propose", "execute", "learn"]


class Running(Protocol[T_co]):
    """A piece under way."""

    def result(self) -> T_co:
        """Wait for its end; what it returned, or the exception that it raised."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call ``fn`` in some thread when it has ended, at once if it has already."""


class Engine(Protocol):
    """Runs the pieces of a loop."""

    def call(self, piece: Piece, label: str, function: Callable[[], T]) -> T:
        """Run a piece to its end. ``label`` tells people what it is."""

    def submit(self, piece: Piece, label: str, function: Callable[[], T]) -> Running[T]:
        """Start a piece in a thread of its own."""

    def close(self) -> None:
        """Wait for all pieces and let go of threads."""


class ThreadEngine:
    """Plain threads, one a cell and one to think in: for benchmarks, tests and loops inside other programs."""

    def __init__(self, cells: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=max(1, cells) + 1, thread_name_prefix="cell")

    def call(self, piece: Piece, label: str, function: Callable[[], T]) -> T:  # noqa: ARG002
        """See :class:`Engine`."""
        return function()

    def submit(self, piece: Piece, label: str, function: Callable[[], T]) -> Running[T]:  # noqa: ARG002
        """See :class:`Engine`."""
        return self._pool.submit(function)

    def close(self) -> None:
        """See :class:`Engine`."""
        self._pool.shutdown(wait=True)
