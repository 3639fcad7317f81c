"""Commands and the running unit: one line each way, for the unit's own user, and nobody can hold it up."""

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge.adapters import control_socket
from edge.adapters.control_socket import MOST_BYTES, SOCKET_NAME, ControlServer, ask
from edge.core.errors import CommandRefused
from tests.edge_adapters import programs


def echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ok": True, "heard": dict(request)}


class Unit:
    """A unit's side: a thread that serves until it is told to stop."""

    def __init__(self, folder: Path, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]] = echo) -> None:
        self.folder = folder
        self.server = ControlServer(folder)
        self._answer = answer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self.server.serve(self._answer, 60)

    def stop(self) -> None:
        self._over.set()
        self.server.interrupt()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.server.close()


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same behaviour without two seconds of waiting."""
    monkeypatch.setattr(control_socket, "_PATIENCE_S", 0.2)


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path)
    yield unit
    unit.stop()


def connect(folder: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(10)
    try:
        client.connect(str(folder / SOCKET_NAME))
    except BlockingIOError:
        client.close()
        raise
    return client


def all_of(client: socket.socket) -> bytes:
    read = b""
    try:
        while some := client.recv(65536):
            read += some
    except ConnectionResetError:
        pass
    return read


def test_a_request_is_answered(unit: Unit) -> None:
    assert ask(unit.folder, {"command": "status", "name": "東"}) == {
        "ok": True,
        "heard": {"command": "status", "name": "東"},
    }


def test_many_at_once_are_answered_one_after_the_other(unit: Unit) -> None:
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append(ask(unit.folder, {"n": number})["heard"]["n"]))  # type: ignore[index]
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(map(str, answers)) == sorted(map(str, range(20)))


def test_whoever_finds_a_long_queue_waits_for_a_turn(tmp_path: Path) -> None:
    server = ControlServer(tmp_path)
    waiting: list[socket.socket] = []
    with suppress(BlockingIOError):
        while len(waiting) < 200:
            waiting.append(connect(tmp_path))
    assert len(waiting) < 200
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(ask(tmp_path, {"n": 1})))
    thread.start()
    for client in waiting:
        client.close()
    while not answers:
        server.serve(echo, 5)
    thread.join(10)
    server.close()

    assert answers == [{"ok": True, "heard": {"n": 1}}]


def test_where_no_unit_runs_nobody_answers(tmp_path: Path) -> None:
    assert ask(tmp_path, {}) is None
    assert ask(tmp_path / "missing", {}) is None


def test_a_socket_left_behind_by_a_kill_is_nobody_and_is_replaced(tmp_path: Path) -> None:
    program = programs.start(
        "import sys, time; from pathlib import Path; from edge.adapters.control_socket import ControlServer\n"
        "server = ControlServer(Path(sys.argv[1])); print('listens', flush=True); time.sleep(60)",
        tmp_path,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "listens\n"
    program.kill()
    program.communicate(timeout=30)
    assert (tmp_path / SOCKET_NAME).exists()

    assert ask(tmp_path, {}) is None
    unit = Unit(tmp_path)
    assert ask(tmp_path, {}) == {"ok": True, "heard": {}}
    unit.stop()
    assert not (tmp_path / SOCKET_NAME).exists()


def test_only_the_units_user_can_reach_it(unit: Unit) -> None:
    assert stat.S_IMODE((unit.folder / SOCKET_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(("user", "heard"), [(54321, False), (0, True), (os.getuid(), True)])
def test_another_user_who_reaches_it_all_the_same_is_not_listened_to(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, user: int, heard: bool
) -> None:
    class Told:
        """What the kernel says of who is at the other end."""

        size = control_socket._CREDENTIALS.size

        @staticmethod
        def unpack(_raw: bytes) -> tuple[int, int, int]:
            return 1, user, 1

    monkeypatch.setattr(control_socket, "_CREDENTIALS", Told)
    with connect(unit.folder) as client:
        with suppress(BrokenPipeError):
            client.sendall(b"{}\n")
        assert bool(all_of(client)) == heard


def test_the_kernel_says_who_asks() -> None:
    """The layout of its answer, on this machine."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    raw = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, control_socket._CREDENTIALS.size)
    one.close()
    other.close()

    assert control_socket._CREDENTIALS.unpack(raw) == (os.getpid(), os.getuid(), os.getgid())


@pytest.mark.parametrize("depth", [1, 6, 12])
def test_a_folder_deeper_than_a_sockets_address_may_be_long_works(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-rather-long-name-of-a-folder"] * depth)
    folder.mkdir(parents=True)
    unit = Unit(folder)

    assert ask(folder, {"command": "status"}) is not None
    unit.stop()


def test_where_no_socket_can_be_made_the_unit_goes_on_unheard_and_says_why(tmp_path: Path) -> None:
    """A file system without sockets is no reason to mark nobody present."""
    with ControlServer(tmp_path / "missing") as server:
        assert server.trouble == "control.sock cannot be made: No such file or directory"
        assert not server.serve(echo, 0)
        server.interrupt()
        assert not server.serve(echo, 60)


def test_a_socket_that_could_be_made_is_no_trouble(unit: Unit) -> None:
    assert unit.server.trouble is None


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"nonsense\n", b"\xff\xfe\n", b"[" * 60_000 + b"\n", b'"status"\n'])
def test_what_is_no_request_is_refused_and_the_next_one_answered(unit: Unit, line: bytes) -> None:
    with connect(unit.folder) as client:
        client.sendall(line)
        assert json.loads(all_of(client))["ok"] is False

    assert ask(unit.folder, {"n": 1}) is not None


def test_a_request_that_is_too_long_is_refused(unit: Unit) -> None:
    with connect(unit.folder) as client:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(b'{"x":"' + b"y" * 4 * MOST_BYTES)
        answer = all_of(client)

    assert not answer or json.loads(answer)["ok"] is False
    assert ask(unit.folder, {"n": 1}) is not None


@pytest.mark.usefixtures("short_patience")
class TestTime:
    """Nobody may hold the unit's answers up: each has its time, whatever it does."""

    def test_somebody_who_says_nothing_is_sent_away(self, unit: Unit) -> None:
        with connect(unit.folder) as client:
            assert all_of(client) == b""
        assert ask(unit.folder, {"n": 1}) is not None

    def test_a_byte_now_and_then_does_not_prolong_it(self, unit: Unit) -> None:
        with connect(unit.folder) as client:
            sent = 0
            with suppress(BrokenPipeError, ConnectionResetError):
                while sent < 200:
                    client.sendall(b" ")
                    sent += 1
                    threading.Event().wait(0.05)
        assert sent < 200
        assert ask(unit.folder, {"n": 1}) is not None

    def test_somebody_who_does_not_read_the_answer_is_left(self, tmp_path: Path) -> None:
        unit = Unit(tmp_path, lambda _request: {"ok": True, "long": "x" * (MOST_BYTES - 100)})
        clients = [connect(tmp_path) for _ in range(5)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.sendall(b"{}\n")

        assert ask(tmp_path, {}) is not None
        for client in clients:
            client.close()
        unit.stop()

    def test_somebody_who_hangs_up_at_once_is_forgotten(self, unit: Unit) -> None:
        for _ in range(20):
            connect(unit.folder).close()

        assert ask(unit.folder, {"n": 1}) is not None


def test_an_answer_that_is_too_long_is_said_to_be(tmp_path: Path) -> None:
    unit = Unit(tmp_path, lambda _request: {"ok": True, "long": "x" * MOST_BYTES})

    assert ask(tmp_path, {}) == {"ok": False, "problem": "the answer is too long"}
    unit.stop()


def test_a_unit_that_hangs_up_without_an_answer_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / SOCKET_NAME))
    listener.listen(1)

    def hang_up() -> None:
        client, _ = listener.accept()
        client.recv(100)
        client.close()

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    with pytest.raises(CommandRefused) as caught:
        ask(tmp_path, {})
    thread.join(10)
    listener.close()
    assert caught.value.hint
