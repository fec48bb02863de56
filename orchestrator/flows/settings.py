"""Prefect's settings for a laboratory: nothing leaves the house, nothing chatters. To be called before its import."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

DEFAULTS: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_CLI_COLORS": "false",
}

FORMAT: Final = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
"""Of messages for people."""


def apply_defaults() -> None:
    """Set what the user has not set."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def log_to(path: Path) -> None:
    """Send what Prefect would print to a file instead; what it sends to its server's pages stays. After its import."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setFormatter(FORMAT)
    log_through(to_file)


def log_through(handler: logging.Handler) -> None:
    """Send what Prefect would print through a handler; what it sends to its server's pages stays. After its import.

    Its own handler prints by rich, which ends the process where nobody reads any more.
    """
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "prefect"]
    for logger in [logging.root, *(logging.getLogger(name) for name in names)]:
        printing = [h for h in logger.handlers if isinstance(h, logging.StreamHandler) and h is not handler]
        logger.handlers = [h for h in logger.handlers if h not in printing]
    top = logging.getLogger("prefect")
    top.handlers.append(handler)
    top.propagate = False
