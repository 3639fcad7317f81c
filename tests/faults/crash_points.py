"""Named places at which a test program kills itself, put into the real classes from outside: production has no hooks.

`NAME:K` kills at the K-th pass. Places named `..._sent` wait a moment first, so that what was handed to the network is
really on its way.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_ON_ITS_WAY_S = 0.05

EDGE_POINTS = (
    "edge_before_commit",
    "edge_after_commit",
    "edge_before_csv",
    "edge_after_csv",
    "edge_before_publish",
    "edge_after_publish",
    "edge_before_receipt",
    "edge_inside_receipt",
    "edge_after_receipt",
)
GALLERY_POINTS = ("edge_before_swap", "edge_inside_swap", "edge_after_swap")
HUB_POINTS = (
    "hub_inside_transaction",
    "hub_after_commit",
    "hub_before_receipt",
    "hub_after_receipt",
)
DDL_POINT = "hub_after_ddl"


@dataclass(slots=True)
class CrashPoint:
    """One place and the pass at which the program ends there."""

    name: str
    at_pass: int
    _passes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def parse(cls, text: str) -> "CrashPoint":
        """Read `NAME:K`. Raises ValueError."""
        name, _, number = text.partition(":")
        if name not in (*EDGE_POINTS, *GALLERY_POINTS, *HUB_POINTS, DDL_POINT):
            raise ValueError(f"no crash point is called {name!r}")
        return cls(name, int(number or 1))

    def reach(self, name: str) -> None:
        """Be at a place; does not come back when it is the one."""
        if name != self.name:
            return
        with self._lock:
            self._passes += 1
            if self._passes >= self.at_pass:
                if name in ("edge_after_publish", "hub_after_receipt"):
                    time.sleep(_ON_ITS_WAY_S)
                os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: Any, method: str, point: CrashPoint, before: str | None, after: str | None) -> None:
    original = getattr(owner, method)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            point.reach(before)
        result = original(*arguments, **named)
        if after is not None:
            point.reach(after)
        return result

    setattr(owner, method, wrapped)


class _Inside:
    """Marks that the present thread is inside one of several methods."""

    def __init__(self) -> None:
        self._local = threading.local()

    def watch(self, owner: Any, method: str, name: str) -> None:
        original = getattr(owner, method)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            self._local.name = name
            try:
                return original(*arguments, **named)
            finally:
                self._local.name = None

        setattr(owner, method, wrapped)

    @property
    def name(self) -> str | None:
        return getattr(self._local, "name", None)


def _around_context(owner: Any, method: str, inside: Callable[[], None], after: Callable[[], None]) -> None:
    original = getattr(owner, method)

    @contextlib.contextmanager
    def wrapped(*arguments: Any, **named: Any) -> Iterator[Any]:
        with original(*arguments, **named) as value:
            yield value
            inside()
        after()

    setattr(owner, method, wrapped)


def arm_edge(point: CrashPoint) -> None:
    """Put a crash point into the unit's classes."""
    from edge.adapters.csv_journal import CsvJournal
    from edge.adapters.mqtt_uplink import MqttUplink
    from edge.adapters.sqlite_file import UnitFile
    from edge.adapters.sqlite_gallery import SqliteGallery
    from edge.adapters.sqlite_journal import SqliteJournal

    inside = _Inside()
    inside.watch(SqliteJournal, "append", "append")
    inside.watch(SqliteJournal, "delivered", "receipt")
    inside.watch(SqliteGallery, "swap", "swap")
    within = {"append": "edge_before_commit", "receipt": "edge_inside_receipt", "swap": "edge_inside_swap"}
    behind = {"append": "edge_after_commit", "receipt": "edge_after_receipt", "swap": "edge_after_swap"}
    _around_context(
        UnitFile,
        "writing",
        lambda: point.reach(within.get(inside.name or "", "")),
        lambda: point.reach(behind.get(inside.name or "", "")),
    )
    _around(SqliteJournal, "delivered", point, "edge_before_receipt", None)
    _around(SqliteGallery, "swap", point, "edge_before_swap", None)
    _around(CsvJournal, "_write", point, "edge_before_csv", "edge_after_csv")
    original = MqttUplink.publish

    def publish(self: Any, address: Any, payload: bytes, **named: Any) -> None:
        is_event = address.channel in ("events", "backlog")
        if is_event:
            point.reach("edge_before_publish")
        original(self, address, payload, **named)
        if is_event:
            point.reach("edge_after_publish")

    MqttUplink.publish = publish  # type: ignore[method-assign]


def arm_hub(point: CrashPoint) -> None:
    """Put a crash point into the hub's classes."""
    from hub.adapters.database import Database
    from hub.adapters.event_store import MySqlEventStore
    from hub.adapters.mqtt_link import MqttLink

    inside = _Inside()
    inside.watch(MySqlEventStore, "take", "take")

    def take(name: str) -> Callable[[], None]:
        return lambda: point.reach(name if inside.name == "take" else "")

    _around_context(Database, "transaction", take("hub_inside_transaction"), take("hub_after_commit"))
    original = MqttLink.publish

    def publish(self: Any, topic: str, payload: bytes, **named: Any) -> Any:
        is_receipt = topic.endswith("/receipt")
        if is_receipt:
            point.reach("hub_before_receipt")
        result = original(self, topic, payload, **named)
        if is_receipt:
            point.reach("hub_after_receipt")
        return result

    MqttLink.publish = publish  # type: ignore[method-assign]


def arm_ddl(point: CrashPoint) -> None:
    """Kill after the K-th statement that changes tables: MySQL has committed each of them by itself."""
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "after_cursor_execute")
    def executed(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().upper().startswith(("CREATE ", "ALTER ", "DROP ")):
            point.reach(DDL_POINT)
