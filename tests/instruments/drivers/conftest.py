"""Independent programs that speak the same protocols, each in an environment of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], Path]:
    """The interpreter of an environment that holds an independent program.

    ``SABATIER_ORACLES`` names a folder with one virtual environment for each, or one interpreter that has them all.
    """

    def interpreter(name: str) -> Path:
        place = os.environ.get("SABATIER_ORACLES")
        if place is None:
            pytest.skip("SABATIER_ORACLES names no folder of environments with independent programs")
        found = Path(place) if Path(place).is_file() else Path(place) / name / "bin" / "python"
        if not found.is_file():
            pytest.skip(f"there is no environment {name!r} in SABATIER_ORACLES")
        return found

    return interpreter


@pytest.fixture(scope="session")
def ask_oracle(oracle) -> Callable[..., Any]:
    """Run a program in such an environment: what it prints last, as JSON."""

    def run(name: str, program: str, *arguments: str, package: str, given: str | None = None) -> Any:
        python = oracle(name)
        if subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode:
            pytest.skip(f"the environment {name!r} in SABATIER_ORACLES has no {package}")
        done = subprocess.run(
            [python, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False, input=given
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


PIECES = (b"null", b"true", b"1e999", b"-", b'"', b"{", b"]", b",", b"[" * 5000, b"\xff\xfe", b"\\ud800", b"\x00")


@pytest.fixture
def malformed() -> Callable[..., Iterator[bytes]]:
    """Answers that are damaged in some places, cut, or nothing but noise; always the same ones."""

    def answers(good: bytes, count: int) -> Iterator[bytes]:
        source = random.Random(count)
        for _ in range(count):
            if source.random() < 0.05:
                yield source.randbytes(source.randint(0, 200))
                continue
            data = bytearray(good)
            for _ in range(source.randint(1, 8)):
                place = source.randrange(len(data) + 1)
                match source.randrange(5):
                    case 0:
                        data[place:place] = source.choice(PIECES)
                    case 1:
                        del data[place : place + source.randint(1, 40)]
                    case 2:
                        data[place:place] = source.randbytes(2)
                    case 3 if data:
                        data[min(place, len(data) - 1)] = source.randrange(256)
                    case 4 if source.random() < 0.3:
                        del data[place:]
            yield bytes(data)

    return answers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs over a socket anyway runs over a pseudo-terminal too where there is time."""
    for item in items:
        variant = item.name.partition("[")[2].rstrip("]").split("-")
        if item.path.is_relative_to(Path(__file__).parent) and "pty" in variant:
            item.add_marker(pytest.mark.soak)
