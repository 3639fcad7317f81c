"""Fetches one file whose checksum is known, and goes on where a broken connection stopped."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from os import fsync
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from recognition.adapters.pack_files import LARGEST_MODEL_BYTES, sha256_of
from recognition.build.build_errors import BuildStopped, DownloadFailed, is_full, stopped_by
from recognition.core.errors import PackAltered

if TYPE_CHECKING:
    import requests

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes there are and the bytes there will be, if that is known."""

_CHUNK_BYTES = 256 * 1024
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a server. `sha256` holds every checksum that is accepted; `size_bytes` is None where none is known."""

    name: str
    url: str
    sha256: frozenset[str]
    size_bytes: int | None
    if_not: str
    """What a person can do when it cannot be had from there, as the end of a sentence."""

    @property
    def checksum(self) -> str:
        """The accepted checksums, for a person."""
        return " or ".join(sorted(self.sha256))

    def not_fetched(self, why: str) -> DownloadFailed:
        """Return the error that names file, place and checksum."""
        return DownloadFailed(
            f"{self.name} could not be fetched from {self.url}: {why}",
            hint=f"try again, it goes on where it stopped; or {self.if_not} (SHA-256 {self.checksum})",
        )

    def wrong(self, what: str) -> PackAltered:
        """Return the error for another file under this name."""
        return PackAltered(
            f"{self.url} gave another file than {self.name}: {what}; SHA-256 {self.checksum} is expected",
            hint=f"something on the way may replace it, such as a login page; or {self.if_not}",
        )


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer, and how often to begin again after a connection that brought nothing new."""

    connect_s: float = 10.0
    silence_s: float = 30.0
    attempts: int = 4
    pause: Callable[[float], None] = field(default=time.sleep)


def fetch(
    source: RemoteFile, folder: Path, on_bytes: OnBytes = lambda _done, _total: None, patience: Patience | None = None
) -> Path:
    """Return `folder`/name with an accepted checksum, fetched unless it is there already.

    What has arrived is kept beside it as name.part, also over Ctrl-C and restarts, until the file is whole.
    Raises DownloadFailed, PackAltered for another file than the expected one (which is deleted), BuildStopped when the
    disk is full or another program is fetching the same file.
    """
    target = folder / source.name
    if target.is_file() and sha256_of(target) in source.sha256:
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _part_file(source, folder) as part:
            _Fetching(source, part, on_bytes, patience or Patience()).run()
            part.path.rename(target)
            part.state_path.unlink(missing_ok=True)
    except OSError as exc:
        if is_full(exc):
            # Half a file must not be what keeps a disk full that others need too.
            (folder / f"{source.name}.part").unlink(missing_ok=True)
        raise stopped_by(exc, folder) from exc
    return target


@dataclass(slots=True)
class _Part:
    """What has arrived, and what the server said about the file it belongs to."""

    path: Path
    state_path: Path
    stream: BinaryIO

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    def validator(self, url: str) -> str | None:
        """Return the ETag of the file that was begun, "" when the server gave none, None when nobody knows."""
        try:
            state = json.loads(self.state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(state, dict) or state.get("url") != url:
            return None
        return str(state.get("etag") or "")

    def begin(self, url: str, etag: str) -> None:
        self.stream.truncate(0)
        self.state_path.write_text(json.dumps({"url": url, "etag": etag}), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.state_path.unlink(missing_ok=True)


@contextmanager
def _part_file(source: RemoteFile, folder: Path) -> Iterator[_Part]:
    path = folder / f"{source.name}.part"
    with path.open("ab") as stream:
        try:
            flock(stream, LOCK_EX | LOCK_NB)
        except BlockingIOError as exc:
            raise BuildStopped(f"another program is fetching {path}", hint="wait until it has finished") from exc
        yield _Part(path, folder / f"{source.name}.part.json", stream)


class _Fetching:
    """One run of `fetch`: as many connections as it takes."""

    def __init__(self, source: RemoteFile, part: _Part, on_bytes: OnBytes, patience: Patience) -> None:
        self._source = source
        self._part = part
        self._on_bytes = on_bytes
        self._patience = patience
        self._most_bytes = source.size_bytes or LARGEST_MODEL_BYTES
        self._resumed = False

    def run(self) -> None:
        found = self._fetch_all()
        if found not in self._source.sha256 and self._resumed:
            # Halves of two files: it was changed on the server in between. From the start, once.
            self._part.begin(self._source.url, "")
            self._resumed = False
            found = self._fetch_all()
        if found not in self._source.sha256:
            self._part.drop()
            raise self._source.wrong(f"SHA-256 {found}")

    def _fetch_all(self) -> str:
        """Connect until everything has arrived; return its SHA-256."""
        failures = 0
        while True:
            before = self._part.size_bytes
            why = self._connect_once(before)
            if why is None:
                fsync(self._part.stream.fileno())
                return sha256_of(self._part.path)
            failures = 0 if self._part.size_bytes > before else failures + 1
            if failures >= self._patience.attempts:
                raise self._source.not_fetched(why)
            self._patience.pause(float(2**failures))

    def _connect_once(self, have: int) -> str | None:
        """Take what one connection brings; return None when the file is complete, else why it is not."""
        import requests

        # Compressed on the way it would have another length than the file, and no place to go on from.
        headers = {"Accept-Encoding": "identity"}
        etag = self._part.validator(self._source.url)
        if have and etag is not None:
            headers["Range"] = f"bytes={have}-"
            if etag and not etag.startswith("W/"):
                headers["If-Range"] = etag
        waits = (self._patience.connect_s, self._patience.silence_s)
        try:
            with requests.get(self._source.url, headers=headers, stream=True, timeout=waits) as response:
                return self._take(response, have)
        except requests.exceptions.SSLError:
            raise self._source.not_fetched("the server's certificate is not trusted here") from None
        except requests.exceptions.Timeout:
            return f"it did not answer for {self._patience.silence_s:.0f} seconds"
        except requests.exceptions.ChunkedEncodingError:
            return "the connection broke off"
        except requests.exceptions.ConnectionError:
            return "there is no connection to the server"
        except (requests.exceptions.RequestException, ValueError) as exc:
            raise self._source.not_fetched(f"the address cannot be used ({type(exc).__name__})") from exc

    def _take(self, response: "requests.Response", have: int) -> str | None:
        status = response.status_code
        if status in _BUSY:
            return f"the server answered {status} {response.reason}"
        if status == 416 or (status == 206 and not _continues(response, have)):
            # What is here is longer than what is there, or it goes on elsewhere.
            self._part.begin(self._source.url, "")
            return f"the server answered {status} {response.reason}"
        if status not in (200, 206):
            raise self._source.not_fetched(f"the server answered {status} {response.reason}")
        if status == 200:
            have = 0
            self._part.begin(self._source.url, response.headers.get("ETag", ""))
        self._resumed = self._resumed or have > 0
        total = self._announced(response, have)
        self._room_for((total or self._source.size_bytes or 0) - have)
        self._on_bytes(have, total)
        for chunk in response.iter_content(_CHUNK_BYTES):
            have += len(chunk)
            if have > self._most_bytes:
                self._part.drop()
                raise self._source.wrong(f"more than {self._most_bytes} bytes")
            self._part.stream.write(chunk)
            self._part.stream.flush()
            self._on_bytes(have, total)
        return "the connection broke off" if total is not None and have < total else None

    def _announced(self, response: "requests.Response", have: int) -> int | None:
        """Return how long the whole file will be; refuse one of another length before it is fetched."""
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._source.size_bytes
        total = have + int(length)
        if total > self._most_bytes or self._source.size_bytes not in (None, total):
            self._part.drop()
            raise self._source.wrong(f"{total} bytes instead of {self._source.size_bytes or 'fewer'}")
        return total

    def _room_for(self, needed_bytes: int) -> None:
        free = shutil.disk_usage(self._part.path.parent).free
        if needed_bytes > free:
            raise BuildStopped(
                f"{self._source.name} needs {needed_bytes // 10**6 + 1} MB more in {self._part.path.parent}, where "
                f"{free // 10**6} MB are free",
                hint="make room there; the download goes on where it stopped",
            )


def _continues(response: "requests.Response", have: int) -> bool:
    """Tell whether the part that is sent begins where ours ends ("bytes 100-199/200")."""
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
