"""Independent programs that speak the same protocols, each in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
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
