"""The bad line does what it is told, and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.own_process import LOOPBACK, wait_until
from tests.faults.proxy import FINE, Proxy, Snare, Weather


@contextmanager
def echo() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers everything with itself, and notes it."""
    heard: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(4096):
                        heard.append(data)
                        connection.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], heard
        # The thread leaves `accept` only when somebody comes.
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line() -> Iterator[tuple[Proxy, list[bytes]]]:
    with echo() as (port, heard), Proxy(port, seed=1) as proxy:
        yield proxy, heard


def _client(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=5)


def _ended(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def test_in_fine_weather_everything_passes_both_ways(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, heard = line
    with _client(proxy) as client:
        client.sendall(b"x" * 5000)
        got = b""
        while len(got) < 5000:
            got += client.recv(5000)
    assert got == b"x" * 5000
    assert sum(map(len, heard)) == 5000


def test_a_delay_holds_both_ways_and_keeps_the_order(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, _ = line
    proxy.weather = Weather(delay_s=0.15, jitter_s=0.1)
    with _client(proxy) as client:
        began_s = time.monotonic()
        for number in range(20):
            client.sendall(b"%02d" % number)
        got = b""
        while len(got) < 40:
            got += client.recv(100)
    assert time.monotonic() - began_s >= 0.3
    assert got == b"".join(b"%02d" % number for number in range(20))


def test_a_half_open_line_takes_everything_and_tells_nobody_even_of_an_end(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, heard = line
    with _client(proxy) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        proxy.weather = Weather(swallow=True)
        client.sendall(b"gone")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.weather = FINE
        client.settimeout(5)
        client.sendall(b"after")
        assert client.recv(100) == b"after"
    assert heard == [b"before", b"after"]


def test_a_cut_after_so_many_bytes_lets_exactly_those_through(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, heard = line
    proxy.weather = Weather(cut_after_bytes=7)
    with _client(proxy) as client:
        client.sendall(b"0123456789")
        assert wait_until(lambda: b"".join(heard) == b"0123456", 5)
        assert _ended(client) or _ended(client)
    assert proxy.cuts == 1


def test_a_stalled_direction_waits_and_goes_on_while_the_other_moves(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, heard = line
    with _client(proxy) as client:
        proxy.weather = Weather(stalled=frozenset({"down"}))
        client.sendall(b"hello")
        assert wait_until(lambda: heard == [b"hello"], 5)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.weather = FINE
        client.settimeout(5)
        assert client.recv(100) == b"hello"


@pytest.mark.slow
def test_lost_packets_cost_time_and_no_bytes(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, _ = line
    proxy.weather = Weather(loss_share=0.4)
    with _client(proxy) as client:
        client.settimeout(30)
        began_s = time.monotonic()
        client.sendall(b"y" * 7000)
        got = 0
        while got < 7000:
            got += len(client.recv(7000))
    assert time.monotonic() - began_s >= 0.2


def test_the_answer_to_the_words_in_the_snare_is_lost_although_the_server_heard_them(
    line: tuple[Proxy, list[bytes]],
) -> None:
    proxy, heard = line
    proxy.snare = Snare(armed_by=b"insert", reply_to=b"commit")
    with _client(proxy) as client:
        client.sendall(b"commit")
        assert client.recv(100) == b"commit", "not armed: an empty commit is not what is waited for"
        client.sendall(b"INSERT")
        assert client.recv(100) == b"INSERT"
        client.sendall(b"COMMIT")
        assert _ended(client)
    assert heard[-1] == b"COMMIT"
    assert proxy.snared == 1
    with _client(proxy) as client:
        client.sendall(b"insert")
        assert client.recv(100) == b"insert"
        client.sendall(b"commit")
        assert client.recv(100) == b"commit", "once is once"


def test_a_bandwidth_is_kept(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, _ = line
    proxy.weather = Weather(bytes_per_s=20_000)
    with _client(proxy) as client:
        began_s = time.monotonic()
        client.sendall(b"z" * 10_000)
        got = 0
        while got < 10_000:
            got += len(client.recv(10_000))
    assert time.monotonic() - began_s >= 0.45


def test_everybody_is_cut_off_at_once(line: tuple[Proxy, list[bytes]]) -> None:
    proxy, _ = line
    with _client(proxy) as one, _client(proxy) as two:
        for client in (one, two):
            client.sendall(b"a")
            assert client.recv(10) == b"a"
        proxy.cut_all()
        assert _ended(one)
        assert _ended(two)
    assert wait_until(lambda: proxy.connections == 0, 5)
