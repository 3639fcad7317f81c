"""Calendar files as other programs write them, and what of them becomes a lesson."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from hub.adapters import icalendar_files
from hub.adapters.icalendar_files import CalendarFile, read_calendar
from hub.core.csv_reading import RowsRefused, read_rows
from hub.core.errors import BadInput
from hub.core.roster_lessons import Lesson, Places
from hub.core.timetable_calendar import (
    MAPPING_COLUMNS,
    CalendarChoice,
    calendar_lessons,
    mapping_of,
    mapping_row,
    vanished,
)

BERLIN = ZoneInfo("Europe/Berlin")
PLACES = Places({"12", "13"}, {"7b", "8a"}, {("7b", "French")})

MATHS = """UID:maths@school
DTSTART;TZID=Europe/Berlin:20260907T080000
DTEND;TZID=Europe/Berlin:20260907T084500
RRULE:FREQ=WEEKLY;UNTIL=20261231T000000Z
EXDATE;TZID=Europe/Berlin:20260914T080000
RDATE;TZID=Europe/Berlin:20260909T080000
SUMMARY:Maths
LOCATION:12
CATEGORIES:lesson,7b
"""
MOVED = """UID:maths@school
RECURRENCE-ID;TZID=Europe/Berlin:20260921T080000
DTSTART;TZID=Europe/Berlin:20260922T100000
DTEND;TZID=Europe/Berlin:20260922T104500
SUMMARY:Maths\\, moved
"""
OFF = """UID:maths@school
RECURRENCE-ID;TZID=Europe/Berlin:20260928T080000
DTSTART;TZID=Europe/Berlin:20260928T080000
DTEND;TZID=Europe/Berlin:20260928T084500
STATUS:CANCELLED
SUMMARY:Maths
"""


def calendar(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\n{event}END:VEVENT\n" for event in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{body}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def single(start: str, end: str = "DURATION:PT45M", uid: str = "one", more: str = "") -> str:
    return f"UID:{uid}\nDTSTART{start}\n{end}\nSUMMARY:{uid}\nLOCATION:12\nCATEGORIES:7b\n{more}"


def read(*events: str, last: date = date(2026, 10, 2)) -> CalendarFile:
    return read_calendar(calendar(*events), date(2026, 9, 1), last, BERLIN)


def starts(file: CalendarFile) -> list[str]:
    return [f"{one.starts_at:%m-%dT%H:%M}" for one in file.occurrences]


def test_rules_exceptions_and_moved_times_are_followed() -> None:
    file = read(MATHS, MOVED, OFF)
    assert starts(file) == ["09-07T06:00", "09-09T06:00", "09-22T08:00", "09-28T06:00"]
    assert [one.cancelled for one in file.occurrences] == [False, False, False, True]
    moved = file.occurrences[2]
    assert moved.original == datetime(2026, 9, 21, 6, tzinfo=UTC)
    # What the changed one does not say is as in its event.
    assert (moved.texts["summary"], moved.texts["location"], moved.texts["categories"]) == (
        ["Maths, moved"],
        ["12"],
        ["lesson", "7b"],
    )


def test_times_without_a_zone_are_the_schools_and_others_are_exact() -> None:
    file = read(
        single(":20260901T080000", uid="floating"),
        single(":20260902T080000Z", uid="utc"),
        single(";TZID=Europe/London:20260903T080000", uid="london"),
        single(";VALUE=DATE:20260904", "DTEND;VALUE=DATE:20260905", uid="whole day"),
        single(":20261030T080000", uid="after the term"),
    )
    assert starts(file) == ["09-01T06:00", "09-02T08:00", "09-03T07:00"]
    assert file.all_day == 1
    winter = read(
        single(":20261023T080000", more="RRULE:FREQ=WEEKLY\n"),
        single(":20261025T023000", uid="b"),
        last=date(2026, 11, 1),
    )
    assert starts(winter) == ["10-23T06:00", "10-25T00:30", "10-30T07:00"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "is not a calendar"),
        (b"", "is not a calendar"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (icalendar_files.MAX_CALENDAR_BYTES + 1), "at most"),
        (calendar(single(":20260230T080000")), "DTSTART"),
        (calendar(single(";TZID=Nowhere/X:20260901T080000")), "'Nowhere/X' is not known"),
        (calendar(single(":20260901T080000", more="RRULE:FREQ=SECONDLY\n")), "no lesson does"),
        (calendar(single(":20260901T080000", more="RRULE:FREQ=DAILY;BYSECOND=1,2\n")), "too often"),
        (calendar(single(":20260901T080000", more="RRULE:FREQ=NEVER\n")), "RRULE"),
        (calendar(single(":19010101T080000", more="RRULE:FREQ=DAILY\n")), "too long ago"),
        (calendar(single(":20260901T080000", "DTEND:20260901T070000")), "ends before it starts"),
        (calendar("DTSTART:20260901T080000\nSUMMARY:x\n"), "no UID"),
        (calendar("UID:x\nSUMMARY:x\n"), "no DTSTART"),
        (calendar(single(":20260901T080000", "DTSTART:20260902T080000")), "DTSTART is not one time"),
        (calendar(single(":20260901T080000", "DTEND;VALUE=PERIOD:20260901T080000Z/PT1H")), "DTEND is not one time"),
        (calendar(single(":99991231T235959")), "in the year 9999"),
        (calendar(single(";TZID=Europe:20260901T080000")), "not a calendar"),
        (calendar(single(":20260901T080000", "DURATION:20260901")), "DURATION"),
        (
            calendar(*[single(":20260901T080000", uid=str(n), more="RRULE:FREQ=DAILY;BYHOUR=" + ",".join(
                map(str, range(24))) + "\n") for n in range(140)]),
            "may have",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_a_timetable_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_calendar(data, date(2026, 9, 1), date(2026, 10, 2), BERLIN)


def test_lessons_keep_their_identifiers_and_what_is_gone_is_known() -> None:
    first = calendar_lessons(read(MATHS, MOVED).occurrences, CalendarChoice(), PLACES)
    again = calendar_lessons(read(MATHS, MOVED, OFF).occurrences, CalendarChoice(), PLACES)
    assert [one.lesson_id for one in first] == [one.lesson_id for one in again]
    assert (first[0].fields.room, first[0].fields.section, first[0].fields.label) == ("12", "7b", "Maths")
    fewer = read(MATHS.replace("UNTIL=20261231T000000Z", "UNTIL=20260925T000000Z"), MOVED)
    known = [Lesson(one.lesson_id, one.fields) for one in first]
    by_hand = Lesson("01990000-0000-7000-8000-000000000001", first[-1].fields)
    left = calendar_lessons(fewer.occurrences, CalendarChoice(), PLACES)
    assert vanished([*known, by_hand], left, fewer.uids) == [known[-1]]


def test_unknown_places_are_named_together_and_a_mapping_names_them() -> None:
    occurrences = read(
        MATHS.replace("LOCATION:12", "LOCATION:R 12"), single(":20260901T080000").replace("7b", "7")
    ).occurrences
    with pytest.raises(BadInput) as caught:
        calendar_lessons(occurrences, CalendarChoice(), PLACES)
    assert "location says 'R 12': there is no such room (4 lessons)" in str(caught.value)
    assert "categories says '7': there is no such section (1 lessons)" in str(caught.value)
    rows = read_rows(b"what,text,name\nroom,R 12,12\nsection,7,8a\ngroup,Maths,French\n", MAPPING_COLUMNS, mapping_row)
    mapped = calendar_lessons(occurrences, CalendarChoice(names=mapping_of(rows)), PLACES)
    assert {(one.fields.room, one.fields.who) for one in mapped} == {("12", "7b (French)"), ("12", "8a")}
    named = calendar_lessons(occurrences, CalendarChoice(room="13", section="8a"), PLACES)
    assert {(one.fields.room, one.fields.section) for one in named} == {("13", "8a")}
    with pytest.raises(RowsRefused, match="'roof' is not one of room, section, group, teacher"):
        mapping_of(read_rows(b"what,text,name\nroof,a,b\n", MAPPING_COLUMNS, mapping_row))


def test_an_event_that_is_no_lesson_by_its_length_is_named() -> None:
    with pytest.raises(BadInput, match="no lesson is that long"):
        calendar_lessons(read(single(":20260901T080000", "DURATION:PT13H")).occurrences, CalendarChoice(), PLACES)
