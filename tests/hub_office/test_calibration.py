"""Calibrating on a real database: what is kept, what units hear of it, who is compared, and when it is done again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import update
from typer.testing import CliRunner, Result

from hub.adapters import calibration_store, look_alike_store, template_store
from hub.adapters.schema import templates
from hub.adapters.template_store import NewTemplate
from hub.cli import app
from hub.core.calibration import Calibration
from hub.core.errors import StoreRefused
from hub.office import calibration, consents, rooms
from hub.office.calibration import Outcome
from hub.office.context import Office
from recognition.adapters.pack_files import Pack
from recognition.core.calibration import ScoreStatistics, StrangerScores
from tests.hub_core.builders import PACK, a_student, an_id
from tests.hub_office.conftest import NOW, OfficeUnderTest

STATISTICS = ScoreStatistics((StrangerScores(1, 50_000, 0.96, 0.01, 0.004, -0.1, 0.01),), 0.8, "made up")
SHRINKING = 0.9 ** np.arange(32)


@dataclass(frozen=True)
class MadeUpPack:
    """What calibrating reads of a pack."""

    pack_id: str = PACK
    statistics: ScoreStatistics | None = STATISTICS


def faces(number: int, pictures: int, seed: int = 0, noise: float = 0.3) -> NDArray[np.float32]:
    """A person's pictures; people have a direction in common, as faces have."""
    person = np.random.default_rng(1000 + number).normal(size=32) * SHRINKING
    person[0] += 5.0
    rows = person + np.random.default_rng([seed, number]).normal(size=(pictures, 32)) * SHRINKING * noise
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@dataclass(frozen=True)
class School:
    """A desk with students in the database."""

    desk: OfficeUnderTest
    pack: MadeUpPack = MadeUpPack()

    @property
    def office(self) -> Office:
        return self.desk.office

    def enrol(self, number: int, rows: NDArray[np.float32], *, consent: bool = True, pack_id: str = PACK) -> str:
        student_id = a_student(number)
        now = self.desk.clock.now()
        with self.office.database.transaction() as connection:
            connection.exec_driver_sql(
                "insert into students (id, serial_number, name, created_at) values (%s, %s, %s, %s)",
                (bytes.fromhex(student_id.replace("-", "")), str(number), f"S{number}", now.replace(tzinfo=None)),
            )
        if consent:
            consents.give_consent(self.office, {"serial_number": str(number), "given_by": "x", "reference": ""})
        self.add_pictures(student_id, rows, pack_id=pack_id)
        return student_id

    def add_pictures(self, student_id: str, rows: NDArray[np.float32], *, pack_id: str = PACK) -> None:
        now, key = self.desk.clock.now(), self.office.keys.hub_key()
        with self.office.database.transaction() as connection:
            for row in rows:
                picture = hashlib.sha256(row.tobytes() + student_id.encode()).digest()
                template_id = an_id(int.from_bytes(picture[:4]))
                new = NewTemplate(template_id, student_id, pack_id, row, "file", 100.0, picture)
                template_store.insert_template(connection, key, new, now)

    def calibrate(self, *, dry_run: bool = False, only_if_due: bool = False) -> Outcome | None:
        return calibration.calibrate(self.office, cast(Pack, self.pack), dry_run=dry_run, only_if_due=only_if_due)

    def must_calibrate(self) -> Outcome:
        outcome = self.calibrate()
        assert outcome is not None
        return outcome

    def newest(self) -> Calibration | None:
        return self.office.database.run(lambda connection: calibration_store.newest(connection, self.pack.pack_id))

    def report(self) -> calibration.Report:
        return calibration.report(self.office, cast(Pack, self.pack))

    def pairs(self) -> dict[look_alike_store.Pair, str]:
        return {line.pair: line.origin for line in self.office.database.run(look_alike_store.lines)}


@pytest.fixture
def school(desk: OfficeUnderTest) -> School:
    rooms.add_room(desk.office, "12")
    desk.add_unit("12")
    return School(desk)


def test_a_new_school_keeps_the_points_of_the_pack_and_is_told_what_is_missing(school: School) -> None:
    for number in range(3):
        school.enrol(number, faces(number, 3))
    before = school.desk.revision()
    outcome = school.must_calibrate()
    assert (outcome.changed, school.desk.revision()) == (False, before)
    kept = school.newest()
    assert kept == outcome.calibration
    assert kept is not None
    assert (kept.method, kept.students, kept.fpir, kept.actor) == ("pack", 3, 0.01, "tester")
    assert (kept.statistics, kept.certainty.more_students) == (STATISTICS, 97)
    assert kept.software
    assert school.desk.actions()[-1] == "calibrate"
    report = school.report()
    assert "97 more students" in " ".join(report.sentences)
    assert [(scope.name, scope.students) for scope in report.scopes] == [("12", 3), ("everybody", 3)]


def test_two_enrolments_of_one_face_become_look_alikes_for_the_units(school: School) -> None:
    rows = faces(1, 2)
    one, two = school.enrol(1, rows), school.enrol(2, rows)
    school.enrol(3, faces(3, 2))
    before = school.desk.revision()
    outcome = school.must_calibrate()
    assert (outcome.changed, school.desk.revision()) == (True, before + 1)
    assert school.pairs() == {look_alike_store.pair_of(one, two): "calibration"}
    [line] = school.report().look_alikes
    assert (line.serial_number, line.other_serial_number, line.origin) == ("1", "2", "calibration")
    assert line.score == pytest.approx(1.0, abs=1e-4)
    with school.office.database.transaction() as connection:
        assert look_alike_store.read(connection) == set(school.pairs())
        # Nobody has said that they are two people: the next picture is still asked about.
        assert look_alike_store.confirmed(connection) == frozenset()
    assert school.must_calibrate().changed is False
    assert school.desk.revision() == before + 1


def test_what_a_person_said_stays_and_what_is_no_longer_alike_goes(school: School) -> None:
    rows = faces(1, 2)
    one, two, three = school.enrol(1, rows), school.enrol(2, rows), school.enrol(3, rows)
    school.must_calibrate()
    assert len(school.pairs()) == 3
    now = school.desk.clock.now()
    with school.office.database.transaction() as connection:
        look_alike_store.lock(connection, now)
        look_alike_store.add(connection, one, [two], now, "ada")
    consents.withdraw_consent(school.office, "3")
    assert school.pairs() == {look_alike_store.pair_of(one, two): "operator"}
    school.must_calibrate()
    assert school.pairs() == {look_alike_store.pair_of(one, two): "operator"}
    [told] = school.office.database.run(look_alike_store.lines)
    assert (told.decided_by, told.score is None) == ("ada", False)
    assert three not in {student for pair in school.pairs() for student in pair}


def test_a_rehearsal_changes_nothing(school: School) -> None:
    rows = faces(1, 2)
    school.enrol(1, rows)
    school.enrol(2, rows)
    before, actions = school.desk.revision(), school.desk.actions()
    outcome = school.calibrate(dry_run=True)
    assert outcome is not None
    assert len(outcome.pairs) == 1
    proposal = calibration.report(school.office, cast(Pack, school.pack), outcome)
    assert [line.serial_number for line in proposal.look_alikes] == ["1"]
    assert proposal.calibration == outcome.calibration
    assert (school.newest(), school.pairs()) == (None, {})
    assert (school.desk.revision(), school.desk.actions()) == (before, actions)


def test_own_scores_take_over_once_they_resolve_the_target_and_units_hear_of_it(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 110 students resolve 3 % when nobody is taken for another; 1 % would take 300 and a minute of enrolling.
    recognition = school.office.settings.recognition.model_copy(update={"fpir": 0.03})
    settings = school.office.settings.model_copy(update={"recognition": recognition})
    school = replace(school, desk=replace(school.desk, office=replace(school.office, settings=settings)))
    monkeypatch.setattr(consents, "give_consent", _quick_consent)
    for number in range(115):
        school.enrol(number, faces(number, 2))
    before = school.desk.revision()
    outcome = school.must_calibrate()
    made = outcome.calibration
    assert made.certainty.taken is not None
    assert made.certainty.taken.students == 115
    assert (made.method, outcome.changed, school.desk.revision()) == ("own", True, before + 1)
    assert made.comparisons == 115 * 2 * 114
    assert school.newest() == made
    assert "own scores" in school.report().sentences[0]
    again = school.must_calibrate()
    assert (again.changed, school.desk.revision()) == (False, before + 1)
    assert school.desk.count("calibrations") == 2


def _quick_consent(office: Office, form: dict[str, str]) -> None:
    serial = form["serial_number"]
    with office.database.transaction() as connection:
        connection.exec_driver_sql(
            "insert into consents (id, student_id, given_at, given_by, reference) "
            "select unhex(md5(id)), id, '2026-01-01', 'x', '' from students where serial_number = %s",
            (serial,),
        )


def test_a_pack_without_statistics_marks_nobody_and_says_so(school: School) -> None:
    school = replace(school, pack=MadeUpPack(statistics=None))
    rows = faces(1, 2)
    school.enrol(1, rows)
    school.enrol(2, rows)
    outcome = school.must_calibrate()
    assert (outcome.calibration.method, outcome.calibration.statistics, outcome.pairs) == ("none", None, {})
    assert school.newest() == outcome.calibration
    report = school.report()
    assert "Nobody can be marked" in report.sentences[0]
    assert report.scopes[0].points["by_samples"] == [{"samples": 1, "threshold": 1.0, "margin": 2.0}]


def test_nobody_without_a_consent_in_force_is_compared(school: School) -> None:
    rows = faces(1, 2)
    school.enrol(1, rows)
    school.enrol(2, rows, consent=False)
    school.enrol(3, rows, pack_id="other-1")
    outcome = school.must_calibrate()
    assert (outcome.calibration.students, outcome.pairs) == (1, {})


def test_a_damaged_template_is_left_out(school: School) -> None:
    rows = faces(1, 1)
    school.enrol(1, rows)
    damaged = school.enrol(2, rows)
    school.enrol(3, np.full((1, 32), np.nan, dtype=np.float32))
    with school.office.database.transaction() as connection:
        row = update(templates).where(templates.c.student_id == damaged)
        connection.execute(row.values(sealed=b"altered by somebody"))
    assert school.must_calibrate().calibration.students == 1


def test_it_is_done_again_only_when_enough_has_changed(school: School) -> None:
    assert school.calibrate(only_if_due=True) is None
    for number in range(11):
        school.enrol(number, faces(number, 1))
    assert school.calibrate(only_if_due=True) is not None
    assert school.calibrate(only_if_due=True) is None
    school.enrol(50, faces(50, 1))
    assert school.report().due is False
    assert school.calibrate(only_if_due=True) is None
    school.desk.clock.forward(timedelta(days=8))
    assert school.report().due is True
    assert school.calibrate(only_if_due=True) is not None
    consents.withdraw_consent(school.office, "1")
    assert school.calibrate(only_if_due=True) is None
    consents.withdraw_consent(school.office, "2")
    assert school.calibrate(only_if_due=True) is not None
    assert school.desk.count("calibrations") == 3


def test_of_two_hubs_that_measure_at_once_one_is_kept(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    school.enrol(1, faces(1, 1))
    measured = calibration._measure

    def slow(*arguments: object) -> object:
        monkeypatch.setattr(calibration, "_measure", measured)
        assert school.calibrate(only_if_due=True) is not None
        return cast(Callable[..., object], measured)(*arguments)

    monkeypatch.setattr(calibration, "_measure", slow)
    assert school.calibrate(only_if_due=True) is None
    assert school.desk.count("calibrations") == 1
    assert school.desk.actions().count("calibrate") == 1


def test_who_withdraws_while_it_is_computed_is_not_named_afterwards(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = faces(1, 2)
    school.enrol(1, rows)
    school.enrol(2, rows)
    measured = calibration._measure

    def slow(*arguments: object) -> object:
        found = cast(Callable[..., object], measured)(*arguments)
        consents.withdraw_consent(school.office, "2")
        return found

    monkeypatch.setattr(calibration, "_measure", slow)
    outcome = school.must_calibrate()
    assert (outcome.pairs, school.pairs()) == ({}, {})


def test_a_damaged_calibration_is_refused_with_what_to_do(school: School) -> None:
    school.enrol(1, faces(1, 1))
    school.must_calibrate()
    school.desk.do("update calibrations set detail = '{'")
    with pytest.raises(StoreRefused, match="damaged") as caught:
        school.newest()
    assert "calibrate" in caught.value.hint


def test_the_newest_calibration_of_its_own_pack_holds(school: School) -> None:
    school.enrol(1, faces(1, 1))
    first = school.must_calibrate().calibration
    school.desk.clock.forward(timedelta(days=1))
    second = school.must_calibrate().calibration
    assert school.newest() == second
    assert second.at > first.at >= NOW
    other = replace(school, pack=MadeUpPack(pack_id="other-1"))
    assert other.newest() is None


@pytest.fixture
def run(school: School, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    # Any statistics will do here; compiling a pack takes half a minute.
    monkeypatch.setattr(calibration, "open_pack", lambda _: school.pack)

    def call(*words: str, code: int = 0) -> Result:
        settings = str(school.desk.settings_file)
        # The office under test has its keys beside the settings, where the command looks for them too.
        result = CliRunner().invoke(app, ["--config", settings, "--actor", "ada", "calibrate", *words])
        assert result.exit_code == code, result.output
        return result

    return call


def test_an_operator_sees_points_look_alikes_and_what_is_missing(school: School, run: Callable[..., Result]) -> None:
    rows = faces(1, 2)
    for number in (1, 2):
        school.enrol(number, rows)
    rehearsed = run("--dry-run")
    assert "Looks like" in rehearsed.stdout
    assert "Nothing was changed" in rehearsed.stderr
    assert school.newest() is None
    said = run().stdout
    for words in ("the scores in the model pack", "98 more students", "2 students", "by ada", "everybody", "12"):
        assert words in said
    shown = run("--show").stdout
    assert shown == said
    assert school.desk.actions().count("calibrate") == 1
    run("--show", "--dry-run", code=2)


def test_scripts_read_the_same_as_json(school: School, run: Callable[..., Result]) -> None:
    school.enrol(1, faces(1, 2))
    rehearsed = json.loads(run("--dry-run", "--json").stdout)
    assert (rehearsed["kept"], rehearsed["changed"], rehearsed["due"]) == (False, False, True)
    made = json.loads(run("--json").stdout)
    assert (made["kept"], made["due"], made["pack_id"]) == (True, False, PACK)
    assert (made["calibration"]["method"], made["calibration"]["students"]) == ("pack", 1)
    assert made["calibration"]["certainty"]["more_students"] == 99
    assert made["calibration"]["statistics"]["measured_on"] == "made up"
    [room, everybody] = made["scopes"]
    assert (room["name"], room["students"], everybody["name"]) == ("12", 1, "everybody")
    assert [row["samples"] for row in room["points"]["by_samples"]][:6] == [1, 2, 3, 4, 5, 6]
    shown = json.loads(run("--show", "--json").stdout)
    assert {**shown, "kept": True} == made


def test_a_pack_of_which_nothing_is_known_shows_that_nobody_is_marked(
    school: School, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> None:
    monkeypatch.setattr(calibration, "open_pack", lambda _: MadeUpPack(statistics=None))
    school.enrol(1, faces(1, 2))
    said = run().stdout
    assert "Nobody can be marked" in said
    assert "never" in said


def test_the_command_teaches_with_an_example() -> None:
    result = CliRunner().invoke(app, ["calibrate", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for words in ("--show", "--dry-run", "--json", "rollcall-hub calibrate --dry-run"):
        assert words in result.output
