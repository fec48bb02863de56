"""Where raw signals are kept: a folder, or object storage that is fed from a folder on this computer."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from instruments.lab import Measurement
from orchestrator.campaign.places import MANIFEST, SENT, unsent
from orchestrator.errors import InputError, RawSignalsError
from orchestrator.loop import raw
from orchestrator.loop.raw import REPORT, Manifest
from orchestrator.store.records import AttemptRecord

logger = logging.getLogger(__name__)

LOCATION: Final = "location"
"""Of a manifest: where the files are to be in the end."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where raw signals are kept, a folder an attempt: ``<campaign>/<experiment>/<attempt>``.

    Attributes:
        folder: on this computer, where no object storage is named.
        spool: on this computer: what is still to be sent to object storage.
        url: of the object storage, such as ``s3://bucket/raw``; ``None``: the folder is where things stay.
        durable: wait until files are on the disk, so that they survive a loss of power.
    """

    folder: Path
    spool: Path
    url: str | None = None
    durable: bool = True

    @classmethod
    def of(cls, address: str | Path, spool: Path, *, durable: bool = True) -> Files:
        """From an address: a path, or a URL that fsspec understands.

        Raises:
            InputError: it is empty, of an unknown kind, needs a package that is missing, or holds a password.
        """
        text = str(address).strip()
        if not text:
            raise InputError("the address of the files is empty.", field="--files", mend="Give a path or a URL.")
        if "://" not in text:
            return cls(Path(text).expanduser().absolute(), spool, durable=durable)
        if urlsplit(text).username or urlsplit(text).password:
            raise InputError(
                "the address of the files holds a user's name or password, which the store would keep.",
                field="--files",
                mend="Leave them out: they belong in the environment or the configuration of that storage.",
            )
        files = cls(spool.parent / "files", spool, text.rstrip("/"), durable)
        Storage(text)
        return files

    # Where

    def location(self, campaign: str, experiment: int, number: int) -> str:
        """Where the raw signals of an attempt are going to be: what its record says."""
        parts = (campaign, f"{experiment:05d}", str(number))
        return str(self.folder.joinpath(*parts)) if self.url is None else "/".join((self.url, *parts))

    def local(self, location: str) -> Path:
        """The folder on this computer in which they are written."""
        return self.spool.joinpath(*location.rsplit("/", 3)[1:]) if "://" in location else Path(location)

    # Writing

    def keep(self, location: str, measurement: Measurement, about: Mapping[str, Any]) -> Manifest:
        """Write raw signals into the folder on this computer.

        Raises:
            LabError: the metadata are no JSON values.
            OSError: they could not be written.
        """
        return raw.write(measurement, self.local(location), {**about, LOCATION: location}, durable=self.durable)

    def revise(self, location: str, measurement: Measurement) -> tuple[str, Manifest]:
        """Write signals to which something was added beside the former ones, which stay.

        Returns:
            Where they are, with their manifest.

        Raises:
            LabError, OSError: as of :meth:`keep`.
            RawSignalsError: the manifest of the former ones cannot be read.
        """
        number, _, revision = _split(location)[1].partition(".")
        changed = beside(location, f"{number}.{int(revision or 1) + 1}")
        former = self.manifest(location)
        about = {} if former is None else dict(former.about)
        return changed, self.keep(changed, measurement, about)

    def report(self, location: str, report: Mapping[str, object]) -> None:
        """Write what a reduction found beside the signals; a warning where these are in storage that is out of reach.

        Raises:
            LabError: it is no JSON values.
            OSError: it could not be written.
        """
        content, local = raw.encode(report, "report"), self.local(location)
        if "://" not in location:
            raw.place(local / REPORT, content, durable=self.durable)
            return
        try:
            if (local / MANIFEST).is_file():
                raw.place(local / REPORT, content, durable=self.durable)
                return
        except FileNotFoundError:
            logger.debug("%s was sent this very moment", location)
        try:
            Storage(location).put({REPORT: content})
        except RawSignalsError as problem:  # the figures are recorded, and what is said about them can be found again
            logger.warning("what a reduction found is not kept beside the signals: %s", problem)

    # Reading

    def manifest(self, location: str) -> Manifest | None:
        """The manifest of an attempt; ``None`` where its signals are not complete.

        Raises:
            RawSignalsError: there is one that cannot be read, or the storage is out of reach.
        """
        if (found := raw.manifest_of(self.local(location))) is not None or "://" not in location:
            return found
        try:
            return Manifest.of(self._fetch(location, MANIFEST), location)
        except FileNotFoundError:
            return None

    def read(self, attempt: AttemptRecord) -> Measurement:
        """The raw signals of an attempt, each file checked against its hash, and all against that of the store.

        Raises:
            RawSignalsError: there are none, they are incomplete or have changed, or the storage is out of reach.
        """
        location = attempt.files
        if location is None:
            raise RawSignalsError(
                f"attempt {attempt.number} of experiment {attempt.experiment} has no raw signals.",
                field="files",
                mend="What is known otherwise can be entered with `sabatier tell`.",
            )
        manifest = self.manifest(location)
        if manifest is None:
            return raw.read_unlisted(self.local(location), attempt.digest)
        if attempt.digest not in (None, manifest.digest):
            raise RawSignalsError(
                f"the raw signals in {location} are not those that the store has the hash of.",
                field="digest",
                mend="Restore the folder from a copy; nothing was changed.",
            )
        return raw.read(lambda name: self._fetch(location, name), manifest, location)

    def _fetch(self, location: str, name: str) -> bytes:
        try:
            return (self.local(location) / name).read_bytes()
        except FileNotFoundError:
            if "://" not in location:
                raise
        return Storage(location).get(name)  # it was sent, perhaps this very moment

    # Sending

    def waiting(self, campaign: str) -> int:
        """How many attempts of a campaign wait to be sent to object storage."""
        return sum(1 for _ in unsent(self.spool, campaign))

    def send(self, campaign: str, but: Collection[str] = ()) -> int:
        """Send what waits; what object storage has taken is removed here, once it was read back.

        Args:
            campaign: whose.
            but: locations of attempts to which something may still be added.

        Returns:
            How many still wait; the log says why.
        """
        for sent in (self.spool / campaign).glob(f"*/*{SENT}"):  # a process died before it had removed it
            shutil.rmtree(sent, ignore_errors=True)  # or another removes it now
        for folder in list(unsent(self.spool, campaign)):
            try:
                manifest, contents = raw.manifest_of(folder), _contents(folder)
                if manifest is not None:
                    raw.check(contents, manifest, str(folder))
            except (OSError, RawSignalsError) as problem:  # of this one alone
                logger.warning("raw signals in %s cannot be sent: %s", folder, problem)
                continue
            if manifest is None or (location := str(manifest.about.get(LOCATION, ""))) in but:
                continue
            try:
                _send(folder, manifest, contents, location)
            except (OSError, RawSignalsError, InputError) as problem:
                logger.warning("raw signals wait in %s: %s", folder, problem)
                break  # the others would wait as long
        return self.waiting(campaign)


def _contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder, the manifest last."""
    names = sorted(each.name for each in folder.iterdir() if each.is_file() and each.suffix != ".tmp")
    names.sort(key=lambda name: name == MANIFEST)
    return {name: (folder / name).read_bytes() for name in names}


def _send(folder: Path, manifest: Manifest, contents: Mapping[str, bytes], location: str) -> None:
    """Send one attempt's files; a reader finds them complete here until they are complete there."""
    storage = Storage(location)
    storage.put(contents)
    raw.read(storage.get, manifest, location)
    sent = folder.with_name(folder.name + SENT)
    folder.rename(sent)
    if later := {name: content for name, content in _contents(sent).items() if contents.get(name) != content}:
        storage.put(later)  # a report, say, that another process wrote meanwhile
    shutil.rmtree(sent, ignore_errors=True)


class Storage:
    """One folder of an object storage, or of any other file system that fsspec knows.

    Args:
        location: its URL.

    Raises:
        InputError: there is no file system of its kind, or it needs a package that is missing.
    """

    def __init__(self, location: str) -> None:
        from fsspec.core import url_to_fs

        self._location = location
        try:
            self._system, path = url_to_fs(location)
        except (ImportError, ValueError) as problem:
            kind = location.partition("://")[0]
            raise InputError(
                f"files cannot be kept at {kind}://: {problem}.",
                field="--files",
                mend="Install the package that it names, or use another kind of address.",
            ) from problem
        self._path = str(path).rstrip("/")

    def get(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none of this name.
            RawSignalsError: the storage is out of reach.
        """
        with self._reached():
            content: bytes = self._system.cat_file(f"{self._path}/{name}")
        return content

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Write files in the order given.

        Raises:
            RawSignalsError: the storage is out of reach, or refuses them.
        """
        with self._reached():
            self._system.makedirs(self._path, exist_ok=True)
            for name, content in contents.items():
                self._system.pipe_file(f"{self._path}/{name}", content)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Each storage raises exceptions of its own, which share no root."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as problem:
            raise RawSignalsError(
                f"{self._location} is out of reach: {problem or type(problem).__name__}.",
                field="files",
                mend="Try again when that storage answers.",
            ) from problem


def beside(location: str, name: str) -> str:
    """A place beside that of an attempt."""
    above = _split(location)[0]
    return f"{above}/{name}" if "://" in location else str(Path(above) / name)


def _split(location: str) -> tuple[str, str]:
    """The folder above, and an attempt's own."""
    if "://" in location:
        above, _, own = location.rpartition("/")
        return above, own
    return str(Path(location).parent), Path(location).name
