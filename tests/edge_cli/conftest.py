"""A unit's folder for the tests of its commands."""

import os
from pathlib import Path

import pytest

from tests.edge_cli.units import UnitFolder


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from the developer's environment, no colours, no line breaks by the width of a terminal."""
    for name in [name for name in os.environ if name.startswith("ROLLCALL_EDGE_")]:  # noqa: TID251 (keeps tests apart)
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def unit(tmp_path: Path) -> UnitFolder:
    return UnitFolder(tmp_path)
