"""``sabatier log``. Light: no campaign is taken up for it."""

from __future__ import annotations

import json
import sys
from datetime import UTC

from orchestrator.campaign.words import AMENDMENT
from orchestrator.store.opening import open_store
from orchestrator.store.records import EventRecord


def log(name: str, id: int | None, *, as_json: bool, store: str | None) -> None:
    """Show who did what, when and why."""
    kept = open_store(store, durable=False, create=False)
    try:
        events = kept.events(name, experiment=id)
    finally:
        kept.close()
    if as_json:
        shown = [
            {
                "sequence": e.sequence,
                "time": e.time.astimezone(UTC).isoformat(),
                "who": e.who,
                "kind": e.kind,
                "experiment": e.experiment,
                "before": e.before,
                "after": e.after,
                "why": e.why,
                "data": e.data,
            }
            for e in events
        ]
        sys.stdout.write(json.dumps({"schema": 1, "events": shown}, indent=2) + "\n")
        return
    sys.stdout.write("".join(f"{_line(e)}\n" for e in events))


def _line(event: EventRecord) -> str:
    what = event.kind if event.experiment is None else f"{event.kind} {event.experiment}"
    if event.kind == AMENDMENT:
        what += f": version {event.data['version']} ({', '.join(event.data['was'])})"
    change = f"{event.before or 'new'} -> {event.after}" if event.after and event.after != event.before else ""
    parts = [f"{event.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}", event.who, what, change, event.why.replace("\n", " ")]
    return "  ".join(part for part in parts if part)
