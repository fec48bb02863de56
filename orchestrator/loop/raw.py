"""Raw signals as files: written before anything is computed from them, and checked when they are read."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import pandas as pd

from instruments.errors import LabError
from instruments.lab import Measurement
from orchestrator.campaign.places import MANIFEST
from orchestrator.errors import RawSignalsError

METADATA, REPORT = "metadata.json", "reduction.json"
VERSION: Final = 1
NESTED: Final = 3
"""Folders above that of an attempt which its first file may have made."""
_SUFFIX: Final = ".parquet"

Fetch = Callable[[str], bytes]
"""Gives the content of a file by its name; raises :class:`FileNotFoundError` where there is none."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an attempt measured, file by file; it is written last, so that signals with a manifest are complete.

    Attributes:
        digest: SHA-256 over the names and contents of the signals in the order of their names, then of the metadata.
        files: SHA-256 of each file.
        about: the attempt: campaign, experiment, number, cell, sample, settings, duration in s.
    """

    digest: str
    files: Mapping[str, str]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """How long the attempt had taken by the laboratory's clock when its signals were complete, s."""
        return float(self.about.get("duration", 0.0))

    def content(self) -> bytes:
        """As a file."""
        values = {"version": VERSION, "digest": self.digest, "files": dict(self.files), **self.about}
        return json.dumps(values, allow_nan=False, ensure_ascii=False, indent=1).encode()

    @classmethod
    def of(cls, content: bytes, where: str) -> Manifest:
        """From a file.

        Raises:
            RawSignalsError: it is none.
        """
        try:
            about = json.loads(content)
            files, digest = dict(about.pop("files")), str(about.pop("digest"))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RawSignalsError(
                f"{where}/{MANIFEST} is no manifest of raw signals.",
                field="files",
                mend="Restore the folder from a copy.",
            ) from None
        return cls(digest, files, about)


def write(measurement: Measurement, folder: Path, about: Mapping[str, Any], *, durable: bool = True) -> Manifest:
    """Write each signal of a measurement to a Parquet file of its own, its metadata as JSON, and last a manifest.

    Whatever happens meanwhile, a folder with a manifest holds all that the manifest names. What stood there before goes
    only once all of the new is written.

    Args:
        measurement: with the signals.
        folder: of the attempt, made where there is none.
        about: the attempt, as JSON values.
        durable: wait until everything is on the disk, so that it survives a loss of power.

    Raises:
        LabError: the metadata are no JSON values.
        OSError: something could not be written; what stood there is unchanged.
    """
    contents = {
        f"{quote(name, safe=' ')}{_SUFFIX}": _parquet(measurement.signals[name]) for name in _names(measurement)
    }
    if measurement.metadata:
        contents[METADATA] = encode(measurement.metadata, "metadata")
    digest = _digest(contents)
    manifest = Manifest(digest, {name: _sha256(content) for name, content in contents.items()}, about)
    folder.mkdir(parents=True, exist_ok=True)
    _put_together(folder, {**contents, MANIFEST: manifest.content()}, durable)
    return manifest


def _put_together(folder: Path, contents: Mapping[str, bytes], durable: bool) -> None:
    """Write files, the manifest last, of which none gets its name before all are written."""
    drafts = {name: folder / f".{name}.tmp" for name in contents}
    try:
        for name, content in contents.items():
            _put(drafts[name], content, durable)
    except OSError:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
        raise
    (folder / MANIFEST).unlink(missing_ok=True)  # what it named is about to change
    for name, draft in drafts.items():
        draft.replace(folder / name)
    if durable:
        _sync_folders(folder)


def place(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader finds its former content or the new one.

    Raises:
        OSError: it could not be written; what stood there is unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        _put(temporary, content, durable)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folders(path.parent)


def manifest_of(folder: Path) -> Manifest | None:
    """The manifest of a folder; ``None`` where its signals are not complete.

    Raises:
        RawSignalsError: there is one that cannot be read.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Manifest.of(content, str(folder))


def read(fetch: Fetch, manifest: Manifest, where: str) -> Measurement:
    """A measurement as :func:`write` left it, each file checked against its hash.

    Args:
        fetch: gives the files.
        manifest: that names them.
        where: they are, for messages.

    Raises:
        RawSignalsError: a file is missing or has changed.
        OSError: the files are out of reach.
    """
    contents: dict[str, bytes] = {}
    for name in manifest.files:
        with suppress(FileNotFoundError):
            contents[name] = fetch(name)
    check(contents, manifest, where)
    return _measurement(contents)


def check(contents: Mapping[str, bytes], manifest: Manifest, where: str) -> None:
    """Compare files with the hashes of a manifest.

    Args:
        contents: by name; there may be others.
        manifest: that names them.
        where: they are, for messages.

    Raises:
        RawSignalsError: a file is missing or has changed.
    """
    for name, expected in manifest.files.items():
        if name not in contents:
            raise RawSignalsError(
                f"{where}/{name} is missing.", field="files", mend="Restore it from a copy; nothing was changed."
            )
        if _sha256(contents[name]) != expected:
            raise _changed(f"{where}/{name} has", "its hash is another than when it was written")
    if _digest({name: contents[name] for name in manifest.files}) != manifest.digest:
        raise _changed(f"{where}/{MANIFEST} has", "its files are not those of its hash")


def read_unlisted(folder: Path, digest: str | None) -> Measurement:
    """A measurement of a release that wrote no manifests.

    Args:
        folder: of the attempt.
        digest: that the store has of it.

    Raises:
        RawSignalsError: there are no signals, or they have changed.
    """
    contents = {path.name: path.read_bytes() for path in sorted(folder.glob(f"*{_SUFFIX}"))}
    if not contents or digest is None:
        raise RawSignalsError(
            f"{folder} holds no complete raw signals{_fragments(folder)}.",
            field="files",
            mend="What is known otherwise can be entered with `sabatier tell`.",
        )
    if (folder / METADATA).is_file():
        contents[METADATA] = (folder / METADATA).read_bytes()
    if _digest(contents) != digest:
        raise _changed(f"the raw signals in {folder} have", "their hash is another than the store has")
    return _measurement(contents)


def encode(values: Mapping[str, object], what: str) -> bytes:
    """Values as a JSON file.

    Raises:
        LabError: they are no JSON values.
    """
    try:
        return json.dumps(values, allow_nan=False, ensure_ascii=False, indent=1).encode()
    except (TypeError, ValueError) as problem:
        raise LabError(
            f"the {what} of a measurement cannot be written as JSON: {problem}.",
            field=what,
            mend="Use texts, finite numbers, lists and dicts.",
        ) from None


def _names(measurement: Measurement) -> list[str]:
    return sorted(measurement.signals)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def _measurement(contents: Mapping[str, bytes]) -> Measurement:
    signals = {
        unquote(name.removesuffix(_SUFFIX)): pd.read_parquet(io.BytesIO(content))
        for name, content in contents.items()
        if name.endswith(_SUFFIX)
    }
    return Measurement(signals, json.loads(contents[METADATA]) if METADATA in contents else {})


def _digest(contents: Mapping[str, bytes]) -> str:
    """Over the signals by their own names, and the metadata last: the same in every release."""
    digest = hashlib.sha256()
    signals = {unquote(name.removesuffix(_SUFFIX)): content for name, content in contents.items() if name != METADATA}
    for name in sorted(signals):
        digest.update(name.encode())
        digest.update(signals[name])
    if METADATA in contents:
        digest.update(METADATA.encode())
        digest.update(contents[METADATA])
    return digest.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _fragments(folder: Path) -> str:
    """What there is instead."""
    found = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
    return f" (there is {', '.join(found)})" if found else ""


def _changed(what: str, why: str) -> RawSignalsError:
    return RawSignalsError(
        f"{what} changed: {why}.", field="files", mend="Restore the folder from a copy; nothing was changed."
    )


def _put(path: Path, content: bytes, durable: bool) -> None:
    with path.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _sync_folders(folder: Path) -> None:
    """Put the names of a folder on the disk, and its own name in those above it, which may be new."""
    if os.name == "nt":  # Windows opens no folders; there renaming itself is journaled
        return
    for each in (folder, *list(folder.parents)[:NESTED]):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
