"""The raw signals of an execution as they come: tables in memory, and lines in a file that a crash does not lose."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class Recorder:
    """Gathers rows of the raw-signal form.

    Args:
        folder: of the attempt; rows are written there as they come, to ``<table>.jsonl``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._frames: dict[str, pd.DataFrame] = {}
        self._unwritten: set[str] = set()

    def row(self, table: str, values: Mapping[str, Any]) -> None:
        """Add a row. A disk that cannot be written does not end an experiment: that is logged."""
        with self._lock:
            self._rows.setdefault(table, []).append(dict(values))
        self.stream(table, values)

    def stream(self, table: str, values: Mapping[str, Any]) -> None:
        """Only write a row down, for a table that comes whole later."""
        try:
            with self._lock, (self._folder / f"{table}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as problem:
            if table not in self._unwritten:
                self._unwritten.add(table)
                logger.error("%s.jsonl cannot be written: %s", table, problem)

    def put(self, table: str, frame: pd.DataFrame) -> None:
        """A whole table."""
        with self._lock:
            self._frames[table] = frame

    def keep(self, name: str, content: bytes) -> None:
        """A file as an instrument gave it, such as a run document."""
        try:
            (self._folder / name).write_bytes(content)
        except OSError as problem:
            logger.error("%s cannot be written: %s", name, problem)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows so far."""
        with self._lock:
            return list(self._rows.get(table, ()))

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables so far."""
        import pandas as pd

        with self._lock:
            grown = {name: pd.DataFrame(rows) for name, rows in self._rows.items() if rows}
            return {**grown, **self._frames}
