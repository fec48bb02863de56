"""``sabatier amend``: another definition for a campaign, in words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestrator.cli.people import opened, say
from orchestrator.config.changes import shown
from orchestrator.config.definition import Definition
from orchestrator.config.load import load
from orchestrator.notify.telling import check_people
from orchestrator.steering.amending import Amendment
from orchestrator.steering.amending import amend as write
from orchestrator.steering.saying import account
from orchestrator.store.protocol import Store


def amend(
    name: str,
    file: Path,
    *,
    table: Path | None,
    version: int | None,
    dry_run: bool,
    store: str | None,
    who: str | None,
    why: str,
) -> None:
    """Give a campaign the definition of a file, and say what changes by it."""
    with opened(store) as kept:
        definition = _definition(kept, name, file, table)
        check_people(definition.file.notify)
        done = write(kept, name, definition, who=who or account(), why=why, version=version, dry_run=dry_run)
        controlled = kept.holder(name) is not None
    for notice in (*definition.notices, *done.notes):
        sys.stderr.write(f"note: {notice}\n")
    sys.stdout.write("".join(f"{line}\n" for line in _changes(done)))
    if done.changes:
        say(_outcome(done, controlled=controlled))


def _definition(store: Store, name: str, file: Path, table: Path | None) -> Definition:
    """What the file says, with the campaign's name, and its seed where the file has none."""
    record = store.campaign(name)
    definition = load(file, table)
    own: dict[str, Any] = {}
    if definition.file.name != name:
        sys.stderr.write(f"note: {file} names campaign {definition.file.name}; it is taken for {name}\n")
        own["name"] = name
    if "seed" not in definition.file.model_fields_set and definition.file.seed != record.seed:
        own["seed"] = record.seed
    return load(file, table, **own) if own else definition


def _changes(done: Amendment) -> list[str]:
    """One line a change, and a line an experiment that goes another way."""
    if not done.changes:
        return [f"Campaign {done.name} has this definition already (version {done.version})."]
    width = max(len(change.field) for change in done.changes)
    lines = [f"  {change.field:<{width}}  {shown(change.was)} -> {shown(change.now)}" for change in done.changes]
    return lines + [f"  experiment {record.id}: {record.state}; {why}" for record, why in done.experiments]


def _outcome(done: Amendment, *, controlled: bool) -> str:
    if not done.done:
        return f"nothing is written; campaign {done.name} would have version {done.version} of its definition."
    follows = "the process that runs it follows" if controlled else f"`sabatier resume {done.name}` goes on by it"
    return f"campaign {done.name} has version {done.version} of its definition; {follows}."
