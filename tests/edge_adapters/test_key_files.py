"""Key and password files: what cannot be used is refused with what to do, and never shown."""

from pathlib import Path

import pytest

from edge.adapters.key_files import read_key, read_password
from edge.core.errors import KeyUnusable


def key_file(folder: Path, content: bytes = bytes(range(32)), mode: int = 0o600) -> Path:
    path = folder / "data.key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_key_is_its_32_bytes(tmp_path: Path) -> None:
    assert read_key(key_file(tmp_path), secret=True) == bytes(range(32))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_secret_that_others_may_read_or_replace_is_refused_with_the_command_that_helps(
    tmp_path: Path, mode: int
) -> None:
    with pytest.raises(KeyUnusable) as caught:
        read_key(key_file(tmp_path, mode=mode), secret=True)

    assert caught.value.hint.startswith("chmod 600")


def test_a_public_key_may_be_read_by_everybody(tmp_path: Path) -> None:
    assert read_key(key_file(tmp_path, mode=0o644), secret=False) == bytes(range(32))


@pytest.mark.parametrize("size", [0, 31, 33, 100_000])
def test_a_key_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(KeyUnusable, match="32 bytes") as caught:
        read_key(key_file(tmp_path, b"k" * size), secret=True)

    assert caught.value.hint
    assert "kkk" not in str(caught.value)


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.key", tmp_path):
        with pytest.raises(KeyUnusable, match=path.name) as caught:
            read_key(path, secret=True)
        assert caught.value.hint


@pytest.mark.parametrize("content", ["secret", "secret\n", "secret\r\n", "secret\nsecond line\n"])
def test_a_password_is_the_first_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "password"
    path.write_text(content)

    assert read_password(path) == "secret"


def test_a_password_may_hold_blanks_and_any_script(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" pässwörd 東 \n", encoding="utf-8")

    assert read_password(path) == " pässwörd 東 "


def test_without_a_password_file_there_is_no_password() -> None:
    assert read_password(None) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", None])
def test_a_password_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyUnusable, match="password file") as caught:
        read_password(path)

    assert caught.value.hint
