"""Taking over what the original system kept: its students, its attendance and, with a consent, its faces."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from uuid import uuid4

from hub.core import legacy as original
from hub.core.errors import BadInput
from hub.core.legacy import Found, Problem, Problems, Source, SourceRow
from hub.core.legacy_students import LegacyStudent, StudentsRead, read_students
from hub.core.roster_consent import checked_reference
from hub.office.context import Office
from hub.office.legacy_faces import EnrollerOf, FacesTold, find_faces, take_faces
from hub.office.legacy_marks import MarksTold, take_marks
from hub.office.legacy_students import StudentsTold, take_students

Progress = Callable[[str, int], None]
"""Told what is being taken over, and how many more of it are done."""


@dataclass(frozen=True, slots=True)
class LegacyChoices:
    """What may be done besides adding students and attendance."""

    update: bool = False
    """Change students on record where the source says something else."""
    consent_reference: str | None = None
    """Where the papers are, when the operator says that everybody agreed; without it no face is taken over."""
    trust_encodings: bool = False
    """Use `face_encoding` of whoever has no picture."""
    zone: tzinfo | None = None
    """Of the times there; None: the school's."""
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Raise BadInput for what does not go together."""
        if self.consent_reference is not None and not checked_reference(self.consent_reference):
            raise BadInput("the consent reference is empty", hint="write where the signed papers are kept")
        if self.trust_encodings and self.consent_reference is None:
            raise BadInput(
                "encodings are faces: without a consent none is taken over", hint="pass --consent-reference as well"
            )


@dataclass(frozen=True, slots=True)
class LegacyImported:
    """What was taken over, or would be in a dry run."""

    dry_run: bool
    batch_id: str
    """Of the marks of this run: `unmark --batch` takes them back."""
    students: StudentsTold
    marks: MarksTold
    faces: FacesTold
    ignored: Mapping[str, tuple[str, ...]]
    """Columns that nobody looked at, by table."""
    problem_counts: Mapping[str, int]
    problems: tuple[Problem, ...]
    """The first of them."""


@dataclass(slots=True)
class _Taking:
    """One import: where it reads, and what it found so far."""

    office: Office
    source: Source
    choices: LegacyChoices
    progress: Progress
    batch_id: str = field(default_factory=lambda: str(uuid4()))
    ignored: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def students(self) -> tuple[StudentsRead, Mapping[str, str]]:
        """Return the students there, and which of their columns means what."""
        if original.STUDENTS not in self.source.tables():
            return StudentsRead((), {}, (), 0), {}
        found = original.students_columns(self.source.columns(original.STUDENTS), "the table of students")
        self.ignored[original.STUDENTS] = found.ignored
        read = read_students(self._told(original.STUDENTS, found))
        self.problems.extend(read.problems)
        return read, found.columns

    def attendance(self) -> Iterator[tuple[Found, Iterator[SourceRow]]]:
        """Yield each table of attendance."""
        for table in self.source.tables():
            if table.startswith(original.ATTENDANCE):
                found = original.attendance_columns(self.source.columns(table), f"the table {table}")
                self.ignored[table] = found.ignored
                yield found, self._told(table, found)

    def _told(self, table: str, found: Found) -> Iterator[SourceRow]:
        for row in self.source.rows(table, found.columns):
            yield row
            self.progress(table, 1)


def import_legacy(
    office: Office,
    source: Source,
    choices: LegacyChoices,
    *,
    faces: Path | None = None,
    enroller: EnrollerOf | None = None,
    progress: Progress = lambda _what, _done: None,
) -> LegacyImported:
    """Take over what a source holds; importing it again adds nothing, and an interrupted import goes on.

    `faces`: the folder `known_faces`; `enroller`: makes what enrols its pictures, the hub's own if not given.
    Students are committed by the thousand, attendance too, pictures one by one. A dry run changes nothing.

    Raises BadInput when the source cannot be read, Conflict when the encodings are of another model than the hub's,
    StoreUnavailable (run it again), StoreRefused.
    """
    taking = _Taking(office, source, choices, progress)
    # Whatever cannot be used is told before anything is changed.
    there = find_faces(office, faces, trust_encodings=choices.trust_encodings)
    tables = list(taking.attendance())
    read, columns = taking.students()
    students, people = take_students(office, read, taking.problems, update=choices.update, dry_run=choices.dry_run)
    marks = take_marks(
        office,
        iter(tables),
        people,
        taking.problems,
        batch_id=taking.batch_id,
        zone=choices.zone or office.settings.zone,
        dry_run=choices.dry_run,
    )
    told = take_faces(
        office,
        there,
        _with_encodings(read, columns),
        people,
        taking.problems,
        consent_reference=choices.consent_reference,
        dry_run=choices.dry_run,
        enroller=enroller,
        progress=progress,
    )
    problems = taking.problems
    return LegacyImported(
        choices.dry_run,
        taking.batch_id,
        students,
        marks,
        told,
        taking.ignored,
        dict(problems.counts),
        tuple(problems.examples),
    )


def _with_encodings(read: StudentsRead, columns: Mapping[str, str]) -> list[LegacyStudent]:
    return [one for one in read.students if one.encoding.strip()] if "face_encoding" in columns else []
