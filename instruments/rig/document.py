"""Reading a rig file from disk: YAML as plain data, without tags, dates kept as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from instruments.errors import LabError
from instruments.rig.file import RigFile


def read_rig(path: Path) -> RigFile:
    """The rig file at a path.

    Raises:
        LabError: it cannot be read, is no YAML, or is wrong.
    """
    return RigFile.parse(read_yaml(path))


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A mapping from a YAML file.

    Raises:
        LabError: it cannot be read, or is no mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or problem
        raise LabError(f"{path.name} cannot be read: {why}.", field="file", mend="Check its path.") from problem
    except YAMLError as problem:
        raise LabError(f"{path.name} is no YAML: {str(problem).splitlines()[0]}.", field="file") from problem
    if not isinstance(content, dict):
        raise LabError(f"{path.name} holds no blocks.", field="file", mend="Write keys and values.")
    return {str(key): _plain(value) for key, value in content.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
