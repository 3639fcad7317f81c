"""The unit's settings: a TOML file, overridden by environment variables `ROLLCALL_EDGE_<GROUP>__<KEY>`.

The only reader of the environment. Unknown keys and missing files are errors that name the key: pydantic-settings alone
would take the defaults for a file that is not there, and would ignore a misspelled variable.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from edge.core.distance import NO_AUTOMATIC_MARK_PX, smallest_face_px
from edge.core.errors import SettingsWrong
from edge.core.zone import Zone
from protocol.base import Site, UnitId

DEFAULT_FILE = Path("/etc/rollcall/edge.toml")
FILE_VARIABLE = "ROLLCALL_EDGE_CONFIG"
PREFIX = "ROLLCALL_EDGE_"

_EXAMPLE = "config/edge.example.toml shows every key"

Mode = Literal["door", "sweep"]
Port = Annotated[int, Field(ge=1, le=65535)]
Fraction = Annotated[float, Field(ge=0, le=1)]

_MODES_MIN_FACE_PX = {"door": 100, "sweep": 80}
"""The least width of a face that may lead to an automatic mark, by mode."""

_DETECTORS_LEAST_PX = 16
_LEAST_BALLAST_MB = 5
"""The database's log grows to 4 MiB."""
_DETECTORS_MOST_PX = 400


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(_Group):
    """Where the school's MQTT broker is."""

    host: str = Field(min_length=1, max_length=255)
    port: Port = 1883
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = Field(default=30, ge=5, le=600)

    @field_validator("host")
    @classmethod
    def _nameable(cls, host: str) -> str:
        # A name that cannot be looked up at all would end paho's thread instead of being tried again.
        try:
            host.encode("idna")
        except UnicodeError as exc:
            raise ValueError("not the name of a computer") from exc
        if any(character in host for character in "/@ \t\r\n"):
            raise ValueError("a name or an IP address only, without protocol and port")
        return host

    @model_validator(mode="after")
    def _password_has_a_name(self) -> Self:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file is of no use without broker.username")
        return self


class Keys(_Group):
    """Files that `rollcall-hub unit add` made."""

    data_key_file: Path
    hub_key_file: Path


class Recognition(_Group):
    """What recognises, and what it may spend."""

    pack_dir: Path
    detector: Literal["mtcnn", "yunet"] = "mtcnn"
    variant: str = "f32"
    smallest_face_px: int = Field(default=40, ge=_DETECTORS_LEAST_PX, le=_DETECTORS_MOST_PX)
    students_stand_m: float = Field(default=0.0, ge=0, le=30)
    """How far the farthest student stands; 0: `smallest_face_px` holds."""
    min_face_px: int = Field(default=0, ge=0, le=400)
    """0: what the mode needs, see `EdgeSettings.min_face_px`."""
    threads: int = Field(default=2, ge=1, le=64)
    liveness: Literal["off", "review"] = "off"
    accept_packs: bool = True
    """Fetch the hub's model pack when it is another one than this unit's, and change to it."""

    @field_validator("min_face_px")
    @classmethod
    def _wide_enough(cls, value: int) -> int:
        if 0 < value < NO_AUTOMATIC_MARK_PX:
            raise ValueError(
                f"a face under {NO_AUTOMATIC_MARK_PX} pixels never leads to an automatic mark; "
                "bring camera and people closer together, or choose a camera with more pixels"
            )
        return value

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.students_stand_m and "smallest_face_px" in self.model_fields_set:
            raise ValueError(
                "give either recognition.smallest_face_px or recognition.students_stand_m: each says how small a face "
                "is looked for (leave one of the lines out)"
            )
        return self


class Camera(_Group):
    """Where pictures come from."""

    kind: Literal["opencv", "picamera2", "replay"] = "opencv"
    source: str = Field(default="0", min_length=1)
    width_px: int = Field(default=1280, ge=160, le=8192)
    height_px: int = Field(default=720, ge=120, le=8192)
    frames_per_s: float = Field(default=5.0, gt=0, le=60)
    still_width_px: int = Field(default=4608, ge=160, le=16384)
    still_height_px: int = Field(default=2592, ge=120, le=16384)
    lens_deg: float = Field(default=66.0, ge=10, le=170)
    """The camera's horizontal angle of view."""
    open_timeout_s: float = Field(default=3.0, gt=0, le=60)
    read_timeout_s: float = Field(default=2.0, gt=0, le=60)
    replay_pace: Literal["own", "fast"] = "own"
    at_end: Literal["stop", "stay", "again"] = "stop"


class Presence(_Group):
    """What is watched and how; when somebody counts as gone, and how often the unit says what it watched."""

    mode: Mode = "door"
    zone: tuple[tuple[Fraction, Fraction], ...] = ()
    sweep_every_s: float = Field(default=15.0, ge=5, le=60)
    sweep_basis: str = Field(default="", max_length=500)
    absence_s: float = Field(default=60.0, ge=5, le=3600)
    coverage_every_s: float = Field(default=60.0, ge=5, le=3600)

    @field_validator("zone")
    @classmethod
    def _encloses_something(cls, corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        Zone(corners)
        return corners

    @model_validator(mode="after")
    def _sweep_has_a_basis(self) -> Self:
        # The unit knows nobody who is not in its gallery, so it cannot tell whether everybody in the room consented.
        if self.mode == "sweep" and not self.sweep_basis.strip():
            raise ValueError(
                "sweep looks at everybody in the room, also at those without consent: write into "
                "presence.sweep_basis on what the school rests this (who decided it, when, where it is on file), "
                "or use door"
            )
        if self.mode == "sweep" and self.absence_s < 2 * self.sweep_every_s:
            raise ValueError(
                f"presence.absence_s must be at least twice presence.sweep_every_s ({2 * self.sweep_every_s:.0f}): "
                "one still in which a student looks down would end their presence"
            )
        return self


class Storage(_Group):
    """Where the unit keeps its record."""

    data_dir: Path
    csv_dir: Path | None = None
    csv_names: bool = True
    time_zone: str = "UTC"
    keep_delivered_days: float = Field(default=30.0, ge=1, le=3650)
    """How long the unit keeps events that the hub has, so that it can send them again."""
    low_disk_mb: int = Field(default=500, ge=0, le=1_000_000)
    ballast_mb: int = Field(default=8, ge=0, le=1024)
    """Space kept for the moment in which the disk is full; not less than the database's log grows to."""

    @field_validator("ballast_mb")
    @classmethod
    def _large_enough_to_help(cls, value: int) -> int:
        if 0 < value < _LEAST_BALLAST_MB:
            raise ValueError(f"a reserve under {_LEAST_BALLAST_MB} MB does not help; 0 means none")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            # OSError: a part of the world, such as "Europe", is a folder.
            raise ValueError(f"no time zone is called {name!r}; for example Europe/Berlin") from exc
        return name


class Delivery(_Group):
    """How hard the unit tries before it stops."""

    status_every_s: float = Field(default=30.0, ge=1, le=600)
    drain_s: float = Field(default=10.0, ge=0, le=600)


class EdgeSettings(BaseSettings):
    """Everything a unit can be told. Relative paths are relative to the settings file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    site: Site
    unit_id: UnitId
    label: str = Field(default="", max_length=100)
    broker: Broker
    keys: Keys
    recognition: Recognition
    camera: Camera = Camera()
    presence: Presence = Presence()
    storage: Storage
    delivery: Delivery = Delivery()

    @model_validator(mode="after")
    def _students_are_large_enough(self) -> Self:
        if self.recognition.students_stand_m and self._derived_face_px() < _DETECTORS_LEAST_PX:
            raise ValueError(
                f"recognition.students_stand_m: at {self.recognition.students_stand_m:g} m a child's face is "
                f"{self._derived_face_px()} pixels wide with this camera, and no face under {_DETECTORS_LEAST_PX} is "
                "found; choose a larger picture, a narrower lens (camera.lens_deg) or another place"
            )
        return self

    @property
    def picture_width_px(self) -> int:
        """How wide the pictures are that the camera is asked for in this mode."""
        return self.camera.still_width_px if self.presence.mode == "sweep" else self.camera.width_px

    @property
    def picture_height_px(self) -> int:
        """How high the pictures are that the camera is asked for in this mode."""
        return self.camera.still_height_px if self.presence.mode == "sweep" else self.camera.height_px

    @property
    def min_face_px(self) -> int:
        """The least width of a face that may be recognised: as set, or what the mode needs."""
        return self.recognition.min_face_px or _MODES_MIN_FACE_PX[self.presence.mode]

    @property
    def smallest_face_px(self) -> int:
        """The least width of a face that is looked for: as set, or derived from where the students stand."""
        if not self.recognition.students_stand_m:
            return self.recognition.smallest_face_px
        return min(self._derived_face_px(), _DETECTORS_MOST_PX)

    @property
    def zone(self) -> Zone:
        """Where in the picture faces are recognised."""
        return Zone(self.presence.zone)

    def _derived_face_px(self) -> int:
        return smallest_face_px(self.recognition.students_stand_m, self.picture_width_px, self.camera.lens_deg)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (pydantic-settings' signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (given to the constructor); there are no other sources."""
        return env_settings, init_settings


def settings_file(given: Path | None) -> Path:
    """Return which settings file to read: the one given, the one in the environment, or /etc/rollcall/edge.toml."""
    if given:
        return given
    named = os.environ.get(FILE_VARIABLE)  # noqa: TID251 (this is settings.py)
    return Path(named) if named else DEFAULT_FILE


def load_settings(path: Path) -> EdgeSettings:
    """Return the settings in `path` and the environment.

    Raises SettingsWrong that names the file, line or key and says what would be right.
    """
    values = _read_toml(path)
    _refuse_unknown_variables(os.environ)  # noqa: TID251
    try:
        settings = EdgeSettings(**values)
    except ValidationError as exc:
        raise SettingsWrong(f"{path}: {_explain(exc, os.environ)}", hint=_EXAMPLE) from exc  # noqa: TID251
    except SettingsError as exc:
        raise SettingsWrong(f"environment: {exc}", hint=f"give single keys: {PREFIX}BROKER__HOST=...") from exc
    return _absolute(settings, path.absolute().parent)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return dict(TomlConfigSettingsSource(EdgeSettings, _existing(path)).toml_data)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsWrong(f"{path} is not valid TOML: {exc}", hint=_EXAMPLE) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsWrong(f"{path} cannot be read: {exc}", hint="check its owner, and that it is UTF-8") from exc


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise SettingsWrong(
            f"there is no settings file {path}",
            hint="`rollcall-hub unit add` writes one; name it with --config or " + FILE_VARIABLE,
        )
    return path


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    for name in environment:
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        group, _, key = name.removeprefix(PREFIX).lower().partition("__")
        field = EdgeSettings.model_fields.get(group)
        model = field.annotation if field else None
        known = field is not None and not key
        if isinstance(model, type) and issubclass(model, BaseModel):
            known = key in model.model_fields or not key
        if not known:
            raise SettingsWrong(f"the environment variable {name} is no setting of a unit", hint="check its spelling")


def _explain(exc: ValidationError, environment: Mapping[str, str]) -> str:
    given = {name.upper() for name in environment}
    lines = []
    for error in exc.errors():
        variable = PREFIX + "__".join(str(part) for part in error["loc"]).upper()
        key = ".".join(str(part) for part in error["loc"])
        where = f"setting `{key}`" + (f" (environment variable {variable})" if variable in given else "")
        match error["type"]:
            case "extra_forbidden":
                lines.append(f"unknown {where}")
            case "missing":
                lines.append(f"{where} is missing")
            case _:
                lines.append(f"{where}: {error['msg']}")
    return "; ".join(lines)


def _absolute(settings: EdgeSettings, base: Path) -> EdgeSettings:
    """Resolve relative paths against the folder of the settings file, also those inside groups."""

    def resolve(value: Any, key: str) -> Any:
        if isinstance(value, Path):
            return _placed(base, value, key)
        if isinstance(value, BaseModel):
            changes = {name: resolve(getattr(value, name), f"{key}.{name}") for name in type(value).model_fields}
            return value.model_copy(update=changes)
        return value

    changes = {name: resolve(getattr(settings, name), name) for name in EdgeSettings.model_fields}
    camera = settings.camera
    if camera.kind == "replay":
        source = _placed(base, Path(camera.source), "camera.source")
        changes["camera"] = camera.model_copy(update={"source": str(source)})
    return settings.model_copy(update=changes)


def _placed(base: Path, path: Path, key: str) -> Path:
    try:
        return base / path.expanduser()
    except RuntimeError as exc:
        raise SettingsWrong(
            f"setting `{key}`: {path} names a user who is not here", hint="write the whole path"
        ) from exc
