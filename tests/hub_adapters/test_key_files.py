"""Key files: made once, readable by their owner alone, never overwritten."""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.adapters.key_files import HubKeys, create_key, delete_key, read_key, read_password, replace_key
from hub.adapters.key_ring import key_id_of
from hub.core.errors import KeyUnusable
from protocol.errors import SealBroken
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


def keys_in(folder: Path) -> HubKeys:
    return HubKeys(folder / "hub.key", folder / "hub_signing.key")


def test_while_the_key_changes_the_next_one_seals_and_all_open(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    keys.create_missing()
    ring, before = keys.ring(), keys.ring().seal(b"1", "a")
    create_key(keys.next_key_file)
    between = ring.seal(b"2", "a")
    replace_key(keys.hub_key_file, keys.next_key_file, keys.old_key_file)
    after = ring.seal(b"3", "a")
    assert before.key_id != between.key_id == after.key_id == key_id_of(keys.hub_key())
    assert [ring.opened(one.content, "a") for one in (before, between, after)] == [b"1", b"2", b"3"]
    delete_key(keys.old_key_file)
    anew = keys_in(tmp_path).ring()
    assert anew.opened(after.content, "a") == b"3"
    with pytest.raises(SealBroken):
        anew.opened(before.content, "a")


def test_who_runs_since_before_finds_the_next_key_when_nothing_opens_and_not_earlier(tmp_path: Path) -> None:
    running, other = keys_in(tmp_path), keys_in(tmp_path)
    running.create_missing()
    sealed = running.ring().seal(b"1")
    create_key(other.next_key_file)
    assert running.ring().opened(sealed.content) == b"1"
    assert running.ring().opened(other.ring().seal(b"2").content) == b"2"
    with pytest.raises(SealBroken):
        running.ring().opened(sealed.content, "of somebody else")


def test_the_only_copy_of_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    keys.create_missing()
    create_key(keys.old_key_file)
    create_key(keys.next_key_file)
    with pytest.raises(KeyUnusable, match="another key"):
        replace_key(keys.hub_key_file, keys.next_key_file, keys.old_key_file)
    assert len({path.read_bytes() for path in tmp_path.glob("hub.key*")}) == 3


@pytest.fixture
def shut() -> Iterator[Path]:
    """A folder with a key that belongs to somebody else, beside `credentials` with a key that is ours."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name, mode in (("keys", 0o000), ("credentials", 0o755)):
        create_key(folder / name / "hub.key")
        create_key(folder / name / "hub_signing.key")
        create_key(folder / name / "hub.key.next")
        for path in (folder / name).iterdir():
            path.chmod(0o000 if name == "keys" else 0o444)
        (folder / name).chmod(mode)
    (folder / "credentials" / "hub.key.next").unlink()
    (folder / "credentials" / "hub.key").chmod(0o440)
    if is_root := os.geteuid() == 0:
        for path in (folder / "credentials").iterdir():
            os.chown(path, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        (folder / "keys").chmod(0o700)
        shutil.rmtree(folder)


def test_a_credential_is_taken_when_the_file_of_the_settings_is_anothers(shut: Path) -> None:
    mine, given = shut / "keys", shut / "credentials"
    keys = HubKeys(mine / "hub.key", mine / "hub_signing.key", given)
    assert keys.create_missing() == []
    assert keys.hub_keys() == ((given / "hub.key").read_bytes(),)
    assert keys.place_of(keys.hub_key_file) == given / "hub.key"
    assert not keys.is_own(keys.hub_key_file)
    assert keys.folder() == given
    without = HubKeys(mine / "hub.key", mine / "hub_signing.key")
    with pytest.raises(KeyUnusable, match="Permission denied"):
        without.create_missing()
    with pytest.raises(KeyUnusable, match="Permission denied"):
        without.hub_keys()


def test_beside_a_credential_a_next_key_that_only_its_owner_reads_is_the_owners(shut: Path) -> None:
    mine, given = shut / "keys", shut / "credentials"
    owner = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    mine.chmod(0o755)
    os.seteuid(owner)
    keys = HubKeys(mine / "hub.key", mine / "hub_signing.key", given)
    assert keys.is_there(keys.next_key_file)
    assert keys.hub_keys() == ((given / "hub.key").read_bytes(),)
    with pytest.raises(KeyUnusable, match="Permission denied"):
        HubKeys(mine / "hub.key", mine / "hub_signing.key").hub_keys()


def test_a_key_that_vanished_is_said_when_it_is_needed_and_open_things_stay_open(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    keys.create_missing()
    ring, sealed = keys.ring(), keys.ring().seal(b"1")
    keys.hub_key_file.unlink()
    assert ring.opened(sealed.content) == b"1"
    with pytest.raises(KeyUnusable, match="no key file"):
        ring.seal(b"2")


def test_the_id_of_a_key_says_nothing_of_it() -> None:
    assert key_id_of(bytes(32)) != hashlib.sha256(bytes(32)).hexdigest()[:16]
    assert key_id_of(bytes(32)) != key_id_of(bytes(31) + b"\x01")


def test_a_password_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" s p \n", encoding="utf-8")
    assert read_password(path) == " s p "
    assert read_password(None) == ""
    with pytest.raises(KeyUnusable, match="cannot be read"):
        read_password(tmp_path / "none")
