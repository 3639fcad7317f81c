"""Rows of a weekly timetable."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.csv_reading import Reading, RowsRefused, read_rows
from hub.core.csv_writing import csv_bytes
from hub.core.roster_lessons import Places
from hub.core.timetable import Series, SeriesFields, Term
from hub.core.timetable_rows import (
    TIMETABLE_COLUMNS,
    TIMETABLE_HEADER,
    TimetablePlan,
    plan_timetable,
    series_cells,
    series_fields,
)

TERM = Term("t", "Autumn", date(2026, 9, 1), date(2027, 1, 29), weeks=2)
PLACES = Places({"12", "007"}, {"7b"}, {("7b", "Latin")})
HEADER = "weekday,week,starts,ends,room,section,group,label,teacher,from_day,until_day\n"
ROW = "Monday,A,08:00,08:45,007,7b,Latin,Latin I,Ms Iyer,2026-09-07,2026-12-18\n"
LATIN = SeriesFields(
    1, "A", time(8), time(8, 45), "007", "7b", "Latin", "Latin I", "Ms Iyer", date(2026, 9, 7), date(2026, 12, 18)
)


def read(text: str) -> Reading[SeriesFields]:
    return read_rows(text.encode(), TIMETABLE_COLUMNS, lambda cells: series_fields(cells, TERM))


def plan(
    text: str, known: list[SeriesFields] | None = None, *, update: bool = False, replace: bool = False
) -> TimetablePlan:
    on_record = [Series(str(number), "t", fields) for number, fields in enumerate(known or [])]
    return plan_timetable(read(text), on_record, PLACES, update=update, replace=replace)


def test_a_row_is_what_a_school_writes() -> None:
    assert plan("\ufeff" + HEADER + ROW).add == (LATIN,)
    (short,) = plan("Room,SECTION,weekday,ends,starts\n12,7b,7,0:30,23:15\n").add
    assert short == SeriesFields(7, "", time(23, 15), time(0, 30), "12", "7b")
    assert [plan(HEADER + ROW.replace("Monday", day)).add[0].weekday for day in ("1", "mon", "FRIDAY", "Sun")] == [
        1, 1, 5, 7,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("Monday", "Mo", "'Mo' is not a weekday"),
        ("Monday", "0", "'0' is not a weekday"),
        (",A,", ",C,", "no week C"),
        (",A,", ",AB,", "'AB' is not a week"),
        ("08:45", "24:00", "'24:00' is not a time of day"),
        ("08:45", "8.45", "'8.45' is not a time of day"),
        ("08:45", "07:45", "it lasts 23.75 hours"),
        ("2026-12-18", "2027-02-30", "there is no day '2027-02-30'"),
        ("2026-09-07", "2027-01-07", "it would end on 2026-12-18, before it begins on 2027-01-07"),
        ("007", "7", "there is no room '7'"),
        ("7b", "7c", "there is no section '7c'"),
        ("Latin,", "Greek,", "section 7b has no group 'Greek'"),
    ],
)
def test_every_bad_row_is_named(before: str, after: str, sentence: str) -> None:
    with pytest.raises(RowsRefused) as caught:
        plan(HEADER + ROW.replace(before, after) + ROW.replace("Monday", "Friday"))
    assert [problem.line for problem in caught.value.problems] == [2]
    assert sentence in str(caught.value)


def test_two_rows_alike_are_refused() -> None:
    with pytest.raises(RowsRefused, match="line 3: this lesson is already on line 2"):
        plan(HEADER + ROW + ROW.replace("Latin I", "Latin II"))


def test_a_difference_needs_update_and_what_is_missing_ends_only_on_replace() -> None:
    elsewhere = ROW.replace("007", "12")
    with pytest.raises(RowsRefused, match="pass --update to change it"):
        plan(HEADER + elsewhere, [LATIN])
    assert plan(HEADER + elsewhere, [LATIN], update=True).change[0].after.room == "12"
    later = ROW.replace("08:00,08:45", "09:00,09:45")
    assert plan(HEADER + later, [LATIN], update=True).end == ()
    replaced = plan(HEADER + later, [LATIN], replace=True)
    assert ([one.fields for one in replaced.end], len(replaced.add)) == ([LATIN], 1)
    assert plan(HEADER + ROW, [LATIN]) == TimetablePlan((), (), (), 1)


@given(
    st.builds(
        SeriesFields,
        st.integers(1, 7),
        st.sampled_from(["", "A", "B"]),
        st.times().map(lambda clock: clock.replace(second=0, microsecond=0, hour=clock.hour % 12)),
        st.just(time(12)),
        st.just("007"),
        st.just("7b"),
        st.sampled_from(["", "Latin"]),
        st.sampled_from(["", "Kunst", "国語", "a,b"]),
        st.sampled_from(["", "O'Neil"]),
        st.sampled_from([None, date(2026, 9, 7)]),
        st.sampled_from([None, date(2026, 9, 7), date(2027, 1, 29)]),
    )
)
def test_what_is_written_reads_back(fields: SeriesFields) -> None:
    content = csv_bytes(TIMETABLE_HEADER, [series_cells(fields)], bom=True)
    assert plan(content.decode(), [fields]) == TimetablePlan((), (), (), 1)
