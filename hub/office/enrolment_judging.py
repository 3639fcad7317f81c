"""One transaction of an enrolment: pictures of one student are judged together, and what is accepted is stored."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from hub.adapters import (
    audit_log,
    consent_store,
    csv_files,
    gallery_revisions,
    look_alike_store,
    photo_store,
    picture_store,
    roster_store,
    template_store,
)
from hub.adapters.photo_store import MAX_PHOTO_BYTES, NewPhoto
from hub.adapters.picture_store import Member
from hub.adapters.template_store import NewTemplate
from hub.core.enrolment_faces import FaceSource
from hub.core.enrolment_gallery import MAX_PICTURES, EnrolmentGallery, Limits
from hub.core.enrolment_names import same_person
from hub.core.enrolment_outliers import MAX_TOGETHER, judge_together
from hub.core.errors import BadInput
from hub.core.roster_consent import PHOTOS
from hub.office.context import Office
from hub.office.enrolment_outcomes import Looked, PictureOutcome, Stored, accepted, turned_down
from hub.office.enrolment_standing import Known, Standing, TurnedDown, enough_pictures, make_ready, standing_of
from hub.office.enrolment_words import like_other, odd_pictures, outlier, picture_id
from recognition.core.face import Vector

_Open = list[tuple[Looked, Standing]]
"""Pictures against which nothing was said so far."""


class Judging:
    """Decides in one transaction; to be made anew for each try. `known_now` returns everybody who is enrolled."""

    def __init__(
        self, connection: Connection, office: Office, faces: FaceSource, known_now: Callable[[Connection], Known]
    ) -> None:
        self._connection = connection
        self._office = office
        self._faces = faces
        self._known_now = known_now
        self._outcomes: dict[str, PictureOutcome] = {}
        self._alike: dict[str, list[str]] = {}

    def run(self, looked: Sequence[Looked], new_student_id: str) -> Stored:
        """Decide on as many of these pictures of one student as are judged together, from the first on."""
        at = self._office.clock.now()
        pairs = look_alike_store.lock(self._connection, at)
        known = self._known_now(self._connection)
        still = self._without_obstacle(looked, known)
        student = still[0][1].student if still else None
        student_id = new_student_id if student is None else student.student_id
        own = known.gallery.members_of(student_id)
        still = still[: MAX_TOGETHER - len(own)]
        limits = self._faces.limits(known.gallery.size)
        allowed = {other for pair in pairs if student_id in pair for other in pair if other != student_id}
        still = self._of_nobody_else(still, known.gallery, student_id, limits, allowed)
        still = self._like_each_other(still, known.gallery, student_id, limits)
        added = self._enrol(still, student_id, MAX_PICTURES - len(own), at)
        return Stored(self._outcomes, added, student_id, at)

    def _without_obstacle(self, looked: Sequence[Looked], known: Known) -> _Open:
        """Return what may still be enrolled, as of now: consents may have ended while pictures were looked at."""
        still: _Open = []
        for one in looked:
            try:
                standing = standing_of(
                    self._connection, self._office, self._faces.pack_id, one.request, one.picture_sha256
                )
                if standing.enrolled:
                    # By another operator, a moment ago.
                    self._outcomes[one.template_id] = accepted(one)
                    continue
                if standing.student is not None:
                    known.refuse_more(standing.student)
                elif still:
                    _refuse_other_name(one, still[0][0])
            except TurnedDown as exc:
                self._outcomes[one.template_id] = turned_down(one.request, exc)
            else:
                still.append((one, standing))
        return still

    def _of_nobody_else(
        self, still: _Open, gallery: EnrolmentGallery, student_id: str, limits: Limits, allowed: set[str]
    ) -> _Open:
        """Return what shows nobody else, or somebody of whom a person says that they merely look alike."""
        kept: _Open = []
        for one, standing in still:
            overruled: list[str] = []
            verdict = gallery.judge(student_id, one.face.vector, limits, allowed=allowed)
            while verdict.outcome == "look_alike" and verdict.looks_like and one.request.allow_look_alike:
                overruled.append(verdict.looks_like)
                verdict = gallery.judge(student_id, one.face.vector, limits, allowed=allowed | set(overruled))
            if verdict.outcome == "accepted" or verdict.looks_like is None:
                self._alike[one.template_id] = overruled
                kept.append((one, standing))
                continue
            other = roster_store.students_by_id(self._connection, [verdict.looks_like])[verdict.looks_like]
            score = verdict.score or 0.0
            name = standing.student.fields.name if standing.student else one.request.name
            message = like_other(one.request.serial_number, name, other, score, limits.anybody)
            exc = TurnedDown("looks_like_other", message, looks_like=other, score=score, limit=limits.anybody)
            self._outcomes[one.template_id] = turned_down(one.request, exc)
        return kept

    def _like_each_other(self, still: _Open, gallery: EnrolmentGallery, student_id: str, limits: Limits) -> _Open:
        """Return what agrees with the most pictures of the student; note enrolled ones that do not."""
        if not still:
            return still
        own = gallery.members_of(student_id)
        together = judge_together([one.face.vector for one, _ in still], own, limits)
        odd = self._members(student_id, [own[place] for place in together.known_odd])
        ids = tuple(picture_id(member.picture_sha256) for member in odd)
        serial_number = still[0][0].request.serial_number
        sentence = odd_pictures(odd, serial_number, self._office.settings.zone)
        kept: _Open = []
        for place, (one, standing) in enumerate(still):
            if together.standings[place] == "agrees":
                self._outcomes[one.template_id] = replace(accepted(one, sentence), odd_pictures=ids)
                kept.append((one, standing))
                continue
            reason, message = outlier(together, place, limits, serial_number, sentence)
            exc = TurnedDown(reason, message, score=together.scores[place], limit=limits.own, odd_pictures=ids)
            self._outcomes[one.template_id] = turned_down(one.request, exc)
        return kept

    def _members(self, student_id: str, vectors: Sequence[Vector]) -> list[Member]:
        """Return what is on record of these vectors. A name of the wrong picture would make somebody delete that."""
        if not vectors:
            return []
        stored = picture_store.members(self._connection, self._office.keys.ring(), student_id, self._faces.pack_id)
        return [max(stored, key=lambda member: float(member.vector @ vector)) for vector in vectors]

    def _enrol(self, still: _Open, student_id: str, most: int, at: datetime) -> list[Looked]:
        keeps = self._keeps_photos(student_id)
        added: list[Looked] = []
        for one, _ in still[most:]:
            self._outcomes[one.template_id] = turned_down(one.request, enough_pictures())
        for one, standing in still[:most]:
            try:
                photo = self._photo(one, student_id) if keeps else None
            except TurnedDown as exc:
                self._outcomes[one.template_id] = turned_down(one.request, exc)
                continue
            if not added:
                make_ready(self._connection, self._office, one.request, standing, student_id)
            if keeps and photo is None:
                self._say(one, f"the picture is not kept: it has more than {MAX_PHOTO_BYTES // 1_000_000} MB")
            self._insert(one, student_id, photo, at)
            added.append(one)
        if added:
            gallery_revisions.touch_galleries(self._connection, at)
        return added

    def _insert(self, one: Looked, student_id: str, photo: NewPhoto | None, at: datetime) -> None:
        pack_id, source = self._faces.pack_id, one.request.source
        template = NewTemplate(
            one.template_id, student_id, pack_id, one.face.vector, source, one.face.face_px, one.picture_sha256
        )
        keys = self._office.keys.ring()
        template_store.insert_template(self._connection, keys, template, at)
        outcome = self._outcomes[one.template_id]
        detail: dict[str, audit_log.Json] = {"template_id": one.template_id, "pack_id": pack_id, "source": source}
        if photo is not None:
            photo_store.keep(self._connection, keys, photo, at)
            detail["photo_id"] = photo.photo_id
            outcome = replace(outcome, photo_kept=True)
        if alike := self._alike[one.template_id]:
            look_alike_store.add(self._connection, student_id, alike, at, self._office.actor)
            detail["allowed_look_alikes"] = list(alike)
            outcome = self._with_look_alikes(outcome, alike)
        subject = f"student:{student_id}"
        audit_log.record(
            self._connection, at=at, actor=self._office.actor, action="enrol.picture", subject=subject, detail=detail
        )
        self._outcomes[one.template_id] = outcome

    def _say(self, one: Looked, sentence: str) -> None:
        outcome = self._outcomes[one.template_id]
        said = f"{outcome.message}; {sentence}" if outcome.message else sentence
        self._outcomes[one.template_id] = replace(outcome, message=said)

    def _with_look_alikes(self, outcome: PictureOutcome, alike: Sequence[str]) -> PictureOutcome:
        named = [one.fields for one in roster_store.students_by_id(self._connection, alike).values()]
        serials = ", ".join(sorted(fields.serial_number for fields in named))
        names = ", ".join(sorted(fields.name for fields in named))
        said = f"recorded as a look-alike of {serials}"
        message = f"{said}; {outcome.message}" if outcome.message else said
        return replace(outcome, message=message, looks_like=serials, looks_like_name=names)

    def _keeps_photos(self, student_id: str) -> bool:
        if not self._office.settings.enrolment.keep_photos:
            return False
        now = self._office.clock.now()
        return bool(consent_store.students_with(self._connection, now, scope=PHOTOS, student_id=student_id))

    def _photo(self, one: Looked, student_id: str) -> NewPhoto | None:
        """Return the picture as it is kept; None for one that is too large. Raises TurnedDown."""
        try:
            # Read again: between looking and storing only one picture is in memory, whatever a student brings.
            content = csv_files.read_start(one.request.picture, self._faces.max_picture_bytes + 1)
        except BadInput as exc:
            raise TurnedDown("unusable_file", str(exc)) from exc
        if hashlib.sha256(content).digest() != one.picture_sha256:
            raise TurnedDown("unusable_file", "the file changed while it was enrolled; enrol it again")
        if len(content) > MAX_PHOTO_BYTES:
            return None
        return NewPhoto(one.photo_id, student_id, content, one.request.source)


def _refuse_other_name(one: Looked, first: Looked) -> None:
    name, other = one.request.name, first.request.name
    if name is not None and other is not None and not one.request.any_name and not same_person(name, other):
        serial = one.request.serial_number
        raise TurnedDown("other_name", f"the file is named for {name}, but another one of {serial} for {other}")
