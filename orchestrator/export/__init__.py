"""What a campaign hands out: an HTML report, tables, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.export.picture import progress_svg
    from orchestrator.export.report import write_report
    from orchestrator.export.tables import export

_HOMES = {"export": "tables", "progress_svg": "picture", "write_report": "report"}

__all__ = ["export", "progress_svg", "write_report"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:  # plotly is heavy: nobody who only asks for help should wait for it
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
