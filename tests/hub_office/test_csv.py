"""Reading CSV strictly, writing it so that no spreadsheet runs it."""

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.csv_reading import MAX_CSV_BYTES, Columns, Reading, RowProblem, RowsRefused, read_rows
from hub.core.csv_writing import csv_bytes, guard, unguard
from hub.core.errors import BadInput

COLUMNS = Columns(("serial_number", "name"), ("note",))
_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def read(text: str | bytes, columns: Columns = COLUMNS) -> Reading[dict[str, str]]:
    return read_rows(text if isinstance(text, bytes) else text.encode(), columns, dict)


def test_rows_carry_their_line_and_missing_optional_columns_are_empty() -> None:
    reading = read('name,serial_number\n"Ada\nLovelace",007\n\nGrace,8\n')
    assert [(row.line, row.value) for row in reading.rows] == [
        (2, {"note": "", "name": "Ada\nLovelace", "serial_number": "007"}),
        (5, {"note": "", "name": "Grace", "serial_number": "8"}),
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    reading = read("\ufeffserial_number,name\r\n1,Zoë\r\n".encode())
    assert reading.rows[0].value == {"serial_number": "1", "name": "Zoë", "note": ""}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no header"),
        (b"\n1,2\n", "no header"),
        (b"serial_number\n1\n", "lacks 'name'"),
        (b"serial_number,name,name\n", "twice: 'name'"),
        (b"serial_number,name,age\n", "not known here: 'age'"),
        (b"serial_number;name\n1;Ada\n", "semicolons"),
        ("serial_number,name\n1,Zoë\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("serial_number,name\n".encode("utf-16"), "UTF-16"),
        (b"serial_number,name\n1,\0\n", "not a text file"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        (b"x" * (MAX_CSV_BYTES + 1), "at most"),
        (b'"serial_number', "not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read(data)


def test_every_bad_row_is_named_with_its_line() -> None:
    def meaning(_: object) -> str:
        raise BadInput("no")

    reading = read_rows(b"serial_number,name\n1\n2,a\n3,b,c,d\n", COLUMNS, meaning)
    assert [problem.line for problem in reading.problems] == [2, 3, 4]
    assert reading.problems[0].reason == "1 cells, but the header has 2"


def test_broken_quotes_end_the_reading_with_the_row_that_began_them() -> None:
    reading = read('serial_number,name\n1,a\n2,"b"x\n3,c\n')
    assert [row.line for row in reading.rows] == [2]
    assert [problem.line for problem in reading.problems] == [3]


def test_more_than_fifty_bad_rows_are_counted_not_listed() -> None:
    message = str(RowsRefused(RowProblem(line, "no") for line in range(60, 0, -1)))
    assert message.startswith("60 rows cannot be used; nothing was imported\nline 1: no\n")
    assert message.endswith("line 50: no\n... and 10 more")


_TRICKY = st.text("'=+-@\t＝ a", max_size=6)


@given(_CELLS | _TRICKY)
def test_taking_the_guard_away_gives_exactly_what_there_was(cell: str) -> None:
    assert unguard(guard(cell)) == cell


def test_the_reader_takes_away_the_apostrophes_that_the_writer_added_and_no_other() -> None:
    cells = [["'=1", "=1"], ["'Ali", "''+49"], ["-", "o'-"]]
    reading = read(csv_bytes(["serial_number", "name"], cells, bom=True))
    assert [[row.value["serial_number"], row.value["name"]] for row in reading.rows] == cells


def test_the_optional_columns_that_a_file_lacks_are_named() -> None:
    assert read("serial_number,name\n").absent == ("note",)
    assert read("serial_number,name,note\n").absent == ()


@given(st.lists(st.lists(_CELLS, min_size=2, max_size=2), max_size=10), st.booleans())
def test_what_is_written_is_read_back_apart_from_the_guard(rows: list[list[str]], bom: bool) -> None:
    data = csv_bytes(["serial_number", "name"], rows, bom=bom)
    read_back = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    assert read_back == [["serial_number", "name"], *([guard(cell) for cell in row] for row in rows)]


@given(_CELLS)
def test_no_guarded_cell_starts_like_a_formula(cell: str) -> None:
    guarded = guard(cell)
    assert not guarded.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert guarded in {cell, f"'{cell}"}


def test_a_formula_gets_an_apostrophe() -> None:
    assert csv_bytes(["a"], [["=HYPERLINK(1)"], ["Ada"]]) == b"a\r\n'=HYPERLINK(1)\r\nAda\r\n"


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        read(b"serial_number,name\n" + data)
