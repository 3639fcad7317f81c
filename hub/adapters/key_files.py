"""The hub's two secrets on disk: 32 raw bytes each, readable by the hub alone."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hub.adapters.key_ring import KeyRing
from hub.core.errors import Conflict, KeyUnusable
from protocol.sealing import KEY_BYTES, public_key_of

_OTHERS = stat.S_IRWXO
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_key(path: Path, *, others: int = _GROUP_AND_OTHERS) -> bytes:
    """Return the 32 bytes of a key file; `others` are the rights that nobody else may have.

    Raises KeyUnusable when it is missing, unreadable, of another size, or when others may read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(KEY_BYTES + 1)
    except FileNotFoundError as exc:
        raise KeyUnusable(
            f"there is no key file {path}", hint="run: rollcall-hub db migrate, or bring the file back from your copy"
        ) from exc
    except OSError as exc:
        raise KeyUnusable(f"the key file {path} cannot be read: {exc.strerror}") from exc
    if not stat.S_ISREG(mode):
        raise KeyUnusable(f"the key file {path} is not a file")
    if mode & others:
        raise KeyUnusable(f"the key file {path} can be read by others", hint=f"run: chmod 600 {path}")
    if len(content) != KEY_BYTES:
        raise KeyUnusable(
            f"the key file {path} has {'more than ' if len(content) > KEY_BYTES else ''}{min(len(content), KEY_BYTES)} "
            f"bytes, a key has {KEY_BYTES}",
            hint="bring the file back from your copy",
        )
    return content


def create_key(path: Path, content: bytes | None = None) -> bool:
    """Write a new random key (or `content`) with mode 0600, durably; return False when the file is already there.

    An existing file is never touched. Raises KeyUnusable when the folder cannot be written.
    """
    if path.exists():
        return False
    key = secrets.token_bytes(KEY_BYTES) if content is None else content
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_durably(scratch, key, 0o600)
        try:
            # A link fails when the name is taken; a rename would overwrite the key of a program that was faster.
            os.link(scratch, path)
        except FileExistsError:
            return False
        finally:
            scratch.unlink()
        _sync_folder(path.parent)
    except OSError as exc:
        raise KeyUnusable(f"the key file {path} cannot be written: {exc.strerror}") from exc
    return True


def replace_key(path: Path, next_path: Path, old_path: Path) -> None:
    """Let the key in `next_path` take the place of the one in `path`, which is kept in `old_path`.

    At every moment both keys have a name; safe to run again when it was interrupted. Raises KeyUnusable, also when
    `old_path` holds another key: it would be the only copy of the present one that is overwritten.
    """
    if old_path.exists() and read_key(old_path) != read_key(path):
        raise KeyUnusable(f"{old_path} holds another key", hint="run: rollcall-hub keys forget-old")
    try:
        if not old_path.exists():
            os.link(path, old_path)
        _sync_folder(path.parent)
        next_path.replace(path)
        _sync_folder(path.parent)
    except OSError as exc:
        raise KeyUnusable(f"the key file {path} cannot be replaced: {exc.strerror}") from exc


@contextmanager
def alone_in(path: Path) -> Iterator[None]:
    """Let nobody else change the keys in this folder meanwhile. Raises Conflict when somebody does, KeyUnusable."""
    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError as exc:
        raise KeyUnusable(f"the folder {path} cannot be read: {exc.strerror}") from exc
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict("somebody else changes the keys now", hint="wait until they are done") from exc
        yield
    finally:
        os.close(folder)


def made_at(path: Path) -> datetime:
    """Return when a key file was written. Raises KeyUnusable."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as exc:
        raise KeyUnusable(f"the key file {path} cannot be read: {exc.strerror}") from exc


def delete_key(path: Path) -> None:
    """Delete a key file for good; one that is gone already is no error. Raises KeyUnusable."""
    try:
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as exc:
        raise KeyUnusable(f"the key file {path} cannot be deleted: {exc.strerror}") from exc


def read_password(path: Path | None) -> str:
    """Return the password in a file, without the line end; an empty one when there is no file to read.

    Raises KeyUnusable for a file that cannot be read.
    """
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyUnusable(f"the password file {path} cannot be read", hint="check its path and permissions") from exc


def _write_durably(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class HubKeys:
    """The hub's keys, read when they are first needed: commands that need none work without them.

    While the hub's key changes there are two or three: `hub.key.next` seals what is new, `hub.key` or, after the files
    were swapped, `hub.key.old` has sealed what was not re-sealed yet. A key whose file this program cannot read where
    the settings say is looked for by its name in `credentials`, the folder in which systemd puts a service's
    credentials.
    """

    def __init__(self, hub_key_file: Path, signing_key_file: Path, credentials: Path | None = None) -> None:
        self.hub_key_file = hub_key_file
        self.signing_key_file = signing_key_file
        self.credentials = credentials
        self._hub_keys: tuple[bytes, ...] = ()
        self._stamps: list[_Stamp] = []
        self._signing_key: bytes | None = None
        self._ring = KeyRing(self.hub_keys)

    @property
    def next_key_file(self) -> Path:
        """Where the key is that everything is being re-sealed with, while that goes on."""
        return self.hub_key_file.with_name(self.hub_key_file.name + ".next")

    @property
    def old_key_file(self) -> Path:
        """Where the key is that was replaced, until it is forgotten."""
        return self.hub_key_file.with_name(self.hub_key_file.name + ".old")

    def create_missing(self) -> list[Path]:
        """Create the files that are not there and return their paths. Raises KeyUnusable."""
        wanted = (self.hub_key_file, self.signing_key_file)
        return [path for path in wanted if not self.is_there(path) and create_key(path)]

    def is_there(self, path: Path) -> bool:
        """Tell whether a key's file is where the settings say, or among the credentials. Raises KeyUnusable."""
        return _exists(self.place_of(path))

    def is_own(self, path: Path) -> bool:
        """Tell whether a key is read from where the settings say: those are this program's to replace and delete."""
        return _may_read(path)

    def is_known(self, path: Path) -> bool:
        """Tell whether the next or the old key is there for this program. Raises KeyUnusable.

        Beside a credential, a file that it may not read is somebody else's.
        """
        place = self.place_of(path)
        return _may_read(place) if self._is_credential(self.place_of(self.hub_key_file)) else _exists(place)

    def place_of(self, path: Path) -> Path:
        """Return where a key's file is read from."""
        if self.credentials is None or _may_read(path):
            return path
        given = self.credentials / path.name
        return given if given.exists() else path

    def folder(self) -> Path:
        """Return the folder whoever changes the keys has to lock."""
        return self.place_of(self.hub_key_file).parent

    def hub_key(self) -> bytes:
        """The key that seals what is new: templates, photos, units' keys. `ring` opens what is there.

        Raises KeyUnusable.
        """
        return self.hub_keys()[0]

    def hub_keys(self) -> tuple[bytes, ...]:
        """Return the keys that may have sealed something, the one that seals first; files are read when they changed.

        Raises KeyUnusable.
        """
        while True:
            stamps = self._stamps_now()
            if self._hub_keys and stamps == self._stamps:
                return self._hub_keys
            # In this order: whoever swaps the files gives the old one its name before the next one takes its place,
            # so none is missed.
            files = (self.next_key_file, self.hub_key_file, self.old_key_file)
            try:
                found = [self.read(path) for path in files if path == self.hub_key_file or self.is_known(path)]
            except KeyUnusable:
                if stamps == self._stamps_now():
                    raise
                continue  # swapped between looking and reading
            # Each once: in the middle of a swap one key has two names.
            self._hub_keys, self._stamps = tuple(dict.fromkeys(found)), stamps
            return self._hub_keys

    def _stamps_now(self) -> list["_Stamp"]:
        files = (self.next_key_file, self.hub_key_file, self.old_key_file)
        return [_stamp(self.place_of(path)) for path in files]

    def ring(self) -> KeyRing:
        """What seals with the newest of these keys and opens with any."""
        return self._ring

    def signing_key(self) -> bytes:
        """The private Ed25519 key that signs gallery heads. Raises KeyUnusable."""
        if self._signing_key is None:
            self._signing_key = self.read(self.signing_key_file)
        return self._signing_key

    def public_key(self) -> bytes:
        """The public half of the signing key, which units check heads with. Raises KeyUnusable."""
        return public_key_of(self.signing_key())

    def read(self, path: Path) -> bytes:
        """Return one of these keys by its file. Raises KeyUnusable."""
        return self._read(self.place_of(path))

    def _read(self, path: Path) -> bytes:
        # systemd lets the service's user read a credential by an access list, which looks like rights of a group.
        return read_key(path, others=_OTHERS if self._is_credential(path) else _GROUP_AND_OTHERS)

    def _is_credential(self, path: Path) -> bool:
        return self.credentials is not None and path.parent == self.credentials


def _may_read(path: Path) -> bool:
    """Tell whether there is a file that this program may read, whatever rights its folders have."""
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _exists(path: Path) -> bool:
    """Tell whether there is a file. Raises KeyUnusable when the rights of its folders do not let us see."""
    try:
        return path.exists()
    except OSError as exc:
        raise KeyUnusable(
            f"the key file {path} cannot be looked for: {exc.strerror}",
            hint="run this as the user who owns the keys, or let the service have them as credentials",
        ) from exc


_Stamp = tuple[int, int, int] | None


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns
