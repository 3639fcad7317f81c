"""A server process of ours: started on a free loopback port, and gone when we are gone.

Three things that go wrong otherwise, and what is done about each:

- A test run that is killed leaves servers behind. The kernel kills them instead (`setpriv --pdeathsig`).
- The kernel's "parent" is the thread that started the process, not the program: a server started from a short-lived
  thread would die with it. One thread, which lives as long as the program, starts them all.
- Code run between fork and exec (`preexec_fn`) can deadlock in a program with threads. `setpriv` is a program of its
  own, so nothing is run there.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.01
PORTS_TO_TRY = 5
# An ordinary user's search path lacks the folders where servers are installed.
SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Exits at once if the parent died before the kernel was told to watch it; then becomes the server, same process id.
_BECOME = '[ "$PPID" = "$0" ] && exec "$@"'

_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-starter")


class ServerError(Exception):
    """A private server cannot be used.

    ServerError
    |- ServerMissing   a program is not installed: install it, or skip
    `- ServerFailed    it is installed and did not start or answer: read its log
    """


class ServerMissing(ServerError):
    """A program is not installed; the message is the sentence that says how to install it."""


class ServerFailed(ServerError):
    """A server did not start, did not answer, or is not running; the message quotes its log."""


def find_program(name: str, package: str, folders: Sequence[str] | None = None) -> str:
    """Return the path of the program `name`; raise ServerMissing with the command that installs `package`.

    `folders` replaces the search path and the folders for servers.
    """
    places = os.get_exec_path() + list(SERVER_FOLDERS) if folders is None else list(folders)
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise ServerMissing(
            f"{package} is not installed: sudo apt-get install -y --no-install-recommends {package}"
            f" (the program {name} was not found)"
        )
    return found


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on, below those given to outgoing connections.

    A client that keeps trying to reach a stopped server on a port from that range can be given the same port for its
    own end, connects to itself and keeps the server from coming back.
    """
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    candidates = range(max(1024, first_outgoing - 12_000), max(2048, first_outgoing))
    for _ in range(200):
        port = secrets.choice(candidates)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerFailed(f"no free port on {LOOPBACK} between {candidates.start} and {candidates.stop}")


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Ask `condition` until it holds; return False when it did not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


class OwnProcess(ABC):
    """A server in a scratch folder that can be started, stopped, killed and started again with its data and port.

    Use it as a context manager: it is stopped on the way out, whatever happened. One thread at a time.
    """

    name: str
    """What the server is called in messages."""

    def __init__(self, folder: Path, port: int | None) -> None:
        self.folder = folder.resolve()
        self.host = LOOPBACK
        self.log = self.folder / f"{self.name.lower()}.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Write what the server needs in its folder; repeated at every start."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether the server really serves, not only listens."""

    @property
    def port(self) -> int:
        """The port on the loopback interface; it stays the same over restarts."""
        if self._port is None:
            raise ServerFailed(f"{self.name} has no port before its first start")
        return self._port

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise ServerFailed(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it answers; does nothing when it runs. Raises ServerMissing or ServerFailed."""
        if self.running:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tries = 1 if self._port else PORTS_TO_TRY
        for attempt in range(1, tries + 1):
            if tries > 1:
                self._port = free_port()
            try:
                self._start_once()
            except ServerFailed:
                # Between looking for a port and using it somebody else may have taken it.
                if attempt == tries or "in use" not in self._last_words():
                    self._port = None if tries > 1 else self._port
                    raise
            else:
                return

    def stop(self) -> None:
        """Ask the server to end and wait; kill it when it does not. Does nothing when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server the way a crash does, leaving it no time to save anything."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_once(self) -> None:
        self.prepare()
        self.log.write_bytes(b"")
        self._process = _start_with_us(self.command(), self.folder, self.log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_answers(self) -> None:
        ready = wait_until(lambda: not self.running or self.answers(), START_TIMEOUT_S)
        if not ready or not self.running:
            what = "did not answer" if self.running else "ended while starting"
            raise ServerFailed(f"{self.name} {what}; {self.log} says:\n{self._last_words()}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _last_words(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _start_with_us(command: Sequence[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start `command` so that it dies with this program and does not see the terminal's Ctrl-C."""
    setpriv = find_program("setpriv", "util-linux")
    whole = [setpriv, "--pdeathsig", "KILL", "sh", "-c", _BECOME, str(os.getpid()), *command]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                whole, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    return _starter.submit(start).result()
