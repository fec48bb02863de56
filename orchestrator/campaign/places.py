"""The folders beside a store, and what lies in them; nothing here reads a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestrator.store.protocol import Store

MANIFEST: Final = "manifest.json"
"""Of an attempt's folder: written last, so that raw signals with a manifest are complete."""
SENT: Final = ".sent"
"""Ending of a folder that object storage has taken, until it is removed."""


def files_of(store: Store) -> Path:
    """The folder for raw signals beside a store's file; for a store in memory, one below the current folder."""
    path = store.url.removeprefix("sqlite:///")
    return Path(path).parent / "files" if path != store.url else Path("sabatier-data") / "files"


def spool_of(store: Store) -> Path:
    """The folder of what is still to be sent to object storage."""
    return files_of(store).parent / "spool"


def unsent(spool: Path, campaign: str) -> Iterator[Path]:
    """The folders of a campaign's attempts that are still to be sent."""
    found = (path.parent for path in sorted((spool / campaign).glob(f"*/*/{MANIFEST}")))
    return (folder for folder in found if folder.suffix != SENT)
