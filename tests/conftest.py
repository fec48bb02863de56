"""What all tests share: a Prefect of their own, and the shared data where they are there."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_prefect(tmp_path_factory):
    """No test touches the user's Prefect."""
    kept = {name: os.environ.get(name) for name in ("PREFECT_HOME", "SABATIER_STORE", "PREFECT_API_URL")}
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.getbasetemp().parent / "prefect")
    os.environ.pop("SABATIER_STORE", None)
    os.environ.pop("PREFECT_API_URL", None)
    yield
    for name, value in kept.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server of this session's own. A test that kills it starts it again."""
    from tests.postgres import PostgresServer, missing

    if (reason := missing()) is not None:
        pytest.skip(reason)
    # the server's user could not enter pytest's own folders
    folder = Path(tempfile.mkdtemp(prefix="sabatier-postgres-"))
    try:
        server = PostgresServer(folder)
        yield server
        server.kill()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server):
    """Address of an empty PostgreSQL database of the test's own."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared data are not beside this project")
    return SHARED


@pytest.fixture(scope="session")
def python_with():
    """Finds a Python that has a package against which drivers and emulators are checked, and that cannot live here.

    ``SABATIER_ORACLES`` names such a Python, or a folder of virtual environments. Called with the package's import name,
    the fixture gives the interpreter, or skips.
    """
    known: dict[str, str | None] = {}

    def has(python: Path, package: str) -> bool:
        seek = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
        return subprocess.run([python, "-c", seek], check=False, capture_output=True, timeout=60).returncode == 0

    def find(package: str) -> str:
        if package not in known:
            named = os.environ.get("SABATIER_ORACLES")
            place = Path(named) if named else None
            pythons = [] if place is None else sorted(place.glob("*/bin/python")) if place.is_dir() else [place]
            found = (str(python) for python in [Path(sys.executable), *pythons] if has(python, package))
            known[package] = next(found, None)
        if (python := known[package]) is None:
            pytest.skip(f"{package} is in no Python that SABATIER_ORACLES names")
        return python

    return find
