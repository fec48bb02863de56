"""Where things lie that belong to a store."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from orchestrator.campaign.places import files_of, spool_of


def place(url: str) -> Path:
    return files_of(SimpleNamespace(url=url))


def test_beside_a_file(tmp_path):
    assert place(f"sqlite:///{tmp_path}/store.db") == tmp_path / "files"
    assert spool_of(SimpleNamespace(url=f"sqlite:///{tmp_path}/store.db")) == tmp_path / "spool"


def test_the_same_for_a_database_wherever_a_process_was_started(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        found.add(place("postgresql://ada@db.lab/co2"))
    (one,) = found
    assert one.name == "files"
    assert one.parent.parent == tmp_path / ".local" / "share" / "sabatier"
    assert one.parent.name.startswith("co2-")


def test_databases_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    urls = [
        f"postgresql://ada@{rest}" for rest in ("db.lab/co2", "db.lab/co", "db.lab:5433/co2", "lab/co2?options=a/b")
    ]
    found = {place(url) for url in urls}
    assert len(found) == len(urls)
    assert {path.parents[2] for path in found} == {tmp_path}


def test_a_relative_data_home_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "here")
    assert tmp_path in place("postgresql://h/d").parents
