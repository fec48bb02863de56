"""What came out of one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN: Final = "unknown"
"""Stands in the metadata for what a file does not say."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The signals of one file in the raw-signal form.

    Attributes:
        signals: tables by name (``"potentiostat"``, ``"open_circuit"``, ``"impedance"``, ``"chromatograph"``,
            ``"flow"``, ``"liquid"``, and ``"chromatogram/<detector>"`` for detector traces). Columns are named
            ``quantity/unit``; ``time/s`` counts from the recording's own start.
        metadata: what the file says about itself, as JSON types. Always there, with ``"unknown"`` where the file does
            not say: ``file``, ``sha256``, ``format``, ``instrument``, ``technique``, ``software``, ``start_time`` (ISO
            8601 in UTC) and ``start_written`` (as the file has it). ``settings`` holds what the file was set to.
        notices: what was odd but readable, one sentence each.
    """

    signals: Mapping[str, pd.DataFrame]
    metadata: Mapping[str, object]
    notices: tuple[str, ...] = field(default=())

    @property
    def file(self) -> str:
        """The file's name, without its folder."""
        return str(self.metadata.get("file", UNKNOWN))

    @property
    def start_time(self) -> str:
        """When ``time/s`` was zero, as ISO 8601 in UTC, or ``"unknown"``."""
        return str(self.metadata.get("start_time", UNKNOWN))
