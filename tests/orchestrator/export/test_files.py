"""Files are replaced as a whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.export import files
from orchestrator.export.files import write_atomically


def test_makes_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "a.txt"
    assert write_atomically({target: b"one"}) == [target]
    write_atomically({target: b"two"})
    assert target.read_bytes() == b"two"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"old")

    def full(descriptor: int) -> None:
        if (tmp_path / "b").parent.exists() and list(tmp_path.glob(".b*.tmp")):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match=r"b cannot be written: No space left") as caught:
        write_atomically({first: b"new", second: b"new"})
    assert caught.value.field == "output"
    assert first.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        write_atomically({tmp_path: b""})


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically({tmp_path / "file" / "a": b""})


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need rights there")
def test_symbolic_links_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    write_atomically({link: b"x"})
    assert link.is_symlink()
    assert real.read_bytes() == b"x"
