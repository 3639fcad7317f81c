"""The database adapter: whole transactions, errors by what to do, migrations that can be run again."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mysql.connector import errors
from mysql.connector.connection_cext import MySQLInterfaceError  # type: ignore[attr-defined]
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import OperationalError

from deploy.database_server import Database as ServerDatabase
from deploy.database_server import DatabaseServer
from deploy.environment import PROJECT
from deploy.private_servers import PrivateMariaDb
from hub.adapters import audit_chain_store, audit_log, look_alike_store, migrations
from hub.adapters.database import Database
from hub.adapters.migrations import NEWEST, migrate, recorded_version
from hub.adapters.migrations.versions import (
    v0001_first_tables,
    v0002_calibrations,
    v0003_time_and_repair,
    v0004_bounds_and_room,
    v0005_school_record,
)
from hub.adapters.mysql_errors import TransactionLost, translate
from hub.adapters.schema import METADATA, rooms, sections
from hub.core.audit_chain import ChainCheck
from hub.core.errors import BadInput, Conflict, StoreRefused, StoreUnavailable
from tests.hub_adapters.places import an_address, write_settings
from tests.hub_core.builders import an_id

pytestmark = pytest.mark.server


@pytest.fixture
def empty(database: ServerDatabase) -> Any:
    opened = Database(an_address(database), pause=lambda _: None)
    yield opened
    opened.close()


def test_the_migrations_build_exactly_the_tables_the_program_uses(hub_database: Database) -> None:
    with hub_database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = [
            one
            for one in compare_metadata(context, METADATA)
            # MySQL indexes foreign keys by itself and does not say so.
            if not (isinstance(one, tuple) and "alembic_version" in str(one))
        ]
    assert found == []


def test_the_version_the_program_works_with_is_the_newest_in_the_folder() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.NEWEST


def test_migrating_twice_changes_nothing(hub_database: Database) -> None:
    assert hub_database.run(migrate) == (NEWEST, NEWEST)
    hub_database.check_schema()


def test_a_first_migration_that_died_at_any_step_is_completed_by_running_it_again(empty: Database) -> None:
    seen: set[str] = set()
    deaths = 0
    while True:
        try:
            migrate_some_steps_more(empty, seen, "0001", steps=2)
        except Died:
            deaths += 1
            assert empty.run(recorded_version) is None
            with pytest.raises(StoreRefused, match="not migrated"):
                empty.check_schema()
        else:
            break
    assert deaths > 10
    empty.run(migrate)
    empty.check_schema()
    tables = {str(row[0]) for row in empty.run(lambda one: one.execute(text("show tables")).all())}
    assert tables == {*METADATA.tables, "alembic_version"}


def test_two_migrations_at_once_end_with_one_schema(database: ServerDatabase, tmp_path: Path) -> None:
    settings = write_settings(tmp_path, database)
    command = [sys.executable, "-m", "hub", "--config", str(settings), "db", "migrate"]
    both = [subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    opened = Database(an_address(database))
    opened.check_schema()
    opened.close()


def test_a_database_of_another_version_is_refused(empty: Database) -> None:
    empty.run(migrate)
    empty.run(lambda one: one.execute(text("update alembic_version set version_num = '9999'")))
    with pytest.raises(StoreRefused, match="9999"):
        empty.check_schema()


def at_first_version(empty: Database) -> None:
    """Bring a database to the tables of version 0001, as a school that installed then has them."""
    to_version(empty, "0001")


def to_version(empty: Database, version: str) -> None:
    """Bring a database to the tables of an older version."""
    with empty.transaction() as connection:
        upgrade(connection, version)


def upgrade(connection: Connection, version: str) -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(migrations.__file__).parent))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes[migrations.CONNECTION] = connection
    command.upgrade(configuration, version)


@pytest.fixture
def second_version(empty: Database) -> Database:
    """A database of version 0002 with events of a clock that was never set: one was dated by an anchor, one not."""
    to_version(empty, "0002")

    def fill(connection: Connection) -> None:
        for statement in _OLD_ROWS:
            connection.execute(text(statement))

    empty.run(fill)
    return empty


_OLD_ROWS = (
    "insert into rooms (id, name) values (repeat('r', 16), '12')",
    "insert into units (id, label, room_id, data_key_sealed, added_at)"
    " values (repeat('u', 16), 'door', repeat('r', 16), 'x', '2026-08-01')",
    *(
        "insert into events (event_id, unit_id, epoch, seq, kind, at_claimed, at_corrected, received_at, clock,"  # noqa: S608 (constants)
        f" boot_id, boottime_ns, body, payload_sha256) values (repeat('{seq}', 16), repeat('u', 16), 'aa', {seq},"
        f" 'seen', '{claimed}', '{corrected}', '2026-09-02', '{clock}', repeat('b', 16), 1, '{{}}', repeat('h', 32))"
        for seq, claimed, corrected, clock in (
            (1, "1970-01-01", "2026-09-01", "unsynced"),
            (2, "1970-01-01", "1970-01-01", "unsynced"),
            (3, "2026-09-01", "2026-09-01", "synced"),
        )
    ),
)


def test_what_version_0004_counts_and_names_is_there_for_what_was_on_record_before(second_version: Database) -> None:
    to_version(second_version, "0003")
    poison = (
        "insert into quarantine (id, code, detail, topic, body, body_sha256, received_at)"
        " values (repeat('q', 16), 'invalid', '', '', '12345', repeat('h', 32), '2026-09-02')"
    )
    second_version.run(lambda one: one.execute(text(poison)))
    second_version.run(migrate)

    def rows(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in second_version.run(lambda one: one.execute(text(query)).all())]

    assert rows("select body_bytes from quarantine") == [(5,)]
    assert rows("select first_seq, last_seq, first_us from undated_boots") == [(2, 2, None)]


class Died(Exception):
    """The process was killed."""


def migrate_some_steps_more(database: Database, seen: set[str], to: str = NEWEST, *, steps: int = 1) -> None:
    """Migrate and die after so many statements that no run before has come to, before the next such."""
    with database.transaction() as connection:
        new = 0

        def counted(original: Any) -> Any:
            def execute(statement: Any, *arguments: Any, **options: Any) -> Any:
                nonlocal new
                said = str(statement)
                if said.lstrip().upper().startswith(("CREATE", "ALTER", "UPDATE")) and said not in seen:
                    if new == steps:
                        raise Died
                    new += 1
                    seen.add(said)
                return original(statement, *arguments, **options)

            return execute

        connection.execute = counted(connection.execute)  # type: ignore[method-assign]
        connection.exec_driver_sql = counted(connection.exec_driver_sql)  # type: ignore[method-assign]
        upgrade(connection, to)


def basis_of_old_rows(database: Database) -> list[tuple[Any, ...]]:
    query = "select seq, time_basis, at_earliest, at_latest from events order by seq"
    return [tuple(row) for row in database.run(lambda one: one.execute(text(query)).all())]


def test_old_events_are_told_how_their_time_is_known(second_version: Database) -> None:
    second_version.run(migrate)
    assert basis_of_old_rows(second_version) == [
        (1, "anchor", None, None),
        (2, "estimated", datetime(2026, 8, 1), datetime(2026, 9, 2)),  # noqa: DTZ001 (as the database has them)
        (3, "claimed", None, None),
    ]


def test_a_migration_that_died_at_any_step_is_completed_by_running_it_again(second_version: Database) -> None:
    seen: set[str] = set()
    deaths = 0
    while True:
        try:
            migrate_some_steps_more(second_version, seen, "0004")
        except Died:
            deaths += 1
            # What is complete is noted, and nothing before it is.
            reached = str(second_version.run(recorded_version))
            assert reached in {"0002", "0003"}
            with pytest.raises(StoreRefused, match=reached):
                second_version.check_schema()
        else:
            break
    assert deaths > 10
    second_version.run(migrate)
    tables = "select table_name from information_schema.tables where table_schema = database()"
    second_version.check_schema()
    assert {str(row[0]) for row in second_version.run(lambda one: one.execute(text(tables)).all())} == {
        *METADATA.tables,
        "alembic_version",
    }
    assert [row[1] for row in basis_of_old_rows(second_version)] == ["anchor", "estimated", "claimed"]


_RECORDED = 501
"""One more than the migration chains at once."""


@pytest.fixture(scope="module")
def fourth_version(mariadb: DatabaseServer) -> Any:
    """A database of version 0004 in use: units, audit entries, a pair of look-alikes."""
    server = mariadb.create_database()
    opened = Database(an_address(server))
    to_version(opened, "0004")

    def fill(connection: Connection) -> None:
        for statement in (*_OLD_ROWS[:2], _OLD_PAIR):
            connection.execute(text(statement))
        rows = [
            {
                "id": number.to_bytes(16),
                "at": datetime(2026, 9, 1, 8, number % 60, 0, number),  # noqa: DTZ001 (as the database has it)
                "subject": f"unit:{number}",
            }
            for number in range(_RECORDED)
        ]
        insert_one = (
            "insert into audit (id, at, actor, action, subject, detail)"
            " values (:id, :at, 'Zoë', 'unit.add', :subject, '{\"ü\": 1}')"
        )
        connection.execute(text(insert_one), rows)

    opened.run(fill)
    yield opened
    opened.close()
    mariadb.drop_database(server)


_OLD_PAIR = (
    "insert into look_alikes (student_id, other_id, origin, decided_by, decided_at)"
    " values (repeat('a', 16), repeat('b', 16), 'operator', 'ada', '2026-09-01')"
)


def test_version_0005_chains_what_was_recorded_before_whatever_stops_it(fourth_version: Database) -> None:
    seen: set[str] = set()
    deaths = 0
    while True:
        try:
            migrate_some_steps_more(fourth_version, seen, steps=6)
        except Died:
            deaths += 1
            assert fourth_version.run(recorded_version) == "0004"
        else:
            break
    assert deaths > 5
    fourth_version.check_schema()
    with fourth_version.transaction() as connection:
        chain = ChainCheck()
        found = audit_chain_store.entries(connection, 0, _RECORDED, _RECORDED + 1)
        assert [problem for row in found for problem in chain.look_at(*row)] == []
        head = audit_chain_store.head(connection)
        assert head is not None
        assert chain.end(head) == []
        assert (head.seq, found[0][2].subject, found[-1][2].subject) == (_RECORDED, "unit:0", "unit:500")
        audit_log.record(connection, at=datetime(2026, 9, 2, tzinfo=UTC), actor="x", action="x", subject="x", detail={})
    with fourth_version.transaction() as connection:
        [(seq, hash_, entry)] = audit_chain_store.entries(connection, _RECORDED, _RECORDED + 10, 10)
        assert chain.look_at(seq, hash_, entry) == []


def test_version_0005_notes_where_units_are_and_lets_reviews_find_look_alikes(fourth_version: Database) -> None:
    fourth_version.run(migrate)
    places = fourth_version.run(lambda one: one.execute(text("select unit_id, since, room_id from unit_rooms")).all())
    assert [tuple(row) for row in places] == [(b"u" * 16, datetime(1970, 1, 1), b"r" * 16)]  # noqa: DTZ001
    allowed = text("update look_alikes set origin = :origin")
    fourth_version.run(lambda one: one.execute(allowed, {"origin": "review"}))
    with pytest.raises(BadInput):
        fourth_version.run(lambda one: one.execute(allowed, {"origin": "somebody"}))


def put_fact(empty: Database, value: str) -> None:
    statement = "insert into hub_facts (name, value, changed_at) values ('look_alikes', :value, '2026-09-01')"
    empty.run(lambda one: one.execute(text(statement), {"value": value}))


def test_look_alikes_are_moved_out_of_the_facts(empty: Database) -> None:
    at_first_version(empty)
    put_fact(empty, json.dumps([[an_id(2), an_id(1)], [an_id(1), an_id(3)], [an_id(1), an_id(2)]]))
    assert empty.run(migrate) == ("0001", NEWEST)
    pairs = empty.run(look_alike_store.lines)
    assert [line.pair for line in pairs] == [(an_id(1), an_id(2)), (an_id(1), an_id(3))]
    assert {(line.origin, line.score, line.decided_at.year) for line in pairs} == {("operator", None, 2026)}
    assert empty.run(lambda one: one.execute(text("select value from hub_facts")).scalar()) == "[]"
    empty.run(migrate)
    assert empty.run(look_alike_store.lines) == pairs


@pytest.mark.parametrize("value", ["[]", None])
def test_a_school_without_look_alikes_is_migrated_too(empty: Database, value: str | None) -> None:
    at_first_version(empty)
    if value is not None:
        put_fact(empty, value)
    empty.run(migrate)
    assert empty.run(look_alike_store.lines) == []


def test_damaged_look_alikes_stop_the_migration_and_can_be_repaired(empty: Database) -> None:
    at_first_version(empty)
    put_fact(empty, '[["not an id", "x"]]')
    with pytest.raises(StoreRefused, match="damaged"):
        empty.run(migrate)
    assert empty.run(recorded_version) == "0001"
    empty.run(lambda one: one.execute(text("update hub_facts set value = '[]'")))
    empty.run(migrate)
    empty.check_schema()


def test_there_is_no_way_back() -> None:
    for version in (
        v0001_first_tables,
        v0002_calibrations,
        v0003_time_and_repair,
        v0004_bounds_and_room,
        v0005_school_record,
    ):
        with pytest.raises(NotImplementedError):
            version.downgrade()


def test_the_session_is_what_the_program_relies_on(empty: Database) -> None:
    query = "select @@time_zone, @@tx_isolation, @@collation_connection, @@sql_mode, @@autocommit"
    zone, isolation, collation, mode, autocommit = empty.run(lambda one: one.execute(text(query)).one())
    assert (zone, isolation, collation) == ("+00:00", "READ-COMMITTED", "utf8mb4_unicode_ci")
    assert "STRICT_ALL_TABLES" in mode
    assert autocommit == 0
    again = empty.run(lambda one: one.execute(text("select @@tx_isolation")).scalar(), isolation="REPEATABLE READ")
    assert again == "REPEATABLE-READ"
    assert empty.run(lambda one: one.execute(text("select @@tx_isolation")).scalar()) == "READ-COMMITTED"


def test_a_process_that_froze_within_a_transaction_does_not_keep_its_locks(hub_database: Database) -> None:
    hub_database.run(lambda one: one.execute(insert(rooms).values(id=an_id(1), name="12")))
    frozen = Database(replace(hub_database.address, idle_timeout_s=1))
    change = rooms.update().where(rooms.c.id == an_id(1))

    def freeze() -> None:
        with frozen.transaction() as connection:
            connection.execute(change.values(name="13"))
            # Meanwhile the other one waits for the lock, and is given it.
            hub_database.run(lambda one: one.execute(change.values(name="14")), attempts=1)
            connection.execute(text("select 1"))

    with pytest.raises(TransactionLost):
        freeze()
    assert hub_database.run(lambda one: one.execute(rooms.select()).one().name) == "14"
    frozen.close()


def test_an_error_rolls_everything_back(hub_database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(rooms).values(id=an_id(1), name="12"))
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        hub_database.run(work)
    assert hub_database.run(lambda one: one.execute(rooms.select()).all()) == []


def test_what_contradicts_the_record_is_a_conflict_and_what_does_not_fit_is_bad_input(hub_database: Database) -> None:
    hub_database.run(lambda one: one.execute(insert(sections).values(id=an_id(1), name="7b")))
    with pytest.raises(Conflict):
        hub_database.run(lambda one: one.execute(insert(sections).values(id=an_id(2), name="7b")))
    with pytest.raises(BadInput):
        hub_database.run(lambda one: one.execute(insert(sections).values(id=an_id(3), name="x" * 101)))


def test_a_deadlock_is_tried_again_from_the_start(hub_database: Database) -> None:
    for number, name in ((1, "a"), (2, "b")):
        with hub_database.transaction() as connection:
            connection.execute(insert(rooms).values(id=an_id(number), name=name))
    barrier = threading.Barrier(2)
    tries: list[int] = []

    def swap(first: int, second: int) -> None:
        def work(connection: Connection) -> None:
            tries.append(first)
            for number in (first, second):
                connection.execute(rooms.update().where(rooms.c.id == an_id(number)).values(name=f"{first}{number}"))
                if number == first and len(tries) <= 2:
                    barrier.wait(10)

        hub_database.run(work)

    threads = [threading.Thread(target=swap, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries) >= 3
    assert hub_database.repeated >= 1


@pytest.mark.parametrize(
    ("changed", "error", "hint"),
    [
        ({"password": "wrong"}, StoreRefused, "password_file"),
        ({"name": "rollcall_none"}, StoreRefused, "database.name"),
        ({"port": 1}, StoreUnavailable, "is it running"),
        ({"host": "no-such-host.invalid"}, StoreUnavailable, "is it running"),
    ],
)
def test_why_the_database_cannot_be_used_is_said_with_a_hint(
    database: ServerDatabase, changed: dict[str, Any], error: type[Exception], hint: str
) -> None:
    opened = Database(an_address(database, **changed))
    with pytest.raises(error) as caught:
        opened.check_schema()
    assert hint in getattr(caught.value, "hint", "")
    assert str(caught.value) != "wrong"
    opened.close()


def test_a_server_that_was_killed_is_unavailable_and_then_back(own_mariadb: PrivateMariaDb) -> None:
    database = Database(an_address(own_mariadb.create_database()), pause=lambda _: None)
    database.run(migrate)
    own_mariadb.kill()
    with pytest.raises(StoreUnavailable):
        database.check_schema()
    own_mariadb.start()
    database.check_schema()

    def work(connection: Connection) -> None:
        own_mariadb.kill()
        connection.execute(text("select 1"))

    with pytest.raises(StoreUnavailable):
        database.run(work)
    database.close()


def test_errors_never_quote_values(hub_database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(sections).values(id=an_id(1), name="Ada Lovelace" * 20))

    with pytest.raises(BadInput) as caught:
        hub_database.run(work)
    assert "Lovelace" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize("kind", [errors.OperationalError, errors.InternalError])
def test_trouble_of_the_server_that_nobody_listed_is_waited_out_without_its_text(kind: type[errors.Error]) -> None:
    meaning = translate(kind("Ada Lovelace", errno=1105), "here")
    assert isinstance(meaning, StoreUnavailable)
    assert str(meaning) == "the database reports error 1105 (here)"
    wrapped = translate(OperationalError("insert 'Ada'", {}, kind("Ada Lovelace", errno=1105)), "here")
    assert isinstance(wrapped, StoreUnavailable)
    assert "Ada" not in str(wrapped)


def test_a_row_that_changed_since_a_transaction_began_is_a_reason_to_begin_anew() -> None:
    meaning = translate(errors.OperationalError("Record has changed since last read", errno=1020), "here")
    assert isinstance(meaning, TransactionLost)


@pytest.mark.parametrize("errno", [1862, 3118, 4151, 2061])
def test_an_account_that_is_locked_or_expired_is_refused(errno: int) -> None:
    assert isinstance(translate(errors.OperationalError("no", errno=errno), "here"), StoreRefused)


def test_a_fault_in_the_program_is_not_called_an_outage() -> None:
    assert translate(errors.ProgrammingError("no", errno=1064), "here") is None


def test_a_commit_that_breaks_is_a_lost_transaction(hub_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(_: object) -> None:
        broken = MySQLInterfaceError("Lost connection")
        broken.errno = 2013
        raise broken

    with monkeypatch.context() as patch:
        patch.setattr("mysql.connector.connection_cext.CMySQLConnection.commit", commit)
        with pytest.raises(TransactionLost):
            hub_database.run(lambda one: one.execute(text("select 1")).scalar(), attempts=1)
