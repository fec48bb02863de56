"""Several recordings of one experiment, on one clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from instruments.errors import ReaderError
from instruments.lab import Measurement
from instruments.readers.quantities import factor, split_name
from instruments.readers.recording import UNKNOWN, Recording

if TYPE_CHECKING:
    import pandas as pd

_TRACES: Final = ("potentiostat", "open_circuit", "impedance", "flow")
"""Tables in which every column must be known at every row."""

_CHROMATOGRAM: Final = "chromatogram/"


@dataclass(frozen=True)
class _Part:
    """One table of one recording."""

    recording: Recording
    table: pd.DataFrame

    @property
    def begin(self) -> float:
        """Its first time in seconds, where it has one."""
        column = _time_of(self.table)
        if column is None:
            return 0.0
        return float(self.table[column].min()) * _seconds(column, self.recording.file)


def merge(
    *recordings: Recording,
    offset: Mapping[str, float] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Measurement:
    """Put recordings on the clock of the first that has a potentiostat's signals (else of the first).

    Args:
        recordings: what was read of each file.
        offset: by file name, how many seconds after the zero of the common clock a recording's own time is zero; goes
            before the recordings' start times.
        metadata: what the reduction needs beside the signals; the keys ``start_time``, ``recordings`` and ``notices``
            are taken.

    Returns:
        One measurement. Tables of several recordings follow each other in time; injections are counted anew, from 1,
        in the order of their time. The metadata hold those of the recordings, and all notices.

    Raises:
        ReaderError: a start time is not known, an offset is of no recording, a file is given twice, or two
            potentiostat's signals overlap in time.
    """
    _check(recordings, offset or {}, metadata or {})
    reference = next((one for one in recordings if "potentiostat" in one.signals), recordings[0])
    notices = [f"{one.file}: {sentence}" for one in recordings for sentence in one.notices]
    parts: dict[str, list[_Part]] = {}
    for one in recordings:
        for name, table in one.signals.items():
            column = None if name.startswith(_CHROMATOGRAM) else _time_of(table)
            if column is not None:
                shift = _shift(one, reference, offset or {})
                table = table.assign(**{column: table[column] + shift / _seconds(column, one.file)})  # noqa: PLW2901
            parts.setdefault(name, []).append(_Part(one, table))
    _count_injections(parts)
    signals = {name: _joined(name, tables, notices) for name, tables in parts.items()}
    shift = (offset or {}).get(reference.file, 0.0)
    own = {
        "start_time": _zero(reference, shift),
        "recordings": [dict(one.metadata) for one in recordings],
        "notices": notices,
    }
    return Measurement(signals, {**(metadata or {}), **own})


def _check(recordings: Sequence[Recording], offset: Mapping[str, float], metadata: Mapping[str, object]) -> None:
    if not recordings:
        raise ReaderError("there is nothing to merge", field="recordings", mend="Give at least one recording.")
    wrong = [type(one).__name__ for one in recordings if not isinstance(one, Recording)]
    if wrong:
        mend = "Give what read() gave, one after another: merge(a, b)."
        raise ReaderError(f"{wrong[0]} is no recording", field="recordings", mend=mend)
    seen: dict[object, str] = {}
    for one in recordings:
        content = one.metadata.get("sha256", id(one))
        if content in seen:
            message = f"its content is given twice ({seen[content]} and {one.file})"
            raise ReaderError(message, file=one.file, field="recordings", mend="Give each file once.")
        seen[content] = one.file
    names = [one.file for one in recordings]
    for name, seconds in offset.items():
        if names.count(name) != 1:
            mend = f"It is one of {', '.join(names)}, each named once."
            raise ReaderError(f"offset names {name!r}, and {names.count(name)} recordings", field="offset", mend=mend)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise ReaderError(f"the offset of {name} is {seconds!r}", field="offset", mend="Give a number of seconds.")
    for key in ("start_time", "recordings", "notices"):
        if key in metadata:
            raise ReaderError(
                f"metadata holds {key!r}, which merge writes", field="metadata", mend="Name it otherwise."
            )


def _zero(reference: Recording, shift: float) -> str:
    """When the common clock was zero."""
    if reference.start_time == UNKNOWN or shift == 0.0:
        return reference.start_time
    from datetime import timedelta

    return (datetime.fromisoformat(reference.start_time) - timedelta(seconds=shift)).isoformat()


def _shift(one: Recording, reference: Recording, offset: Mapping[str, float]) -> float:
    """Seconds of the common clock at which a recording's own time is zero."""
    if one.file in offset:
        return float(offset[one.file])
    if one is reference:
        return 0.0
    for who in (one, reference):
        if who.start_time == UNKNOWN:
            mend = (
                f"Read it with start= or timezone=, or give offset={{{one.file!r}: seconds}}, the time of "
                f"{reference.file} at which {one.file} begins."
            )
            message = f"it is not known when it began, so that {one.file} and {reference.file} have no common clock"
            raise ReaderError(message, file=who.file, field="start_time", mend=mend)
    began = datetime.fromisoformat(one.start_time) - datetime.fromisoformat(reference.start_time)
    return began.total_seconds() + float(offset.get(reference.file, 0.0))


def _time_of(table: pd.DataFrame) -> str | None:
    return next((str(name) for name in table.columns if str(name).startswith("time/")), None)


def _seconds(column: str, file: str) -> float:
    """How many seconds the unit of a time has."""
    unit = split_name(column)[1] or ""
    value = factor(unit, "s")
    if value is None:
        raise ReaderError(
            f"{column} is no time", file=file, field=column, mend='Name it with its unit, as in "time/s".'
        )
    return value


def _count_injections(parts: dict[str, list[_Part]]) -> None:
    """Number the injections of all recordings in the order of their time, in tables and traces alike."""
    if "chromatograph" not in parts:
        return
    found: list[tuple[float, int, Any]] = []
    for place, part in enumerate(parts["chromatograph"]):
        column = _time_of(part.table)
        times = (
            part.table.groupby("injection")[column].min() if column else part.table.groupby("injection").size() * 0.0
        )
        scale = _seconds(column, part.recording.file) if column else 1.0
        found += [(float(time) * scale, place, injection) for injection, time in times.items()]
    files = [part.recording for part in parts["chromatograph"]]
    numbers = {
        (id(files[place]), injection): number
        for number, (_, place, injection) in enumerate(sorted(found, key=lambda one: one[:2]), start=1)
    }
    for name, tables in parts.items():
        if name == "chromatograph" or name.startswith(_CHROMATOGRAM):
            parts[name] = [_renumbered(part, numbers) for part in tables]
            parts[name].sort(key=lambda part: int(part.table["injection"].iloc[0]))


def _renumbered(part: _Part, numbers: Mapping[tuple[int, Any], int]) -> _Part:
    fresh = [numbers.get((id(part.recording), injection), injection) for injection in part.table["injection"]]
    return _Part(part.recording, part.table.assign(injection=fresh))


def _joined(name: str, parts: list[_Part], notices: list[str]) -> pd.DataFrame:
    """The tables of several recordings under each other, in the units of the first."""
    import pandas as pd

    if len(parts) == 1:
        return parts[0].table.reset_index(drop=True)
    if name in _TRACES:
        parts = sorted(parts, key=lambda part: part.begin)
    titles = {split_name(str(column))[0]: str(column) for column in parts[0].table.columns}
    for part in parts:
        for column in part.table.columns:
            titles.setdefault(split_name(str(column))[0], str(column))
    tables = [_converted(part, titles) for part in parts]
    shared = [title for title in titles.values() if all(title in table.columns for table in tables)]
    missing = [title for title in titles.values() if title not in shared]
    if name in _TRACES and missing:
        notices.append(f"{name}: {', '.join(missing)} left out, since not every file has it")
        tables = [table[shared] for table in tables]
    elif missing:
        notices.append(f"{name}: {', '.join(missing)} is missing where a file does not have it")
    if name in ("potentiostat", "open_circuit", "flow"):
        _check_overlap(name, parts, tables)
    joined = pd.concat(tables, ignore_index=True)
    return joined.sort_values("injection", kind="stable", ignore_index=True) if "injection" in joined else joined


def _converted(part: _Part, titles: Mapping[str, str]) -> pd.DataFrame:
    """A table in the units that the columns shall have."""
    table = {}
    for column in part.table.columns:
        quantity, unit = split_name(str(column))
        title = titles[quantity]
        wanted = split_name(title)[1]
        if unit == wanted:
            table[title] = part.table[column]
            continue
        scale = None if unit is None or wanted is None else factor(unit, wanted)
        if scale is None:
            message = f"{column} cannot be put under {title}"
            mend = "Give them in units of one dimension."
            raise ReaderError(message, file=part.recording.file, field=str(column), mend=mend)
        table[title] = part.table[column] * scale
    import pandas as pd

    return pd.DataFrame(table)


def _check_overlap(name: str, parts: list[_Part], tables: list[pd.DataFrame]) -> None:
    column = _time_of(tables[0])
    for before, after, first, second in zip(tables, tables[1:], parts, parts[1:], strict=False):
        if column is not None and float(after[column].iloc[0]) < float(before[column].iloc[-1]):
            message = f"its {name} signals begin before those of {first.recording.file} end"
            mend = "Check the start times, or give offset=; two cells make two measurements."
            raise ReaderError(message, file=second.recording.file, field=name, mend=mend)
