"""Key files: 32 raw bytes that nobody but us may read."""

import stat
from pathlib import Path

from edge.core.errors import KeyUnusable
from protocol.sealing import KEY_BYTES


def read_key(path: Path, *, secret: bool) -> bytes:
    """Return the 32 bytes in a key file.

    Raises KeyUnusable when it is missing, of another size, or `secret` and readable by group or others.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            content = file.read(KEY_BYTES + 1)
    except OSError as exc:
        raise KeyUnusable(
            f"the key file {path} cannot be read: {exc.strerror}", hint="copy it from the folder of `unit add`"
        ) from exc
    if len(content) != KEY_BYTES:
        raise KeyUnusable(f"the key file {path} does not hold {KEY_BYTES} bytes", hint="copy it again")
    if secret and mode & 0o077:
        raise KeyUnusable(f"others may read the key file {path}", hint=f"chmod 600 {path}")
    return content


def read_password(path: Path | None) -> str | None:
    """Return the first line of a password file, None without a file. Raises KeyUnusable."""
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyUnusable(f"the password file {path} cannot be read", hint="check the path and its owner") from exc
    if not lines or not lines[0]:
        raise KeyUnusable(f"the password file {path} is empty", hint="its first line is the password")
    return lines[0]
