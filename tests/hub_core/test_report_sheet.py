"""The pages of a printed register, and the letters on them."""

from datetime import timedelta

from hub.core.report_letters import joined, printable, right_to_left
from hub.core.report_rows import ReportStudent
from hub.core.report_sheet import COLUMNS_A_PAGE, LINES_A_PAGE, SheetColumn, SheetFacts, register_sheet
from tests.hub_core.test_reports import ADA, BOB, DAY, EIGHT, a_row

CODES = {"Present": "/", "Late": "L", "Late:30": "L", "Late:60": "U", "Not seen": "-", "Not observed": "-"}


def a_column(hours: int, *, over: bool = True) -> SheetColumn:
    start = EIGHT + timedelta(hours=hours)
    return SheetColumn(f"lesson:{hours}", DAY + timedelta(days=hours // 24), start, "Maths", over)


def test_whoever_is_expected_has_a_code_once_the_lesson_is_over_and_others_have_none() -> None:
    columns = [a_column(1), a_column(0), a_column(2, over=False)]
    expected = {("ada", "lesson:0"), ("ada", "lesson:1"), ("ada", "lesson:2"), ("bob", "lesson:1")}
    facts = SheetFacts(columns, [a_row("Late", 0)], expected, {"ada": ADA, "bob": BOB})
    (page,) = register_sheet("7b", facts, CODES).pages
    assert [column.key for column in page.columns] == ["lesson:0", "lesson:1", "lesson:2"]
    assert [(line.number, line.student.serial_number, line.codes) for line in page.lines] == [
        (1, "002", ("", "-", "")),
        (2, "1", ("L", "-", "")),
    ]


def test_the_legend_tells_the_codes_that_stand_there_also_those_the_school_has_none_for() -> None:
    rows = [a_row("Late"), a_row("Absent", 1), a_row("Late", 2, at=EIGHT + timedelta(hours=3))]
    facts = SheetFacts([a_column(0), a_column(1), a_column(2)], rows, (), {"ada": ADA})
    assert register_sheet("7b", facts, CODES).legend == (
        ("L", "Late"),
        ("U", "Late by 60 min or more"),
        ("A", "Absent"),
    )


def test_weeks_begin_a_page_and_so_do_days_and_students_that_do_not_fit() -> None:
    students = {f"{number:03}": ReportStudent(f"{number:03}", f"{number:03}", "N", "7b") for number in range(40)}
    monday = [a_column(-24 + minute) for minute in range(20)]
    columns = [*monday, *(a_column(24 * 6 + hour) for hour in range(3))]
    expected = {(one, column.key) for one in students for column in columns}
    pages = register_sheet("7b", SheetFacts(columns, [], expected, students), CODES).pages
    assert [(len(page.columns), len(page.lines)) for page in pages] == [
        (20, LINES_A_PAGE),
        (20, 8),
        (3, LINES_A_PAGE),
        (3, 8),
    ]
    assert pages[1].lines[0].number == LINES_A_PAGE + 1


def test_a_day_with_more_lessons_than_a_page_goes_on_on_the_next() -> None:
    columns = [
        SheetColumn(str(number), DAY, EIGHT + timedelta(minutes=number), "", over=True)
        for number in range(COLUMNS_A_PAGE + 4)
    ]
    facts = SheetFacts(columns, [], {("ada", one.key) for one in columns}, {"ada": ADA})
    assert [len(page.columns) for page in register_sheet("7b", facts, CODES).pages] == [COLUMNS_A_PAGE, 4]


def test_arabic_letters_take_the_forms_their_neighbours_ask_for() -> None:
    # Muhammad, with a vowel sign in it: meem, hah, meem, dal.
    assert joined("م\u064fحمد", lambda _: True) == "\ufee3\u064f\ufea4\ufee4\ufeaa"
    # Lam and alef are one letter; what follows an alef begins anew.
    assert joined("سلام", lambda _: True) == "\ufeb3\ufefc\ufee1"
    assert joined("با\u200cب", lambda _: True) == "\ufe91\ufe8e\ufe8f"


def test_a_form_that_the_font_lacks_stays_the_plain_letter() -> None:
    assert joined("سلام", lambda char: char < "\ufb50") == "سلام"
    assert joined("Ada Łoś", lambda _: True) == "Ada Łoś"


def test_what_is_not_seen_on_paper_is_left_out() -> None:
    assert printable("A\u202eda\u0000 e\u0301") == "Ada é"
    assert right_to_left("Ada שלום")
    assert not right_to_left("Ada")
