"""Files that operators hand in and take away: bounded reading, writing that leaves no half file."""

import os
import secrets
import sys
from pathlib import Path

from hub.core.errors import BadInput

STREAM = Path("-")
"""Stands for standard input or output."""


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a file (or `STREAM`) of at most `limit` bytes. Raises BadInput."""
    try:
        if path == STREAM:
            content = sys.stdin.buffer.read(limit + 1)
        else:
            with path.open("rb") as file:
                content = file.read(limit + 1)
    except FileNotFoundError as exc:
        raise BadInput(f"there is no file {path}") from exc
    except IsADirectoryError as exc:
        raise BadInput(f"{path} is a folder, not a file") from exc
    except (OSError, ValueError) as exc:
        raise BadInput(f"{path} cannot be read: {_why(exc)}") from exc
    if len(content) > limit:
        hint = "is it the right file? A long list can be split: each part with the first line"
        raise BadInput(f"{path} has more than {limit / 1_048_576:g} MB", hint=hint)
    return content


def read_start(path: Path, limit: int) -> bytes:
    """Return the content of a regular file, or its first `limit` bytes when there are more. Raises BadInput."""
    try:
        # A pipe or a device would be read forever, or wait forever.
        if not path.is_file():
            raise BadInput("this is a folder or a device, not a file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError) as exc:
        raise BadInput(f"the file cannot be read: {_why(exc)}") from exc


def write_file(path: Path, content: bytes) -> None:
    """Write a file that is there completely or not at all, readable by its owner only; or to `STREAM`.

    Raises BadInput.
    """
    if path == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # The register names children: nobody else on this machine reads it by default.
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    except (OSError, ValueError) as exc:
        raise BadInput(f"{path} cannot be written: {_why(exc)}") from exc


def _why(exc: Exception) -> str:
    return exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
