"""A scoped one-thread setting, so that results do not depend on how the caller runs.

Reductions in another order change last digits, and a campaign amplifies them: one thread against two drifted by 2e-3
within eight asks. Small matrices are also faster on one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one torch thread. The setting belongs to the calling thread, as OpenMP keeps it."""
    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before != 1:
            torch.set_num_threads(before)
