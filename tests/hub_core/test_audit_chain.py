"""The chain of the audit log: whatever is done to a copy of it is found, and where."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.adapters.migrations.versions import v0005_school_record
from hub.core.audit_chain import FIRST_HASH, START, ChainCheck, ChainEntry, Link, Problem, entry_hash, parse_link

AT = datetime(2026, 9, 1, 8, 0, 0, 120_000, tzinfo=UTC)
Row = tuple[int, bytes, ChainEntry]


def an_entry(number: int) -> ChainEntry:
    moment = AT + timedelta(seconds=number)
    return ChainEntry(f"{number:032x}", moment, "ada", "student.add", f"student:{number}", "", '{"n": 1}')


def a_log(entries: int) -> list[Row]:
    rows, before = [], FIRST_HASH
    for number in range(1, entries + 1):
        before = entry_hash(before, number, an_entry(number))
        rows.append((number, before, an_entry(number)))
    return rows


def looked_at(rows: list[Row], head: Link, start: Link = START) -> list[Problem]:
    check = ChainCheck(start)
    found = [problem for row in rows for problem in check.look_at(*row)]
    return found + check.end(head)


def end_of(rows: list[Row]) -> Link:
    return Link(rows[-1][0], rows[-1][1])


def test_what_is_as_it_was_written_is_without_problems_from_any_place_on() -> None:
    rows = a_log(5)
    assert looked_at(rows, end_of(rows)) == []
    assert looked_at(rows[2:], end_of(rows), Link(2, rows[1][1])) == []
    assert looked_at([], START) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"actor": "bob"},
        {"at": AT},
        {"action": "student.forget"},
        {"subject": "student:7"},
        {"object_": "lesson:1"},
        {"detail": '{"n":1}'},
        {"entry_id": "f" * 32},
    ],
)
def test_an_edited_entry_is_found_at_its_place_and_nowhere_else(changed: dict[str, object]) -> None:
    rows = a_log(5)
    seq, hash_, entry = rows[2]
    edited = replace(entry, **changed)  # type: ignore[arg-type]
    rows[2] = (seq, hash_, edited)
    [problem] = looked_at(rows, end_of(rows))
    assert (problem.seq, problem.kind, problem.since) == (3, "edited", edited.at)


def test_an_entry_edited_together_with_its_hash_is_found_at_the_next_one() -> None:
    rows = a_log(5)
    edited = replace(rows[2][2], actor="bob")
    rows[2] = (3, entry_hash(rows[1][1], 3, edited), edited)
    assert [(one.seq, one.kind) for one in looked_at(rows, end_of(rows))] == [(4, "edited")]


def test_a_chain_computed_anew_from_the_edited_entry_to_its_end_differs_from_the_head() -> None:
    rows, head = a_log(3), end_of(a_log(3))
    before = FIRST_HASH
    for place, (seq, _, entry) in enumerate(rows):
        edited = replace(entry, actor="bob")
        before = entry_hash(before, seq, edited)
        rows[place] = (seq, before, edited)
    assert [(one.seq, one.kind) for one in looked_at(rows, head)] == [(3, "cut")]


def test_a_missing_entry_is_named_in_the_middle_at_the_beginning_and_at_the_end() -> None:
    rows = a_log(6)
    [middle] = looked_at(rows[:2] + rows[4:], end_of(rows))
    assert (middle.seq, middle.kind, middle.message) == (5, "missing", "entries 3 to 4 are missing")
    [first] = looked_at(rows[1:], end_of(rows))
    assert (first.seq, first.message) == (2, "entry 1 is missing")
    [last] = looked_at(rows[:-1], end_of(rows))
    assert (last.kind, last.message) == ("cut", "entry 6 is missing at the end")


def test_an_inserted_entry_pushes_the_others_and_is_found() -> None:
    rows = a_log(4)
    pushed = rows[:2] + [(3, bytes(32), an_entry(9))] + [(seq + 1, hash_, entry) for seq, hash_, entry in rows[2:]]
    assert looked_at(pushed, Link(5, rows[-1][1]))[0].seq == 3


@given(st.permutations(range(4)).filter(lambda order: order != [0, 1, 2, 3]))
def test_swapped_entries_are_found_whether_or_not_they_take_their_hashes_along(order: list[int]) -> None:
    rows = a_log(4)
    whole = [(place + 1, rows[other][1], rows[other][2]) for place, other in enumerate(order)]
    alone = [(place + 1, rows[place][1], rows[other][2]) for place, other in enumerate(order)]
    first = min(place for place, other in enumerate(order) if place != other) + 1
    for swapped in (whole, alone):
        assert looked_at(swapped, end_of(rows))[0].seq == first


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(1, 2**62),
    st.uuids(),
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001 (as the database has it)
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=5, max_size=5),
)
def test_what_the_migration_computes_is_what_the_program_verifies(
    before: bytes, seq: int, entry_id: object, at: datetime, texts: list[str]
) -> None:
    actor, action, subject, object_, detail = texts
    entry = ChainEntry(str(entry_id), at.replace(tzinfo=UTC), actor, action, subject, object_, detail)
    row = SimpleNamespace(
        id=bytes.fromhex(str(entry_id).replace("-", "")),
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        object=object_,
        detail=detail,
    )
    assert entry_hash(before, seq, entry) == v0005_school_record._hash(before, seq, row)


def test_a_moment_counts_as_such_in_whatever_zone_it_is_written() -> None:
    local = replace(an_entry(1), at=an_entry(1).at.astimezone(timezone(timedelta(hours=2))))
    assert entry_hash(FIRST_HASH, 1, local) == entry_hash(FIRST_HASH, 1, an_entry(1))


def test_the_hash_of_an_entry_is_the_same_for_ever() -> None:
    hash_ = entry_hash(FIRST_HASH, 1, an_entry(1)).hex()
    assert hash_ == "d1efc8fd74fa654a1d51d1b64553bf381b390a0c28d53ae2561df8e96665b4ba"


def test_a_place_in_the_chain_is_read_back_as_it_was_written_down() -> None:
    link = Link(12, bytes(range(32)))
    assert parse_link(f" {link}\n") == link
    for text in (
        "",
        "12",
        "12:",
        "x:" + "0" * 64,
        "12:" + "0" * 63,
        "12:" + "g" * 64,
        "-1:" + "0" * 64,
        "1" * 30 + ":" + "0" * 64,
    ):
        assert parse_link(text) is None
