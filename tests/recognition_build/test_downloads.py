"""A download arrives whole and right, goes on where it stopped, or says in a sentence what to do; a real server."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recognition.build.build_errors import BuildStopped, DownloadFailed
from recognition.build.downloads import Patience, RemoteFile, fetch
from recognition.core.errors import PackAltered
from tests.edge_adapters.programs import on_a_small_disk
from tests.recognition_build.flaky_server import Answer, flaky_server

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HALF = len(CONTENT) // 2
AT_ONCE = Patience(pause=lambda _: None)


def remote(url: str, content: bytes = CONTENT, size_bytes: int | None = len(CONTENT)) -> RemoteFile:
    checksum = hashlib.sha256(content).hexdigest()
    return RemoteFile("weights.h5", f"{url}/weights.h5", frozenset({checksum}), size_bytes, "bring it in a folder")


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_is_not_fetched_twice(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with flaky_server(Answer(CONTENT)) as server:
        path = fetch(remote(server.url), tmp_path, lambda done, total: seen.append((done, total)), AT_ONCE)
        assert fetch(remote(server.url), tmp_path, patience=AT_ONCE) == path
        assert server.asked == [None]
    assert path.read_bytes() == CONTENT
    assert only(tmp_path) == ["weights.h5"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_connection_that_breaks_half_way_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    with flaky_server(Answer(CONTENT, cut_after=HALF), Answer(CONTENT)) as server:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert server.asked == [None, f"bytes={HALF}-"]
        assert server.conditions == [None, '"one"']
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_what_has_arrived_survives_the_program(tmp_path: Path) -> None:
    """Ctrl-C, a power cut: the next start goes on."""

    def stop(done: int, _total: int | None) -> None:
        if done >= HALF:
            raise KeyboardInterrupt

    with flaky_server(Answer(CONTENT)) as server:
        with pytest.raises(KeyboardInterrupt):
            fetch(remote(server.url), tmp_path, stop, AT_ONCE)
        have = (tmp_path / "weights.h5.part").stat().st_size
        assert HALF <= have < len(CONTENT)
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert server.asked == [None, f"bytes={have}-"]
    assert only(tmp_path) == ["weights.h5"]


def test_a_file_that_changed_on_the_server_is_begun_again(tmp_path: Path) -> None:
    older = bytes(len(CONTENT))
    with flaky_server(Answer(older, etag='"old"', cut_after=HALF), Answer(CONTENT, etag='"new"')) as server:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert server.conditions == [None, '"old"']
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_a_file_that_changed_without_a_word_is_begun_again_once(tmp_path: Path) -> None:
    older = bytes(len(CONTENT))
    plans = (Answer(older, etag="", cut_after=HALF), Answer(CONTENT, etag=""), Answer(CONTENT, etag=""))
    with flaky_server(*plans) as server:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert server.asked == [None, f"bytes={HALF}-", None]
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(tmp_path: Path) -> None:
    with flaky_server(Answer(CONTENT, cut_after=HALF), Answer(CONTENT, ranges=False)) as server:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_an_answer_that_goes_on_elsewhere_is_not_appended(tmp_path: Path) -> None:
    odd = Answer(CONTENT, content_range=f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")
    with flaky_server(Answer(CONTENT, cut_after=HALF), odd, Answer(CONTENT)) as server:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert server.asked == [None, f"bytes={HALF}-", None]
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_a_part_of_another_address_is_not_continued(tmp_path: Path) -> None:
    (tmp_path / "weights.h5.part").write_bytes(b"x" * 100)
    (tmp_path / "weights.h5.part.json").write_text(json.dumps({"url": "http://elsewhere/", "etag": '"one"'}))
    with flaky_server(Answer(CONTENT)) as server:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert server.asked == [None]
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_thrown_away(tmp_path: Path) -> None:
    with flaky_server(Answer(b"", status=416), Answer(CONTENT)) as server:
        (tmp_path / "weights.h5.part").write_bytes(bytes(len(CONTENT) + 5))
        (tmp_path / "weights.h5.part.json").write_text(json.dumps({"url": f"{server.url}/weights.h5", "etag": ""}))
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT


def test_another_file_of_the_same_length_is_refused_with_both_checksums_and_deleted(tmp_path: Path) -> None:
    other = bytes(len(CONTENT))
    with flaky_server(Answer(other)) as server, pytest.raises(PackAltered) as refused:
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
    for part in ("weights.h5", "http://127.0.0.1", hashlib.sha256(other).hexdigest(), "bring it in a folder"):
        assert part in str(refused.value)
    assert next(iter(remote("").sha256)) in str(refused.value)
    assert only(tmp_path) == []


@pytest.mark.parametrize("length", [0, 10, len(CONTENT) + 1])
def test_a_file_of_another_length_is_refused_before_it_is_fetched(tmp_path: Path, length: int) -> None:
    """A login page, an error page that says 200."""
    seen: list[int] = []
    with flaky_server(Answer(bytes(length))) as server, pytest.raises(PackAltered, match=f"{length} bytes"):
        fetch(remote(server.url), tmp_path, lambda done, _: seen.append(done), AT_ONCE)
    assert seen == []
    assert only(tmp_path) == []


def test_a_server_that_never_stops_is_cut_off(tmp_path: Path) -> None:
    endless = Answer(CONTENT + b"more", send_length=False)
    with flaky_server(endless) as server, pytest.raises(PackAltered, match=f"more than {len(CONTENT)} bytes"):
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)
    assert only(tmp_path) == []


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (503, 4), (429, 4)])
def test_an_error_of_the_server_is_named_and_a_busy_one_is_asked_again(tmp_path: Path, status: int, asked: int) -> None:
    with flaky_server(Answer(b"no", status=status)) as server:
        with pytest.raises(DownloadFailed, match=rf"weights\.h5 could not be fetched .*: the server answered {status}"):
            fetch(remote(server.url), tmp_path, patience=AT_ONCE)
        assert len(server.asked) == asked


def test_no_network_is_a_sentence_with_file_place_checksum_and_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        source = remote(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(DownloadFailed) as failed:
            fetch(source, tmp_path, patience=AT_ONCE)
    text = str(failed.value)
    assert "there is no connection to the server" in text
    for part in (source.name, source.url, source.checksum, "bring it in a folder"):
        assert part in text


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        source = remote(f"http://127.0.0.1:{listening.getsockname()[1]}")
        patience = Patience(silence_s=0.05, attempts=2, pause=lambda _: None)
        with pytest.raises(DownloadFailed, match="did not answer"):
            fetch(source, tmp_path, patience=patience)


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="address cannot be used"):
        fetch(remote("nonsense://"), tmp_path, patience=AT_ONCE)


def test_a_disk_without_room_is_found_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))  # the disk here has room
    with flaky_server(Answer(CONTENT)) as server, pytest.raises(BuildStopped, match="needs 2 MB more"):
        fetch(remote(server.url), tmp_path, patience=AT_ONCE)


FILLS_THE_DISK = """
import hashlib, sys
from pathlib import Path
from recognition.build import downloads
from recognition.build.build_errors import BuildStopped
from tests.recognition_build.flaky_server import Answer, flaky_server

content = bytes(range(256)) * 8192
downloads._Fetching._room_for = lambda *_: None  # another program fills the disk after this was asked
with flaky_server(Answer(content)) as server:
    checksum = frozenset({hashlib.sha256(content).hexdigest()})
    source = downloads.RemoteFile("w.h5", server.url + "/w.h5", checksum, len(content), "bring it")
    try:
        downloads.fetch(source, Path(sys.argv[1]))
    except BuildStopped as exc:
        print(exc)
print(sorted(path.name for path in Path(sys.argv[1]).iterdir() if path.stat().st_size > 1000))
"""


def test_a_disk_that_fills_up_meanwhile_is_said_and_given_back(tmp_path: Path) -> None:
    said = on_a_small_disk(FILLS_THE_DISK, tmp_path / "disk", 1024).splitlines()
    assert "the disk is full" in said[0]
    assert said[-1] == "[]"


FETCHES_SLOWLY = """
import sys
from pathlib import Path
from recognition.build.downloads import RemoteFile, fetch
def told(done, total):
    print("fetching", flush=True)
    sys.stdin.readline()
fetch(RemoteFile("weights.h5", sys.argv[2], frozenset({sys.argv[3]}), None, "bring it"), Path(sys.argv[1]), told)
"""


def test_two_programs_do_not_write_one_file(tmp_path: Path) -> None:
    with flaky_server(Answer(CONTENT)) as server:
        source = remote(server.url)
        arguments = [str(tmp_path), source.url, source.checksum]
        first: Any = subprocess.Popen(
            [sys.executable, "-c", FETCHES_SLOWLY, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with first:
            assert first.stdout.readline() == "fetching\n"
            with pytest.raises(BuildStopped, match="another program is fetching"):
                fetch(source, tmp_path, patience=AT_ONCE)
            first.communicate("\n" * 100)
    assert first.returncode == 0
    assert (tmp_path / "weights.h5").read_bytes() == CONTENT
