"""What every tensor function here relies on: double precision, records of tensors, and one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final, TypeVar

import torch
from torch import Tensor

Self = TypeVar("Self", bound="Record")

DTYPE: Final = torch.float64


def double(values: Any) -> Tensor:
    """Numbers as a double-precision tensor; the process's default type stays as it is."""
    return torch.as_tensor(values, dtype=DTYPE)


class Record:
    """Base of frozen dataclasses whose fields are all tensors."""

    def each(self: Self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same record with every tensor changed."""
        return type(self)(*(change(getattr(self, field.name)) for field in fields(self)))  # type: ignore[arg-type]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread within the block, so that results do not depend on the caller's thread count."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
