"""A folder into which results are put: each file is taken once, when it is completely written, and none is lost.

Files go to ``taken``, ``rejected`` (with a file that says why) or ``unmatched`` (labels that nobody has given yet).
What is taken is handed out until whoever collects says that it is kept, also after a crash.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from threading import RLock
from typing import Final

from instruments.drivers.handoff.labels import Label, normal, verified
from instruments.drivers.handoff.ledger import NAME, Key, Ledger
from instruments.drivers.handoff.results import LARGEST, Result, ResultMapping, lines_of, parse
from instruments.errors import LabError, ReaderError

logger = logging.getLogger(__name__)

TAKEN, REJECTED, UNMATCHED, LABELS = "taken", "rejected", "unmatched", "labels"
UNFINISHED: Final = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp")
"""Endings of files that are still being written; renaming them says that they are complete."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Results of one file.

    Attributes:
        sha256: of its content; names it when the results are kept.
        file: its name when it came.
        path: where it is now.
        results: by label, those that no earlier file told.
    """

    sha256: str
    file: str
    path: Path
    results: Mapping[Label, tuple[Result, ...]]


@dataclass(frozen=True, slots=True)
class _Look:
    size: int
    modified: int
    since: float


class ResultFolder:
    """The watched folder. Threads may share it; processes may not.

    Args:
        folder: into which analysts put their files; its subfolders are made.
        mapping: what the columns hold.
        settle: seconds for which a file must not have changed.
    """

    def __init__(self, folder: Path, mapping: ResultMapping, settle: float) -> None:
        self.folder, self._mapping, self._settle = folder, mapping, settle
        for name in (TAKEN, REJECTED, UNMATCHED, LABELS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(folder)
        self._looks: dict[int, _Look] = {}
        self._lock = RLock()

    def give(self, label: Label) -> Path:
        """Note a label, and write it as a text to be printed; files that waited for it are looked at again."""
        with self._lock:
            self.ledger.give(label)
            card = self.folder / LABELS / f"{label.text}.txt"
            _write_whole(
                card,
                f"{label.text}\ncampaign {label.campaign}, experiment {label.experiment}, attempt {label.attempt},"
                f" sample {label.sample}\n",
            )
            for path in sorted((self.folder / UNMATCHED).iterdir()):
                if not path.name.endswith(".reason.txt") and label.text.upper() in normal(_text(path)):
                    path.replace(self._free(self.folder, path.name))
                    path.with_name(f"{path.name}.reason.txt").unlink(missing_ok=True)
            return card

    def collect(self) -> tuple[Taken, ...]:
        """Take what is complete, and hand out all that is not kept yet, the oldest first."""
        with self._lock:
            for path in self._complete():
                try:
                    self._take(path)
                except OSError as problem:
                    logger.warning("%s cannot be taken yet: %s", path, problem)
            return tuple(self._handed(sha256) for sha256, stored in self.ledger.taken.items() if not stored.done)

    def keep(self, sha256: str) -> None:
        """The results of a file are kept: they are not handed out again.

        Raises:
            LabError: there is no such file.
        """
        with self._lock:
            if sha256 not in self.ledger.taken:
                raise LabError(f"no file with the digest {sha256[:12]} was taken.", field="sha256")
            if not self.ledger.taken[sha256].done:
                self.ledger.finish(sha256)

    # Inside

    def _complete(self) -> list[Path]:
        """Files that have not changed for long enough, by their inode: a file that is renamed keeps its time."""
        now, seen, complete = time.monotonic(), {}, []
        for path in sorted(self.folder.iterdir()):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if not path.is_file() or path.name == NAME:
                continue
            look = self._looks.get(found.st_ino)
            if look is None or (look.size, look.modified) != (found.st_size, found.st_mtime_ns):
                look = _Look(found.st_size, found.st_mtime_ns, now)
            seen[found.st_ino] = look
            writing = path.name.startswith((".", "~$")) or path.suffix.lower() in UNFINISHED
            if not writing and now - look.since >= self._settle:
                complete.append(path)
        self._looks = seen
        return complete

    def _take(self, path: Path) -> None:
        if path.stat().st_size > LARGEST:
            self._reject(path, f"It has more than {LARGEST} bytes. Export the results alone.")
            return
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        known = self.ledger.taken.get(sha256)
        if known is not None and not (self.folder / TAKEN / known.stored).exists():
            path.replace(self.folder / TAKEN / known.stored)  # a crash came between ledger and moving
            return
        if known is not None:
            self._reject(path, f"It has the same content as {known.file}, which was taken already.")
            return
        try:
            results = parse(data, self._mapping, path.name)
        except ReaderError as problem:
            self._reject(path, f"{problem}\nfield: {problem.field}")
            return
        strangers = {r.label for r in results if normal(r.label) not in self.ledger.labels}
        new, conflict = self._new([r for r in results if r.label not in strangers])
        if conflict is not None:
            self._reject(path, conflict)
        elif strangers and not new:
            self._move(path, UNMATCHED, self._strange(strangers))
        elif not new:
            self._reject(path, "All its results were told by earlier files.")
        else:
            if strangers:
                self._split(path, data, sha256, strangers)
            stored = f"{sha256[:12]}-{path.name}"
            self.ledger.take(sha256, path.name, stored, new)
            path.replace(self.folder / TAKEN / stored)

    def _new(self, results: Iterable[Result]) -> tuple[list[Result], str | None]:
        """Those that no earlier file told, and a sentence where one contradicts an earlier file."""
        groups: dict[Key, list[Result]] = {}
        for result in results:
            groups.setdefault((normal(result.label), result.compartment, result.species), []).append(result)
        new = []
        for key, group in groups.items():
            told = self.ledger.told.get(key)
            if told is None:
                new += group
            elif Counter(told) != Counter(r.concentration for r in group):
                line, label = group[0].line, group[0].label
                return [], (
                    f"Line {line}: {key[2]} of {label} in the {key[1]} was told by an earlier file with another value."
                    " Amend the experiment's result instead, or remove the line."
                )
        return new, None

    def _strange(self, labels: Iterable[str]) -> str:
        sentences = []
        for label in sorted(labels):
            near = get_close_matches(normal(label), self.ledger.labels, n=1, cutoff=0.8)
            slip = "" if verified(label) else " Its check character is wrong."
            mend = f" Did you mean {self.ledger.labels[near[0]].text}?" if near else ""
            sentences.append(f"{label!r} is no label that was given.{slip}{mend}")
        return "\n".join(sentences)

    def _split(self, path: Path, data: bytes, sha256: str, strangers: set[str]) -> None:
        """Keep rows of unknown labels as a file of their own, before the rest is taken."""
        table = lines_of(data, self._mapping, path.name)
        column = table.header.index(self._mapping.sample)
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self._mapping.separator, lineterminator="\r\n")
        for _ in range(self._mapping.header - 1):
            out.write("\r\n")
        writer.writerow(table.header)
        writer.writerows(row for _, row in table.rows if row[column] in strangers)
        rest = self.folder / UNMATCHED / f"{sha256[:12]}-rest-{path.name}"
        encoding = "utf-8" if self._mapping.encoding == "utf-8" else self._mapping.encoding
        _write_whole(rest, out.getvalue(), encoding)
        _write_whole(rest.with_name(f"{rest.name}.reason.txt"), self._strange(strangers) + "\n")

    def _reject(self, path: Path, why: str) -> None:
        logger.warning("%s is rejected: %s", path, why)
        self._move(path, REJECTED, why)

    def _move(self, path: Path, where: str, why: str) -> None:
        target = self._free(self.folder / where, path.name)
        _write_whole(target.with_name(f"{target.name}.reason.txt"), why + "\n")
        path.replace(target)

    def _handed(self, sha256: str) -> Taken:
        stored = self.ledger.taken[sha256]
        groups: dict[Label, list[Result]] = {}
        for result in stored.results:
            groups.setdefault(self.ledger.labels[normal(result.label)], []).append(result)
        path, results = self.folder / TAKEN / stored.stored, {label: tuple(all_) for label, all_ in groups.items()}
        return Taken(sha256, stored.file, path, results)

    @staticmethod
    def _free(folder: Path, name: str) -> Path:
        """A name that nothing has yet."""
        path, number = folder / name, 1
        while path.exists():
            number += 1
            path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
        return path


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1").replace("\0", "")


def _write_whole(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a file so that nobody sees a part of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding=encoding, newline="")
    part.replace(path)
