from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.errors import ReaderError
from instruments.readers.clock import ClockOptions, start_of


def start(written: str | None, convention: Any = None, **options: Any) -> str:
    return start_of(written, ClockOptions(**options), file="a.dta", convention=convention).iso


@pytest.mark.parametrize(
    ("written", "options", "expected"),
    [
        ("3/25/2019 12:00:00", {}, "2019-03-25T11:00:00+00:00"),
        ("25.3.2019 12:00:00", {}, "2019-03-25T11:00:00+00:00"),
        ("2019-03-25 12:00:00.250", {}, "2019-03-25T11:00:00.250000+00:00"),
        ("3/3/2019 12:00:00", {}, "2019-03-03T11:00:00+00:00"),
        ("3/6/19 4:35 PM", {"date_order": "day first"}, "2019-06-03T14:35:00+00:00"),
        ("3/6/2019 12:05:00 am", {"date_order": "month first"}, "2019-03-05T23:05:00+00:00"),
        ("3/6/2019 16:35:22,5", {"date_order": "month first"}, "2019-03-06T15:35:22.500000+00:00"),
        ("3/6/2019 16:35:22", {}, "unknown"),
        ("31/31/2019 16:35:22", {}, "unknown"),
        ("yesterday", {}, "unknown"),
        ("3/25/2019 26:00:00", {}, "unknown"),
        (None, {}, "unknown"),
    ],
)
def test_written_times(written: str | None, options: dict[str, Any], expected: str) -> None:
    assert start(written, timezone="Europe/Berlin", **options) == expected


def test_a_time_without_a_zone_stays_unknown() -> None:
    found = start_of("3/25/2019 12:00:00", ClockOptions(), file="a.dta")
    assert (found.iso, found.written) == ("unknown", "3/25/2019 12:00:00")
    assert "without a zone" in found.notices[0]


def test_moments_that_a_clock_shows_twice_or_never() -> None:
    for written in ("10/27/2019 2:30:00", "3/31/2019 2:30:00"):
        with pytest.raises(ReaderError, match="clocks in Europe/Berlin changed"):
            start(written, timezone="Europe/Berlin")
        assert start(written, timezone="UTC") != "unknown"


def test_orders() -> None:
    assert start("3/6/2019 0:00:00", "month first", timezone="UTC") == "2019-03-06T00:00:00+00:00"
    assert (
        start("3/6/2019 0:00:00", "month first", timezone="UTC", date_order="day first") == "2019-06-03T00:00:00+00:00"
    )
    with pytest.raises(ReaderError, match="is not month first"):
        start("25/3/2019 0:00:00", timezone="UTC", date_order="month first")
    with pytest.raises(ReaderError, match="date_order is 'US'"):
        start("25/3/2019 0:00:00", timezone="UTC", date_order="US")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "a\0b"])
def test_zones_that_are_none(zone: str) -> None:
    with pytest.raises(ReaderError, match="there is no time zone"):
        start("3/25/2019 12:00:00", timezone=zone)


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00", datetime(2020, 1, 1), "soon", 12])
def test_starts_that_are_no_moment(moment: Any) -> None:
    with pytest.raises(ReaderError) as caught:
        start(None, start=moment)
    assert caught.value.field == "start"
    assert "offset" in str(caught.value.mend)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)), st.integers(-12, 14), st.booleans())
def test_any_moment_is_kept(local: datetime, hours: int, month_first: bool) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert start(None, start=moment) == start(None, start=moment.isoformat()) == moment.astimezone(UTC).isoformat()
    written = local.strftime("%m/%d/%Y %H:%M:%S.%f" if month_first else "%d.%m.%Y %H:%M:%S.%f")
    order = "month first" if month_first else "day first"
    assert start(written, timezone="UTC", date_order=order) == local.replace(tzinfo=UTC).isoformat()
