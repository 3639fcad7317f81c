"""`rollcall-hub gallery reset`: a person's word that units take the hub's gallery, whatever they have."""

from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from hub.adapters.database import Database
from hub.adapters.schema import audit, galleries, rooms
from hub.cli import app
from tests.hub_adapters.emptied import EmptiedDatabase
from tests.hub_adapters.test_commands import Operator
from tests.hub_core.builders import an_id

pytestmark = pytest.mark.server


@pytest.fixture
def operator(tmp_path: Any, migrated_database: EmptiedDatabase, hub_database: Database) -> Any:
    person = Operator(tmp_path, migrated_database.at)
    person.run("db", "migrate")
    with hub_database.transaction() as connection:
        connection.execute(rooms.insert().values(id=an_id(1), name="12"))
    for label in ("door-12", "door-13"):
        person.add_unit(label)
    with hub_database.transaction() as connection:
        connection.execute(update(galleries).values(revision=7))
    yield person
    person.database.close()


def generations(operator: Operator) -> dict[str, tuple[int, int]]:
    rows = operator.json("gallery", "status")
    return {row["label"]: (row["generation"], row["revision"]) for row in rows}


def test_a_reset_begins_a_new_generation_and_the_revision_counts_on(operator: Operator) -> None:
    assert generations(operator) == {"door-12": (0, 7), "door-13": (0, 7)}
    assert "1 units will take" in operator.run("gallery", "reset", "door-12", "--yes")
    assert generations(operator) == {"door-12": (1, 8), "door-13": (0, 7)}
    [row] = [row for row in operator.rows(audit) if row["action"] == "gallery.reset"]
    assert row["actor"] == "ada"


def test_all_units_can_be_reset_at_once(operator: Operator) -> None:
    lines = operator.json("gallery", "reset", "--all", "--yes")
    assert [(line["label"], line["generation"], line["revision"]) for line in lines] == [
        ("door-12", 1, 8),
        ("door-13", 1, 8),
    ]


def test_without_a_yes_a_person_is_asked_and_a_no_changes_nothing(operator: Operator) -> None:
    command = ["--config", str(operator.settings), "--actor", "ada", "gallery", "reset", "door-12"]
    refused = CliRunner().invoke(app, command, input="n\n")
    assert refused.exit_code == 1
    assert "door-12 will drop its gallery" in refused.stderr
    assert generations(operator)["door-12"] == (0, 7)
    assert CliRunner().invoke(app, command, input="y\n").exit_code == 0
    assert generations(operator)["door-12"] == (1, 8)


def test_an_unknown_unit_changes_nothing_for_the_others(operator: Operator) -> None:
    operator.run("gallery", "reset", "door-12", "nobody", "--yes")
    assert operator.code == 1
    assert "there is no unit 'nobody'" in operator.err
    assert generations(operator)["door-12"] == (0, 7)


@pytest.mark.parametrize("arguments", [[], ["door-12", "--all"]])
def test_units_or_all_have_to_be_named(operator: Operator, arguments: list[str]) -> None:
    operator.run("gallery", "reset", *arguments, "--yes")
    assert operator.code == 2
