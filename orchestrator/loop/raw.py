"""Raw signals are written to files before anything is recorded of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from instruments.lab import Measurement


def write(measurement: Measurement, folder: Path) -> str:
    """Write each signal of a measurement to a Parquet file of its own.

    Returns:
        SHA-256 over names and contents of the files, in the order of the names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for name in sorted(measurement.signals):
        path = folder / f"{name}.parquet"
        measurement.signals[name].to_parquet(path)
        digest.update(name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
