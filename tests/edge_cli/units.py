"""A unit's folder as `rollcall-hub unit add` makes it, with a recording for a camera, and its commands."""

import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from deploy.environment import PROJECT
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.cli.commands import app
from edge.core.ports import StagedGallery
from protocol import sealing
from protocol.base import sha256_hex
from protocol.content import GalleryManifest, Head, HeadBody, ManifestEntry, Timetable, TimetableLesson
from protocol.events import Event
from tests.edge_adapters.pictures import SIZE, write_picture
from tests.edge_adapters.pieces import UNIT, ident

SITE = "school"
PACK = "dlib-1-000000000000"
DATA_KEY = bytes(range(32))
SIGNING_KEY = bytes(range(32, 64))
TIMEOUT_S = 60


@dataclass
class UnitFolder:
    """A unit on disk; `changes` replace or add settings by `group.key`, None leaves one out."""

    folder: Path
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._write_key("data.key", DATA_KEY)
        self._write_key("hub.pub", sealing.public_key_of(SIGNING_KEY))
        for number in range(4):
            write_picture(self.folder / "camera" / f"{number}.png", number)
        # A picture of one grey would be taken for a covered lens.
        self.lively_picture(self.folder / "camera" / "2.png")
        self.lively_picture(self.folder / "camera" / "1.png")

    def _write_key(self, name: str, key: bytes) -> None:
        path = self.folder / name
        path.write_bytes(key)
        path.chmod(0o600)

    @staticmethod
    def lively_picture(path: Path, size_px: tuple[int, int] = SIZE) -> None:
        """Write a picture with something in it."""
        import cv2
        import numpy as np

        stripes = np.zeros((size_px[1], size_px[0], 3), dtype=np.uint8)
        stripes[:, ::2] = 200
        assert cv2.imwrite(str(path), stripes)

    @property
    def config(self) -> Path:
        """The settings file, written anew with the changes."""
        settings: dict[str, Any] = {
            "site": SITE,
            "unit_id": UNIT,
            "broker.host": "127.0.0.1",
            "broker.port": 1,
            "keys.data_key_file": "data.key",
            "keys.hub_key_file": "hub.pub",
            "recognition.pack_dir": "pack",
            "camera.kind": "replay",
            "camera.source": "camera",
            "camera.replay_pace": "fast",
            "storage.data_dir": "data",
        } | self.changes
        groups: dict[str, list[str]] = {}
        for name, value in settings.items():
            group, _, key = name.rpartition(".")
            if value is not None:
                text = str(value).lower() if isinstance(value, bool) else repr(value)
                groups.setdefault(group, []).append(f"{key} = {text}")
        lines = groups.pop("", [])
        for group, keys in groups.items():
            lines += [f"[{group}]", *keys]
        path = self.folder / "edge.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def record(self, *events: Event) -> list[Event]:
        """Write events down, as the running unit does."""
        file = UnitFile(self.data)
        try:
            return SqliteJournal(file).append(events)
        finally:
            file.close()

    def give_gallery(
        self,
        names: dict[str, str] | None = None,
        *,
        pack_id: str = PACK,
        signing_key: bytes = SIGNING_KEY,
        wider: Collection[str] = (),
        lessons: tuple[TimetableLesson, ...] = (),
    ) -> None:
        """Put a gallery with these display names by student id into use; of `wider` the unit's room expects nobody."""
        names = {ident(7): "S7_Ann Example"} if names is None else names
        entries = tuple(
            ManifestEntry(student_id=key, display_name=name, scope="wider" if key in wider else "room")
            for key, name in names.items()
        )
        manifest = GalleryManifest(unit_id=UNIT, revision=3, pack_id=pack_id, entries=entries)
        sealed = sealing.seal(DATA_KEY, manifest.to_bytes(), *sealing.manifest_context(UNIT))
        timetable = Timetable(unit_id=UNIT, lessons=lessons).to_bytes()
        sealed_timetable = sealing.seal(DATA_KEY, timetable, *sealing.timetable_context(UNIT)) if lessons else None
        body = HeadBody(
            site=SITE,
            unit_id=UNIT,
            revision=3,
            manifest_hash=sha256_hex(sealed),
            manifest_bytes=len(sealed),
            pack_id=pack_id,
            timetable_hash=sha256_hex(sealed_timetable) if sealed_timetable else None,
            timetable_bytes=len(sealed_timetable) if sealed_timetable else None,
        )
        text = body.model_dump_json(exclude_none=True)
        head = Head(body=text, signature=sealing.sign(signing_key, text.encode()))
        file = UnitFile(self.data)
        store = SqliteGallery(file)
        store.stage(body.manifest_hash, sealed)
        if sealed_timetable:
            store.stage(sha256_hex(sealed_timetable), sealed_timetable)
        store.swap(StagedGallery(body, head.to_bytes(), ()))
        file.close()

    def run(self, *arguments: object) -> Result:
        """Run a command of the unit in this process."""
        command, *rest = map(str, arguments)
        return CliRunner().invoke(app, [command, "--config", str(self.config), *rest])

    def start(self, command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a shell command line in which `$EDGE` and `$CONFIG` stand for the program and the settings file."""
        variables = {
            "EDGE": f"{sys.executable} -m edge",
            "CONFIG": str(self.config),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(PROJECT),
            # A test that limits the size of files must not leave half of a compiled module behind.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=variables | options.pop("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **options,
        )
