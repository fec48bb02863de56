"""A scoped one-thread setting, so that results do not depend on how the caller runs.

Reductions in another order change last digits, and a campaign amplifies them: one thread against two drifted by 2e-3
within eight asks. Small matrices are also faster on one thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import torch

_lock = Lock()
_depth = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one torch thread; the last of nested or concurrent blocks restores the caller's setting."""
    global _depth, _before  # noqa: PLW0603  torch's setting is global to the process, so is the count of its users
    with _lock:
        if _depth == 0:
            _before = torch.get_num_threads()
            if _before != 1:
                torch.set_num_threads(1)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _before != 1:
                torch.set_num_threads(_before)
