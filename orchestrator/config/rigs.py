"""Rig files: read, checked, with errors that name file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from instruments.errors import InstrumentsError
from instruments.rig.file import RigFile
from orchestrator.config.document import Document, parse
from orchestrator.config.problems import own_problem, refuse
from orchestrator.errors import InputError


def read_rig(path: Path) -> tuple[RigFile, dict[str, Any]]:
    """Read and check a rig file.

    Args:
        path: of the YAML file.

    Returns:
        The rig, and the file's plain data.

    Raises:
        InputError: with one clear message that names file, line and field, and says how to mend it.
    """
    document = document_of(path)
    try:
        return RigFile.parse(document.data), document.data
    except InstrumentsError as problem:
        raise refuse(document, [own_problem(problem, document)]) from problem


def document_of(path: Path) -> Document:
    """The file as plain data, unchecked.

    Raises:
        InputError: it cannot be read, or is no mapping in YAML.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise InputError(f"the rig file {path} cannot be read: {problem.strerror}.", file=str(path)) from problem
    document = parse(content, str(path))
    if not isinstance(document.data, dict):
        raise InputError(f"{path}:1: a rig file is a block of keys: `name: ...`, `devices: ...`.", file=str(path))
    return document
