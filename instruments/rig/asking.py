"""Asking a person: a question in the rig's folder, which waits for its answer, however long that takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from instruments.errors import LabError
from instruments.rig.halting import write_whole

if TYPE_CHECKING:
    from instruments.rig.procedures.execution import Execution

logger = logging.getLogger(__name__)

LOOK: Final = 0.2
"""Real s, between looks for an answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that a person is asked to do.

    Attributes:
        id: by which it is answered.
        text: what to do.
        asked: since when, ISO 8601 in UTC.
    """

    id: str
    text: str
    asked: str


def questions(folder: Path) -> tuple[Question, ...]:
    """Those of a rig that wait for an answer, the oldest first."""
    found = []
    for path in sorted(_home(folder).glob("*.json")):
        content = _read(path)
        if "answered" not in content:
            found.append(Question(path.stem, str(content["text"]), str(content["asked"])))
    return tuple(sorted(found, key=lambda question: question.asked))


def answer(folder: Path, id: str, who: str) -> None:
    """Say that it is done.

    Raises:
        LabError: there is no such question.
    """
    path = _home(folder) / f"{id}.json"
    if not path.is_file():
        known = ", ".join(question.id for question in questions(folder)) or "none"
        raise LabError(f"nobody asks {id!r}.", field="question", mend=f"Waiting: {known}.")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_whole(path, json.dumps({**_read(path), "answered": now, "by": who}) + "\n")


def ask(run: Execution, text: str) -> str:
    """Ask, and wait for the answer; ends with the execution.

    Returns:
        Who answered.
    """
    path = _home(run.rig.folder) / f"{run.label}-{run.cell}.json"
    write_whole(path, json.dumps({"text": text, "asked": datetime.now(UTC).isoformat(timespec="milliseconds")}) + "\n")
    logger.warning("%s waits for a person: %s", run.cell, text)
    try:
        while True:
            content = _read(path)
            if "answered" in content:
                return str(content.get("by", ""))
            run.wait(LOOK * run.rig.clock.pace)
    finally:
        path.unlink(missing_ok=True)


def _home(folder: Path) -> Path:
    return folder / "questions"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise LabError(f"{path.name} cannot be read: {problem}.", field="question") from problem
    if not isinstance(content, dict) or not {"text", "asked"} <= set(content):
        raise LabError(f"{path.name} is no question.", field="question", mend="Delete it.")
    return content
