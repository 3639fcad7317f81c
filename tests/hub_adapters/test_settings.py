"""The hub's settings: everything unknown is an error that names it, and the example shows everything."""

import tomllib
from pathlib import Path

import pytest

from deploy.environment import PROJECT
from hub.core.errors import BadInput
from hub.settings import FILE_VARIABLE, HubSettings, load_settings, operator_name, setting_names, settings_file

EXAMPLE = PROJECT / "config" / "hub.example.toml"
SMALLEST = 'site = "s"\ntime_zone = "Europe/Berlin"\n[recognition]\npack_dir = "pack"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "hub.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_loads_and_shows_every_setting() -> None:
    settings = load_settings(EXAMPLE, {})
    assert settings.site == "example-school"
    shown = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    names = {
        f"{name}.{below}" if isinstance(value, dict) else name
        for name, value in shown.items()
        for below in (value if isinstance(value, dict) else (name,))
    }
    assert names == set(setting_names())


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    smallest = load_settings(written(tmp_path, SMALLEST), {})
    example = load_settings(EXAMPLE, {})
    for group in ("database", "broker", "attendance", "enrolment", "retention"):
        one, other = getattr(smallest, group).model_dump(), getattr(example, group).model_dump()
        for without_default in ("password_file", "username", "csv_file"):
            one.pop(without_default, None)
            other.pop(without_default, None)
        assert one == other


def test_keys_may_come_with_systemds_credentials(tmp_path: Path) -> None:
    given = {"CREDENTIALS_DIRECTORY": "/run/credentials/unit"}
    assert load_settings(written(tmp_path, SMALLEST), given).keys.credentials_dir == Path("/run/credentials/unit")
    own = SMALLEST + '[keys]\ncredentials_dir = "/etc/creds"\n'
    assert load_settings(written(tmp_path, own), given).keys.credentials_dir == Path("/etc/creds")
    assert load_settings(written(tmp_path, SMALLEST), {}).keys.credentials_dir is None


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('sessions = [{ name = "AM", since = "09:00:00", until = "08:00:00" }]', "end later"),
        (
            'sessions = [{ name = "A", since = "08:00:00", until = "10:00:00" },'
            ' { name = "B", since = "09:00:00", until = "11:00:00" }]',
            "overlap",
        ),
        (
            'sessions = [{ name = "A", since = "08:00:00", until = "09:00:00" },'
            ' { name = "A", since = "09:00:00", until = "11:00:00" }]',
            "one name",
        ),
        ('codes = { Gone = "X" }', "codes"),
    ],
)
def test_sessions_and_codes_that_make_no_sense_are_refused(tmp_path: Path, rules: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_settings(written(tmp_path, f"{SMALLEST}[attendance]\n{rules}\n"), {})


def test_relative_paths_start_at_the_settings_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, SMALLEST), {})
    assert settings.recognition.pack_dir == tmp_path / "pack"
    assert settings.keys.hub_key_file == tmp_path / "hub.key"
    assert settings.data_dir == Path("/var/lib/rollcall/hub")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environment = {
        "ROLLCALL_HUB_SITE": "other",
        "ROLLCALL_HUB_DATABASE__PORT": "3307",
        "ROLLCALL_HUB_RECOGNITION__PACK_DIR": "/packs/a",
        "PATH": "/bin",
    }
    settings = load_settings(written(tmp_path, SMALLEST), environment)
    assert (settings.site, settings.database.port) == ("other", 3307)
    assert settings.recognition.pack_dir == Path("/packs/a")
    assert settings.database.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        (SMALLEST + "colour = 1\n", {}, "recognition.colour is not a setting"),
        ('sites = "s"\n' + SMALLEST, {}, "sites is not a setting"),
        (SMALLEST, {"ROLLCALL_HUB_SIGHT": "x"}, "ROLLCALL_HUB_SIGHT"),
        (SMALLEST, {"ROLLCALL_HUB_DATABASE__PASSWORD": "x"}, "ROLLCALL_HUB_DATABASE__PASSWORD"),
        (SMALLEST, {"ROLLCALL_HUB_DATABASE": "{}"}, "ROLLCALL_HUB_DATABASE"),
        (SMALLEST, {"ROLLCALL_HUB_DATABASE__PORT": "many"}, "database.port"),
        (SMALLEST.replace('"s"', '"Bad Site"'), {}, "site"),
        (SMALLEST.replace("Europe/Berlin", "Mars/North"), {}, "Mars/North"),
        (SMALLEST.replace('site = "s"', ""), {}, "site is missing"),
        (SMALLEST + "[attendance]\nday_from = 12:00:00\nday_until = 09:00:00\n", {}, "day_until"),
        ("site = ", {}, "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, environment: dict[str, str], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        load_settings(written(tmp_path, text), environment)


def test_a_missing_file_is_an_error_and_not_the_defaults(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no settings file") as caught:
        load_settings(tmp_path / "none.toml", {})
    assert "--config" in caught.value.hint


def test_the_file_is_the_chosen_one_then_the_environments_then_the_usual_one() -> None:
    assert settings_file(Path("/a"), {FILE_VARIABLE: "/b"}) == Path("/a")
    assert settings_file(None, {FILE_VARIABLE: "/b"}) == Path("/b")
    assert settings_file(None, {}) == Path("/etc/rollcall/hub.toml")


def test_settings_made_directly_do_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_HUB_SITE", "from-outside")
    made = HubSettings.model_validate({"site": "s", "time_zone": "UTC", "recognition": {"pack_dir": "p"}})
    assert made.site == "s"


def test_somebody_is_always_named_for_the_audit_log() -> None:
    assert operator_name({})
