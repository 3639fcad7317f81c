"""Files of lines that are written as they come and are there completely or not at all."""

import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from hub.adapters.csv_files import STREAM
from hub.core.errors import BadInput


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]], *, replace: bool = False) -> int:
    """Write each row as a line of JSON into a file that its owner alone reads, or to `STREAM`; return how many.

    Raises BadInput when the file is there already (unless `replace`) or cannot be written, and what `rows` raises.
    """
    if path == STREAM:
        return _write(sys.stdout.buffer, rows)
    if path.exists() and not replace:
        raise BadInput(f"there is a file {path} already", hint="give another name, or --force to replace it")
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                lines = _write(file, rows)
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as exc:
        raise BadInput(f"{path} cannot be written: {exc.strerror}") from exc
    return lines


def _write(file: BinaryIO, rows: Iterable[Mapping[str, Any]]) -> int:
    lines = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        lines += 1
    file.flush()
    return lines
