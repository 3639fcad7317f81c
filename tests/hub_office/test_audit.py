"""The audit log on a real database: chained by concurrent writers, verified, listed, exported, forgotten."""

import json
import re
import threading
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, insert, text
from sqlalchemy.dialects import mysql

from deploy.environment import PROJECT
from hub.adapters import audit_log
from hub.adapters.audit_chain_store import AuditFilter, newest_query
from hub.adapters.database import Database
from hub.adapters.schema import rooms, sections
from hub.core.audit_chain import ChainCheck, ChainEntry, Link, parse_link
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office import audit
from tests.hub_core.builders import an_id
from tests.hub_office.conftest import NOW, OfficeUnderTest, invoke

pytestmark = pytest.mark.server


def note(connection: Connection, subject: str = "room:1", **changed: object) -> None:
    values = {"at": NOW, "actor": "ada", "action": "room.add", "subject": subject, "detail": {}}
    audit_log.record(connection, **(values | changed))  # type: ignore[arg-type]


def numbers(desk: OfficeUnderTest) -> list[object]:
    return [row[0] for row in desk.rows("select seq from audit order by seq")]


def fill(desk: OfficeUnderTest, entries: int) -> None:
    """Entries 2 and on, beside the one of the migration: all in one transaction."""
    with desk.office.database.transaction() as connection:
        for number in range(entries):
            note(connection, f"room:{number}", at=NOW + timedelta(minutes=number))


def test_many_who_write_at_once_leave_one_chain_without_a_gap(desk: OfficeUnderTest) -> None:
    databases = [Database(desk.office.database.address) for _ in range(4)]
    begin = threading.Barrier(4)

    def write(place: int) -> None:
        begin.wait(10)
        for turn in range(12):

            def work(connection: Connection, turn: int = turn) -> None:
                for part in range(3):
                    note(connection, f"room:{place}-{turn}-{part}")
                # Rows that others change too, in an order of one's own, and a moment that others have moved on from.
                connection.execute(
                    text("insert into hub_facts values (:name, '', now()) on duplicate key update value = :place"),
                    {"name": f"test.{(place + turn) % 3}", "place": place},
                )

            isolation = "REPEATABLE READ" if turn % 3 == 2 else "READ COMMITTED"
            databases[place].run(work, isolation=isolation, attempts=20)  # type: ignore[arg-type]

    threads = [threading.Thread(target=write, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for database in databases:
        database.close()
    assert numbers(desk) == list(range(1, 2 + 4 * 12 * 3))
    assert len(set(desk.rows("select subject from audit"))) == 1 + 4 * 12 * 3
    found = audit.verify(desk.office)
    assert (found.intact, found.entries) == (True, 145)


def test_entries_share_the_fate_of_their_transaction(desk: OfficeUnderTest) -> None:
    database = desk.office.database

    def stop(connection: Connection) -> None:
        note(connection)
        raise ValueError("stop")

    def contradict(connection: Connection) -> None:
        note(connection, "beside what cannot be")
        connection.execute(insert(sections).values(id=an_id(2), name="7b"))

    def say_too_much(connection: Connection) -> None:
        connection.execute(insert(rooms).values(id=an_id(3), name="12"))
        note(connection, "x" * 101)

    with database.transaction() as connection:
        connection.execute(insert(sections).values(id=an_id(1), name="7b"))
        note(connection, "kept")
    for work, error in ((stop, ValueError), (contradict, Conflict), (say_too_much, BadInput)):
        with pytest.raises(error):
            database.run(work)
    assert desk.rows("select subject from audit order by seq") == [("database",), ("kept",)]
    assert desk.count("rooms") == 0
    assert audit.verify(desk.office).intact


def test_a_connection_of_another_kind_writes_at_once(desk: OfficeUnderTest) -> None:
    address = desk.office.database.address
    password, place = address.password, f"{address.host}:{address.port}/{address.name}"
    engine = create_engine(f"mysql+mysqlconnector://{address.user}:{password}@{place}")
    with engine.begin() as connection:
        note(connection)
        assert connection.execute(text("select count(*) from audit")).scalar() == 2
    engine.dispose()
    assert audit.verify(desk.office).intact


def test_a_desk_that_was_emptied_is_as_a_fresh_one(desk: OfficeUnderTest, fresh_desk: OfficeUnderTest) -> None:
    def state(of: OfficeUnderTest) -> dict[str, object]:
        tables = [str(row[0]) for row in of.rows("show tables")]
        return {
            "rows": {name: of.count(name) for name in tables},
            "log": of.rows("select seq, actor, action, subject, object from audit"),
        }

    assert state(desk) == state(fresh_desk)
    assert audit.verify(desk.office).intact
    assert audit.verify(fresh_desk.office).intact


def test_a_lost_head_stops_writers_and_is_found(desk: OfficeUnderTest) -> None:
    desk.do("delete from audit_head")
    with pytest.raises(Exception, match="end of the audit log"):
        fill(desk, 1)
    found = audit.verify(desk.office)
    assert [problem.kind for problem in found.problems] == ["cut"]


def test_whatever_is_done_to_the_table_is_found_with_its_number_and_the_command_fails(desk: OfficeUnderTest) -> None:
    fill(desk, 8)
    clean = audit.verify(desk.office)
    written_down = str(clean.newest)
    assert (clean.intact, clean.entries) == (True, 9)
    said = invoke(desk, "audit", "verify")
    assert (said.exit_code, f"9 entries, newest {written_down}: write it down outside" in said.stdout) == (0, True)

    # Each on top of the others: every one of them is one place more.
    desk.do("update audit set actor = 'bob' where seq = 3")
    desk.do("delete from audit where seq = 5")
    desk.do("update audit set seq = if(seq = 7, 100, seq) where seq = 7")
    desk.do("update audit set seq = 7 where seq = 8")
    desk.do("update audit set seq = 8 where seq = 100")
    desk.do(
        "insert into audit (id, at, actor, action, subject, detail) values (repeat('x', 16), now(), '', '', '', '')"
    )
    found = audit.verify(desk.office)
    assert [(one.seq, one.kind) for one in found.problems] == [
        (3, "edited"),
        (6, "missing"),
        (7, "edited"),
        (8, "edited"),
        (9, "edited"),
        (None, "unnumbered"),
    ]
    assert found.problems[0].since == NOW + timedelta(minutes=1)
    said = invoke(desk, "audit", "verify")
    assert said.exit_code == 1
    assert "entry 3 is not as it was written" in said.stdout
    assert "Entries before 2 are as they were written" in said.stdout
    assert "12:01:00" in said.stdout  # the school's time
    assert json.loads(invoke(desk, "audit", "verify", "--json").stdout)["all_problems"] == 6


def test_a_log_that_was_written_anew_differs_from_what_was_written_down(desk: OfficeUnderTest) -> None:
    fill(desk, 3)
    written_down = audit.verify(desk.office).newest
    fill(desk, 1)
    assert audit.verify(desk.office, expect=written_down).intact
    with desk.office.database.transaction() as connection:
        connection.execute(text("delete from audit"))
        connection.execute(text("update audit_head set seq = 0, hash = repeat('\\0', 32)"))
    fill(desk, 5)
    assert audit.verify(desk.office).intact
    [problem] = audit.verify(desk.office, expect=written_down).problems
    assert (problem.kind, problem.seq) == ("rewritten", 4)
    assert invoke(desk, "audit", "verify", "--expect", str(written_down)).exit_code == 1
    assert "is not SEQ:HASH" in invoke(desk, "audit", "verify", "--expect", "4").stderr


def test_old_entries_are_forgotten_from_the_start_and_the_rest_still_holds(desk: OfficeUnderTest) -> None:
    fill(desk, 6)
    written_down, office = audit.verify(desk.office).newest, desk.office
    later = NOW + timedelta(days=1)

    def forget(moment: object, most: int = 3) -> int:
        def work(connection: Connection) -> int:
            return audit_log.forget_before(connection, moment, at=later, actor="retention", most=most)  # type: ignore[arg-type]

        return office.database.run(work)

    assert forget(NOW) == 0
    assert forget(NOW + timedelta(minutes=4)) == 3
    assert forget(NOW + timedelta(minutes=4)) == 2
    assert forget(NOW + timedelta(minutes=4)) == 0
    assert numbers(desk) == [6, 7, 8, 9]
    found = audit.verify(office, expect=written_down)
    assert (found.intact, found.forgotten, found.entries) == (True, 5, 4)
    assert [row[0] for row in desk.rows("select detail from audit where action = 'audit.forget' order by seq")] == [
        '{"entries": 3, "up_to": 3}',
        '{"entries": 2, "up_to": 5}',
    ]
    # Entries written while the clock was years ahead are as old as those after them.
    desk.do("update audit set at = '2036-01-01' where seq = 6")
    assert forget(NOW + timedelta(minutes=6)) == 2
    desk.do("update audit set at = '2036-01-01' where seq = 8")
    assert forget(NOW + timedelta(minutes=6)) == 0
    # All of it, even the end: what comes next still follows it.
    assert forget(NOW + timedelta(days=2), most=100) == 3
    assert numbers(desk) == [11]
    assert audit.verify(office).intact
    assert audit.verify(office, expect=written_down).problems[0].message.startswith("entry 7 was deleted as old")
    # Somebody else who deletes from the start is no retention.
    fill(desk, 2)
    desk.do("delete from audit where seq = 11")
    assert [problem.kind for problem in audit.verify(office).problems] == ["missing"]


def test_whatever_is_made_up_beside_the_chain_is_found(desk: OfficeUnderTest) -> None:
    fill(desk, 8)
    written_down = audit.verify(desk.office).newest

    def found() -> list[str]:
        return [one.message for one in audit.verify(desk.office, expect=written_down).problems]

    columns = "(id, at, actor, action, subject, detail, seq, hash)"
    for place, seq in enumerate((1000, 0, -3)):
        row = f"repeat('{place}', 16), now(), 'forged', 'student.erase', '', '{{}}', {seq}, repeat('x', 32)"
        desk.do(f"insert into audit {columns} values ({row})")  # noqa: S608 (ours)
        assert found() == ["1 entries stand before the first or after the newest"]
        assert invoke(desk, "audit", "verify").exit_code == 1
        desk.do("delete from audit where actor = 'forged'")
    # Somebody deletes the beginning, and notes what retention would have noted.
    noted = "insert into hub_facts select 'audit.forgotten', json_object('seq', seq, 'hash', lower(hex(hash))), now()"
    desk.do(f"{noted} from audit where seq = 5")
    desk.do("delete from audit where seq <= 5")
    assert found() == ["entries up to 5 are gone, and by the log itself retention deleted none"]
    for broken in ("x", "[]", '{"seq": 5}', '{"seq": 5, "hash": "00"}', "7"):
        desk.do(f"update hub_facts set value = '{broken}' where name = 'audit.forgotten'")  # noqa: S608 (ours)
        assert "what retention deleted cannot be read: hub_facts, audit.forgotten" in found()
        assert invoke(desk, "audit", "verify", "--json").exit_code == 1


def test_entries_are_listed_by_whom_and_what_they_concern(desk: OfficeUnderTest) -> None:
    desk.do(
        "insert into students (id, serial_number, name, created_at) values (repeat('s', 16), '0042', 'Ada L', now())"
    )
    student = f"student:{UUID(bytes=b's' * 16)}"
    with desk.office.database.transaction() as connection:
        note(connection, student, action="mark.set", object_="lesson:" + an_id(5), detail={"status": "late"})
        note(connection, student, action="mark.undo", actor="bob", at=NOW + timedelta(days=1))
        note(connection, "pair:1", action="markless", object_=student, at=NOW + timedelta(days=2))

    def listed(**wanted: object) -> list[str]:
        return [line.action for line in audit.entries(desk.office, **wanted)]  # type: ignore[arg-type]

    assert sorted(listed()) == ["db.migrate", "mark.set", "mark.undo", "markless"]
    assert listed(student="0042") == ["markless", "mark.undo", "mark.set"]
    assert listed(lesson=an_id(5)) == ["mark.set"]
    assert listed(action="mark") == ["mark.undo", "mark.set"]
    assert listed(action="mark.set") == ["mark.set"]
    assert listed(actor="bob") == ["mark.undo"]
    assert listed(since="2026-09-02", until="2026-09-02") == ["mark.undo"]
    assert listed(since="2026-09-02T12:00:01") == ["markless"]
    assert listed(student="0042", limit=1) == ["markless"]
    [line] = audit.entries(desk.office, lesson="lesson:" + an_id(5).upper())
    assert (line.about, line.detail) == ("0042 Ada L", {"status": "late"})
    assert listed(action="mark.none") == []
    for wrong, sentence in (
        ({"limit": 0}, "a number from 1"),
        ({"since": "yesterday"}, "neither a day nor a time"),
        ({"since": "2026-12-01", "until": "2026-11-01"}, "is before"),
        ({"lesson": "abc"}, "not a lesson's id"),
        ({"action": "mrk"}, "no action is called 'mrk'"),
    ):
        with pytest.raises(BadInput, match=sentence):
            listed(**wrong)
    with pytest.raises(NotFound):
        listed(student="0043")
    said = invoke(desk, "audit", "list", "--student", "0042", "--limit", "1")
    assert "0042 Ada L" in said.stdout
    assert "--limit shows more" in said.stderr
    [row] = json.loads(invoke(desk, "audit", "list", "--lesson", an_id(5), "--json").stdout)
    assert (row["actor"], row["object"], row["detail"]) == ("ada", "lesson:" + an_id(5), {"status": "late"})


def test_looking_for_a_student_a_day_or_the_next_entries_reads_no_more_than_an_index_gives(
    desk: OfficeUnderTest,
) -> None:
    with desk.office.database.transaction() as connection:
        for number in range(300):
            changed = {"at": NOW + timedelta(hours=number), "object_": f"lesson:{number // 30}"}
            note(connection, f"student:{number // 10}", **changed)
    desk.do("analyze table audit")

    def keys_of(statement: str) -> set[object]:
        return {row[5] for row in desk.rows(f"explain {statement}")}

    def keys_of_list(wanted: AuditFilter) -> set[object]:
        query = newest_query(wanted, 50).compile(dialect=mysql.dialect(), compile_kwargs={"literal_binds": True})
        return keys_of(str(query).replace("%%", "%"))

    assert {"ix_audit_subject", "ix_audit_object"} <= keys_of_list(AuditFilter(about=("student:7",)))
    day = AuditFilter(since=NOW, until=NOW + timedelta(hours=5))
    assert keys_of_list(day) == {"ix_audit_at"}
    assert keys_of_list(AuditFilter(action="db")) == {"ix_audit_action"}
    assert keys_of("select * from audit where seq > 20 and seq <= 300 order by seq limit 10") == {"uq_audit_seq"}


def test_a_copy_can_be_checked_by_itself_and_holds_that_it_was_taken(desk: OfficeUnderTest, tmp_path: Path) -> None:
    fill(desk, 3)
    file = tmp_path / "audit.jsonl"
    assert audit.export(desk.office, file) == 5
    assert file.stat().st_mode & 0o777 == 0o600
    first, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    after = parse_link(first["after"])
    assert after == Link(0, bytes(32))
    check = ChainCheck(after)
    for row in lines:
        at = NOW.fromisoformat(row["at"])
        entry = ChainEntry(row["id"], at, row["actor"], row["action"], row["subject"], row["object"], row["detail"])
        assert check.look_at(row["seq"], bytes.fromhex(row["hash"]), entry) == []
    assert str(check.last) == first["newest"]
    assert lines[-1]["action"] == "audit.export"
    with pytest.raises(BadInput, match="already"):
        audit.export(desk.office, file)
    assert numbers(desk) == [1, 2, 3, 4, 5]
    assert invoke(desk, "audit", "export", str(file), "--force").exit_code == 0
    with pytest.raises(BadInput, match="cannot be written"):
        audit.export(desk.office, tmp_path / "none" / "audit.jsonl")
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".audit")] == []
    streamed = [json.loads(line) for line in invoke(desk, "audit", "export", "-").stdout.splitlines()]
    assert [row["seq"] for row in streamed[1:]] == numbers(desk)
    assert not Path("-").exists()


def test_the_first_words_of_actions_are_all_known() -> None:
    program = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "hub").rglob("*.py"))
    written = set(re.findall(r'action="([a-z]+)', program))
    written |= set(re.findall(r'(?:_record|_record_once|_tell)\([^()]*?"([a-z]+)\.[a-z_]+"', program))
    assert {"keys", "consent", "mark", "lesson"} <= written
    assert written - set(audit.KINDS) == set()
