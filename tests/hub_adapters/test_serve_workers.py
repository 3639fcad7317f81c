"""`serve --workers 2` with a real broker and a real database: whoever dies, nothing is lost or repeated."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.own_process import wait_until
from deploy.private_servers import PrivateMariaDb, PrivateMosquitto
from hub.adapters.migrations import migrate
from hub.adapters.schema import events
from protocol.content import Head
from protocol.delivery import EventBatch, Receipt
from tests.hub_adapters.serving import Place, Unit, a_school
from tests.hub_core.builders import a_message, an_event

pytestmark = [pytest.mark.server, pytest.mark.system, pytest.mark.model]
BATCHES, SIZE = 40, 25


@pytest.fixture
def place(
    tmp_path: Path, own_mariadb: PrivateMariaDb, own_broker: PrivateMosquitto, pack_folder: Path
) -> Iterator[Place]:
    made = Place(tmp_path / "hub", own_mariadb, own_broker.port, pack_folder)
    yield made
    made.database.close()


def workers_of(parent: int) -> dict[int, int]:
    """Return the processes of the workers, by number."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            command = (folder / "cmdline").read_text(encoding="utf-8").split("\0")
        except (OSError, ValueError):
            continue
        if folder.name.isdigit() and int(stat[1]) == parent and "--worker" in command:
            found[int(command[command.index("--worker") + 1])] = int(folder.name)
    return found


def lives(process: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Sender:
    """Sends its batches until each has a receipt, as a unit does."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.waiting: dict[str, EventBatch] = {}
        for number in range(BATCHES):
            sent = [an_event(seq) for seq in range(number * SIZE + 1, (number + 1) * SIZE + 1)]
            message = a_message(sent, number=number + 1)
            self.waiting[message.batch_id] = message

    def send(self) -> None:
        for message in list(self.waiting.values()):
            self.unit.say("backlog", message)

    def answered(self) -> bool:
        self.unit.listen(1)
        for one in self.unit.heard:
            if isinstance(one, Receipt) and one.result == "taken":
                self.waiting.pop(one.batch_id, None)
        return not self.waiting


def test_a_worker_that_is_killed_with_batches_in_flight_loses_nothing(
    place: Place, own_broker: PrivateMosquitto, tmp_path: Path
) -> None:
    unit_id, _, _ = a_school(place, tmp_path / "unit")
    unit = Unit(unit_id, own_broker.port)
    unit.link.start()
    try:
        with place.serving("--workers", "2") as parent:
            assert wait_until(lambda: place.log.read_text(encoding="utf-8").count("broker connected") == 2, 60)
            unit.is_welcomed()
            # Which of the two said hello: only the first announces galleries, and was told.
            unit.hears(Head)
            sender = Sender(unit)
            sender.send()
            os.kill(workers_of(parent.pid)[2], signal.SIGKILL)

            def all_answered() -> bool:
                if sender.answered():
                    return True
                sender.send()
                return False

            assert wait_until(all_answered, 90)
            assert place.says("worker ended number=2 reason='something ended it by SIGKILL")
            assert wait_until(lambda: 2 in workers_of(parent.pid), 30)
        assert place.count(events) == BATCHES * SIZE
    finally:
        unit.link.stop()
    assert "Traceback" not in place.log.read_text(encoding="utf-8")


def test_workers_end_when_their_parent_is_killed(place: Place) -> None:
    place.database.run(migrate)
    with place.serving("--workers", "2") as parent:
        assert wait_until(lambda: place.log.read_text(encoding="utf-8").count("broker connected") == 2, 60)
        workers = workers_of(parent.pid)
        assert sorted(workers) == [1, 2]
        parent.kill()
        begun_s = time.monotonic()
        assert wait_until(lambda: not any(lives(one) for one in workers.values()), 20)
        assert time.monotonic() - begun_s < 12


def test_workers_that_would_be_refused_again_end_the_whole(place: Place) -> None:
    with place.serving("--workers", "2") as parent:
        assert parent.wait(60) == 1
    assert "rollcall-hub db migrate" in place.log.read_text(encoding="utf-8")


def test_workers_whose_key_cannot_be_used_end_the_whole_too(place: Place, tmp_path: Path) -> None:
    """Before it has connected to anything: the next try would end the same way."""
    place.database.run(migrate)
    (tmp_path / "hub" / "hub.key").write_bytes(b"short")
    with place.serving("--workers", "2") as parent:
        assert parent.wait(60) == 1
    log = place.log.read_text(encoding="utf-8")
    assert "hub.key" in log
    assert "starting again" not in log
