"""What a command imports: on a small computer everything together takes seconds, at every command of a script."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.machine

COMPUTING = ("numpy", "cv2", "matplotlib", "tensorflow", "recognition.build", "recognition.evaluation")
SERVING = ("paho", "hub.loops", "hub.bootstrap.service")


def loaded(*commands: str) -> list[str]:
    """Return what was imported when the help of these commands was shown, by a process of its own."""
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from hub.cli import app\n"
        f"for command in {commands!r}:\n"
        "    result = CliRunner().invoke(app, [*command.split(), '--help'])\n"
        "    assert result.exit_code == 0, result.output\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def test_the_commands_of_the_office_load_neither_the_service_nor_what_computes_or_migrates() -> None:
    modules = loaded("db", "room", "section", "student", "unit", "units", "gallery", "register", "lesson")
    assert "hub.office.students" in modules
    assert [name for name in (*SERVING, *COMPUTING, "alembic") if name in modules] == []


def test_serving_loads_neither_what_migrates_nor_what_builds_or_measures_packs() -> None:
    modules = loaded("serve")
    assert "hub.bootstrap.service" in modules
    assert [name for name in ("alembic", "cv2", *COMPUTING[2:]) if name in modules] == []


def test_not_even_everything_together_loads_what_compiles_draws_or_decodes_films() -> None:
    """`rollcall-hub --help` imports every command."""
    modules = loaded("")
    assert "hub.cli.pack" in modules
    assert [name for name in ("tensorflow", "deepface", "matplotlib", "av", "dlib") if name in modules] == []
