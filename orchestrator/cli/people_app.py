"""The commands by which people steer campaigns, with their options. What they do is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.failures import plain_failures
from orchestrator.cli.options import Json, Store, Table, Who

people_app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The campaign's name.")]
Id = Annotated[int, typer.Argument(help="The experiment's id.", min=1)]
Ids = Annotated[list[int] | None, typer.Argument(help="Ids of experiments.", metavar="[ID]...")]
Values = Annotated[list[str], typer.Argument(help="Settings, such as potential=-0.9.", metavar="COLUMN=VALUE...")]
Why = Annotated[str, typer.Option("--why", help="For the record.")]


@people_app.command()
@plain_failures
def pause(name: Name, why: Why = "", who: Who = None, store: Store = None) -> None:
    """Let what runs end and start nothing more, until the campaign is continued."""
    from orchestrator.cli.people import steer

    steer("pause", name, store=store, who=who, why=why)


@people_app.command("continue")
@plain_failures
def go_on(name: Name, why: Why = "", who: Who = None, store: Store = None) -> None:
    """Let a paused campaign go on."""
    from orchestrator.cli.people import steer

    steer("continue", name, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def stop(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="Cancel what runs and make the laboratory safe at once.")] = False,
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """End a campaign, once what runs has ended."""
    from orchestrator.cli.people import steer

    steer("stop", name, store=store, who=who, why=why, now=now)


@people_app.command()
@plain_failures
def approve(
    name: Name,
    ids: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """Let proposals that wait for approval be started."""
    from orchestrator.cli.people import decide

    decide("approve", name, ids or [], every=every, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def reject(name: Name, ids: Ids = None, why: Why = "", who: Who = None, store: Store = None) -> None:
    """Turn proposals down; others are proposed in their place."""
    from orchestrator.cli.people import decide

    decide("reject", name, ids or [], every=False, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def cancel(name: Name, ids: Ids = None, why: Why = "", who: Who = None, store: Store = None) -> None:
    """Call off experiments that wait for a cell."""
    from orchestrator.cli.people import decide

    decide("cancel", name, ids or [], every=False, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def edit(name: Name, id: Id, values: Values, why: Why = "", who: Who = None, store: Store = None) -> None:
    """Change the settings of an experiment that has not begun."""
    from orchestrator.cli.people import edit as change

    change(name, id, values, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def add(
    name: Name,
    values: Values,
    priority: Annotated[int, typer.Option("--priority", help="Larger goes first; proposals have 0.")] = 0,
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """Add an experiment of your own."""
    from orchestrator.cli.people import add as put

    put(name, values, priority=priority, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def mark(
    name: Name,
    id: Id,
    how: Annotated[Literal["wrong", "suspect", "valid"], typer.Argument(help="What it is.")],
    why: Annotated[str, typer.Option("--why", help="For the record.")],
    who: Who = None,
    store: Store = None,
) -> None:
    """Judge a result anew: the model forgets what is wrong."""
    from orchestrator.cli.people import mark as judge

    judge(name, id, how, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def comment(
    name: Name,
    text: Annotated[str, typer.Argument(help="The remark.")],
    experiment: Annotated[int | None, typer.Option("--experiment", min=1, help="On this experiment.")] = None,
    who: Who = None,
    store: Store = None,
) -> None:
    """Write a remark into a campaign's log."""
    from orchestrator.cli.people import comment as write

    write(name, text, experiment, store=store, who=who)


@people_app.command()
@plain_failures
def resolve(
    name: Name,
    id: Id,
    decision: Annotated[Literal["rerun", "discard", "accept"], typer.Argument(help="What becomes of it.")],
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """Say what becomes of an experiment of which nobody knows how it ended."""
    from orchestrator.cli.people import resolve as end

    end(name, id, decision, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def reduce(
    name: Name,
    ids: Annotated[list[int], typer.Argument(help="Ids of experiments.", metavar="ID...", min=1)],
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """Reduce raw signals again with this release; touches no device."""
    from orchestrator.cli.people import reduce as again

    again(name, ids, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def cell(
    name: Name,
    which: Annotated[str, typer.Argument(help="The cell.", metavar="CELL")],
    where: Annotated[Literal["in", "out"], typer.Argument(help="In service or out.")],
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """Take a cell out of service, or put it back."""
    from orchestrator.cli.people import cell as place

    place(name, which, where == "in", store=store, who=who, why=why)


@people_app.command()
@plain_failures
def sample(
    name: Name,
    which: Annotated[str, typer.Argument(help="The sample.", metavar="SAMPLE")],
    where: Annotated[Literal["in", "out"], typer.Argument(help="In use or out of it.")],
    why: Why = "",
    who: Who = None,
    store: Store = None,
) -> None:
    """Take a sample out of use, or put it back."""
    from orchestrator.cli.people import sample as place

    place(name, which, where == "in", store=store, who=who, why=why)


@people_app.command()
@plain_failures
def tell(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A CSV file: a column `experiment`, a column for each metric.")],
    prior: Annotated[bool, typer.Option("--prior", help="Rows without an id are prior data.")] = False,
    amend: Annotated[bool, typer.Option("--amend", help="Told values may change.")] = False,
    who: Who = None,
    store: Store = None,
) -> None:
    """Enter results."""
    from orchestrator.cli.people import tell as enter

    enter(name, file, prior=prior, amend=amend, store=store, who=who)


@people_app.command()
@plain_failures
def amend(
    name: Name,
    file: Annotated[Path, typer.Argument(help="The campaign file as it is to be from now on.")],
    table: Table = None,
    why: Why = "",
    version: Annotated[
        int | None, typer.Option("--if-version", min=1, help="Only if the campaign still has this version.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")] = False,
    who: Who = None,
    store: Store = None,
) -> None:
    """Change bounds, constraints, stopping rules or options of a campaign, also while it runs."""
    from orchestrator.cli.amending import amend as change

    change(name, file, table=table, version=version, dry_run=dry_run, store=store, who=who, why=why)


@people_app.command()
@plain_failures
def sheet(
    name: Name,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The CSV file [default: print it].")] = None,
    store: Store = None,
) -> None:
    """Write the experiments that wait for results as a table to fill in and tell."""
    from orchestrator.cli.people import sheet as write

    write(name, output, store=store)


@people_app.command()
@plain_failures
def log(
    name: Name,
    experiment: Annotated[int | None, typer.Option("--experiment", min=1, help="Of this experiment only.")] = None,
    json: Json = False,
    store: Store = None,
) -> None:
    """Show who did what, when and why."""
    from orchestrator.cli.logged import log as show

    show(name, experiment, as_json=json, store=store)
