"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Store = Annotated[
    str | None,
    typer.Option("--store", help="Address of the store [default: SABATIER_STORE, else ./sabatier-data/sabatier.db]."),
]
Files = Annotated[
    str | None,
    typer.Option(
        "--files",
        help="Folder or URL for raw signals, such as s3://bucket/raw [default: SABATIER_FILES, else beside the store].",
    ),
]
Engine = Annotated[
    Literal["prefect", "threads"],
    typer.Option("--engine", help="Run under Prefect, or in plain threads of this process."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the outcome only.")]
Report = Annotated[
    Path | None,
    typer.Option("--report", help="Where the HTML report goes [default: beside the store]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RigFile = Annotated[Path, typer.Argument(help="The rig file.", metavar="RIG.yaml")]
Who = Annotated[str | None, typer.Option("--who", help="Your name, for the record [default: that of your account].")]
Table = Annotated[
    Path | None, typer.Option("--table", help="A data file in place of the campaign file's pool and replayed table.")
]
