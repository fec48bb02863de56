"""From a campaign file on disk to a checked definition."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from acquisition.errors import AcquisitionError, StrategyError
from instruments.errors import InstrumentsError
from instruments.lab import Located
from orchestrator.config.definition import POOL, Definition, table_paths
from orchestrator.config.document import parse
from orchestrator.config.model import CampaignFile
from orchestrator.config.problems import own_problem, problems_of, refuse
from orchestrator.config.spaces import importable
from orchestrator.config.tables import Table, read_table
from orchestrator.errors import InputError
from simulators.errors import SimulatorsError

REPLACED = (POOL, "lab.table")
"""The data files that ``--table PATH`` replaces."""


def load(path: Path, table: Path | None = None, *, name: str | None = None, seed: int | None = None) -> Definition:
    """Read, check and complete a campaign file.

    Args:
        path: the campaign file.
        table: a data file that takes the place of the file's pool and replayed table.
        name: takes the place of the file's name.
        seed: takes the place of the file's seed.

    Raises:
        InputError: with one clear message that names file, line and field, and says how to mend it.
    """
    document = parse(_read(path), str(path))
    if not isinstance(document.data, dict):
        raise InputError(f"{path}:1: a campaign file is a block of keys: `name: ...`, `space: ...`.", file=str(path))
    document.data.update({key: value for key, value in (("name", name), ("seed", seed)) if value is not None})
    try:
        file = CampaignFile.model_validate(document.data)
    except ValidationError as error:
        raise refuse(document, problems_of(error, document)) from None
    importable(file, path.parent)
    if isinstance(file.lab, Located):
        file = file.model_copy(update={"lab": file.lab.located(path.parent.resolve())})
    try:
        return Definition.of(file, _sources(file, path.parent, table))
    except InputError as problem:
        if problem.file is not None:
            raise
        raise refuse(document, [own_problem(problem, document)]) from problem
    except StrategyError as problem:
        raise refuse(document, [own_problem(problem, document)]) from problem
    except AcquisitionError as problem:
        raise refuse(document, [own_problem(problem, document, ("space",))]) from problem
    except (InstrumentsError, SimulatorsError) as problem:
        base: tuple[str, ...] = ("space",) if problem.field == "parameters" else ("lab",)
        raise refuse(document, [own_problem(problem, document, base)]) from problem


def _sources(file: CampaignFile, folder: Path, replacement: Path | None) -> dict[str, Table]:
    """Read the data files, each once."""
    named = table_paths(file)
    if replacement is not None and not any(key in named for key in REPLACED):
        raise InputError(
            "a table is given, but this campaign has neither a pool nor a replayed table.",
            mend="Leave the option --table out.",
        )
    read: dict[Path, Table] = {}
    sources: dict[str, Table] = {}
    for key, name in named.items():
        field = "space.pool" if key == POOL else key
        path = replacement if replacement is not None and key in REPLACED else folder / name
        if path not in read:
            read[path] = read_table(_read(path, field=field), path.name, field)
        sources[key] = read[path]
    return sources


def _read(path: Path, *, field: str | None = None) -> bytes:
    """The bytes of the campaign file, or of the data file that its ``field`` names."""
    mend = "Correct the path (it is relative to the campaign file), or name the file with --table PATH."
    try:
        return path.read_bytes()
    except FileNotFoundError:
        text = f"the file {path} does not exist."
    except IsADirectoryError:
        text = f"{path} is a folder, not a file."
    except OSError as problem:
        text, mend = f"the file {path} cannot be read: {problem.strerror}.", "Check its permissions."
    if field is None:
        raise InputError(text, file=str(path))
    raise InputError(text, field=field, mend=mend)
