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
        shown = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
        of_the_school = {"label", "broker.username", "broker.password_file", "storage.csv_dir", "storage.time_zone"}
        for key, field in every_key():
            if field.is_required() or key in of_the_school:
                continue
            group, _, name = key.rpartition(".")
            assert (shown[group] if group else shown)[name] == field.default, key


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
