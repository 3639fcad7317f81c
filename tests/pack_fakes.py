"""Made-up model packs: valid manifests around random bytes, and the unit's packs in memory."""

import hashlib
import json
from typing import Any

import numpy as np

from edge.core.errors import GalleryRefused
from protocol.base import sha256_hex
from protocol.content import PackFile, PackList
from recognition.adapters.pack_files import EmbedderPart, embedder_pack_id
from tests.builders import DIMENSIONS, PackOffer
from tests.fakes import Trouble

MANIFEST = "manifest.json"
PART = 64 * 1024


def made_up_pack(
    name: str = "painted",
    *,
    seed: int = 1,
    sizes: dict[str, int] | None = None,
    dimensions: int = DIMENSIONS,
    detector: str = "mtcnn",
) -> PackOffer:
    """Return a pack that `read_pack` takes and no model can be opened of: an embedder in two variants, a detector."""
    source = np.random.default_rng(seed)
    lengths = {"embedder-f32.bin": 300_000, "embedder-f16.bin": 150_000, "detector.bin": 70_000, "faces.json": 900}
    files = {path: source.bytes(size) for path, size in {**lengths, **(sizes or {})}.items()}
    embedder: dict[str, Any] = {
        "variants": {"f32": "embedder-f32.bin", "f16": "embedder-f16.bin"},
        "dimensions": dimensions,
        "chip_px": 150,
        "weights_sha256": hashlib.sha256(files["embedder-f32.bin"]).hexdigest(),
        "views": [{"zoom": 1.0, "right_px": 0.0, "down_px": 0.0, "mirrored": False}],
        "metric": "cosine",
        "landmarks": {detector: [[1.0, 2.0]] * 5},
    }
    pack_id = embedder_pack_id(name, EmbedderPart.model_validate_json(json.dumps(embedder)))
    manifest = {
        "format": 1,
        "pack_id": pack_id,
        "name": name,
        "description": "made up",
        "files": {
            path: {
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_bytes": len(data),
                "origin": "a test",
                "licence": "MIT",
            }
            for path, data in files.items()
        },
        "detectors": {detector: {"detect": "detector.bin"}},
        "embedder": embedder,
        "statistics": None,
        "inputs": {},
        "parity": {},
    }
    return PackOffer(pack_id, {MANIFEST: json.dumps(manifest).encode(), **files})


class MemoryPackStore:
    """`PackStore` in memory. `trouble` makes every write fail as a full or broken disk does."""

    def __init__(self, *own: PackOffer) -> None:
        self.trouble = Trouble()
        self.whole: dict[str, dict[str, bytes]] = {pack.pack_id: dict(pack.files) for pack in own}
        self.coming: dict[str, dict[str, bytes]] = {}
        self.room = True
        self.opens = True
        self.trials = 0

    def has(self, pack_id: str) -> bool:
        return pack_id in self.whole

    def dimensions(self, pack_id: str) -> int:
        return int(json.loads(self.whole[pack_id][MANIFEST])["embedder"]["dimensions"])

    def length(self, pack_id: str, path: str) -> int:
        return len(self.coming.get(pack_id, {}).get(path, b""))

    def put(self, pack_id: str, path: str, at: int, data: bytes) -> None:
        self.trouble.strike()
        files = self.coming.setdefault(pack_id, {})
        if len(files.get(path, b"")) >= at:
            files[path] = files.get(path, b"")[:at] + data

    def check(self, pack_id: str, file: PackFile) -> bool:
        data = self.coming[pack_id][file.path]
        if len(data) == file.bytes and sha256_hex(data) == file.sha256:
            return True
        del self.coming[pack_id][file.path]
        return False

    def plan(self, pack: PackList) -> tuple[PackFile, ...]:
        if not self.room:
            raise GalleryRefused("pack_no_space", "the pack does not fit")
        embedder = json.loads(self.coming[pack.pack_id][MANIFEST])["embedder"]
        unused = set(embedder["variants"].values()) - {embedder["variants"]["f32"]}
        return tuple(file for file in pack.files if file.path not in unused)

    def finish(self, pack: PackList) -> None:
        self.trouble.strike()
        self.whole[pack.pack_id] = self.coming.pop(pack.pack_id)

    def trial(self, pack_id: str) -> None:
        self.trials += 1
        assert pack_id in self.whole
        if not self.opens:
            raise GalleryRefused("pack_unusable", "the models cannot be opened")

    def abandon(self, besides: str | None) -> None:
        self.coming = {pack_id: files for pack_id, files in self.coming.items() if pack_id == besides}
