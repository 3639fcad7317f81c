"""A unit of our own in a scratch folder: settings, keys and a gallery as its hub would have sent them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from deploy.bench.known_people import FPIR, templates_for
from deploy.own_process import LOOPBACK, free_port
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.core.ports import StagedGallery
from protocol import sealing
from protocol.base import sha256_hex
from protocol.content import GalleryManifest, Head, HeadBody, ManifestEntry, TemplateBlob
from recognition.adapters.analysis import Engine
from recognition.core.gallery import Template

SITE = "bench"
UNIT_ID = str(UUID(int=0xBE7C4))
CLASS_SIZE = 30
"""Students of the room: what a unit usually has."""


@dataclass(frozen=True, slots=True)
class OwnUnit:
    """The unit's folder."""

    folder: Path

    @property
    def settings(self) -> Path:
        """Its settings file."""
        return self.folder / "edge.toml"

    @property
    def data(self) -> Path:
        """Where it keeps its record."""
        return self.folder / "data"


def make_unit(folder: Path, pack: Path, engine: Engine) -> OwnUnit:
    """Write a unit's folder with the gallery of a class; nobody listens where its broker should be."""
    folder.mkdir(parents=True)
    unit = OwnUnit(folder)
    data_key, hub_key = secrets.token_bytes(32), secrets.token_bytes(32)
    for name, key in (("unit.key", data_key), ("hub.pub", sealing.public_key_of(hub_key))):
        (folder / name).write_bytes(key)
        (folder / name).chmod(0o600)
    unit.settings.write_text(_SETTINGS.format(
        site=SITE, unit_id=UNIT_ID, host=LOOPBACK, port=free_port(), pack=pack.resolve()
    ), encoding="utf-8")  # fmt: skip
    _give_gallery(unit, engine, data_key, hub_key)
    return unit


def _give_gallery(unit: OwnUnit, engine: Engine, data_key: bytes, hub_key: bytes) -> None:
    """Seal and sign the gallery and put it into use, as after a transfer."""
    pack_id = engine.embedder.pack_id
    file = UnitFile(unit.data)
    try:
        store = SqliteGallery(file)
        entries = [_keep(store, template, data_key) for template in templates_for(engine, CLASS_SIZE)]
        manifest = GalleryManifest(unit_id=UNIT_ID, revision=1, pack_id=pack_id, entries=tuple(entries))
        sealed = sealing.seal(data_key, manifest.to_bytes(), *sealing.manifest_context(UNIT_ID))
        body = HeadBody(
            site=SITE,
            unit_id=UNIT_ID,
            revision=1,
            manifest_hash=sha256_hex(sealed),
            manifest_bytes=len(sealed),
            pack_id=pack_id,
            operating_points=engine.pack.operating_points(CLASS_SIZE, FPIR).to_dict(),
        )
        text = body.to_bytes().decode()
        head = Head(body=text, signature=sealing.sign(hub_key, text.encode()))
        store.stage(body.manifest_hash, sealed)
        store.swap(StagedGallery(body, head.to_bytes(), _hashes(entries)))
    finally:
        file.close()


def _keep(store: SqliteGallery, template: Template, data_key: bytes) -> ManifestEntry:
    rows = template.members.astype("<f4")
    blob = TemplateBlob(
        student_id=template.student_id,
        pack_id=template.pack_id,
        dimensions=rows.shape[1],
        count=rows.shape[0],
        vectors=rows.tobytes(),
    )
    context = sealing.template_context(UNIT_ID, template.student_id, template.pack_id)
    sealed = sealing.seal(data_key, blob.to_bytes(), *context)
    store.stage(sha256_hex(sealed), sealed)
    return ManifestEntry(
        student_id=template.student_id,
        display_name="made up",
        template_hash=sha256_hex(sealed),
        template_bytes=len(sealed),
    )


def _hashes(entries: Sequence[ManifestEntry]) -> tuple[str, ...]:
    return tuple(entry.template_hash for entry in entries if entry.template_hash)


_SETTINGS = """\
site = "{site}"
unit_id = "{unit_id}"

[broker]
host = "{host}"
port = {port}

[keys]
data_key_file = "unit.key"
hub_key_file = "hub.pub"

[recognition]
pack_dir = "{pack}"

[storage]
data_dir = "data"
"""
