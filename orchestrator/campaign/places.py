"""The folders beside a store, and what lies in them; nothing here reads a table."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestrator.store.address import is_postgres
from orchestrator.store.protocol import Store

MANIFEST: Final = "manifest.json"
"""Of an attempt's folder: written last, so that raw signals with a manifest are complete."""
SENT: Final = ".sent"
"""Ending of a folder that object storage has taken, until it is removed."""


def files_of(store: Store) -> Path:
    """The folder for raw signals that belongs to a store.

    It lies beside a store's file; for a database in PostgreSQL below the user's data (``XDG_DATA_HOME``, by default
    ``~/.local/share``), so that all processes of a user here find the same, wherever they were started; for a store in
    memory below the current folder.
    """
    path = store.url.removeprefix("sqlite:///")
    if path != store.url:
        return Path(path).parent / "files"
    if is_postgres(store.url):
        # a folder for each database, known to people by its name: two may have campaigns of one name
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", store.url.partition("?")[0].rpartition("/")[2])
        mark = hashlib.sha256(store.url.encode()).hexdigest()[:8]
        return _data_home() / "sabatier" / f"{name}-{mark}" / "files"
    return Path("sabatier-data") / "files"


def _data_home() -> Path:
    """Where the user's programs keep their data; the XDG specification has relative paths ignored."""
    told = Path(os.environ.get("XDG_DATA_HOME", ""))
    return told if told.is_absolute() else Path.home() / ".local" / "share"


def spool_of(store: Store) -> Path:
    """The folder of what is still to be sent to object storage."""
    return files_of(store).parent / "spool"


def unsent(spool: Path, campaign: str) -> Iterator[Path]:
    """The folders of a campaign's attempts that are still to be sent."""
    found = (path.parent for path in sorted((spool / campaign).glob(f"*/*/{MANIFEST}")))
    return (folder for folder in found if folder.suffix != SENT)
