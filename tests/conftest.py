"""What all tests share: a Prefect of their own, and the shared data where they are there."""

import os
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
def shared_data() -> Path:
    """The folder of real data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared data are not beside this project")
    return SHARED
