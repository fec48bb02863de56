import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "loop")]

from post_office import HttpPost, SmtpPost  # noqa: E402


@pytest.fixture
def http():
    with HttpPost() as post:
        yield post


@pytest.fixture
def smtp():
    with SmtpPost() as post:
        yield post


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """No addresses but those of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for variable in ("SABATIER_NOTIFY_FILE", "SABATIER_NOTIFY_ONCALL"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path
