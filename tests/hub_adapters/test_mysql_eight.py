"""MySQL 8 gets another form than MariaDB: an upsert with an alias, beside which a bare column is ambiguous."""

import re
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from mysql.connector.cursor import RE_SQL_INSERT_VALUES, RE_SQL_ON_DUPLICATE
from sqlalchemy import Connection
from sqlalchemy.dialects.mysql import mysqlconnector

from hub.adapters import (
    anchor_store,
    attendance_store,
    gallery_records,
    look_alike_store,
    quarantine_store,
    register_rows,
    register_states,
    stream_marks,
    undated_store,
)
from hub.core.attendance_facts import Entry
from hub.core.galleries import Gallery
from hub.core.ingest import Refused
from tests.hub_core.builders import BOOT, EPOCH, START, UNIT, a_student

A_REFUSED = Refused(UNIT, EPOCH, 1, "invalid", "", b"{}", "0" * 64)
AN_ENTRY = Entry("day:2026-09-01", None, START.date(), START, "Present", "Face Recognition", "day")
A_DIFFERENCE = register_rows.Difference(
    a_student(1), AN_ENTRY.occasion, None, register_rows.as_row(a_student(1), AN_ENTRY)
)
A_CLOCK = {"anchors": 1, "first_ns": 0, "lowest_us": 0, "highest_us": 0}
AN_UNDATED_BOOT = {"unit_id": UNIT, "boot_id": BOOT, "epoch": EPOCH, "first_seq": 1, "last_seq": 2}
NOBODY = Gallery(2, b"", b"", b"", {}, frozenset(), frozenset())


def upserts_of(work: Callable[[Connection], object]) -> list[str]:
    """Return the upserts that some work would send to MySQL 8."""
    dialect = mysqlconnector.dialect()
    dialect._requires_alias_for_on_duplicate_key = True
    said: list[str] = []

    def execute(statement: Any, parameters: Any = None) -> Mock:
        names = list(parameters[0]) if parameters else None
        said.append(str(statement.compile(dialect=dialect, column_keys=names)))
        return Mock(scalar=lambda: None, all=list)

    work(Mock(execute=execute))
    return [one for one in said if "ON DUPLICATE" in one]


@pytest.mark.parametrize(
    "work",
    [
        lambda one: look_alike_store.lock(one, START),
        lambda one: look_alike_store.add(one, a_student(1), [a_student(2)], START),
        lambda one: quarantine_store.keep_refused(one, [(A_REFUSED, START)]),
        lambda one: gallery_records._note_erasures(one, UNIT, {a_student(1)}, NOBODY, START),
        lambda one: register_rows.write(one, [A_DIFFERENCE]),
        lambda one: register_states._write(one, {a_student(1): (1, 2, True)}, (), ()),
        lambda one: anchor_store._keep_clock(one, UNIT, BOOT, A_CLOCK),
        lambda one: undated_store.keep(one, [AN_UNDATED_BOOT]),
    ],
    ids=["look-alikes", "a look-alike", "quarantine", "erasures", "attendance", "a lesson", "a clock", "undated"],
)
def test_an_upsert_names_the_row_of_every_column_it_reads(work: Callable[[Connection], object]) -> None:
    [statement] = upserts_of(work)
    before, updates = statement.split(" ON DUPLICATE KEY UPDATE ")
    assert before.endswith(" AS new")
    for assignment in updates.split(", "):
        read = assignment.split(" = ", 1)[1]
        assert read.upper() == "NULL" or re.match(r"\(?\w+\.`?\w+`?\b", read), assignment
    # The connector sends many rows as one statement: it has to find the one group of values, and nothing bound after.
    rest = re.sub(RE_SQL_ON_DUPLICATE, "", statement)
    found = re.search(RE_SQL_INSERT_VALUES, rest)
    assert found is not None
    assert found.group(1) in statement
    assert "%s" not in updates


def updates_as_text(work: Callable[[Connection], object]) -> str:
    connection = Mock()
    work(connection)
    [call] = connection.connection.driver_connection.cmd_query.call_args_list
    return str(call.args[0].decode().split(" on duplicate key update ")[1])


def test_marks_that_are_written_as_text_name_the_table_of_the_column_they_read() -> None:
    said = updates_as_text(lambda one: attendance_store.mark_dirty(one, [a_student(1)], [START.date()]))
    assert said.startswith("mark = dirty_students.mark + 1, cause = if(")
    # A bare `cause` could be that of the new row as well.
    assert not re.search(r"(?<![.(])\bcause\b(?! =)", said)


def test_units_that_are_locked_by_writing_name_the_table_of_the_column_they_read() -> None:
    said = updates_as_text(lambda one: stream_marks.lock_units(one, [UNIT]))
    assert said == "unit_id=unit_dating.unit_id"
