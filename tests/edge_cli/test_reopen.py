"""`rollcall-edge run` begins again by itself when gallery and pack on disk are new ones, and ends when told to."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from edge.adapters.pack_folder import PackFolder
from edge.bootstrap.orders import Orders, Parts
from edge.bootstrap.packs import open_eyes_in_use, open_packs
from edge.cli import running
from edge.core.errors import GalleryRefused
from edge.loops.health import Health
from edge.settings import EdgeSettings, load_settings
from recognition.adapters.pack_files import read_manifest
from recognition.core.errors import PackAltered
from tests.builders import HubSide, face_of
from tests.edge_cli.units import UnitFolder
from tests.pack_fakes import made_up_pack

OWN, PACK = made_up_pack("own", seed=1), made_up_pack("new", seed=2)


class Runs:
    """Stands for the whole unit: what each run does, and how often there was one."""

    def __init__(self, *acts: Callable[[Orders], bool]) -> None:
        self.acts = list(acts)
        self.done = 0
        self.open = 0

    @contextmanager
    def open_unit(self, _settings: EdgeSettings, orders: Orders, *_others: Any) -> Iterator[Any]:
        assert self.open == 0
        self.open += 1
        act = self.acts[self.done]
        self.done += 1
        known = SimpleNamespace(gallery=SimpleNamespace(size=0), revision=0)
        unit = SimpleNamespace(
            delivery=SimpleNamespace(keeper=SimpleNamespace(known=known)),
            clock=SimpleNamespace(monotonic_s=lambda: 0.0),
            run=lambda: act(orders),
        )
        yield unit
        self.open -= 1


def run(runs: Runs, unit: UnitFolder, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command; return how many summaries it printed."""
    summaries: list[object] = []
    monkeypatch.setattr(running, "open_unit", runs.open_unit)
    monkeypatch.setattr(running, "_obey_signals", lambda _orders: None)
    monkeypatch.setattr(running, "_summarise", lambda *_given, **_named: summaries.append(1))
    running.run(load_settings(unit.config), json_summary=False, verbose=False)
    return len(summaries)


def change_pack(orders: Orders) -> bool:
    orders.begin_anew()
    return True


def stop(orders: Orders) -> bool:
    assert not orders.stop.is_set()
    orders.stop.set()
    return True


def fail(orders: Orders) -> bool:
    orders.begin_anew()
    return False


def signalled(orders: Orders) -> bool:
    orders.begin_anew()
    orders.hurry.set()
    return True


def test_a_change_of_pack_begins_again_and_a_stop_ends(unit: UnitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(change_pack, change_pack, stop)
    assert run(runs, unit, monkeypatch) == 1
    assert (runs.done, runs.open) == (3, 0)


def test_a_signal_in_the_middle_of_a_change_ends(unit: UnitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(signalled)
    run(runs, unit, monkeypatch)
    assert runs.done == 1


def test_a_run_that_failed_is_left_to_the_service_manager(unit: UnitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(typer.Exit):
        run(Runs(fail), unit, monkeypatch)


class Fetched:
    """A unit whose gallery was made with a pack that came from the hub."""

    def __init__(self, unit: UnitFolder) -> None:
        self.settings = load_settings(unit.config)
        self.folder = self.settings.storage.data_dir / "packs" / PACK.pack_id
        for folder, pack in ((self.folder, PACK), (self.settings.recognition.pack_dir, OWN)):
            folder.mkdir(parents=True)
            for path, data in pack.files.items():
                (folder / path).write_bytes(data)
        self.health = Health()
        self.packs: PackFolder = open_packs(self.settings)
        self.opened: list[str] = []

    def open(self, *, fails: bool = False) -> object:
        """Open the models as the program does."""

        def open_eyes(settings: EdgeSettings) -> Any:
            self.opened.append(settings.recognition.pack_dir.name)
            if fails and settings.recognition.pack_dir == self.folder:
                raise PackAltered("a file has another checksum")
            return settings.recognition.pack_dir.name

        body = HubSide(pack_id=PACK.pack_id).gallery(3, {1: [face_of(1)]}).body
        gallery: Any = SimpleNamespace(in_use=lambda: body)
        return open_eyes_in_use(self.settings, Parts(open_eyes=open_eyes), self.packs, gallery, self.health)


def test_the_models_are_those_of_the_pack_in_use(unit: UnitFolder) -> None:
    fetched = Fetched(unit)
    assert fetched.open() == PACK.pack_id
    assert fetched.health.problems() == ()


@pytest.mark.parametrize("damaged", [True, False])
def test_a_unit_starts_with_its_own_pack_when_the_fetched_one_cannot_be_opened(unit: UnitFolder, damaged: bool) -> None:
    """And fetches it again only if it is damaged: otherwise it would begin again for ever."""
    fetched = Fetched(unit)
    if damaged:
        (fetched.folder / "detector.bin").write_bytes(b"!")
    assert fetched.open(fails=True) == "pack"
    assert fetched.opened == [PACK.pack_id, "pack"]
    assert [problem.code for problem in fetched.health.problems()] == ["pack_damaged"]
    assert fetched.packs.has(PACK.pack_id) is not damaged
    if not damaged:
        with pytest.raises(GalleryRefused, match="checksum"):
            fetched.packs.trial(PACK.pack_id)


def test_check_says_which_pack_is_in_use_and_where_it_lies(unit: UnitFolder, pack_folder: Path) -> None:
    pack_id = read_manifest(pack_folder).pack_id
    place = unit.data / "packs" / pack_id
    shutil.copytree(pack_folder, place)
    # As fetched: only the variant of the settings.
    (place / "embedder-f16.tflite").unlink()
    own = unit.folder / "pack"
    own.mkdir()
    for path, data in OWN.files.items():
        (own / path).write_bytes(data)
    unit.give_gallery(pack_id=pack_id)
    found = {one["name"]: one for one in json.loads(unit.run("check", "--json").stdout)}
    assert (found["model"]["state"], found["model"]["text"]) == ("ok", f"pack {pack_id}, from the hub, in {place}")
    assert found["gallery"]["state"] == "ok"
