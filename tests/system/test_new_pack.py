"""A school changes its model pack: nobody goes to the classroom, and nothing is ever matched across models."""

import json
import shutil
from pathlib import Path

import pytest

from deploy.clip import make_clip
from deploy.demo import PEOPLE, enrol_people, prepare_school
from deploy.stage import Stage
from recognition.adapters.pack_files import Manifest, embedder_pack_id, read_manifest, read_pack

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model]


def _renamed(pack: Path, folder: Path) -> Path:
    """Copy a pack under another name: its models work, and its templates are those of another pack."""
    shutil.copytree(pack, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    embedder = Manifest.model_validate_json(json.dumps(manifest)).embedder
    manifest |= {"name": "earlier", "pack_id": embedder_pack_id("earlier", embedder)}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_a_unit_with_another_pack_fetches_the_hubs_and_goes_on_with_it(stage: Stage, tmp_path: Path) -> None:
    unit = prepare_school(stage)
    enrol_people(stage, PEOPLE[:1])
    stage.hub.start()
    scenes = make_clip(stage.folder / "clip")
    earlier, wanted = _renamed(stage.pack, tmp_path / "earlier"), read_manifest(stage.pack).pack_id
    program = unit.program(
        {
            "kind": "replay",
            "source": str(scenes[0].frames[0].parent),
            "at_end": "again",
            "recognition__pack_dir": str(earlier),
        }
    )
    program.start()
    try:
        stage.wait_for_gallery(120)
        [line] = stage.office("gallery", "status", "--json")
        assert (line["current"], line["problem"]) == (True, None)
    finally:
        program.stop()
    fetched = unit.folder / "data" / "packs" / wanted
    assert read_pack(fetched, "f32").pack_id == wanted
    assert {entry.name for entry in (unit.folder / "data" / "packs").iterdir()} == {wanted}
    events = unit.events()
    # What the old pack watched, it watched with no gallery: each minute says with which pack it was watched.
    packs = [event["pack_id"] for event in events if event["kind"] == "coverage"]
    assert packs == sorted(packs, key=lambda one: one == wanted)
    assert packs[-1] == wanted
    assert {
        event["gallery_revision"] for event in events if event.get("pack_id") == read_manifest(earlier).pack_id
    } <= {0}
