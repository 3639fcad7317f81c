"""`check`: a healthy unit passes; each thing that is wrong is named with what to do about it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from deploy.own_process import free_port
from deploy.private_servers import MosquittoSettings, PrivateMosquitto, password_file_line
from edge.adapters.salvage import open_record
from edge.adapters.single_instance import DataFolderLock
from edge.adapters.sqlite_file import FILE_NAME, UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.cli.commands import app
from protocol.delivery import Rejection
from recognition.adapters.pack_files import read_pack
from tests.conftest import Broker
from tests.edge_adapters.pieces import MORNING, seen
from tests.edge_cli.units import SIGNING_KEY, UnitFolder

LOOKED_AT = [
    "settings", "keys", "disk", "record", "clock", "model", "liveness", "gallery", "camera", "distance", "broker"
]  # fmt: skip


@pytest.fixture
def healthy(unit: UnitFolder, broker: Broker, pack_folder: Path) -> UnitFolder:
    unit.changes |= {"broker.host": broker.host, "broker.port": broker.port, "recognition.pack_dir": str(pack_folder)}
    return unit


def findings(unit: UnitFolder) -> tuple[int, dict[str, dict[str, Any]]]:
    result = unit.run("check", "--json")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, {finding["name"]: finding for finding in json.loads(result.stdout)}


class TestAHealthyUnit:
    def test_everything_is_looked_at_and_nothing_is_wrong(self, healthy: UnitFolder) -> None:
        code, found = findings(healthy)

        assert code == 0, found
        assert list(found) == LOOKED_AT
        assert {finding["state"] for finding in found.values()} == {"ok", "note"}

    def test_nothing_is_made_or_changed_by_looking(self, healthy: UnitFolder) -> None:
        healthy.run("check")

        assert not healthy.data.exists()

    def test_it_says_what_the_promises_do_not_cover(self, healthy: UnitFolder) -> None:
        _code, found = findings(healthy)

        assert "card" in found["keys"]["text"]
        assert "photo" in found["liveness"]["text"]

    def test_it_says_in_metres_how_far_the_camera_reaches(self, healthy: UnitFolder) -> None:
        """Of the picture that the camera really gives, not of the one that was asked for."""
        _code, found = findings(healthy)
        assert found["distance"]["state"] == "note"
        assert "a face is 3 px wide at 2 m" in found["distance"]["text"]
        assert "less than the 1 m that are needed" in found["distance"]["text"]
        assert "lens_deg" in found["distance"]["fix"]

        for number in range(4):
            healthy.lively_picture(healthy.folder / "camera" / f"{number}.png", (1920, 1080))
        _code, found = findings(healthy)
        assert found["distance"] == {
            "name": "distance",
            "state": "ok",
            "text": "with this camera a face is 103 px wide at 2 m, 52 px at 4 m; "
            "automatic marks need 100 px: up to 2.0 m",
            "fix": "",
        }

        healthy.changes["recognition.students_stand_m"] = 3.0
        _code, found = findings(healthy)
        assert found["distance"]["state"] == "note"
        assert "less than the 3 m that are needed" in found["distance"]["text"]

    def test_it_can_look_while_the_unit_runs(self, healthy: UnitFolder, pack_folder: Path) -> None:
        pack_id = read_pack(pack_folder).pack_id
        healthy.record(seen(1), seen(2))
        healthy.give_gallery(pack_id=pack_id)
        with DataFolderLock(healthy.data):
            file = UnitFile(healthy.data)
            with file.writing():
                code, found = findings(healthy)
            file.close()

        assert code == 0, found
        assert "2 waiting" in found["record"]["text"]
        assert "revision 3, 1 students" in found["gallery"]["text"]

    def test_for_people_it_is_a_line_each_with_the_remedy_below(self, healthy: UnitFolder) -> None:
        healthy.changes["broker.port"] = free_port()
        result = healthy.run("check")
        lines = result.stdout.splitlines()

        assert result.exit_code == 1
        assert lines[0].split()[:2] == ["ok", "settings"]
        broken = next(number for number, line in enumerate(lines) if "problem" in line)
        assert "broker" in lines[broken]
        assert lines[broken + 1].split()[0] == "fix"


def _key_others_may_read(unit: UnitFolder) -> None:
    (unit.folder / "data.key").chmod(0o644)


def _key_of_the_wrong_size(unit: UnitFolder) -> None:
    (unit.folder / "hub.pub").write_bytes(b"short")


def _no_key(unit: UnitFolder) -> None:
    (unit.folder / "data.key").unlink()


def _file_for_a_folder(unit: UnitFolder) -> None:
    unit.data.touch()


def _record_that_is_no_database(unit: UnitFolder) -> None:
    unit.data.mkdir()
    (unit.data / FILE_NAME).write_bytes(b"nothing like it" * 1000)


def _damaged_record(unit: UnitFolder) -> None:
    unit.record(*(seen(number) for number in range(1, 200)))
    path = unit.data / FILE_NAME
    with path.open("r+b") as damaged:
        damaged.seek(path.stat().st_size // 2)
        damaged.write(b"\xff" * 8192)


def _no_pack(unit: UnitFolder) -> None:
    unit.changes["recognition.pack_dir"] = "gone"


def _variant_the_pack_lacks(unit: UnitFolder) -> None:
    unit.changes["recognition.variant"] = "f8"


def _detector_the_pack_lacks(unit: UnitFolder) -> None:
    unit.changes["recognition.detector"] = "yunet"


def _altered_pack(unit: UnitFolder) -> None:
    pack = unit.folder / "altered"
    shutil.copytree(unit.changes["recognition.pack_dir"], pack)
    model = next(pack.glob("embedder-f32*"))
    with model.open("r+b") as file:
        file.seek(1000)
        file.write(b"\x00" * 16)
    unit.changes["recognition.pack_dir"] = str(pack)


def _gallery_of_another_hub(unit: UnitFolder) -> None:
    pack_id = read_pack(Path(unit.changes["recognition.pack_dir"])).pack_id
    unit.give_gallery(pack_id=pack_id, signing_key=bytes(32))


def _gallery_of_another_pack(unit: UnitFolder) -> None:
    unit.give_gallery(pack_id="facenet-1-000000000000")


def _gallery_that_another_key_sealed(unit: UnitFolder) -> None:
    unit.give_gallery(pack_id=read_pack(Path(unit.changes["recognition.pack_dir"])).pack_id)
    (unit.folder / "data.key").write_bytes(SIGNING_KEY)


def _no_camera(unit: UnitFolder) -> None:
    unit.changes["camera.source"] = "gone"


def _camera_that_is_not_plugged_in(unit: UnitFolder) -> None:
    unit.changes |= {"camera.kind": "opencv", "camera.source": "/dev/v4l/by-id/gone"}


def _pictures_that_cannot_be_read(unit: UnitFolder) -> None:
    shutil.rmtree(unit.folder / "camera")
    (unit.folder / "camera").mkdir()
    (unit.folder / "camera" / "a.png").write_bytes(b"no picture")


def _covered_lens(unit: UnitFolder) -> None:
    for path in (unit.folder / "camera").iterdir():
        assert cv2.imwrite(str(path), np.zeros((48, 64, 3), dtype=np.uint8))


def _broker_that_does_not_run(unit: UnitFolder) -> None:
    unit.changes["broker.port"] = free_port()


def _broker_without_a_name(unit: UnitFolder) -> None:
    unit.changes["broker.host"] = "broker.invalid"


def _password_file_that_is_not_there(unit: UnitFolder) -> None:
    unit.changes |= {"broker.username": "unit", "broker.password_file": "gone"}


def _empty_password_file(unit: UnitFolder) -> None:
    (unit.folder / "password").touch()
    unit.changes |= {"broker.username": "unit", "broker.password_file": "password"}


BROKEN: dict[str, list[Callable[[UnitFolder], None]]] = {
    "keys": [_no_key, _key_of_the_wrong_size, _key_others_may_read],
    "disk": [_file_for_a_folder],
    "record": [_record_that_is_no_database, _damaged_record],
    "model": [_no_pack, _variant_the_pack_lacks, _detector_the_pack_lacks, _altered_pack],
    "gallery": [_gallery_of_another_hub, _gallery_of_another_pack, _gallery_that_another_key_sealed],
    "camera": [_no_camera, _camera_that_is_not_plugged_in, _pictures_that_cannot_be_read, _covered_lens],
    "broker": [
        _broker_that_does_not_run,
        _broker_without_a_name,
        _password_file_that_is_not_there,
        _empty_password_file,
    ],
}


@pytest.mark.parametrize(
    ("name", "breaks"),
    [pytest.param(name, breaks, id=breaks.__name__.strip("_")) for name, all_ in BROKEN.items() for breaks in all_],
)
def test_what_is_wrong_is_named_with_a_remedy_and_the_rest_is_still_looked_at(
    healthy: UnitFolder, name: str, breaks: Callable[[UnitFolder], None]
) -> None:
    breaks(healthy)
    code, found = findings(healthy)

    assert code == 1
    assert found[name]["state"] == "problem", found[name]
    assert found[name]["text"]
    assert found[name]["fix"], found[name]
    # How far a camera reaches can be said only of one that works.
    assert [each for each in found if each != "distance"] == [each for each in LOOKED_AT if each != "distance"]


@pytest.mark.parametrize(
    "text",
    ["", "site = ", 'sight = "school"', "[camera]\nkind = 'webcam'", "label = '[/bold]'\n[nonsense]\n'[/x]' = 1"],
)
def test_settings_that_cannot_be_used_are_the_first_and_only_finding(unit: UnitFolder, text: str) -> None:
    path = unit.folder / "broken.toml"
    path.write_text(text)
    for arguments in (["--json"], []):
        result = CliRunner().invoke(app, ["check", "--config", str(path), *arguments])
        assert result.exit_code == 1, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "fix" in result.stdout
    assert "broken.toml" in result.stdout


def test_a_settings_file_that_is_not_there_is_named() -> None:
    result = CliRunner().invoke(app, ["check", "--json", "--config", "/gone/edge.toml"])

    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)
    assert "/gone/edge.toml" in finding["text"]
    assert finding["fix"]


@pytest.mark.parametrize(("name", "password", "let_in"), [("unit", "right", True), ("unit", "wrong", False)])
@pytest.mark.server
def test_the_broker_is_asked_with_the_units_password(
    healthy: UnitFolder, tmp_path: Path, name: str, password: str, let_in: bool
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(password_file_line("unit", "right") + "\n")
    passwords.chmod(0o600)
    (tmp_path / "secret").write_text(password + "\n")
    settings = MosquittoSettings(anonymous=False, extra_lines=(f"password_file {passwords}",))
    with PrivateMosquitto(tmp_path / "locked", settings=settings) as locked:
        healthy.changes |= {
            "broker.port": locked.port,
            "broker.username": name,
            "broker.password_file": str(tmp_path / "secret"),
        }
        code, found = findings(healthy)

    assert (code == 0) is let_in, found["broker"]
    assert found["broker"]["state"] == ("ok" if let_in else "problem")
    assert let_in or "broker.password_file" in found["broker"]["text"]
    assert password not in found["broker"]["text"]


def test_little_space_is_a_problem_before_it_is_none(healthy: UnitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with so little is not at hand: it is made to look like one."""
    monkeypatch.setattr("edge.cli.checks.shutil.disk_usage", lambda _folder: SimpleNamespace(free=400_000_000))
    code, found = findings(healthy)

    assert code == 1
    assert found["disk"]["state"] == "problem"
    assert found["disk"]["fix"]


def test_records_the_hub_refused_are_a_note(healthy: UnitFolder) -> None:
    healthy.record(seen(1))
    file = UnitFile(healthy.data)
    journal = SqliteJournal(file)
    journal.rejected(journal.epoch, [Rejection(seq=1, code="invalid")])
    file.close()
    code, found = findings(healthy)

    assert code == 0
    assert found["record"]["state"] == "note"
    assert "1 refused" in found["record"]["text"]
    assert "dead-letters" in found["record"]["fix"]


def test_a_damaged_record_is_a_problem_and_after_the_next_start_a_note_for_as_long_as_its_copy_lies_there(
    healthy: UnitFolder,
) -> None:
    healthy.record(*(seen(number) for number in range(1, 100)))
    path = healthy.data / "unit.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    code, found = findings(healthy)
    assert (code, found["record"]["state"]) == (1, "problem")
    assert "restart" in found["record"]["fix"]

    open_record(healthy.data, MORNING).close()
    code, found = findings(healthy)
    assert (code, found["record"]["state"], found["damaged"]["state"]) == (0, "ok", "note")
    assert "events were saved" in found["damaged"]["text"]

    shutil.rmtree(healthy.data / "damaged")
    assert "damaged" not in findings(healthy)[1]
