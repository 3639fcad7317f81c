"""Importing a folder of portraits that are named `<serial>_<name>.jpg`. Safe to interrupt and to run again."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.core.enrolment_names import is_picture, parse_portrait_name
from hub.core.errors import BadInput
from hub.core.roster_consent import checked_reference
from hub.office.enrolment import Enroller, PictureOutcome, Request


@dataclass(frozen=True, slots=True)
class Portraits:
    """The pictures of a folder in the order in which they are imported, and how many other files lie there."""

    pictures: tuple[Path, ...]
    other_files: int


@dataclass(frozen=True, slots=True)
class ImportChoices:
    """What an import may do besides enrolling pictures."""

    add_students: bool = False
    consent_reference: str | None = None
    allow_look_alike: bool = False
    any_name: bool = False

    def __post_init__(self) -> None:
        """Refuse an unusable reference before the first picture. Raises BadInput."""
        if self.consent_reference is not None and not checked_reference(self.consent_reference):
            raise BadInput("the consent reference is empty", hint="write where the signed papers are kept")


def find_portraits(folder: Path, *, recursive: bool = False) -> Portraits:
    """Return the pictures in a folder, in one order on every machine. Raises BadInput."""
    try:
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
        entries = folder.rglob("*") if recursive else folder.iterdir()
        files = sorted(path for path in entries if not path.is_dir() and not path.name.startswith("."))
    except OSError as exc:
        raise BadInput(f"{folder} cannot be read: {exc.strerror}") from exc
    pictures = tuple(path for path in files if is_picture(path.name))
    return Portraits(pictures, len(files) - len(pictures))


def import_portraits(enroller: Enroller, pictures: Iterable[Path], choices: ImportChoices) -> Iterator[PictureOutcome]:
    """Enrol each picture for the student its name says; yield what became of it.

    The pictures of a student are judged together and committed together: stopping at any moment loses no student that
    was finished, and in the next run pictures that are enrolled cost no look at them. Raises as
    `Enroller.enrol_together`.
    """
    by_student: dict[str, list[Request]] = {}
    in_order: list[PictureOutcome | str] = []
    for picture in pictures:
        try:
            named = parse_portrait_name(picture.name)
        except BadInput as exc:
            in_order.append(PictureOutcome(str(picture), "refused", None, "file_name", str(exc)))
            continue
        # Folders below may each hold pictures of one student.
        if named.serial_number not in by_student:
            in_order.append(named.serial_number)
        by_student.setdefault(named.serial_number, []).append(
            Request(
                picture,
                named.serial_number,
                named.name,
                add_student=choices.add_students,
                consent_reference=choices.consent_reference,
                allow_look_alike=choices.allow_look_alike,
                any_name=choices.any_name,
                source="folder",
            )
        )
    for one in in_order:
        if isinstance(one, PictureOutcome):
            yield one
        else:
            yield from enroller.enrol_together(by_student[one])


def counts(outcomes: Sequence[PictureOutcome]) -> dict[str, int]:
    """Return how many pictures had each outcome; all three are there."""
    found = Counter(outcome.outcome for outcome in outcomes)
    return {"accepted": found["accepted"], "already enrolled": found["already enrolled"], "refused": found["refused"]}
