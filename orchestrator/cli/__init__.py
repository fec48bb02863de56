"""The command ``sabatier``."""

from __future__ import annotations


def main() -> None:
    """Entry point of the command."""
    from orchestrator.cli.guard import check_packages

    try:
        check_packages()
        from orchestrator.cli.app import app

        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
