"""The real compiled pack from a hub's shelf to a unit's disk, where its models are opened."""

from pathlib import Path

from edge.adapters.pack_folder import PackFolder, PackNeeds
from edge.core.pack_fetch import PackFetch
from hub.adapters.pack_shelf import FolderShelf
from protocol import codec, topics
from protocol.base import sha256_hex
from protocol.content import PACK_PARTS_AT_ONCE, HeadBody, Part
from recognition.adapters.analysis import open_engine
from recognition.adapters.pack_files import read_pack
from tests.builders import SITE, UNIT


def test_the_real_pack_travels_and_opens_on_the_other_side(pack_folder: Path, tmp_path: Path) -> None:
    shelf = FolderShelf(read_pack(pack_folder))
    assert shelf.listed is not None
    pack_id = read_pack(pack_folder).pack_id
    needs = PackNeeds("int8", "mtcnn", liveness=False)
    packs = PackFolder(
        tmp_path, tmp_path / "none", needs, lambda folder: open_engine(folder, threads=1, variant="int8")
    )
    fetch = PackFetch(packs)
    fetch.follow(
        HeadBody(
            site=SITE,
            unit_id=UNIT,
            revision=1,
            manifest_hash="0" * 64,
            manifest_bytes=1,
            pack_id=pack_id,
            pack_hash=sha256_hex(shelf.listed),
            pack_bytes=len(shelf.listed),
        )
    )
    address = topics.down(SITE, UNIT, "part")
    for now_s in range(1000):
        want = fetch.next_want(float(now_s))
        if want is None:
            break
        [item] = want.items
        for index in range(item.from_part, item.from_part + PACK_PARTS_AT_ONCE):
            found = shelf.part(item.kind, item.hash, index)
            if found is not None:
                part = Part(kind=item.kind, hash=item.hash, index=index, count=found.count, data=found.data)
                received = codec.decode(address, codec.encode(part))
                assert isinstance(received, Part)
                fetch.on_part(received)
    assert fetch.ready
    packs.trial(pack_id)
    place = packs.place(pack_id)
    assert place == tmp_path / "packs" / pack_id
    assert not (place / "embedder-f32.tflite").exists()
    assert packs.dimensions(pack_id) == read_pack(pack_folder).dimensions
