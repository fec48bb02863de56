"""A Prefect server for one process: ends when its standard input does, so that no killed parent leaves it behind.

Run as ``python -m orchestrator.flows.serve PORT``.
"""

from __future__ import annotations

import os
import sys
import time
from threading import Thread
from typing import Final

GRACE: Final = 15.0
"""Seconds that the server may take to end in good order once its parent is gone."""


def main() -> None:
    """Serve on the loopback address until the parent is gone."""
    port = int(sys.argv[1])
    os.environ.setdefault("PREFECT_UI_ENABLED", "0")
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    Thread(target=_watch, args=(server,), name="parent watch", daemon=True).start()
    server.run()


def _watch(server: object) -> None:
    sys.stdin.buffer.read()  # returns when the parent closes the pipe, or dies
    server.should_exit = True  # type: ignore[attr-defined]
    time.sleep(GRACE)
    os._exit(1)  # its services may wait for each other for ever; what they still hold is nobody's any more


if __name__ == "__main__":
    main()
