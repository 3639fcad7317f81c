"""Rollcall's own programs as separate processes, as systemd would run them: the hub's service and a unit."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.environment import PROJECT, program_environment, settings_of_this_machine
from deploy.own_process import OwnProcess, ServerFailed

COMMAND_TIMEOUT_S = 300


class CommandFailed(ServerFailed):
    """A command of ours ended with an error; the message holds what it said."""


def run_command(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    allowed: tuple[int, ...] = (0,),
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE ARGUMENTS` and wait. Raises CommandFailed for an exit code that is not in `allowed`."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=program_environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if done.returncode not in allowed:
        words = f"{done.stdout[-1500:]}{done.stderr[-3000:]}".strip()
        raise CommandFailed(f"`{module} {' '.join(arguments)}` ended with {done.returncode}:\n{words}")
    return done


class Program(OwnProcess):
    """One of our programs in the background. It is ready when its log says `sign`."""

    def __init__(
        self,
        name: str,
        folder: Path,
        module: str,
        arguments: Sequence[str],
        sign: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        # The port is not used: our programs only connect.
        super().__init__(folder, port=1)
        self._module = module
        self._arguments = list(arguments)
        self._sign = sign
        self._variables = dict(variables or {})

    def prepare(self) -> None:
        """Nothing to write."""

    def command(self) -> list[str]:
        """Return the command line; `env` changes only what differs: a command line can be read by everyone."""
        dropped = [f"--unset={name}" for name in settings_of_this_machine()]
        added = [f"{name}={value}" for name, value in {"PYTHONPATH": str(PROJECT), **self._variables}.items()]
        return ["env", *dropped, *added, sys.executable, "-m", self._module, *self._arguments]

    def answers(self) -> bool:
        """Tell whether the program has said that it runs."""
        return self._sign in self.words()

    def words(self) -> str:
        """Return everything it has logged since its last start."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def read_json(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a command printed with --json."""
    return json.loads(done.stdout)
