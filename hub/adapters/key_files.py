"""The hub's two secrets on disk: 32 raw bytes each, readable by the hub alone."""

import os
import secrets
import stat
from pathlib import Path

from hub.core.errors import KeyUnusable
from protocol.sealing import KEY_BYTES, public_key_of


def read_key(path: Path) -> bytes:
    """Return the 32 bytes of a key file.

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
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
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
    """The hub's keys, read when they are first needed: commands that need none work without them."""

    def __init__(self, hub_key_file: Path, signing_key_file: Path) -> None:
        self.hub_key_file = hub_key_file
        self.signing_key_file = signing_key_file
        self._hub_key: bytes | None = None
        self._signing_key: bytes | None = None

    def create_missing(self) -> list[Path]:
        """Create the files that are not there and return their paths. Raises KeyUnusable."""
        return [path for path in (self.hub_key_file, self.signing_key_file) if create_key(path)]

    def hub_key(self) -> bytes:
        """The key that seals templates and units' keys in the database. Raises KeyUnusable."""
        if self._hub_key is None:
            self._hub_key = read_key(self.hub_key_file)
        return self._hub_key

    def signing_key(self) -> bytes:
        """The private Ed25519 key that signs gallery heads. Raises KeyUnusable."""
        if self._signing_key is None:
            self._signing_key = read_key(self.signing_key_file)
        return self._signing_key

    def public_key(self) -> bytes:
        """The public half of the signing key, which units check heads with. Raises KeyUnusable."""
        return public_key_of(self.signing_key())
