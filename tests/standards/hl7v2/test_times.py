"""Dates and times keep their precision, take the source's time zone and name the place when they are wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import InvalidMessage
from suture.standards.hl7v2 import times

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1961", "1961"),
        ("196106", "1961-06"),
        ("19610615", "1961-06-15"),
        ("19610000", "1961"),
        ("19610600", "1961-06"),
        ("196106150830", "1961-06-15"),
        (" 20000229 ", "2000-02-29"),
    ],
)
def test_date(text: str, expected: str) -> None:
    assert times.date(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026", "2026"),
        ("20260301", "2026-03-01"),
        ("2026030110", "2026-03-01T10:00:00-06:00"),
        ("202603011015", "2026-03-01T10:15:00-06:00"),
        ("202607011015", "2026-07-01T10:15:00-05:00"),
        ("20260301101530.1234", "2026-03-01T10:15:30.1234-06:00"),
        ("20260301101530+0530", "2026-03-01T10:15:30+05:30"),
        ("20260301101530Z", "2026-03-01T10:15:30Z"),
        ("202603080230", "2026-03-08T02:30:00-06:00"),  # the hour that daylight saving skips
        ("20261231235960", "2026-12-31T23:59:60-06:00"),
        ("18830101120000", "1883-01-01T12:00:00-05:51"),  # local mean time
    ],
)
def test_date_time(text: str, expected: str) -> None:
    assert times.date_time(text, CHICAGO) == expected


def test_instant_needs_a_time_of_day() -> None:
    assert times.instant("202603011015", UTC) == "2026-03-01T10:15:00+00:00"
    with pytest.raises(InvalidMessage, match="OBR-22: the time stamp has no time of day"):
        times.instant("20260301", UTC, "OBR-22")


@pytest.mark.parametrize(
    ("text", "expected"), [("10", "10:00:00"), ("1015", "10:15:00"), ("101530.5+0100", "10:15:30.5")]
)
def test_time(text: str, expected: str) -> None:
    assert times.time(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an HL7 date or time"),
        ("June", "not an HL7 date or time"),
        ("1961-06-15", "not an HL7 date or time"),
        ("196113", "no such day in the calendar"),
        ("20010229", "no such day in the calendar"),
        ("00000101", "no such day in the calendar"),
        ("20010015", "no such day in the calendar"),
        ("200101012400", "no such time of day"),
        ("200101011060", "no such time of day"),
        ("20010101101500+9900", "no such offset from UTC"),
        ("２００１", "not an HL7 date or time"),
    ],
)
def test_a_wrong_date_names_its_place_and_not_its_value(text: str, message: str) -> None:
    with pytest.raises(InvalidMessage, match=message) as caught:
        times.date_time(text, CHICAGO, "PID-7")
    assert caught.value.where == "PID-7"
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1961-06", "196106"),
        ("2026-03-01T10:15:30.1234-06:00", "20260301101530.1234-0600"),
        ("2026-03-01T10:15:30Z", "20260301101530+0000"),
    ],
)
def test_back_to_hl7(text: str, expected: str) -> None:
    assert times.to_hl7(text) == expected
    with pytest.raises(InvalidMessage, match="not a FHIR date"):
        times.to_hl7("03/01/2026")


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_moment_is_the_same_both_ways(naive: datetime) -> None:
    text = naive.replace(microsecond=0).strftime("%Y%m%d%H%M%S")
    fhir = times.date_time(text, CHICAGO)
    assert datetime.fromisoformat(fhir) == times.moment(text, CHICAGO)
    assert times.date_time(times.to_hl7(fhir), UTC) == fhir
