"""The nearest known word, for messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MANY = 12
"""So many known words are listed in a message; of more, only the first ones."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that resembles ``word`` most, or ``None`` where none does."""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[match[0]] if match else None


def listed(known: Iterable[str]) -> str:
    """The known words in one line, cut where there are many."""
    words = list(known)
    return ", ".join(words[:MANY]) + (f", ... ({len(words)} in all)" if len(words) > MANY else "")


def unknown(kind: str, word: object, known: Iterable[str], *, all_known: bool = True) -> str:
    """A sentence that names an unknown word, the nearest known one, and what else there is.

    Args:
        kind: what the word should have named, such as ``"metric"``.
        word: what was given.
        known: what there is.
        all_known: list all known words even where a near one was found.
    """
    words = list(known)
    near = nearest(str(word), words)
    hint = f"; did you mean {near!r}?" if near else "."
    rest = f" Known: {listed(words)}." if words and (all_known or near is None) else ""
    return f"unknown {kind} {word!r}{hint}{rest}"
