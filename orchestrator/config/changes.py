"""What differs between two definitions of a campaign, and which differences an amendment may make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from acquisition.parameters import Categorical
from instruments.lab import Amendable
from orchestrator.config.model import PoolSpace
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.config.definition import Definition

ANOTHER: Final = "Start a linked campaign: another `name`, and `after:` with the name of this one."
MOST_SHOWN: Final = 200
"""So many characters of a value are shown."""
NAMED_BY: Final = ("name", "metric")
"""Keys by which the entries of a list are told apart."""
IDENTITY: Final = ("seed", "objectives", "after")
"""Blocks that make a campaign the one that it is."""
OF_POOLS: Final = ("parameters", "compositions", "stages", "categorical")


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that differs.

    Attributes:
        field: its dotted name, entries of a list by their names where they have some.
        was: its value before, as JSON; ``None`` where there was none.
        now: its value afterwards; ``None`` where it is gone.
    """

    field: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field}: {shown(self.was)} -> {shown(self.now)}"


def shown(value: Any) -> str:
    """A JSON value for people."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def differences(was: Any, now: Any, field: str = "") -> list[Difference]:
    """What differs between two resolved definitions, in the order of the file; a key without value is as none."""
    return list(_differences(was, now, field))


def _differences(was: Any, now: Any, field: str) -> Iterator[Difference]:
    if was == now:
        return
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*was, *now)):
            yield from _differences(was.get(key), now.get(key), f"{field}.{key}" if field else str(key))
    elif _entries(was) and _entries(now):
        yield from _listed(was, now, field)
    else:
        yield Difference(field, was, now)


def _entries(value: Any) -> bool:
    """Whether a value is a list of blocks."""
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _listed(was: Sequence[Any], now: Sequence[Any], field: str) -> Iterator[Difference]:
    """What differs between two lists of blocks: by name, else which entries are gone and which are new."""
    for key in NAMED_BY:
        before, after = {e.get(key): e for e in was}, {e.get(key): e for e in now}
        if None not in {*before, *after} and len(before) == len(was) and len(after) == len(now):
            found = list(_differences(before, after, field))
            yield from found or [Difference(field, list(before), list(after))]
            return
    gone, new = [e for e in was if e not in now], [e for e in now if e not in was]
    if not gone and not new:
        yield Difference(field, was, now)
    yield from (Difference(field, entry, None) for entry in gone)
    yield from (Difference(field, None, entry) for entry in new)


def check_amendment(before: Definition, after: Definition) -> None:
    """Check that an amendment leaves a campaign the one that it is.

    Raises:
        InputError: it does not; names the first field.
    """
    was, now = before.resolved(), after.resolved()
    for block in IDENTITY:
        if changed := differences(was.get(block), now.get(block), block):
            raise _refused(changed[0])
    _check_lab(before, after)
    _check_space(before, after)
    conditions = before.file.strategy.conditions_per_sample, after.file.strategy.conditions_per_sample
    if (conditions[0] is None) != (conditions[1] is None):
        raise _refused(Difference("strategy.conditions_per_sample", *conditions))


def _refused(change: Difference, why: str = "") -> InputError:
    said = f"{change.field} cannot change from {shown(change.was)} to {shown(change.now)} within a campaign"
    return InputError(f"{said}{f': {why}' if why else ''}.", field=change.field, mend=ANOTHER)


def lab_changes(before: Definition, after: Definition) -> list[Difference]:
    """What differs between the laboratories of two definitions."""
    return differences(before.resolved()["lab"], after.resolved()["lab"], "lab")


def _check_lab(before: Definition, after: Definition) -> None:
    """Check that the laboratory is the same, but for what its options say may change.

    Raises:
        InputError: it is another.
    """
    lab = after.file.lab
    may = lab.amendable if isinstance(lab, Amendable) else ()
    for change in lab_changes(before, after):
        if change.field.split(".")[1] not in may:
            raise _refused(change, "the laboratory would be another")


def _check_space(before: Definition, after: Definition) -> None:
    """Check that the columns and what they mean are the same.

    Raises:
        InputError: they are not.
    """
    old, new = before.file.space, after.file.space
    if isinstance(old, PoolSpace) != isinstance(new, PoolSpace):
        kinds = [Difference("space", *("a pool" if isinstance(s, PoolSpace) else "parameters" for s in (old, new)))]
        raise _refused(kinds[0])
    if before.space.columns != after.space.columns:
        columns = Difference("space.parameters", list(before.space.columns), list(after.space.columns))
        raise _refused(columns, "its columns would be others")
    if isinstance(old, PoolSpace):
        was_pool, now_pool = before.resolved()["space"], after.resolved()["space"]
        for key in OF_POOLS:
            if changed := differences(was_pool[key], now_pool[key], f"space.{key}"):
                raise _refused(changed[0])
        return
    for was, now in zip(before.space.parameters, after.space.parameters, strict=True):
        field = f"space.parameters.{was.name}"
        for key in ("name", "type", "unit", "stage"):
            if getattr(was, key, None) != getattr(now, key, None):
                raise _refused(Difference(f"{field}.{key}", getattr(was, key, None), getattr(now, key, None)))
        if isinstance(was, Categorical) and isinstance(now, Categorical):
            gone = [value for value in was.values if value not in now.values]
            if gone:
                raise InputError(
                    f"{field}.values cannot lose {gone[0]!r}: what was measured with it stays known.",
                    field=f"{field}.values",
                    mend=f"Keep it, and exclude it by a constraint: {{type: expression, expression: {was.name} != "
                    f"'{gone[0]}'}}.",
                )
