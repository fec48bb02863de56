"""The commands and their options. What a command does is imported when it runs, so that help answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.failures import plain_failures
from orchestrator.cli.options import Engine, Files, Json, Quiet, Report, RigFile, Store, Table, Who
from orchestrator.cli.people_app import people_app

app = typer.Typer(
    name="sabatier",
    help="Closed-loop campaigns for CO2 electroreduction catalysts: propose, execute, learn.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
store_app = typer.Typer(help="Look after the store.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(store_app, name="store")
rig_app = typer.Typer(help="Look after a rig.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(rig_app, name="rig")
app.add_typer(people_app)


@app.command()
@plain_failures
def run(
    file: Annotated[Path, typer.Argument(help="The campaign file.")],
    table: Table = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name for the campaign.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed.")] = None,
    store: Store = None,
    files: Files = None,
    engine: Engine = "prefect",
    report: Report = None,
    quiet: Quiet = False,
) -> None:
    """Run a campaign, or continue it if it is in the store with the same definition."""
    from orchestrator.cli.running import run_file

    run_file(
        file, table=table, name=name, seed=seed, store=store, files=files, engine=engine, report=report, quiet=quiet
    )


@app.command()
@plain_failures
def resume(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    store: Store = None,
    files: Files = None,
    engine: Engine = "prefect",
    report: Report = None,
    quiet: Quiet = False,
) -> None:
    """Continue a campaign of the store. Its files are not needed."""
    from orchestrator.cli.running import resume_campaign

    resume_campaign(name, store=store, files=files, engine=engine, report=report, quiet=quiet)


@app.command()
@plain_failures
def deploy(
    campaign: Annotated[str, typer.Argument(help="The campaign file, or the name of a campaign of the store.")],
    table: Table = None,
    name: Annotated[str | None, typer.Option("--name", help="Another name for the campaign.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed.")] = None,
    store: Store = None,
    pool: Annotated[str, typer.Option("--pool", help="The work pool; made if it is not there.")] = "sabatier",
    every: Annotated[float, typer.Option("--every", min=5.0, help="Seconds from look to look.")] = 60.0,
    brain_pool: Annotated[
        str | None, typer.Option("--brain-pool", help="A work pool that proposes for it, on a faster computer.")
    ] = None,
    who: Who = None,
) -> None:
    """Hand a campaign to the workers of a Prefect server: they run it, and continue it where one of them died."""
    from orchestrator.cli.deploying import deploy_campaign

    deploy_campaign(
        campaign,
        table=table,
        name=name,
        seed=seed,
        store=store,
        pool=pool,
        every=every,
        brain_pool=brain_pool,
        who=who,
    )


@app.command()
@plain_failures
def worker(
    pool: Annotated[str, typer.Option("--pool", help="The work pool; made if it is not there.")] = "sabatier",
    limit: Annotated[int, typer.Option("--limit", min=2, help="The most processes at a time, looks included.")] = 4,
    name: Annotated[str | None, typer.Option("--name", help="Of the worker, on Prefect's pages.")] = None,
) -> None:
    """Run campaigns of a work pool on this computer, until a signal ends it; each campaign then ends in good order."""
    from orchestrator.cli.deploying import start_worker

    start_worker(pool, limit=limit, name=name)


@app.command()
@plain_failures
def status(
    name: Annotated[str | None, typer.Argument(help="A campaign's name; without, all.")] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Show how campaigns stand."""
    from orchestrator.cli.looking import show_status

    show_status(name, store=store, as_json=json)


@app.command()
@plain_failures
def validate(
    file: Annotated[Path, typer.Argument(help="The campaign file.")],
    table: Table = None,
) -> None:
    """Check a campaign file and the data files that it names; write nothing."""
    from orchestrator.cli.looking import validate_file

    validate_file(file, table=table)


@app.command()
@plain_failures
def report(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The HTML file [default: NAME.html].")] = None,
    store: Store = None,
) -> None:
    """Write a campaign's report: one HTML file that needs no network."""
    from orchestrator.cli.looking import make_report

    make_report(name, output=output, store=store)


@app.command()
@plain_failures
def export(
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The folder [default: NAME].")] = None,
    store: Store = None,
) -> None:
    """Write a campaign's experiments, definition and events to files."""
    from orchestrator.cli.looking import make_export

    make_export(name, output=output, store=store)


@app.command()
@plain_failures
def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("campaign.yaml"),
) -> None:
    """Write a commented campaign file to start from."""
    from orchestrator.cli.looking import write_template

    write_template(file)


@app.command()
@plain_failures
def emulate(
    file: Annotated[Path, typer.Argument(help="The rig file.")],
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Take any free ports instead of those of the file.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option("--write", help="Where the rig file with the true addresses goes, once all listen.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Start all instruments of a rig in software, and say where each listens."""
    from orchestrator.cli.emulating import emulate as start

    start(file, free_ports=free_ports, write=write, quiet=quiet)


@app.command()
@plain_failures
def notify(
    name: Annotated[str | None, typer.Argument(help="The address's name; without, show all names.")] = None,
) -> None:
    """Send a test message, and say whether it arrived."""
    from orchestrator.cli.notifying import send_test

    send_test(name)


@app.command()
@plain_failures
def schema() -> None:
    """Print the JSON Schema of campaign files, for editors."""
    import json

    from orchestrator.config.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@store_app.command("upgrade")
@plain_failures
def store_upgrade(store: Store = None) -> None:
    """Give an older store the newest schema; of a file, a copy is made before."""
    from orchestrator.store.opening import upgrade

    done = upgrade(store)
    if done is None:
        typer.echo("The store has the newest schema.")
    else:
        typer.echo("Upgraded." if done.copy is None else f"Upgraded; the copy made before is {done.copy}.")


@store_app.command("backup")
@plain_failures
def store_backup(
    target: Annotated[Path, typer.Argument(help="The new file.")],
    store: Store = None,
) -> None:
    """Copy a store, which may be in use, to a new file."""
    from orchestrator.store.opening import backup

    typer.echo(f"Copied to {backup(store, target)}.")


@rig_app.command("check")
@plain_failures
def rig_check(file: RigFile, json: Json = False) -> None:
    """Identify every device and check limits, calibrations and stock; move nothing."""
    from orchestrator.cli.rigs import check

    check(file, as_json=json)


@rig_app.command("preview")
@plain_failures
def rig_preview(
    file: Annotated[Path, typer.Argument(help="The campaign file.")],
    cell: Annotated[str | None, typer.Option("--cell", help="On which cell [default: the first].")] = None,
) -> None:
    """Show every step and set point of a campaign's first experiment, checked against all limits; move nothing."""
    from orchestrator.cli.rigs import preview

    preview(file, cell)


@rig_app.command("calibrate")
@plain_failures
def rig_calibrate(file: RigFile, store: Store = None) -> None:
    """Inject the standards that the file names, and write calibration records."""
    from orchestrator.cli.rigs import calibrate

    calibrate(file, store)


@rig_app.command("stop")
@plain_failures
def rig_stop(
    file: RigFile,
    reason: Annotated[str, typer.Option("--reason", help="For the record.")] = "sabatier rig stop",
) -> None:
    """Stop everything at once, whoever controls the rig; it stays halted until it is reset."""
    from orchestrator.cli.rigs import stop

    stop(file, reason)


@rig_app.command("reset")
@plain_failures
def rig_reset(file: RigFile, who: Who = None, store: Store = None) -> None:
    """End the halted state, after somebody has looked and every device has confirmed that it is safe."""
    from orchestrator.cli.rigs import reset

    reset(file, who, store)


@rig_app.command("refill")
@plain_failures
def rig_refill(
    file: RigFile,
    item: Annotated[str | None, typer.Argument(help="What, such as precursors.Cu; without, show all.")] = None,
    amount: Annotated[float | None, typer.Argument(help="That is there now, in mL or pieces.")] = None,
    lot: Annotated[str, typer.Option("--lot", help="Of the maker.")] = "",
    expires: Annotated[str | None, typer.Option("--expires", help="The last day, like 2027-03-31.")] = None,
    who: Who = None,
) -> None:
    """Write down what is in stock after filling up; without an item, show it."""
    from orchestrator.cli.rigs import refill

    refill(file, item, amount, lot=lot, expires=expires, who=who or "")


@rig_app.command("answer")
@plain_failures
def rig_answer(
    file: RigFile,
    question: Annotated[str | None, typer.Argument(help="Its id; without, show all.")] = None,
    who: Who = None,
) -> None:
    """Say that something that the rig asked a person for is done; without a question, show them."""
    from orchestrator.cli.rigs import answer

    answer(file, question, who)


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"sabatier {version('sabatier')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    pass
