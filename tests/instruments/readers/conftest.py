from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments.readers import Recording, read


@pytest.fixture(scope="session")
def real(shared_data: Path) -> Path:
    """The folder of files that real instruments wrote."""
    return shared_data / "instrument_files"


@pytest.fixture(scope="session")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a file into a folder of its own; usable from property-based tests."""

    def write(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path_factory.mktemp("files") / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.fixture(scope="session")
def read_text(write: Callable[..., Path]) -> Callable[..., Recording]:
    """Read a file with some content."""

    def read_text(name: str, content: str | bytes, **options: Any) -> Recording:
        return read(write(name, content), **options)

    return read_text


def number(value: float, decimal: str) -> str:
    return repr(float(value)).replace(".", decimal)


@pytest.fixture(scope="session")
def gamry_text() -> Callable[..., str]:
    """A file as Gamry's Framework writes it."""

    def gamry_text(
        tables: Sequence[tuple[str, Mapping[str, tuple[str, Sequence[float | str]]]]],
        *,
        tag: str = "CHRONOA",
        items: Sequence[str] = (),
        after: Sequence[str] = (),
        decimal: str = ".",
        announce: bool = False,
    ) -> str:
        lines = ["EXPLAIN", f"TAG\t{tag}", "DATE\tLABEL\t3/25/2019\tDate", "TIME\tLABEL\t12:00:00\tTime", *items]
        for name, columns in tables:
            rows = list(zip(*(values for _, values in columns.values()), strict=True))
            lines.append(f"{name}\tTABLE\t{len(rows)}" if announce else f"{name}\tTABLE")
            lines.append("\tPt\t" + "\t".join(columns))
            lines.append("\t#\t" + "\t".join(unit for unit, _ in columns.values()))
            for index, row in enumerate(rows):
                fields = [value if isinstance(value, str) else number(value, decimal) for value in row]
                lines.append(f"\t{index}\t" + "\t".join(fields))
        return "\n".join([*lines, *after]) + "\n"

    return gamry_text


@pytest.fixture(scope="session")
def eclab_text() -> Callable[..., str]:
    """A file as EC-Lab exports it."""

    def eclab_text(
        columns: Mapping[str, Sequence[float]],
        *,
        technique: str = "Chronoamperometry / Chronocoulometry",
        header: Sequence[str] = ("Acquisition started on : 07/29/2020 10:31:01.250",),
        decimal: str = ".",
    ) -> str:
        top = ["EC-Lab ASCII FILE", "", "", technique, "", *header, ""]
        top[1] = f"Nb header lines : {len(top) + 1}                          "
        rows = zip(*columns.values(), strict=True)
        body = ["\t".join(number(value, decimal) for value in row) for row in rows]
        return "\n".join([*top, "\t".join(columns) + "\t", *body]) + "\n"

    return eclab_text


@pytest.fixture(scope="session")
def trace() -> dict[str, list[float]]:
    """A short electrolysis at constant potential."""
    time = [0.0, 1.0, 2.5, 4.0]
    return {"time": time, "potential": [-1.2, -1.2001, -1.1999, -1.2], "current": [-1e-2, -2e-2, -2.1e-2, -2.2e-2]}


@pytest.fixture(scope="session")
def all_known() -> Callable[[Recording], bool]:
    """Whether no value is missing, but for fractions that the instrument does not give."""

    def all_known(recording: Recording) -> bool:
        for table in recording.signals.values():
            for name in table.columns:
                values = table[name]
                if values.isna().any() and name != "fraction/1":
                    return False
                if values.dtype.kind == "f" and np.isinf(values.to_numpy()).any():
                    return False
        return True

    return all_known
