"""Deleting one enrolled picture, as when it turns out to be of somebody else."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from hub.adapters import audit_log, gallery_revisions, look_alike_store, picture_store, template_store
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.roster import checked_serial
from hub.office.context import Office
from hub.office.enrolment_words import SHORTEST_ID
from hub.office.students import find_student

_HEX = re.compile(rf"[0-9a-f]{{{SHORTEST_ID},64}}")


@dataclass(frozen=True, slots=True)
class PictureForgotten:
    """What was deleted of one picture, and how many pictures the student still has."""

    serial_number: str
    picture_sha256: str
    templates_deleted: int
    photos_deleted: int
    pictures_left: int


def forget_picture(office: Office, serial_number: str, picture: str) -> PictureForgotten:
    """Delete the templates made of one picture, and the picture if it was kept. The consent and the others stay.

    `picture` is how the SHA-256 of its file begins, as `enrol list` shows it. Raises BadInput, NotFound for an unknown
    student or picture, Conflict when several pictures begin so.
    """
    serial_number, beginning = checked_serial(serial_number), picture.strip().lower()
    if not _HEX.fullmatch(beginning):
        raise BadInput(
            f"{picture!r} names no picture: {SHORTEST_ID} or more of the digits 0-9 and a-f",
            hint=f"rollcall-hub enrol list --serial {serial_number} shows them",
        )
    tried: list[PictureForgotten] = []

    def work(connection: Connection) -> PictureForgotten:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        student_id = find_student(connection, serial_number).student_id
        lines = template_store.list_pictures(connection, student_id)
        known = {line.picture_sha256 for line in lines}
        meant = sorted(sha256 for sha256 in known if sha256.hex().startswith(beginning))
        if not meant:
            if tried:
                return tried[-1]  # the commit whose answer was lost
            raise NotFound(
                f"no picture of {serial_number} begins with {beginning}",
                hint=f"rollcall-hub enrol list --serial {serial_number} shows them",
            )
        if len(meant) > 1:
            raise Conflict(f"{len(meant)} pictures of {serial_number} begin with {beginning}", hint="write more of it")
        gone = picture_store.delete_picture(connection, student_id, meant[0])
        detail: dict[str, audit_log.Json] = {
            "template_ids": [line.template_id for line in lines if line.picture_sha256 == meant[0]],
            "templates_deleted": gone.templates,
            "photos_deleted": gone.photos,
        }
        subject = f"student:{student_id}"
        audit_log.record(connection, at=at, actor=office.actor, action="enrol.forget", subject=subject, detail=detail)
        gallery_revisions.touch_galleries(connection, at)
        done = PictureForgotten(serial_number, meant[0].hex(), gone.templates, gone.photos, len(known) - 1)
        tried.append(done)
        return done

    return office.database.run(work)
