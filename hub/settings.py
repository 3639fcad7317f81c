"""The hub's settings: a TOML file, overridden by environment variables. The only reader of the environment."""

import os
import pwd
import tomllib
from collections.abc import Iterator, Mapping
from datetime import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from hub.core.errors import BadInput
from protocol.base import Site

DEFAULT_FILE = Path("/etc/rollcall/hub.toml")
PREFIX = "ROLLCALL_HUB_"
FILE_VARIABLE = PREFIX + "CONFIG"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
Model = TypeVar("Model", bound=BaseModel)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is not a time zone; write it as in Europe/Berlin") from exc
    return name


Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1, max_length=253)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DatabaseSettings(_Group):
    """Where MySQL or MariaDB is, and how long to wait for it."""

    host: Host = "127.0.0.1"
    port: Port = 3306
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")] = "rollcall"
    user: Annotated[str, Field(min_length=1, max_length=80)] = "rollcall"
    password_file: Path | None = None
    connect_timeout_s: Annotated[int, Field(ge=1, le=60)] = 5
    read_timeout_s: Annotated[int, Field(ge=1, le=600)] = 30
    write_timeout_s: Annotated[int, Field(ge=1, le=600)] = 30
    pool_size: Annotated[int, Field(ge=1, le=30)] = 5


class BrokerSettings(_Group):
    """Where the MQTT broker is. Units are told the same place unless `unit add` says otherwise."""

    host: Host = "127.0.0.1"
    port: Port = 1883
    username: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    password_file: Path | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=600)] = 30


class KeySettings(_Group):
    """The two secrets of the hub."""

    hub_key_file: Path = Path("hub.key")
    signing_key_file: Path = Path("hub_signing.key")
    credentials_dir: Path | None = None
    """Where systemd puts credentials: a key file that is absent is looked for there by its name."""


class RecognitionSettings(_Group):
    """How faces become templates, and how certain a match must be."""

    pack_dir: Path
    smallest_face_px: Annotated[int, Field(ge=40, le=1000)] = 80
    fpir: Annotated[float, Field(gt=0, le=0.1)] = 0.01
    wrong_room_scope: Literal["none", "section", "school"] = "none"


class ServeSettings(_Group):
    """How `serve` divides the work."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    lanes: Annotated[int, Field(ge=1, le=16)] = 3
    share: bool = False


class SessionSettings(_Group):
    """A part of every day that counts without a timetable."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,20}$")]
    since: time
    until: time


class EnrolmentSettings(_Group):
    """What enrolling keeps."""

    keep_photos: bool = False


CodedAs = Annotated[
    str,
    Field(pattern=r"^(Late:\d{1,3}|(Present|Late|Absent|Excused|Not seen|Not observed)(:[A-Za-z][\w -]{0,38})?)$"),
]
"""A status; "Late:30": by 30 minutes or more; "Excused:medical": marked with that reason."""


class AttendanceSettings(_Group):
    """The school's rules for the register, as long as none are on record (`rollcall-hub rules`)."""

    early_min: Annotated[int, Field(ge=0, le=180)] = 10
    late_after_min: Annotated[int, Field(ge=0, le=180)] = 10
    left_early_min: Annotated[int, Field(ge=0, le=180)] = 10
    covered_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    held_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    day_from: time = time(7, 0)
    day_until: time = time(18, 0)
    sessions: tuple[SessionSettings, ...] = ()
    csv_file: Path = Path("attendance.csv")
    codes: dict[CodedAs, Annotated[str, Field(min_length=1, max_length=10)]] = {
        "Present": "/",
        "Late": "L",
        "Absent": "N",
        "Excused": "C",
        "Not seen": "-",
        "Not observed": "-",
    }

    @model_validator(mode="after")
    def _day_lasts(self) -> "AttendanceSettings":
        if self.day_until <= self.day_from:
            raise ValueError("day_until must be later than day_from")
        ordered = sorted(self.sessions, key=lambda one: one.since)
        if any(one.until <= one.since for one in ordered):
            raise ValueError("a session must end later than it begins")
        if any(after.since < before.until for before, after in pairwise(ordered)):
            raise ValueError("sessions must not overlap")
        if len({one.name for one in ordered}) != len(ordered):
            raise ValueError("two sessions have one name")
        return self


Days = Annotated[int, Field(ge=0, le=36500)]


class RetentionSettings(_Group):
    """How many days each kind of data is kept; 0: for ever. And what erasing a student leaves."""

    events_days: Days = 400
    attendance_days: Days = 2555
    audit_days: Days = 2555
    quarantine_days: Days = 400
    faces_after_leaving_days: Days = 30
    """Of students who left; 0: until somebody erases them."""
    erasure: Literal["pseudonymise", "keep_record"] = "pseudonymise"


class HubSettings(BaseSettings):
    """Everything a hub is told. Made by `load_settings`; constructed directly it reads neither file nor environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    site: Site
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    data_dir: Path = Path("/var/lib/rollcall/hub")
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    keys: KeySettings = KeySettings()
    recognition: RecognitionSettings
    enrolment: EnrolmentSettings = EnrolmentSettings()
    attendance: AttendanceSettings = AttendanceSettings()
    retention: RetentionSettings = RetentionSettings()
    serve: ServeSettings = ServeSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (the library's signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values only from what is passed in: `load_settings` decides what overrides what."""
        return (init_settings,)

    @property
    def zone(self) -> ZoneInfo:
        """The school's time zone."""
        return ZoneInfo(self.time_zone)


def process_environment() -> dict[str, str]:
    """Return this process's environment variables."""
    return dict(os.environ)  # noqa: TID251 (this module is the reader)


def settings_file(chosen: Path | None, environment: Mapping[str, str]) -> Path:
    """Return the settings file: the one chosen on the command line, the environment's, or the default."""
    return chosen or Path(environment.get(FILE_VARIABLE) or DEFAULT_FILE)


def operator_name(environment: Mapping[str, str]) -> str:
    """Return the login name of whoever runs this program, for the audit log; behind sudo, the person's own."""
    try:
        login = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        login = f"uid-{os.getuid()}"
    return environment.get("SUDO_USER", login) if os.getuid() == 0 else login


def load_settings(path: Path, environment: Mapping[str, str]) -> HubSettings:
    """Return the settings in `path`, overridden by `ROLLCALL_HUB_<KEY>` and `ROLLCALL_HUB_<GROUP>__<KEY>`.

    Where systemd gives credentials (`CREDENTIALS_DIRECTORY`), keys may be among them.

    Raises BadInput, naming the key or variable, for a missing or unreadable file and for anything unknown or unusable.
    """
    given: dict[str, Any] = {}
    if folder := environment.get(CREDENTIALS_VARIABLE):
        given = {"keys": {"credentials_dir": folder}}
    values = _merged(_merged(given, _read_toml(path)), _from_environment(environment))
    try:
        settings = HubSettings.model_validate(values)
    except ValidationError as exc:
        raise BadInput(
            f"the settings in {path} cannot be used: " + "; ".join(_sentences(exc)),
            hint="config/hub.example.toml shows every key with its meaning",
        ) from exc
    # Relative to the settings file, not to wherever the command was started: cron and systemd start elsewhere.
    return _anchored(settings, path.absolute().parent)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise BadInput(
            f"there is no settings file {path}",
            hint=f"copy config/hub.example.toml there, or name another file with --config or {FILE_VARIABLE}",
        ) from exc
    except OSError as exc:
        raise BadInput(f"the settings file {path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadInput(f"the settings file {path} is not TOML: {exc}") from exc


def setting_names(model: type[BaseModel] = HubSettings, above: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting, such as `database.host`."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from setting_names(kind, f"{above}{name}.")
        else:
            yield above + name


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {PREFIX + name.replace(".", "__").upper() for name in setting_names()} | {FILE_VARIABLE}
    ours = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX)}
    unknown = sorted(set(ours) - known)
    if unknown:
        raise BadInput(
            f"unknown environment variable {', '.join(unknown)}",
            hint=f"the names are {PREFIX}<KEY> and {PREFIX}<GROUP>__<KEY>, in capitals",
        )
    source = EnvSettingsSource(HubSettings)
    source.env_vars = {name.lower(): value for name, value in ours.items() if name != FILE_VARIABLE}
    return source()


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _anchored(model: Model, folder: Path) -> Model:
    changed: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            changed[name] = folder / value
        elif isinstance(value, BaseModel):
            changed[name] = _anchored(value, folder)
    return model.model_copy(update=changed)


def _sentences(exc: ValidationError) -> Iterator[str]:
    for error in exc.errors():
        name = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            yield f"{name} is not a setting"
        elif error["type"] == "missing":
            yield f"{name} is missing"
        else:
            yield f"{name or 'settings'}: {error['msg'].removeprefix('Value error, ')}"
