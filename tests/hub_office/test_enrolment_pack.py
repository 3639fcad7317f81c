"""Enrolment with the real model pack: portraits that must pass, and every kind of file that must not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from deploy.environment import PROJECT
from hub.office import consents, students
from hub.office.enrolment import Enroller, Request, open_enroller
from tests.hub_office.conftest import OfficeUnderTest, with_pack

SAMPLES = PROJECT / "deploy" / "samples"


@pytest.fixture
def school(desk: OfficeUnderTest, pack_folder: Path) -> OfficeUnderTest:
    desk = with_pack(desk, pack_folder)
    for serial, name in (("1", "Barack Obama"), ("2", "Joe Biden")):
        students.add_student(desk.office, {"serial_number": serial, "name": name})
        consents.give_consent(desk.office, {"serial_number": serial, "given_by": "themselves"})
    return desk


@pytest.fixture
def enroller(school: OfficeUnderTest) -> Enroller:
    return open_enroller(school.office)


def portrait(name: str = "obama") -> Image.Image:
    return Image.open(SAMPLES / f"{name}.jpg").convert("RGB")


def two_people() -> Image.Image:
    left, right = portrait("obama").resize((500, 600)), portrait("biden").resize((500, 600))
    both = Image.new("RGB", (1000, 600))
    both.paste(left, (0, 0))
    both.paste(right, (500, 0))
    return both


def three_people() -> Image.Image:
    row = Image.new("RGB", (1500, 600))
    for place, name in enumerate(("obama", "biden", "astronaut")):
        row.paste(portrait(name).resize((500, 600)), (500 * place, 0))
    return row


def see_through() -> Image.Image:
    with_alpha = portrait().convert("RGBA")
    with_alpha.putpixel((0, 0), (0, 0, 0, 0))
    return with_alpha


def lying(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    portrait().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def huge(path: Path) -> None:
    Image.new("L", (10_000, 10_000)).save(path)


def cut_short(path: Path) -> None:
    content = (SAMPLES / "obama.jpg").read_bytes()
    path.write_bytes(content[: len(content) // 3])


GOOD: dict[str, Callable[[Path], object]] = {
    "plain.jpg": lambda path: portrait().save(path),
    "grey.jpg": lambda path: portrait().convert("L").save(path),
    "cmyk.jpg": lambda path: portrait().convert("CMYK").save(path),
    "alpha.png": lambda path: see_through().save(path),
    "rotated.jpg": lying,
}
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.jpg": (lambda path: path.write_bytes(b""), "empty"),
    "text.jpg": (lambda path: path.write_text("this is no picture"), "not_a_picture"),
    "cut.jpg": (cut_short, "damaged"),
    "huge.png": (huge, "too_many_pixels"),
    "wall.png": (lambda path: Image.new("RGB", (640, 480), "grey").save(path), "no_face"),
    "two.jpg": (lambda path: two_people().save(path), "several_faces"),
    "three.jpg": (lambda path: three_people().save(path), "several_faces"),
    "small.jpg": (lambda path: portrait().resize((110, 130)).save(path), "too_small"),
}


def test_every_good_kind_of_picture_is_enrolled(school: OfficeUnderTest, enroller: Enroller, tmp_path: Path) -> None:
    outcomes = {}
    for name, write in GOOD.items():
        write(tmp_path / name)
        outcomes[name] = enroller.enrol(Request(tmp_path / name, "1"))
    assert {name: (outcome.outcome, outcome.message) for name, outcome in outcomes.items()} == dict.fromkeys(
        GOOD, ("accepted", "")
    )
    assert school.count("templates") == len(GOOD)


def test_every_bad_kind_of_picture_is_refused_with_its_reason(
    school: OfficeUnderTest, enroller: Enroller, tmp_path: Path
) -> None:
    reasons = {}
    for name, (write, _) in BAD.items():
        write(tmp_path / name)
        outcome = enroller.enrol(Request(tmp_path / name, "1"))
        assert len(outcome.message) > 20
        reasons[name] = outcome.reason
    assert reasons.pop("small.jpg") in {"too_small", "no_face"}
    assert reasons == {name: reason for name, (_, reason) in BAD.items() if name != "small.jpg"}
    assert school.count("templates") == 0


def test_people_are_told_apart(school: OfficeUnderTest, enroller: Enroller) -> None:
    def reason(name: str, serial: str) -> str:
        outcome = enroller.enrol(Request(SAMPLES / f"{name}.jpg", serial))
        return outcome.reason or outcome.outcome

    assert [reason(name, "1") for name in ("obama", "obama2", "obama3")] == ["accepted"] * 3
    assert reason("biden", "1") == "not_like_own"
    assert reason("biden", "2") == "accepted"
    students.add_student(school.office, {"serial_number": "3", "name": "Somebody"})
    consents.give_consent(school.office, {"serial_number": "3", "given_by": "x"})
    assert reason("obama2", "3") == "enrolled_for_other"


def test_a_bad_first_portrait_is_the_one_that_is_refused(school: OfficeUnderTest, enroller: Enroller) -> None:
    requests = [Request(SAMPLES / f"{name}.jpg", "1") for name in ("biden", "obama", "obama2")]
    outcomes = enroller.enrol_together(requests)
    assert [outcome.reason or outcome.outcome for outcome in outcomes] == [
        "not_like_the_others",
        "accepted",
        "accepted",
    ]
    assert outcomes[0].score is not None
    assert outcomes[0].limit is not None
    assert outcomes[0].score < outcomes[0].limit
    assert school.count("templates") == 2


def test_the_same_face_under_another_name_is_found(school: OfficeUnderTest, enroller: Enroller) -> None:
    enroller.enrol(Request(SAMPLES / "obama.jpg", "1"))
    outcome = enroller.enrol(Request(SAMPLES / "obama2.jpg", "2"))
    assert (outcome.reason, outcome.looks_like) == ("looks_like_other", "1")
    assert school.count("templates") == 1
