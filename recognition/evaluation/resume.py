"""What was computed already, sealed on disk, so that a run that was stopped goes on where it was.

Vectors of faces are biometric data. While a run is under way they lie in its folder encrypted (AES-256-GCM) under a
random key that only this folder holds; when the run is complete, key and vectors are deleted unless the operator asked
to keep them. Deleting the key file alone makes all of them unreadable at once.
"""

import hashlib
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from recognition.evaluation.dataset import EvaluationRefused

FOLDER = "resume"
KEY_FILE = "resume.key"
KEY_BYTES = 32
LARGEST_ENTRY_BYTES = 4 * 1024 * 1024
_NONCE_BYTES = 12

Arrays = Mapping[str, NDArray[Any]]


class Memory(Protocol):
    """Arrays by the words that say what they were computed from."""

    def get(self, *key: str) -> Arrays | None:
        """Return what `put` was given for these words, or None."""
        ...

    def put(self, arrays: Arrays, *key: str) -> None:
        """Remember arrays of numbers or text."""
        ...


class NoMemory:
    """Remembers nothing: for runs without a folder."""

    def get(self, *key: str) -> Arrays | None:  # noqa: ARG002 (the protocol's signature)
        """See Memory."""
        return None

    def put(self, arrays: Arrays, *key: str) -> None:
        """See Memory."""


class SealedMemory:
    """A Memory in a folder that only its owner can open. One instance belongs to one thread.

    Each entry is a file of its own, put in place in one step: whatever is stopped, entries are whole or not there.
    An entry that cannot be opened (torn, altered, of another key) counts as absent and is computed again.
    """

    def __init__(self, out_folder: Path) -> None:
        """Open or make the folder and its key. Raises EvaluationRefused when that is not possible."""
        self._folder = out_folder / FOLDER
        self._key_file = out_folder / KEY_FILE
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self._cipher = AESGCM(self._key())
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise EvaluationRefused(
                f"what is computed cannot be kept in {out_folder}: {reason}", hint=f"delete {FOLDER} and {KEY_FILE}"
            ) from exc

    def get(self, *key: str) -> Arrays | None:
        """See Memory."""
        name = _name(key)
        try:
            with (self._folder / name).open("rb") as stream:
                sealed = stream.read(LARGEST_ENTRY_BYTES + 1)
            if len(sealed) > LARGEST_ENTRY_BYTES:
                return None
            content = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
            with np.load(BytesIO(content), allow_pickle=False) as stored:
                return {field: stored[field] for field in stored.files}
        except (OSError, InvalidTag, ValueError, BadZipFile):
            return None

    def put(self, arrays: Arrays, *key: str) -> None:
        """See Memory. Raises EvaluationRefused when the disk does not take it."""
        name = _name(key)
        stream = BytesIO()
        np.savez(stream, allow_pickle=False, **dict(arrays))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, stream.getvalue(), name.encode())
        try:
            _write_whole(self._folder / name, sealed)
        except OSError as exc:
            raise EvaluationRefused(
                f"what is computed cannot be kept in {self._folder}: {exc.strerror}",
                hint="free some space and run the same command again: it goes on where it was",
            ) from exc

    def forget(self) -> None:
        """Delete the key, then everything it sealed. Raises OSError."""
        self._key_file.unlink(missing_ok=True)
        for entry in self._folder.iterdir():
            entry.unlink(missing_ok=True)
        self._folder.rmdir()

    def _key(self) -> bytes:
        if not self._key_file.exists():
            _write_whole(self._key_file, AESGCM.generate_key(bit_length=8 * KEY_BYTES))
        with self._key_file.open("rb") as stream:
            key = stream.read(KEY_BYTES + 1)
        if len(key) != KEY_BYTES:
            raise ValueError(f"{KEY_FILE} is not a key of {KEY_BYTES} bytes")
        return key


def _name(key: tuple[str, ...]) -> str:
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    joined = "".join(f"{len(word)}:{word}" for word in key)
    return hashlib.sha256(joined.encode()).hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, and put it in place in one step."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
