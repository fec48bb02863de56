"""Raw signals are written to files before anything is recorded of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import pandas as pd

from instruments.errors import LabError
from instruments.lab import Measurement, Outcome

METADATA, REPORT = "metadata.json", "reduction.json"
_SUFFIX: Final = ".parquet"


def write(measurement: Measurement, folder: Path) -> str:
    """Write each signal of a measurement to a Parquet file of its own, and its metadata as JSON.

    Returns:
        SHA-256 over names and contents of the files, in the order of the names.

    Raises:
        LabError: the metadata are no JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for name in sorted(measurement.signals):
        path = folder / f"{quote(name, safe=' ')}{_SUFFIX}"  # a signal's name may hold a slash
        measurement.signals[name].to_parquet(path)
        digest.update(name.encode())
        digest.update(path.read_bytes())
    if measurement.metadata:
        content = _json(measurement.metadata, "metadata")
        (folder / METADATA).write_bytes(content)
        digest.update(METADATA.encode())
        digest.update(content)
    return digest.hexdigest()


def keep(outcome: Outcome, folder: Path) -> str | None:
    """Write the raw signals of an outcome, and beside them what their reduction found.

    Returns:
        What :func:`write` returns; ``None`` where there are no raw signals.

    Raises:
        LabError: the metadata or the report cannot be written as JSON.
    """
    if outcome.measurement is None:
        return None
    digest = write(outcome.measurement, folder)
    if outcome.observation is not None and outcome.observation.report:
        (folder / REPORT).write_bytes(_json(outcome.observation.report, "report"))
    return digest


def read(folder: Path) -> Measurement:
    """A measurement as :func:`write` left it.

    Raises:
        FileNotFoundError: there is no signal in the folder.
    """
    paths = sorted(folder.glob(f"*{_SUFFIX}"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no raw signals")
    metadata = folder / METADATA
    return Measurement(
        {unquote(path.stem): pd.read_parquet(path) for path in paths},
        json.loads(metadata.read_bytes()) if metadata.is_file() else {},
    )


def _json(values: Mapping[str, object], what: str) -> bytes:
    try:
        return json.dumps(values, allow_nan=False, ensure_ascii=False, indent=1).encode()
    except (TypeError, ValueError) as problem:
        raise LabError(
            f"the {what} of a measurement cannot be written as JSON: {problem}.",
            field=what,
            mend="Use texts, finite numbers, lists and dicts.",
        ) from None
