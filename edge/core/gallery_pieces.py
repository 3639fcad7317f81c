"""The pieces of a gallery as they lie on the unit: signed, sealed, and opened only with this unit's keys. Pure."""

from dataclasses import dataclass, field

from pydantic import ValidationError

from edge.core.errors import GalleryRefused
from protocol import sealing
from protocol.content import GalleryManifest, Head, HeadBody, TemplateBlob, Timetable
from protocol.errors import SealBroken


@dataclass(frozen=True, slots=True)
class UnitIdentity:
    """Who this unit is and the keys by which it knows its hub."""

    site: str
    unit_id: str
    pack_id: str
    data_key: bytes = field(repr=False)
    hub_public_key: bytes


def order(head: HeadBody) -> tuple[int, int]:
    """Return what heads are ordered by: a unit never goes back, whoever shows it an older one."""
    return head.generation, head.revision


def read_head(identity: UnitIdentity, head: Head) -> HeadBody:
    """Return the body of a head, of whatever model pack.

    Raises GalleryRefused: `bad_signature`, `bad_head`, `foreign` (for another unit).
    """
    try:
        sealing.check_signature(identity.hub_public_key, head.body.encode(), head.signature)
        body = HeadBody.model_validate_json(head.body)
    except SealBroken as exc:
        raise GalleryRefused("bad_signature", "the gallery head is not signed by this school's hub") from exc
    except ValidationError as exc:
        raise GalleryRefused("bad_head", "the gallery head cannot be understood") from exc
    if (body.site, body.unit_id) != (identity.site, identity.unit_id):
        raise GalleryRefused("foreign", "the gallery head is for another unit")
    return body


def open_head(identity: UnitIdentity, head: Head) -> HeadBody:
    """Return the body of a head for this unit's pack. Raises GalleryRefused as `read_head`, and `pack_mismatch`."""
    body = read_head(identity, head)
    if body.pack_id != identity.pack_id:
        raise GalleryRefused(
            "pack_mismatch", f"the gallery was made with model pack {body.pack_id}, this unit runs {identity.pack_id}"
        )
    return body


def open_manifest(identity: UnitIdentity, head: HeadBody, sealed: bytes) -> GalleryManifest:
    """Return the manifest in its sealed bytes. Raises GalleryRefused(`bad_manifest`)."""
    try:
        content = sealing.unseal(identity.data_key, sealed, *sealing.manifest_context(identity.unit_id))
        manifest = GalleryManifest.model_validate_json(content)
    except (SealBroken, ValidationError) as exc:
        raise GalleryRefused("bad_manifest", "the list of students cannot be opened with this unit's key") from exc
    if (manifest.unit_id, manifest.revision, manifest.pack_id) != (head.unit_id, head.revision, head.pack_id):
        raise GalleryRefused("bad_manifest", "the list of students is not the one that the head names")
    return manifest


def open_timetable(identity: UnitIdentity, sealed: bytes) -> Timetable:
    """Return the timetable in its sealed bytes. Raises GalleryRefused(`bad_timetable`)."""
    try:
        content = sealing.unseal(identity.data_key, sealed, *sealing.timetable_context(identity.unit_id))
        return Timetable.model_validate_json(content)
    except (SealBroken, ValidationError) as exc:
        raise GalleryRefused("bad_timetable", "the timetable cannot be opened with this unit's key") from exc


def open_template(identity: UnitIdentity, student_id: str, sealed: bytes) -> TemplateBlob:
    """Return one student's templates. Raises GalleryRefused(`bad_template`)."""
    try:
        context = sealing.template_context(identity.unit_id, student_id, identity.pack_id)
        blob = TemplateBlob.model_validate_json(sealing.unseal(identity.data_key, sealed, *context))
    except (SealBroken, ValidationError) as exc:
        raise GalleryRefused("bad_template", "a template cannot be opened with this unit's key") from exc
    if (blob.student_id, blob.pack_id) != (student_id, identity.pack_id):
        raise GalleryRefused("bad_template", "a template is for another student or model pack")
    return blob
