"""Key files: made once, readable by their owner alone, never overwritten."""

import stat
from pathlib import Path

import pytest

from hub.adapters.key_files import HubKeys, create_key, read_key, read_password
from hub.core.errors import KeyUnusable
from protocol.sealing import check_signature, sign


def test_a_key_is_made_once_with_nobody_else_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "hub.key"
    assert create_key(path)
    first = read_key(path)
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not create_key(path)
    assert read_key(path) == first
    assert [one.name for one in path.parent.iterdir()] == ["hub.key"]


def test_a_missing_key_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable) as caught:
        read_key(tmp_path / "hub.key")
    assert "db migrate" in caught.value.hint


def test_a_key_others_can_read_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "hub.key"
    create_key(path)
    path.chmod(0o640)
    with pytest.raises(KeyUnusable) as caught:
        read_key(path)
    assert caught.value.hint == f"run: chmod 600 {path}"


@pytest.mark.parametrize("size", [0, 31, 33, 10_000])
def test_a_key_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "hub.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match="a key has 32"):
        read_key(path)


def test_a_folder_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable):
        read_key(tmp_path)


def test_the_hubs_keys_are_made_together_and_fit_together(tmp_path: Path) -> None:
    keys = HubKeys(tmp_path / "hub.key", tmp_path / "hub_signing.key")
    assert len(keys.create_missing()) == 2
    assert keys.create_missing() == []
    check_signature(keys.public_key(), b"text", sign(keys.signing_key(), b"text"))
    assert keys.hub_key() != keys.signing_key()


def test_a_password_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" s p \n", encoding="utf-8")
    assert read_password(path) == " s p "
    assert read_password(None) == ""
    with pytest.raises(KeyUnusable, match="cannot be read"):
        read_password(tmp_path / "none")
