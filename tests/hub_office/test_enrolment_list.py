"""Large imports: from a list and from a folder, stopped in the middle and run again."""

import json
import tracemalloc
from pathlib import Path

import pytest
from typer.testing import Result

from hub.cli import enrol
from hub.core.csv_reading import RowsRefused
from hub.core.enrolment_faces import FoundFace
from hub.core.errors import BadInput
from hub.office import consents, enrolment_folder, enrolment_list
from hub.office.context import Office
from hub.office.enrolment import Enroller
from hub.office.enrolment_folder import ImportChoices
from tests.hub_office.conftest import OfficeUnderTest, invoke
from tests.hub_office.drawn_faces import DrawnFaces, School, open_school


@pytest.fixture
def school(desk: OfficeUnderTest, tmp_path: Path) -> School:
    return open_school(desk, tmp_path / "faces")


def draw_class(school: School) -> None:
    """Two pictures each of four students; those of one have no face."""
    for serial, angle in (("1", 0), ("2", 90), ("4", 180), ("5", 270)):
        for number in (1, 2):
            content = "hello" if serial == "4" else f"{angle + number}"
            school.draw(f"{serial}_Name {serial}_{number}.jpg", content)


class Stopped(DrawnFaces):
    """Somebody presses Ctrl-C while a picture is looked at."""

    def face_of(self, content: bytes, name: str) -> FoundFace:
        if len(self.looked_at) == 3:
            raise KeyboardInterrupt
        return super().face_of(content, name)


def test_an_import_stopped_with_ctrl_c_and_run_again_is_complete_and_has_nothing_twice(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_class(school)
    words = ("enrol", "import", str(school.folder), "--any-name", "--add-students", "--consent-reference", "folder 3")

    def run(faces: DrawnFaces) -> Result:
        def opened(office: Office) -> Enroller:
            return Enroller(office, faces)

        monkeypatch.setattr(enrol, "open_enroller", opened)
        return invoke(school.desk, *words, "--json")

    stopped = run(Stopped())
    assert stopped.exit_code == 130
    assert "Stopped after 2 of 8 pictures; run the same command again to go on." in stopped.stderr
    assert school.desk.count("templates") == 2
    again, third = run(school.faces), run(school.faces)
    counts = {"accepted": 4, "already_enrolled": 2, "refused": 2, "other_files": 0}
    assert (again.exit_code, json.loads(again.stdout)["counts"]) == (1, counts)
    assert json.loads(third.stdout)["counts"] == counts | {"accepted": 0, "already_enrolled": 6}
    assert (school.desk.count("templates"), school.desk.count("consents")) == (6, 3)


def test_no_more_than_one_picture_is_in_memory(school: School) -> None:
    size = 1_000_000
    for number in range(8):
        (school.folder / f"1_Ada_{number}.jpg").write_bytes(b"%d " % number + bytes(size))
    faces = DrawnFaces(max_picture_bytes=2 * size)
    found = enrolment_folder.find_portraits(school.folder)
    coming = enrolment_folder.import_portraits(Enroller(school.desk.office, faces), found.pictures, ImportChoices())
    tracemalloc.start()
    try:
        outcomes = list(coming)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [outcome.outcome for outcome in outcomes] == ["accepted"] * 8
    # One whole file, and what the reader and DrawnFaces copy of it; all eight would be 16 MB.
    assert most < 3.5 * size


def write(school: School, *rows: str, header: str = "serial_number,path") -> Path:
    file = school.folder / "list.csv"
    file.write_text("\n".join((header, *rows)) + "\n")
    return file


def test_every_bad_row_is_named_before_the_first_picture(school: School) -> None:
    school.draw("a.jpg", "0")
    school.draw("notes.txt", "0")
    (school.folder / "dir.jpg").mkdir()
    consents.withdraw_consent(school.desk.office, "2")
    rows = ("1,a.jpg", "1,gone.jpg", "9,a.jpg", "1,notes.txt", "1,", "1,dir.jpg", "3,a.jpg", "_,a.jpg", "2,a.jpg")
    with pytest.raises(RowsRefused) as caught:
        enrolment_list.read_list(school.desk.office, write(school, *rows))
    reasons = {problem.line: problem.reason for problem in caught.value.problems if "already on" not in problem.reason}
    assert sorted(reasons) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert "there is no file gone.jpg" in reasons[3]
    assert "student add --serial 9" in reasons[4]
    assert "ends in .jpg" in reasons[5]
    assert "consent give --serial 3" in reasons[8]
    twice = [problem.line for problem in caught.value.problems if problem.reason == "a.jpg is already on line 2"]
    assert twice == [4, 8, 10]
    assert school.faces.looked_at == []
    with pytest.raises(BadInput, match="no file"):
        enrolment_list.read_list(school.desk.office, school.folder / "none.csv")


def test_a_consent_in_a_row_counts_unless_it_was_withdrawn(school: School) -> None:
    for name in ("a.jpg", "b.jpg"):
        school.draw(name, "0")
    header = "serial_number,path,consent_reference"
    good = enrolment_list.read_list(school.desk.office, write(school, "3,a.jpg,folder 3", header=header))
    assert [(row.serial_number, row.consent_reference) for row in good] == [("3", "folder 3")]
    consents.withdraw_consent(school.desk.office, "2")
    with pytest.raises(RowsRefused, match="was withdrawn"):
        enrolment_list.read_list(school.desk.office, write(school, "2,b.jpg,folder 3", header=header))


def test_a_list_is_enrolled_and_run_again_changes_nothing(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    (school.folder / "7b").mkdir()
    for name, angle in (("7b/x.jpg", "0"), ("y.jpg", "90"), ("z.jpg", "120"), ("w.jpg", "2")):
        school.draw(name, angle)
    # The rows of a student need not stand together.
    file = write(
        school, "1,7b/x.jpg,", "3,y.jpg,folder 3", "1,z.jpg,", "1,w.jpg,", header="serial_number,path,consent_reference"
    )
    monkeypatch.setattr(enrol, "open_enroller", lambda office: Enroller(office, school.faces))
    dry = invoke(school.desk, "enrol", "list-file", str(file), "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "4 pictures of 2 students can be enrolled; nothing was changed.\n")
    done = json.loads(invoke(school.desk, "enrol", "list-file", str(file), "--json").stdout)
    assert [(Path(row["picture"]).name, row["reason"]) for row in done["pictures"]] == [
        ("x.jpg", ""),
        ("z.jpg", "not_like_the_others"),
        ("w.jpg", ""),
        ("y.jpg", ""),
    ]
    assert (done["counts"], done["damaged"]) == ({"accepted": 3, "already_enrolled": 0, "refused": 1}, [])
    again = invoke(school.desk, "enrol", "list-file", str(file))
    assert again.exit_code == 1
    assert again.stdout.endswith("0 accepted, 3 already enrolled, 1 refused.\n")
    listed = json.loads(invoke(school.desk, "enrol", "list", "--serial", "3", "--json").stdout)
    assert listed[0]["source"] == "list"
    gone = invoke(school.desk, "enrol", "forget", "--serial", "3", "--picture", listed[0]["picture_id"])
    assert gone.stdout == "Deleted one picture of 3; 0 are left.\n"
