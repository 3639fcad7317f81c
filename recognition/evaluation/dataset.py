"""Which pictures an evaluation uses and what for: from an index in CSV, or from a folder with a folder for each person.

Names of people end here: everything after this knows them by number.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from recognition.core.errors import RecognitionError

COLUMNS = ("file", "identity", "role")
ROLES = ("enrol", "probe", "stranger")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
ENROLMENT_PICTURES = 3
MOST_PICTURES = 200_000
LARGEST_INDEX_BYTES = 64 * 1024 * 1024
LONGEST_GROUP = 80
_LISTED = 3

Role = Literal["enrol", "probe", "stranger"]


class EvaluationRefused(RecognitionError):
    """The pictures or choices of an evaluation cannot be used; nothing was computed."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person's pictures by what they are for; strangers have no pictures to enrol."""

    enrol: tuple[Path, ...]
    probes: tuple[Path, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """Everybody in an evaluation. People are numbered: first the enrolled ones, then the strangers."""

    enrolled: tuple[Person, ...]
    strangers: tuple[Person, ...]

    @property
    def everybody(self) -> tuple[Person, ...]:
        """Enrolled people and strangers, in the order of their numbers."""
        return self.enrolled + self.strangers

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return sum(len(person.enrol) + len(person.probes) for person in self.everybody)


@dataclass(slots=True)
class _Collected:
    files: dict[str, list[Path]] = field(default_factory=lambda: {role: [] for role in ROLES})
    group: str | None = None


def read_data_set(source: Path, enrolment_pictures: int = ENROLMENT_PICTURES) -> DataSet:
    """Read an index (a file) or a folder of people's folders, from which the first pictures by name are enrolled.

    Raises EvaluationRefused, which names the line or the folder, when no evaluation can come of it.
    """
    if source.is_dir():
        data_set = _from_folder(source, enrolment_pictures)
    elif source.is_file():
        data_set = _from_index(source)
    else:
        raise EvaluationRefused(
            f"there is no file or folder {source}",
            hint="name an index.csv with the columns file, identity, role, or a folder with a folder for each person",
        )
    _check(data_set)
    return data_set


def _from_folder(folder: Path, enrolment_pictures: int) -> DataSet:
    enrolled, strangers, found = [], [], 0
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        for person in below:
            pictures = sorted(path for path in person.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
            found += len(pictures)
            if len(pictures) == 1:
                # Nobody can be enrolled and looked for with the same picture; as a stranger it is still of use.
                strangers.append(Person((), tuple(pictures)))
            elif pictures:
                kept = min(enrolment_pictures, len(pictures) - 1)
                enrolled.append(Person(tuple(pictures[:kept]), tuple(pictures[kept:])))
            _check_number(found, folder)
    except OSError as exc:
        raise EvaluationRefused(f"{folder} cannot be read: {exc.strerror}") from exc
    if not found:
        raise EvaluationRefused(
            f"there are no pictures in the folders below {folder}",
            hint="make a folder for each person with at least two pictures in it, or name an index.csv",
        )
    return DataSet(tuple(enrolled), tuple(strangers))


def _from_index(path: Path) -> DataSet:
    people: dict[str, _Collected] = {}
    missing: list[str] = []
    seen: set[Path] = set()
    for line, row in _rows(path):
        role, identity = _text(row, "role", path, line), _text(row, "identity", path, line)
        file = path.parent / _text(row, "file", path, line)
        if role not in ROLES:
            raise EvaluationRefused(f"{path.name} line {line}: role is {role!r}, not enrol, probe or stranger")
        if file in seen:
            raise EvaluationRefused(f"{path.name} line {line}: this file is listed twice")
        seen.add(file)
        if not file.is_file():
            missing.append(f"line {line}")
        _collect(people.setdefault(identity, _Collected()), row, role, file, f"{path.name} line {line}")
        _check_number(len(seen), path)
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        raise EvaluationRefused(
            f"{path.name}: the file is missing in {', '.join(missing[:_LISTED])}{more}",
            hint="files are looked for relative to the folder of the index",
        )
    return _as_data_set(people, path)


def _collect(person: _Collected, row: Mapping[str, str], role: str, file: Path, where: str) -> None:
    group = (row.get("group") or "").strip() or None
    if group is not None and (len(group) > LONGEST_GROUP or not group.isprintable()):
        raise EvaluationRefused(f"{where}: a group is at most {LONGEST_GROUP} characters that can be seen")
    if any(person.files.values()) and group != person.group:
        raise EvaluationRefused(f"{where}: the same identity has another group further up")
    person.group = group
    person.files[role].append(file)
    if person.files["stranger"] and (person.files["enrol"] or person.files["probe"]):
        raise EvaluationRefused(f"{where}: the same identity is a stranger and enrolled or looked for")


def _as_data_set(people: Mapping[str, _Collected], path: Path) -> DataSet:
    enrolled, strangers = [], []
    for person in people.values():
        files = person.files
        if files["stranger"]:
            strangers.append(Person((), tuple(files["stranger"]), person.group))
        elif files["enrol"]:
            enrolled.append(Person(tuple(files["enrol"]), tuple(files["probe"]), person.group))
        else:
            raise EvaluationRefused(
                f"{path.name}: an identity has probe pictures, but none with the role enrol",
                hint="give it a picture to enrol, or the role stranger",
            )
    return DataSet(tuple(enrolled), tuple(strangers))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        if path.stat().st_size > LARGEST_INDEX_BYTES:
            raise EvaluationRefused(f"{path.name} is larger than {LARGEST_INDEX_BYTES // 1024**2} MB")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            lacking = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if lacking:
                raise EvaluationRefused(
                    f"{path.name} lacks the column {', '.join(lacking)}",
                    hint="its first line must be file,identity,role or file,identity,role,group",
                )
            for row in reader:
                yield reader.line_num, row
    except OSError as exc:
        raise EvaluationRefused(f"{path} cannot be read: {exc.strerror}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise EvaluationRefused(f"{path.name} is not a CSV file in UTF-8: {exc}") from exc


def _text(row: Mapping[str, str], column: str, path: Path, line: int) -> str:
    value = (row[column] or "").strip()
    if not value or "\0" in value:
        raise EvaluationRefused(f"{path.name} line {line}: {column} is empty or cannot be used")
    return value


def _check_number(pictures: int, source: Path) -> None:
    if pictures > MOST_PICTURES:
        raise EvaluationRefused(f"{source} lists more than {MOST_PICTURES} pictures", hint="evaluate a part of them")


def _check(data_set: DataSet) -> None:
    if len(data_set.enrolled) < 2:
        raise EvaluationRefused(
            f"{len(data_set.enrolled)} people can be enrolled; at least two are needed",
            hint="one person can never be mistaken for another, so nothing could be said about errors",
        )
    if not any(person.probes for person in data_set.enrolled):
        raise EvaluationRefused(
            "no enrolled person has a picture to look for", hint="give some of their pictures the role probe"
        )
