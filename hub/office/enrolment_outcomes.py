"""What becomes of a picture that is to be enrolled, on its way and in the end."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import template_store
from hub.core.enrolment_faces import FoundFace
from hub.office.enrolment_standing import Request, TurnedDown

Outcome = Literal["accepted", "already enrolled", "refused"]


@dataclass(frozen=True, slots=True)
class PictureOutcome:
    """What became of a picture. `reason` is a stable word for scripts, `message` a sentence for people."""

    picture: str
    outcome: Outcome
    serial_number: str | None = None
    reason: str = ""
    message: str = ""
    face_px: int | None = None
    looks_like: str | None = None
    """Serial numbers of whom it resembles."""
    looks_like_name: str | None = None
    score: float | None = None
    """How alike: to them, or to the student's other pictures where it is refused for those."""
    limit: float | None = None
    """The score from which on, or below which, it is refused."""
    odd_pictures: tuple[str, ...] = ()
    """Enrolled pictures of this student that are not like the others, as `enrol forget --picture` takes them."""
    photo_kept: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A picture with one good face. Its ids are made outside of any transaction, which may run twice."""

    request: Request
    picture_sha256: bytes
    face: FoundFace
    template_id: str = field(default_factory=lambda: str(uuid4()))
    photo_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What one transaction decided, by template id; and what it enrolled, for whom and when."""

    outcomes: dict[str, PictureOutcome]
    added: list[Looked]
    student_id: str
    at: datetime

    def is_on_record(self, connection: Connection) -> bool:
        """Whether this very transaction was committed; False where it enrolled nothing."""
        lines = template_store.list_pictures(connection, self.student_id)
        return bool({one.template_id for one in self.added} & {line.template_id for line in lines})


def refused(request: Request, reason: str, message: str) -> PictureOutcome:
    """Return the outcome of a picture that stays out."""
    return PictureOutcome(str(request.picture), "refused", request.serial_number, reason, message)


def turned_down(request: Request, exc: TurnedDown) -> PictureOutcome:
    """Return the outcome of a picture that was turned down."""
    fields = exc.looks_like.fields if exc.looks_like is not None else None
    return replace(
        refused(request, exc.reason, str(exc)),
        looks_like=None if fields is None else fields.serial_number,
        looks_like_name=None if fields is None else fields.name,
        score=exc.score,
        limit=exc.limit,
        odd_pictures=exc.odd_pictures,
    )


def accepted(one: Looked, message: str = "") -> PictureOutcome:
    """Return the outcome of a picture that is enrolled."""
    request = one.request
    return PictureOutcome(str(request.picture), "accepted", request.serial_number, "", message, round(one.face.face_px))


def like_its_twin(request: Request, twin: PictureOutcome) -> PictureOutcome:
    """Return the outcome of a file with the same content as another one that was looked at a moment ago."""
    if twin.outcome == "refused":
        return replace(twin, picture=str(request.picture))
    return PictureOutcome(str(request.picture), "already enrolled", request.serial_number)
