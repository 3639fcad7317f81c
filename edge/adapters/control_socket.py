"""How commands on the same machine speak to the running unit: a socket in its data folder, a line of JSON each way.

Only the unit's own user and root are listened to, each for two seconds and 64 KiB; whoever is slow, talks too much or
says something else gets a short answer or none. While somebody is answered, others wait in the socket's own queue.
"""

import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.core.errors import CommandRefused

SOCKET_NAME = "control.sock"
MOST_BYTES = 64 * 1024
_PATIENCE_S = 2.0
_LONGEST_ANSWER_S = 60.0
_LONGEST_QUEUE_S = 10.0
_ASK_AGAIN_S = 0.05
_CREDENTIALS = struct.Struct("3i")
"""SO_PEERCRED: process, user and group."""

Answer = Mapping[str, Any]


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Yield an address that always fits: the kernel takes 107 bytes, a folder may be deeper than that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


class ControlServer:
    """Listens in the data folder, whose lock its owner holds. One thread serves; `interrupt` from any.

    Where no socket can be made (a full disk, a file system without sockets) `trouble` says so and nobody is heard:
    attendance goes on without commands.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SOCKET_NAME
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watched: list[Any] = [self._socket, self._wake]
        self.trouble: str | None = None
        """Why there is no socket; None when there is one."""
        try:
            # Left behind by a kill: whoever holds the folder's lock is alone.
            self._path.unlink(missing_ok=True)
            with _address(folder) as address:
                self._socket.bind(address)
            # Before it listens: until then nobody can connect.
            self._path.chmod(0o600)
            self._socket.listen(64)
            self._socket.setblocking(False)
        except OSError as exc:
            self.trouble = f"{SOCKET_NAME} cannot be made: {exc.strerror}"
            self._watched = [self._wake]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self.close()

    def serve(self, answer: Callable[[Mapping[str, Any]], Answer], timeout_s: float) -> bool:
        """Wait for somebody and answer one request; return False when nobody came or it was interrupted."""
        ready, _, _ = select.select(self._watched, [], [], timeout_s)
        if self._socket not in ready:
            return False
        try:
            client, _ = self._socket.accept()
        except OSError:
            # Gone again before its turn.
            return False
        with client, suppress(OSError):
            if not _is_allowed(client):
                return True
            request = _read_line(client, _PATIENCE_S)
            parsed = _parsed(request) if request is not None else None
            reply = answer(parsed) if parsed is not None else _refusal(request)
            _write_line(client, reply, _PATIENCE_S)
        return True

    def interrupt(self) -> None:
        """End a wait."""
        with suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._wake < 0:
            return
        self._socket.close()
        os.close(self._wake)
        self._wake = -1
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def ask(folder: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask the unit that runs on this folder; None when none listens.

    Raises CommandRefused when it does not answer, or may not be asked.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with client:
        try:
            _connect(client, folder)
            _write_line(client, request, _PATIENCE_S)
            raw = _read_line(client, _LONGEST_ANSWER_S)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except PermissionError as exc:
            raise CommandRefused("this unit belongs to another user", hint="ask as that user, or with sudo") from exc
        except OSError as exc:
            raise CommandRefused(f"the running unit does not answer: {exc}", hint="look at its log") from exc
    answer = _parsed(raw) if raw else None
    if answer is None:
        raise CommandRefused("the running unit gave no answer", hint="ask again; does it belong to this user?")
    return answer


def _connect(client: socket.socket, folder: Path) -> None:
    client.settimeout(_PATIENCE_S)
    deadline_s = time.monotonic() + _LONGEST_QUEUE_S
    with _address(folder) as address:
        while True:
            try:
                client.connect(address)
            except BlockingIOError:
                # Others are waiting, and the kernel keeps no more of them.
                if time.monotonic() >= deadline_s:
                    raise
                time.sleep(_ASK_AGAIN_S)
            else:
                return


def _is_allowed(client: socket.socket) -> bool:
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _process, user, _group = _CREDENTIALS.unpack(raw)
    return user in (0, os.getuid())


def _read_line(client: socket.socket, patience_s: float) -> bytes | None:
    """Return what comes up to the end of the line; None for too much. Raises OSError when it takes too long."""
    deadline_s = time.monotonic() + patience_s
    read = bytearray()
    while b"\n" not in read:
        # For all of it: a byte a second would otherwise hold the line for ever.
        client.settimeout(max(0.001, deadline_s - time.monotonic()))
        some = client.recv(MOST_BYTES)
        if not some:
            break
        read += some
        if time.monotonic() >= deadline_s:
            raise TimeoutError
        if len(read) > MOST_BYTES:
            return None
    return bytes(read)


def _write_line(client: socket.socket, message: Answer, patience_s: float) -> None:
    raw = json.dumps(message, ensure_ascii=False).encode() + b"\n"
    if len(raw) > MOST_BYTES:
        raw = json.dumps({"ok": False, "problem": "the answer is too long"}).encode() + b"\n"
    client.settimeout(patience_s)
    client.sendall(raw)


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refusal(request: bytes | None) -> Answer:
    text = "a request has at most 64 KiB" if request is None else "a request is one line with a JSON object"
    return {"ok": False, "problem": text}
