"""What became of each label and each file: lines of JSON that are only ever added, on the disk before they count."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from instruments.drivers.handoff.labels import Label, normal
from instruments.drivers.handoff.results import Result
from instruments.errors import LabError

Key: TypeAlias = tuple[str, str, str]
"""Label as compared, compartment, species: what can be told once."""

NAME: Final = "ledger.jsonl"


@dataclass
class Stored:
    """A file that was taken.

    Attributes:
        file: its name when it came.
        stored: its name in the folder of taken files.
        results: those that were not told by an earlier file.
        done: whether whoever collects has said that it keeps the results.
    """

    file: str
    stored: str
    results: tuple[Result, ...]
    done: bool = False


class Ledger:
    """The ledger of one folder.

    Args:
        folder: in which it lies.

    Raises:
        LabError: a line before the last one is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self.labels: dict[str, Label] = {}
        self.taken: dict[str, Stored] = {}
        self.told: dict[Key, list[float]] = {}
        self._load()

    def give(self, label: Label) -> None:
        """A label was given to a sample.

        Raises:
            LabError: it was given to another one.
        """
        known = self.labels.get(normal(label.text))
        if known == label:
            return
        if known is not None:
            raise LabError(
                f"the label {label.text} was given to sample {known.sample!r} of campaign {known.campaign!r} already.",
                field="sample",
                mend="Choose ids and names that differ by more than signs.",
            )
        self._write(
            event="label",
            text=label.text,
            campaign=label.campaign,
            experiment=label.experiment,
            attempt=label.attempt,
            sample=label.sample,
        )

    def take(self, sha256: str, file: str, stored: str, new: Iterable[Result]) -> None:
        """A file is taken, with results that no earlier one told."""
        self._write(event="taken", sha256=sha256, file=file, stored=stored, results=[asdict(result) for result in new])

    def finish(self, sha256: str) -> None:
        """Whoever collects keeps the results of a file."""
        self._write(event="done", sha256=sha256)

    def _write(self, **event: Any) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        torn = self._path.exists() and not self._path.read_bytes().endswith(b"\n") and self._path.stat().st_size > 0
        with self._path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._apply(event)

    def _load(self) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").split("\n")
        whole = lines[-1] == ""
        lines = [line for line in lines if line]
        for number, line in enumerate(lines, start=1):
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError) as problem:
                if number == len(lines) and not whole:
                    return  # a crash cut it before it counted
                if _is_torn(line):
                    continue
                raise LabError(
                    f"{self._path}, line {number}: it is no entry of a ledger ({problem}).",
                    field="folder",
                    mend="Restore the file from a copy; files that were taken are in `taken`.",
                ) from problem

    def _apply(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "label":
                label = Label(
                    event["text"], event["campaign"], int(event["experiment"]), int(event["attempt"]), event["sample"]
                )
                self.labels[normal(label.text)] = label
            case "taken":
                results = tuple(Result(**result) for result in event["results"])
                self.taken[event["sha256"]] = Stored(event["file"], event["stored"], results)
                for result in results:
                    key = (normal(result.label), result.compartment, result.species)
                    self.told.setdefault(key, []).append(result.concentration)
            case "done":
                self.taken[event["sha256"]].done = True
            case other:
                raise ValueError(f"event {other!r}")


def _is_torn(line: str) -> bool:
    """Whether a line is the beginning of an entry, which a crash cut and a later entry followed."""
    return line.startswith('{"event"') and not line.endswith("}")
