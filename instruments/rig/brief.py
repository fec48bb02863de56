"""Many problems in few words: one sentence, and a line for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

WIDTH: Final = 160
"""Characters of a line."""

_Problem = TypeVar("_Problem", bound=Exception)


def brief(name: str, text: str, width: int = WIDTH) -> str:
    """What is wrong with a device, in one line of at most ``width`` characters.

    Args:
        name: of the device, which begins the line.
        text: in words; may begin with the name too.
        width: of the line.
    """
    line = " ".join(f"{name}: {text.removeprefix(f'{name}: ')}".split())
    return line if len(line) <= width else line[: width - 3].rstrip(" .") + "..."


def with_notes(problem: _Problem, details: Mapping[str, str]) -> _Problem:
    """The exception, with a note for each device: its message can then be one sentence."""
    for name, text in details.items():
        problem.add_note(brief(name, text))
    return problem
