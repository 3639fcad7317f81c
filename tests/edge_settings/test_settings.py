"""The unit's settings: every mistake is named with its key, and nothing that was written is ignored."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deploy.environment import PROJECT
from edge.core.errors import SettingsWrong
from edge.settings import DEFAULT_FILE, FILE_VARIABLE, PREFIX, EdgeSettings, load_settings, settings_file

EXAMPLE = PROJECT / "config" / "edge.example.toml"
SHORTEST = """
site = "school"
unit_id = "00000000-0000-4000-8000-000000000012"
[broker]
host = "broker.school"
[keys]
data_key_file = "data.key"
hub_key_file = "hub.pub"
[recognition]
pack_dir = "pack"
[storage]
data_dir = "data"
"""


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:  # noqa: TID251 (keeps tests apart)
        monkeypatch.delenv(name)


def written(folder: Path, text: str = SHORTEST) -> Path:
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> SettingsWrong:
    with pytest.raises(SettingsWrong) as caught:
        load_settings(path)
    return caught.value


def group_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def every_key() -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting as `group.key` or `key`."""
    for name, field in EdgeSettings.model_fields.items():
        group = group_of(field)
        if group is None:
            yield name, field
        else:
            yield from ((f"{name}.{key}", inner) for key, inner in group.model_fields.items())


class TestTheExample:
    def test_it_loads(self) -> None:
        settings = load_settings(EXAMPLE)

        assert settings.site == "example-school"
        assert settings.broker.password_file == EXAMPLE.parent / "broker.password"

    def test_it_shows_every_setting_and_nothing_else(self) -> None:
        values = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
        shown = {
            f"{name}.{key}" if isinstance(value, dict) else name
            for name, value in values.items()
            for key in (value if isinstance(value, dict) else [""])
        }

        assert shown == {key for key, _field in every_key()}

    def test_every_setting_is_explained_by_a_comment_above_it_or_above_its_neighbours(self) -> None:
        explained = False
        for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("["):
                explained = False
            elif line.startswith("#"):
                explained = True
            else:
                assert explained, line

    def test_the_values_it_shows_are_the_defaults_where_they_do_not_depend_on_the_school(self) -> None:
        shown = load_settings(EXAMPLE)
        of_the_school = {"label", "broker.username", "broker.password_file", "storage.csv_dir", "storage.time_zone"}
        for key, field in every_key():
            if field.is_required() or key in of_the_school:
                continue
            group, _, name = key.rpartition(".")
            assert getattr(getattr(shown, group) if group else shown, name) == field.default, key


class TestTheFile:
    def test_what_may_be_left_out_has_a_default(self, tmp_path: Path) -> None:
        settings = load_settings(written(tmp_path))

        assert settings.broker.port == 1883
        assert settings.camera.kind == "opencv"
        assert settings.presence.mode == "door"
        assert settings.storage.csv_dir is None

    def test_a_file_that_is_not_there_is_an_error_and_not_the_defaults(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "gone.toml")

        assert "there is no settings file" in str(error)
        assert FILE_VARIABLE in error.hint

    def test_a_folder_is_no_settings_file(self, tmp_path: Path) -> None:
        assert "there is no settings file" in str(refused(tmp_path))

    @pytest.mark.parametrize("text", ["site = ", 'site = "a"\nsite = "b"', "[broker\nhost = 1", "just words"])
    def test_what_is_no_toml_is_refused_with_the_line(self, tmp_path: Path, text: str) -> None:
        error = refused(written(tmp_path, text))

        assert "not valid TOML" in str(error)
        assert "(at " in str(error)
        assert error.hint

    def test_what_is_no_utf8_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "edge.toml"
        path.write_bytes(b'label = "Caf\xe9"')

        assert refused(path).hint

    @pytest.mark.parametrize(
        ("before", "after", "name"),
        [
            ('sight = "school"', "", "sight"),
            ("", "hots = 1", "storage.hots"),
            ("", "[camera]\nfps = 5", "camera.fps"),
            ("", "[cameras]\nkind = 'replay'", "cameras"),
        ],
    )
    def test_an_unknown_key_is_named(self, tmp_path: Path, before: str, after: str, name: str) -> None:
        error = refused(written(tmp_path, f"{before}\n{SHORTEST}\n{after}\n"))

        assert f"unknown setting `{name}`" in str(error)
        assert "edge.example.toml" in error.hint

    @pytest.mark.parametrize(
        "name", ["site", "unit_id", "broker.host", "keys.data_key_file", "recognition.pack_dir", "storage.data_dir"]
    )
    def test_a_missing_key_is_named(self, tmp_path: Path, name: str) -> None:
        key = name.rpartition(".")[2]
        text = "\n".join(line for line in SHORTEST.splitlines() if not line.startswith(f"{key} ="))

        assert f"setting `{name}` is missing" in str(refused(written(tmp_path, text)))

    @pytest.mark.parametrize(
        ("group", "key", "value"),
        [
            ("broker", "port", '"many"'),
            ("broker", "port", "70000"),
            ("broker", "keepalive_s", "0"),
            ("broker", "host", '""'),
            ("broker", "host", '"broker..school"'),
            ("broker", "host", '"https://broker"'),
            ("broker", "host", '"bro ker"'),
            ("camera", "kind", '"webcam"'),
            ("camera", "frames_per_s", "0"),
            ("camera", "frames_per_s", "nan"),
            ("camera", "width_px", "true or false"),
            ("storage", "time_zone", '"Mars/Olympus"'),
            ("storage", "time_zone", '"Europe"'),
            ("storage", "time_zone", '""'),
            ("storage", "time_zone", '"../etc/passwd"'),
            ("storage", "data_dir", '"~nobody-of-this-name/data"'),
            ("storage", "ballast_mb", "4"),
            ("storage", "ballast_mb", "-1"),
            ("storage", "keep_delivered_days", "0"),
            ("storage", "low_disk_mb", "-1"),
            ("recognition", "threads", "[1]"),
            ("presence", "absence_s", "-1"),
        ],
    )
    def test_an_impossible_value_is_refused_with_its_key(
        self, tmp_path: Path, group: str, key: str, value: str
    ) -> None:
        lines = [line for line in SHORTEST.splitlines() if not line.startswith(f"{key} =")]
        header = f"[{group}]"
        if header not in lines:
            lines.append(header)
        lines.insert(lines.index(header) + 1, f"{key} = {value}")
        error = refused(written(tmp_path, "\n".join(lines)))

        assert f"{group}.{key}" in str(error) or "not valid TOML" in str(error)

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "::1", "broker", "broker.school.example", "bröker.example", "broker_1"]
    )
    def test_every_usual_way_to_name_a_host_is_taken(self, tmp_path: Path, host: str) -> None:
        path = written(tmp_path, SHORTEST.replace("broker.school", host))

        assert load_settings(path).broker.host == host

    def test_a_password_without_a_name_is_refused_and_not_ignored(self, tmp_path: Path) -> None:
        """The broker would be asked without either, and nobody would see why it refuses."""
        text = SHORTEST.replace("[broker]", '[broker]\npassword_file = "secret"')

        assert "broker.username" in str(refused(written(tmp_path, text)))

    @pytest.mark.parametrize(
        "unit", ["room-12", "00000000-0000-4000-8000-00000000001G", "ABCDEF00-0000-4000-8000-000000000012"]
    )
    def test_a_unit_that_is_not_named_by_a_uuid_is_refused(self, tmp_path: Path, unit: str) -> None:
        text = SHORTEST.replace("00000000-0000-4000-8000-000000000012", unit)

        assert "unit_id" in str(refused(written(tmp_path, text)))

    def test_several_mistakes_are_told_at_once(self, tmp_path: Path) -> None:
        error = refused(written(tmp_path, SHORTEST.replace('site = "school"', "sight = 1\nlabel = 5")))

        assert {"site", "sight", "label"} <= set(str(error).replace("`", " ").split())

    def test_no_setting_holds_a_secret_itself(self) -> None:
        """What is secret is in files: settings are copied, shown and sent to whoever helps."""
        secret = [key for key, _ in every_key() if any(word in key for word in ("password", "key", "secret", "token"))]

        assert secret
        assert all(key.endswith("_file") for key in secret if not key.startswith("keys.") or key.count("_"))
        for key, field in every_key():
            if key in secret:
                assert Path in (field.annotation, *get_args(field.annotation)), key


def with_lines(folder: Path, **groups: str) -> Path:
    """Write the shortest settings with these lines added to groups."""
    text = SHORTEST
    for group, lines in groups.items():
        header = f"[{group}]"
        text = text.replace(header, f"{header}\n{lines}") if header in text else f"{text}\n{header}\n{lines}\n"
    return written(folder, text)


SWEEP = 'mode = "sweep"\nsweep_basis = "decided by the board on 2026-09-01, file 12"'


class TestWhatIsRecognised:
    @pytest.mark.parametrize(("presence", "expected"), [("", 100), (SWEEP, 80)], ids=["door", "sweep"])
    def test_the_least_width_of_a_face_is_what_the_mode_needs(
        self, tmp_path: Path, presence: str, expected: int
    ) -> None:
        assert load_settings(with_lines(tmp_path, presence=presence)).min_face_px == expected

    def test_a_school_may_set_it_down_to_60(self, tmp_path: Path) -> None:
        assert load_settings(with_lines(tmp_path, recognition="min_face_px = 60")).min_face_px == 60

    @pytest.mark.parametrize("value", [1, 24, 59])
    def test_under_60_pixels_there_is_no_automatic_mark_whatever_is_set(self, tmp_path: Path, value: int) -> None:
        error = refused(with_lines(tmp_path, recognition=f"min_face_px = {value}"))

        assert "recognition.min_face_px" in str(error)
        assert "under 60 pixels" in str(error)

    def test_where_the_farthest_student_stands_decides_how_small_a_face_is_looked_for(self, tmp_path: Path) -> None:
        """At 2 m an adult's face is 69 pixels wide in 1280 pixels through 66 degrees, a child's nine tenths of it."""
        path = with_lines(tmp_path, recognition="students_stand_m = 2.0")
        assert load_settings(path).smallest_face_px == 62

        wide = with_lines(tmp_path, recognition="students_stand_m = 2.0", camera="lens_deg = 102\nwidth_px = 1920")
        assert load_settings(wide).smallest_face_px == 48

    def test_in_sweep_the_still_decides_and_not_the_frame(self, tmp_path: Path) -> None:
        path = with_lines(tmp_path, recognition="students_stand_m = 4.0", presence=SWEEP)
        settings = load_settings(path)

        assert settings.smallest_face_px == 111
        assert (settings.picture_width_px, settings.picture_height_px) == (4608, 2592)

    def test_saying_it_twice_is_refused(self, tmp_path: Path) -> None:
        error = refused(with_lines(tmp_path, recognition="students_stand_m = 2.0\nsmallest_face_px = 40"))

        assert "either recognition.smallest_face_px or recognition.students_stand_m" in str(error)

    def test_students_who_stand_too_far_for_any_detector_are_refused_in_their_terms(self, tmp_path: Path) -> None:
        error = refused(with_lines(tmp_path, recognition="students_stand_m = 12.0"))

        assert "at 12 m a child's face is 10 pixels wide" in str(error)


class TestWhereAndHowItIsWatched:
    def test_a_zone_is_corners_in_fractions_of_the_picture(self, tmp_path: Path) -> None:
        zone = load_settings(with_lines(tmp_path, presence="zone = [[0.2, 0.1], [0.8, 0.9]]")).zone

        assert zone.contains(0.5, 0.5)
        assert not zone.contains(0.1, 0.5)

    def test_without_a_zone_the_whole_picture_counts(self, tmp_path: Path) -> None:
        assert load_settings(written(tmp_path)).zone.is_everything

    @pytest.mark.parametrize(
        "zone", ["[[0.5, 0.5]]", "[[0.1, 0.1], [1.5, 0.9]]", "[[0, 0], [1, 1], [1, 0], [0, 1]]", "[0.1, 0.2]", '"all"']
    )
    def test_what_is_no_zone_is_refused_with_its_key(self, tmp_path: Path, zone: str) -> None:
        assert "presence.zone" in str(refused(with_lines(tmp_path, presence=f"zone = {zone}")))

    @pytest.mark.parametrize("basis", ["", 'sweep_basis = ""', 'sweep_basis = "   "'])
    def test_sweep_is_refused_until_the_school_has_written_down_on_what_it_rests(
        self, tmp_path: Path, basis: str
    ) -> None:
        error = refused(with_lines(tmp_path, presence=f'mode = "sweep"\n{basis}'))

        assert "presence.sweep_basis" in str(error)
        assert "consent" in str(error)

    def test_one_still_in_which_somebody_looks_down_must_not_end_a_presence(self, tmp_path: Path) -> None:
        error = refused(with_lines(tmp_path, presence=f"{SWEEP}\nabsence_s = 20\nsweep_every_s = 15"))

        assert "presence.absence_s must be at least twice" in str(error)


class TestPaths:
    def test_relative_paths_start_at_the_folder_of_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever starts the program may stand anywhere."""
        monkeypatch.chdir("/")
        settings = load_settings(written(tmp_path, SHORTEST + 'csv_dir = "lists"\n'))

        assert settings.storage.data_dir == tmp_path / "data"
        assert settings.storage.csv_dir == tmp_path / "lists"
        assert settings.keys.data_key_file == tmp_path / "data.key"
        assert settings.recognition.pack_dir == tmp_path / "pack"

    def test_also_when_the_file_itself_is_named_relatively(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written(tmp_path)
        monkeypatch.chdir(tmp_path)

        assert load_settings(Path("edge.toml")).storage.data_dir == tmp_path / "data"

    def test_absolute_paths_and_the_home_folder_stay_what_they_are(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", "/home/pupil")
        text = SHORTEST.replace('"data"', '"/srv/data"').replace('"pack"', '"~/pack"')
        settings = load_settings(written(tmp_path, text))

        assert settings.storage.data_dir == Path("/srv/data")
        assert settings.recognition.pack_dir == Path("/home/pupil/pack")

    @pytest.mark.parametrize(
        ("kind", "source", "expected"),
        [
            ("replay", "clips/a.mp4", "{here}/clips/a.mp4"),
            ("opencv", "0", "0"),
            ("opencv", "rtsp://cam/1", "rtsp://cam/1"),
        ],
    )
    def test_only_a_recording_is_a_path(self, tmp_path: Path, kind: str, source: str, expected: str) -> None:
        settings = load_settings(written(tmp_path, SHORTEST + f'[camera]\nkind = "{kind}"\nsource = "{source}"\n'))

        assert settings.camera.source == expected.format(here=tmp_path)


class TestTheEnvironment:
    def test_it_wins_over_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROLLCALL_EDGE_LABEL", "library")
        monkeypatch.setenv("ROLLCALL_EDGE_BROKER__PORT", "2883")
        monkeypatch.setenv("ROLLCALL_EDGE_STORAGE__DATA_DIR", "elsewhere")
        settings = load_settings(written(tmp_path))

        assert (settings.label, settings.broker.port, settings.broker.host) == ("library", 2883, "broker.school")
        assert settings.storage.data_dir == tmp_path / "elsewhere"

    def test_it_may_give_what_the_file_leaves_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ROLLCALL_EDGE_SITE", "other")
        text = SHORTEST.replace('site = "school"', "")

        assert load_settings(written(tmp_path, text)).site == "other"

    @pytest.mark.parametrize(
        "name",
        ["ROLLCALL_EDGE_SIGHT", "ROLLCALL_EDGE_BROKER__HOTS", "ROLLCALL_EDGE_BROKER_HOST", "ROLLCALL_EDGE_SITE__X",
         "ROLLCALL_EDGE_BROKER__HOST__X"],
    )  # fmt: skip
    def test_a_misspelled_variable_is_refused_and_not_ignored(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(name, "x")
        error = refused(written(tmp_path))

        assert name in str(error)
        assert error.hint

    def test_an_impossible_value_is_blamed_on_the_variable_and_not_on_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ROLLCALL_EDGE_BROKER__PORT", "many")

        assert "ROLLCALL_EDGE_BROKER__PORT" in str(refused(written(tmp_path)))

    def test_a_whole_group_that_is_no_json_is_an_error_of_ours(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ROLLCALL_EDGE_BROKER", "broker.school")
        error = refused(written(tmp_path))

        assert "broker" in str(error)
        assert error.hint

    def test_other_variables_are_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SITE", "wrong")
        monkeypatch.setenv("ROLLCALL_HUB_SITE", "wrong")
        monkeypatch.setenv("ROLLCALL_EDGE", "wrong")

        assert load_settings(written(tmp_path)).site == "school"

    def test_which_file_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert settings_file(None) == DEFAULT_FILE
        monkeypatch.setenv(FILE_VARIABLE, "/srv/edge.toml")
        assert settings_file(None) == Path("/srv/edge.toml")
        assert settings_file(Path("given.toml")) == Path("given.toml")

    def test_the_variable_that_names_the_file_is_no_setting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = written(tmp_path)
        monkeypatch.setenv(FILE_VARIABLE, str(path))

        assert load_settings(settings_file(None)).site == "school"


def test_settings_do_not_change_while_the_program_runs(tmp_path: Path) -> None:
    settings: Any = load_settings(written(tmp_path))

    with pytest.raises(ValueError, match="frozen"):
        settings.site = "other"
    with pytest.raises(ValueError, match="frozen"):
        settings.broker.host = "other"


def test_a_unit_may_do_without_a_reserve(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, SHORTEST + "ballast_mb = 0\n"))

    assert settings.storage.ballast_mb == 0
