"""The private database server: real queries, fresh databases, data that survive, one template for all runs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.database_server import Database, DatabaseServer
from deploy.own_process import ServerFailed, ServerMissing
from deploy.private_servers import PrivateMariaDb, make_template


def test_a_fresh_database_is_empty_and_speaks_utf8mb4(mariadb: DatabaseServer, database: Database) -> None:
    assert mariadb.execute("SHOW TABLES", database) == []
    assert mariadb.execute("SELECT @@character_set_database, @@collation_database", database) == [
        ("utf8mb4", "utf8mb4_unicode_ci")
    ]


def test_two_databases_do_not_share_anything(mariadb: DatabaseServer, database: Database) -> None:
    other = mariadb.create_database()
    mariadb.execute("CREATE TABLE only_here (id INT)", database)
    assert mariadb.execute("SHOW TABLES", other) == []
    mariadb.drop_database(other)
    assert (other.name,) not in mariadb.execute("SHOW DATABASES")


def test_the_address_is_the_one_the_hub_takes(database: Database) -> None:
    assert database.url.startswith(f"mysql+mysqlconnector://{database.user}:")
    assert database.url.endswith(
        f"@{database.host}:{database.port}/{database.name}?charset=utf8mb4&collation=utf8mb4_unicode_ci"
    )
    assert database.password not in repr(database)


def test_rows_survive_a_crash_and_a_restart(own_mariadb: PrivateMariaDb) -> None:
    server, kept = own_mariadb.server, own_mariadb.create_database()
    server.execute("CREATE TABLE marks (id INT PRIMARY KEY)", kept)
    server.execute("INSERT INTO marks VALUES (1), (2)", kept)
    port = own_mariadb.port

    own_mariadb.kill()
    with pytest.raises(ServerFailed):
        server.execute("SELECT 1")
    own_mariadb.start()
    assert own_mariadb.port == port
    assert server.execute("SELECT id FROM marks ORDER BY id", kept) == [(1,), (2,)]

    process = Path("/proc") / str(own_mariadb.pid)
    own_mariadb.stop()
    assert not process.exists()


def test_only_accounts_with_a_password_are_left(own_mariadb: PrivateMariaDb) -> None:
    for user in ("root", own_mariadb.user):
        stranger = DatabaseServer(own_mariadb.host, own_mariadb.port, user, "")
        with pytest.raises(ServerFailed, match="Access denied"):
            stranger.execute("SELECT 1")
    assert own_mariadb.administrator.execute("SELECT CURRENT_USER()") == [("root@127.0.0.1",)]


def test_the_program_may_not_touch_other_databases(own_mariadb: PrivateMariaDb) -> None:
    with pytest.raises(ServerFailed, match="denied"):
        own_mariadb.server.execute("CREATE DATABASE somebody_elses")


@pytest.mark.usefixtures("own_mariadb")
def test_the_template_is_made_once_even_by_two_at_a_time(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    with ThreadPoolExecutor(2) as two:
        one, other = two.map(make_template, [templates, templates])
    made = one.stat().st_ino

    assert one == other == make_template(templates)
    assert one.stat().st_ino == made
    assert [entry.name for entry in templates.iterdir()] == [one.name]


def test_a_missing_program_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(ServerMissing, match=r"mariadb-server-core is not installed: sudo apt-get install -y"):
        PrivateMariaDb(tmp_path / "db", folders=[str(tmp_path)], templates=tmp_path).start()


@pytest.mark.parametrize("address", ["localhost", "mysql://host:3306", "mysql://me:word@host:much", "http://me@host"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ServerFailed, match="mysql://user:password@host:port"):
        DatabaseServer.from_address(address)


def test_a_password_may_hold_any_character() -> None:
    server = DatabaseServer.from_address("mysql://me:p%40ss%2F@db:3307")
    assert (server.host, server.port, server.user, server.password) == ("db", 3307, "me", "p@ss/")
    assert ":p%40ss%2F@db:3307/x?" in server.database("x").url
