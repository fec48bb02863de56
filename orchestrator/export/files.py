"""Writes files so that a reader finds the old content or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import InputError


def write_atomically(contents: Mapping[Path, bytes]) -> list[Path]:
    """Write files, all of them on disk before the first takes its name.

    Folders are made. A symbolic link stays one: the file that it points to is replaced.

    Args:
        contents: path to bytes; in the order in which the files take their names.

    Returns:
        The paths, as given.

    Raises:
        InputError: a path cannot be written; what stood there before is unchanged.
    """
    staged: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, content in contents.items():
            staged.append((_stage(path, content), path))
        for temporary, path in staged:
            temporary.replace(path.resolve())
    except OSError as problem:
        raise _unwritable(path, problem) from problem
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    return list(contents)


def _stage(path: Path, content: bytes) -> Path:
    """Write beside the final place: only within one file system is renaming atomic."""
    final = path.resolve()
    if final.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _unwritable(path: Path, problem: OSError) -> InputError:
    if isinstance(problem, IsADirectoryError):
        return InputError(f"{path} is a folder.", field="output", mend="Give the name of a file in it.", file=str(path))
    return InputError(
        f"{path} cannot be written: {problem.strerror or problem}.",
        field="output",
        mend="Choose another place, or close the program that has the file open.",
        file=str(path),
    )
