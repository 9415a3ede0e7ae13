"""Times as sources write them."""

from zoneinfo import ZoneInfo

import pytest

from pay_ready.pipeline.mapping.times import (
    MILLISECOND,
    SECOND,
    NotATimeError,
    TimeRangeError,
    parse_day,
    parse_epoch,
    parse_time,
    start_of_day,
)
from tests.mapping_support import at

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-04T10:00:00Z", "2026-03-04T10:00:00+00:00"),
        ("2020-10-22T21:03:23.000+0000", "2020-10-22T21:03:23+00:00"),
        ("2026-03-04T09:00:00-08:00", "2026-03-04T17:00:00+00:00"),
        ("2023-01-26T11:45:49.817000+00:00", "2023-01-26T11:45:49.817000+00:00"),
        ("2026-03-04", "2026-03-03T23:00:00+00:00"),
        ("20260304", "2026-03-03T23:00:00+00:00"),
        ("2026-03-29 02:30", "2026-03-29T01:30:00+00:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),
        (1772618400, "2026-03-04T10:00:00+00:00"),
        ("1772618400", "2026-03-04T10:00:00+00:00"),
        (1772618400.25, "2026-03-04T10:00:00.250000+00:00"),
        ("1772618400.853059", "2026-03-04T10:00:00.853059+00:00"),
        (1772618400123, "2026-03-04T10:00:00.123000+00:00"),
        (1772618400123456, "2026-03-04T10:00:00.123456+00:00"),
    ],
)
def test_a_time_has_one_moment(written: object, moment: str) -> None:
    """ISO 8601 with an offset or in the zone (an hour that falls out or doubles included), and numbers whose size tells the unit."""
    assert parse_time(written, BERLIN) == at(moment)


@pytest.mark.parametrize(
    "written", ["", "soon", "2026-13-01", "10:00", "1e9", "१७७२", True, None, [], {}, float("nan"), float("inf"), "x" * 100]
)
def test_what_is_no_time_is_refused(written: object) -> None:
    """Other types, words and numbers that are none."""
    with pytest.raises(NotATimeError):
        parse_time(written, BERLIN)


@pytest.mark.parametrize(
    "written", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", 10**17, 10**400, -(10**16), "9" * 20, 1e300, -5e10]
)
def test_times_that_no_record_has_are_refused(written: object) -> None:
    """Far years and numbers beyond them, without an overflow."""
    with pytest.raises(TimeRangeError):
        parse_time(written, BERLIN)


def test_epoch_units_are_exact() -> None:
    """To the microsecond when written as text; both signs."""
    assert parse_epoch("1674485468.853059", SECOND) == at("2023-01-23T14:51:08.853059+00:00")
    assert parse_epoch(1674485468853, MILLISECOND) == at("2023-01-23T14:51:08.853000+00:00")
    assert parse_epoch("-1.5", SECOND) == at("1969-12-31T23:59:58.500000+00:00")


def test_a_day_is_the_one_written() -> None:
    """A midnight in UTC is not moved into the day before; a number is a day in the zone."""
    assert parse_day("2026-03-04T00:00:00Z", ZoneInfo("America/New_York")).isoformat() == "2026-03-04"
    assert parse_day(1772582400000, ZoneInfo("America/New_York")).isoformat() == "2026-03-03"
    assert start_of_day(parse_day("2026-03-04", BERLIN), BERLIN) == at("2026-03-03T23:00:00+00:00")


def test_a_pattern_reads_what_iso_does_not() -> None:
    """In the zone, unless the pattern has one."""
    assert parse_time("04.03.2026 10:30", BERLIN, "%d.%m.%Y %H:%M") == at("2026-03-04T09:30:00+00:00")
    assert parse_time("Wed, 04 Mar 2026 10:30:00 -0500", BERLIN, "%a, %d %b %Y %H:%M:%S %z") == at("2026-03-04T15:30:00+00:00")
