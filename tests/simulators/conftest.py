from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from instruments.lab import Measurement


class VirtualClock:
    virtual = True

    def now(self) -> float:
        return 0.0


@dataclass
class BenchContext:
    """What the loop would hand down, without a loop."""

    seed: int = 0
    sample: str = "sample-1"
    cell: str = "cell-1"
    attempt: int = 1
    clock: VirtualClock = field(default_factory=VirtualClock)
    files: Path = Path()
    cancelled: Event = field(default_factory=Event)

    @contextmanager
    def journal(self, step: str, kind: str) -> Iterator[None]:
        yield

    def lease(self, device: str) -> nullcontext[None]:
        return nullcontext()

    def keep(self, measurement: Measurement) -> None:
        pass


@pytest.fixture
def context() -> type[BenchContext]:
    return BenchContext


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not there")
    return folder
