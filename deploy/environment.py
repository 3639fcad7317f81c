"""The only reader of environment variables in `deploy` and `tests`."""

import os
from collections.abc import Mapping
from pathlib import Path

_VARIABLES = os.environ  # noqa: TID251 - this module stands in for settings.py, which belongs to the programs

PROJECT = Path(__file__).resolve().parent.parent


def developers_broker() -> str | None:
    """Return ROLLCALL_TEST_BROKER (host:port), a developer's own broker, or None."""
    return _VARIABLES.get("ROLLCALL_TEST_BROKER") or None


def developers_mysql() -> str | None:
    """Return ROLLCALL_TEST_MYSQL (mysql://user:password@host:port), a developer's own database server, or None."""
    return _VARIABLES.get("ROLLCALL_TEST_MYSQL") or None


def servers_are_required() -> bool:
    """Tell whether a missing server is an error (`make test`) and no reason to skip (a quick run by hand)."""
    return _VARIABLES.get("ROLLCALL_REQUIRE_SERVERS", "") not in {"", "0"}


def shared_data_folder() -> Path:
    """Return ROLLCALL_SHARED, the folder of test data that is not part of the project, or its usual place."""
    return Path(_VARIABLES.get("ROLLCALL_SHARED") or PROJECT.parent / "shared")


_SETTINGS = ("ROLLCALL_EDGE_", "ROLLCALL_HUB_")


def settings_of_this_machine() -> list[str]:
    """Return the names of variables that set a unit's or hub's settings here; our own programs must not see them."""
    return [name for name in _VARIABLES if name.startswith(_SETTINGS)]


def program_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a program of ours, with these variables more."""
    plain = {name: value for name, value in _VARIABLES.items() if not name.startswith(_SETTINGS)}
    return {**plain, "PYTHONPATH": str(PROJECT), **(variables or {})}
