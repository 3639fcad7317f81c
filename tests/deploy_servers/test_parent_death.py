"""Servers must not outlive the program that started them, however it ends."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.environment import PROJECT
from deploy.mqtt_answer import answers_connect
from deploy.own_process import wait_until
from deploy.private_servers import PrivateMosquitto

PARENT = """
import sys
from pathlib import Path
from deploy.private_servers import PrivateMariaDb, PrivateMosquitto
folder = Path(sys.argv[1])
servers = [PrivateMosquitto(folder / "broker"), PrivateMariaDb(folder / "db")]
for server in servers:
    server.start()
print(*[server.pid for server in servers], flush=True)
sys.stdin.read()
"""


@pytest.mark.usefixtures("own_broker", "own_mariadb")
@pytest.mark.parametrize("how", ["killed", "ended without stopping them"])
def test_servers_die_with_their_parent(how: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        processes = [Path("/proc") / pid for pid in parent.stdout.readline().decode().split()]
        assert len(processes) == 2
        assert all(process.exists() for process in processes)
        if how == "killed":
            parent.send_signal(signal.SIGKILL)
        parent.stdin.close()
        parent.wait(timeout=30)

    assert wait_until(lambda: not any(is_alive(process) for process in processes), 10)


def is_alive(process: Path) -> bool:
    """Tell whether it still runs; one that nobody has buried yet (state Z) does not."""
    try:
        return (process / "stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("own_broker")
def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel watches the thread that forked; a server started from a worker thread used to die with the worker."""
    server = PrivateMosquitto(tmp_path / "broker")
    worker = threading.Thread(target=server.start)
    worker.start()
    worker.join()
    try:
        assert server.running
        assert answers_connect(server.host, server.port)
    finally:
        server.stop()
