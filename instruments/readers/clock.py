"""When a recording began: what a file says, and what a person has to add to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from instruments.errors import ReaderError
from instruments.readers.recording import UNKNOWN

DateOrder: TypeAlias = Literal["month first", "day first"]

ORDERS: Final = ("month first", "day first")

_DATE: Final = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:\s*([AaPp])\.?[Mm]\.?)?")


@dataclass(frozen=True, slots=True)
class ClockOptions:
    """What a person says about a file's clock.

    Attributes:
        start: when the recording began, with its offset from UTC; goes before what the file says.
        timezone: the zone of a time that the file writes without one, as ``"Europe/Berlin"``.
        date_order: how to read ``3/6/2019``.
    """

    start: str | datetime | None = None
    timezone: str | None = None
    date_order: DateOrder | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """When a recording began.

    Attributes:
        written: as the file has it, or ``"unknown"``.
        moment: in UTC, or ``None`` where the file and the person leave it open.
        notices: why it is open.
    """

    written: str = UNKNOWN
    moment: datetime | None = None
    notices: tuple[str, ...] = ()

    @property
    def iso(self) -> str:
        """ISO 8601 in UTC, or ``"unknown"``."""
        return UNKNOWN if self.moment is None else self.moment.isoformat()

    def later(self, seconds: float) -> Start:
        """The same, moved by what went before the recording's zero of time."""
        moment = None if self.moment is None else self.moment + timedelta(seconds=seconds)
        return Start(self.written, moment, self.notices)


def start_of(written: str | None, options: ClockOptions, *, file: str, convention: DateOrder | None = None) -> Start:
    """When a recording began, from a local date and time as an instrument writes them.

    Args:
        written: date and time, separated by a space; ``None`` where the file has none.
        options: what the person adds.
        file: the file's name, for errors.
        convention: the order of day and month that the instrument's software always writes, where it has one.

    Raises:
        ReaderError: an option is no time, zone or order, or contradicts the file.
    """
    if options.date_order is not None and options.date_order not in ORDERS:
        message = f"date_order is {options.date_order!r}"
        raise ReaderError(message, file=file, field="date_order", mend=f"It is one of {', '.join(map(repr, ORDERS))}.")
    zone = None if options.timezone is None else _zone(options.timezone, file)
    said = (written or "").strip() or UNKNOWN
    if options.start is not None:
        return Start(said, moment_of(options.start, file=file))
    if said == UNKNOWN:
        return Start(said, None, ("the file does not say when the recording began",))
    local = _local(said, options.date_order, convention, file)
    if isinstance(local, str):
        return Start(said, None, (local,))
    if zone is None:
        return Start(said, None, (f"the file gives its time ({said}) without a zone, and no timezone= was given",))
    return Start(said, _fixed(local, zone, file))


def moment_of(value: str | datetime, *, file: str | None, field: str = "start") -> datetime:
    """A moment in UTC from ISO 8601 text or a ``datetime``, either with its offset from UTC.

    Raises:
        ReaderError: it is neither, or has no offset.
    """
    mend = 'Give it as ISO 8601 with an offset, such as "2022-06-08T14:10:58Z".'
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ReaderError(f"{value} has no offset from UTC", file=file, field=field, mend=mend)
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ReaderError):
            raise
        raise ReaderError(f"{value!r} is no date and time", file=file, field=field, mend=mend) from error


def _zone(name: str, file: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        mend = 'Give a name of the IANA time zone database, such as "Europe/Berlin" or "UTC".'
        raise ReaderError(f"there is no time zone {name!r}", file=file, field="timezone", mend=mend) from error


def _local(said: str, order: DateOrder | None, convention: DateOrder | None, file: str) -> datetime | str:
    """The local time, or a sentence that says why it is not known."""
    date, time = _DATE.match(said), _TIME.search(said)
    if date is None or time is None:
        return f"the start of the recording is written as {said[:60]!r}, which is no date and time"
    first, second, third = (int(part) for part in date.groups())
    if first > 31:
        year, month, day = first, second, third
    elif (chosen := order or convention) is not None:
        year = third
        month, day = (first, second) if chosen == "month first" else (second, first)
        if order is not None and month > 12 >= day:
            mend = "Leave it out where the date has only one reading."
            raise ReaderError(f"{said!r} is not {order}", file=file, field="date_order", mend=mend)
    elif first == second or max(first, second) > 12:
        year = third
        month, day = (first, second) if second >= first else (second, first)
    else:
        return f"the date of {said} may have its month or its day first, and no date_order= was given"
    return _built(said, year + 2000 if year < 100 else year, month, day, time)


def _built(said: str, year: int, month: int, day: int, time: re.Match[str]) -> datetime | str:
    hour, minute, second, fraction, half = time.groups()
    hours = int(hour) if half is None else int(hour) % 12 + (12 if half in "Pp" else 0)
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        return datetime(year, month, day, hours, int(minute), int(second or 0), micro)
    except ValueError:
        return f"the start of the recording is written as {said[:60]!r}, which is no date and time"


def _fixed(local: datetime, zone: tzinfo, file: str) -> datetime:
    """A local time in UTC, where the clock showed it exactly once."""
    early, late = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    if early.utcoffset() != late.utcoffset():
        message = f"clocks in {zone} changed at {local}, which is not one moment"
        raise ReaderError(message, file=file, field="start", mend="Give start= with its offset from UTC.")
    return early.astimezone(UTC)
