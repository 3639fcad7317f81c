"""The programs of the bench: started at once or with patience, inside wrappers, with all their words kept."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import mysql.connector

from deploy.environment import PROJECT, settings_of_this_machine
from deploy.own_process import wait_until
from deploy.private_servers import PrivateMariaDb, PrivateMosquitto
from deploy.programs import Program


class Part(Program):
    """One of our programs. What it is started with may change from one start to the next."""

    def __init__(self, name: str, folder: Path, module: str, arguments: Sequence[str], sign: str) -> None:
        super().__init__(name, folder, module, arguments, sign)
        self.module = module
        self.arguments = list(arguments)
        self.extra: list[str] = []
        """Arguments of the test program itself, before the others."""
        self.variables: dict[str, str] = {}
        self.wrapper: list[str] = []
        """A command that becomes the program, such as `strace -D ...`."""
        self.patient = True
        """Wait at a start until it is ready."""
        self.starts = 0

    def prepare(self) -> None:
        """Keep what the last run said."""
        self.starts += 1
        if self.log.exists() and self.log.stat().st_size:
            with self._history.open("ab") as history:
                history.write(self.log.read_bytes())

    def command(self) -> list[str]:
        """Return the command line."""
        dropped = [f"--unset={name}" for name in settings_of_this_machine()]
        added = [f"{name}={value}" for name, value in {"PYTHONPATH": str(PROJECT), **self.variables}.items()]
        python = [sys.executable, "-m", self.module]
        return ["env", *dropped, *added, *self.wrapper, *python, *self.extra, *self.arguments]

    def answers(self) -> bool:
        """Tell whether it is ready, or that nobody waits for that."""
        return not self.patient or super().answers()

    @property
    def ready(self) -> bool:
        """Whether it has said that it runs."""
        return self.running and super().answers()

    @property
    def _history(self) -> Path:
        return self.log.with_suffix(".history")

    def all_words(self) -> str:
        """Return what it said in every run."""
        before = self._history.read_text(encoding="utf-8", errors="replace") if self._history.exists() else ""
        return before + self.words()

    def launch(self) -> None:
        """Start it and do not wait."""
        patient, self.patient = self.patient, False
        try:
            self.start()
        finally:
            self.patient = patient

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def children(self) -> list[int]:
        """Return the ids of the processes it has started."""
        if not self.running:
            return []
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(child) for child in listed.split()]

    def wait_for_end(self, timeout_s: float) -> int | None:
        """Return its exit code (negative: the signal that ended it), None when it still runs after that time."""
        process = self._process
        if process is None or not wait_until(lambda: process.poll() is not None, timeout_s):
            return None
        return process.returncode


class BenchMariaDb(PrivateMariaDb):
    """A database that can be started without waiting for its answer."""

    patient = True

    def answers(self) -> bool:
        """Tell whether it serves, or that nobody waits for that."""
        return not self.patient or super().answers()

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self.running and super().answers()

    def launch(self) -> None:
        """Start it and do not wait."""
        self.patient = False
        try:
            self.start()
        finally:
            self.patient = True

    def hold(self, statement: str, seconds: int) -> None:
        """Run a statement and keep its locks for so long."""
        server = self.administrator
        with (
            closing(
                mysql.connector.connect(host=server.host, port=server.port, user=server.user, password=server.password)
            ) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(statement)
            time.sleep(seconds)
            connection.rollback()


class BenchMosquitto(PrivateMosquitto):
    """A broker that keeps what its earlier runs said."""

    def prepare(self) -> None:
        """Keep the log and write the configuration."""
        if self.log.exists():
            with self.log.with_suffix(".history").open("ab") as history:
                history.write(self.log.read_bytes())
        super().prepare()

    def launch(self) -> None:
        """Start it: it answers within milliseconds."""
        self.start()

    @property
    def ready(self) -> bool:
        """Whether it runs."""
        return self.running

    def connects(self, client_id: str) -> int:
        """Return how often this client came, as the log of this run tells."""
        words = self.log.read_text(encoding="utf-8", errors="replace")
        return words.count(f" as {client_id} ")


def settings_variables(program: str, values: Mapping[str, object]) -> dict[str, str]:
    """Return environment variables that set `group__key` settings of `edge` or `hub`."""
    return {f"ROLLCALL_{program.upper()}_{key.upper()}": str(value) for key, value in values.items()}
