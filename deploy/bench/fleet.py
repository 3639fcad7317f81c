"""A fleet of simulated units in one process of its own: sends what waited and what happens now until all has receipts.

`python -m deploy.bench.fleet` reads a plan as JSON on stdin and answers with JSON on stdout. It speaks as many units
over a few connections, as a broker that asks for no names lets it.
"""

import heapq
import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from deploy.bench.figures import percentile
from deploy.bench.fleet_unit import BATCH_EVENTS, FleetUnit
from hub.adapters.clock import SystemClock
from hub.adapters.mqtt_link import MqttLink
from hub.adapters.mqtt_reasons import BrokerAddress
from protocol.topics import down, up

CONNECTIONS = 4
_RESEND_AFTER_S = 60.0
_TAKEN_AT_ONCE = 200
_CONNECT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the fleet does. Units with a number below `live_units` also have something new every `live_every_s`."""

    host: str
    port: int
    site: str
    first_unit: int
    units: int
    batches: int
    in_flight: int = 1
    live_units: int = 0
    live_every_s: float = 1.0
    give_up_s: float = 600.0


@dataclass(slots=True)
class _Sent:
    unit: int
    channel: str
    payload: bytes
    first_sent_s: float
    events: int
    due_s: float


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    committed: int = 0
    seconds: float = 0.0
    first_live_s: list[float] = field(default_factory=list)
    resent: int = 0
    busy: int = 0
    unanswered: int = 0
    cpu_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it for whoever asked."""
        live = self.first_live_s
        return {
            "committed": self.committed,
            "seconds": self.seconds,
            "resent": self.resent,
            "busy": self.busy,
            "unanswered": self.unanswered,
            "cpu_s": self.cpu_s,
            "live": len(live),
            "live_p50_s": percentile(live, 0.5) if live else None,
            "live_p99_s": percentile(live, 0.99) if live else None,
            "live_longest_s": max(live, default=None),
        }


class Fleet:
    """The units, their connections and what is under way. One thread."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._clock = SystemClock()
        # In the past, so that none of it is of tomorrow.
        first_at = self._clock.now() - timedelta(days=1)
        self._units = [FleetUnit(plan.first_unit + number, first_at) for number in range(plan.units)]
        # Made before anything is timed: it costs nearly as much as what is measured.
        self._ready = [deque(unit.batch() for _ in range(plan.batches)) for unit in self._units]
        self._waiting: dict[str, _Sent] = {}
        self._again: list[tuple[float, str]] = []
        self._backlog = 0
        """Batches of what waited that are under way."""
        self._links = [self._link(number) for number in range(CONNECTIONS)]
        self.outcome = Outcome()
        self._begun_cpu_s = 0.0

    def _link(self, number: int) -> MqttLink:
        own = [unit for place, unit in enumerate(self._units) if place % CONNECTIONS == number]
        filters = [down(self.plan.site, unit.unit_id, "receipt").topic for unit in own] or ["nothing"]
        address = BrokerAddress(self.plan.host, self.plan.port, f"fleet-{time.monotonic_ns()}-{number}")
        return MqttLink(address, filters, SystemClock(), inbox_size=20_000)

    def run(self) -> Outcome:
        """Send everything and wait for every receipt, or give up."""
        for link in self._links:
            link.start()
        try:
            if all(link.wait_for_answer(_CONNECT_TIMEOUT_S) for link in self._links):
                self._drain()
        finally:
            for link in self._links:
                link.stop()
        self.outcome.unanswered = len(self._waiting)
        self.outcome.cpu_s = time.process_time() - self._begun_cpu_s
        return self.outcome

    def _drain(self) -> None:
        begun_s, self._begun_cpu_s = time.monotonic(), time.process_time()
        for place in range(self.plan.units):
            for _ in range(self.plan.in_flight):
                self._send_next(place)
        live = [(begun_s + self.plan.live_every_s * n / max(1, self.plan.live_units), n)
                for n in range(self.plan.live_units)]  # fmt: skip
        heapq.heapify(live)
        backlog_end_s = None
        while backlog_end_s is None or self._waiting:
            now_s = time.monotonic()
            if now_s - begun_s > self.plan.give_up_s:
                return
            if backlog_end_s is None:
                self._send_live(live, now_s)
            self._send_again(now_s)
            self._hear()
            if backlog_end_s is None and not self._backlog:
                backlog_end_s = time.monotonic()
                self.outcome.seconds = backlog_end_s - begun_s

    def _send_next(self, place: int) -> None:
        if self._ready[place]:
            batch_id, payload = self._ready[place].popleft()
            self._send_first(batch_id, _Sent(place, "backlog", payload, time.monotonic(), BATCH_EVENTS, 0.0))
            self._backlog += 1

    def _send_live(self, live: list[tuple[float, int]], now_s: float) -> None:
        while live and live[0][0] <= now_s:
            due_s, place = heapq.heapreplace(live, (live[0][0] + self.plan.live_every_s, live[0][1]))
            batch_id, payload = self._units[place].live(self._clock.now())
            # From when it should have been sent: what this process itself delays is not hidden.
            self._send_first(batch_id, _Sent(place, "events", payload, due_s, 1, 0.0))

    def _send_first(self, batch_id: str, sent: _Sent) -> None:
        self._waiting[batch_id] = sent
        self._send(batch_id, sent)

    def _send(self, batch_id: str, sent: _Sent) -> None:
        topic = up(self.plan.site, self._units[sent.unit].unit_id, sent.channel).topic
        gone = self._links[sent.unit % CONNECTIONS].publish(topic, sent.payload)
        sent.due_s = time.monotonic() + (_RESEND_AFTER_S if gone else 0.05)
        heapq.heappush(self._again, (sent.due_s, batch_id))

    def _send_again(self, now_s: float) -> None:
        while self._again and self._again[0][0] <= now_s:
            due_s, batch_id = heapq.heappop(self._again)
            sent = self._waiting.get(batch_id)
            if sent is not None and sent.due_s == due_s:
                self.outcome.resent += 1
                self._send(batch_id, sent)

    def _hear(self) -> None:
        for link in self._links:
            for arrival in link.take(_TAKEN_AT_ONCE, 0.002):
                self._hear_receipt(json.loads(arrival.payload))

    def _hear_receipt(self, receipt: dict[str, Any]) -> None:
        sent = self._waiting.get(receipt["batch_id"])
        if sent is None:
            return
        if receipt["result"] == "busy":
            self.outcome.busy += 1
            sent.due_s = time.monotonic() + receipt["retry_after_s"]
            heapq.heappush(self._again, (sent.due_s, receipt["batch_id"]))
            return
        del self._waiting[receipt["batch_id"]]
        self.outcome.committed += sent.events
        if sent.channel == "events":
            self.outcome.first_live_s.append(time.monotonic() - sent.first_sent_s)
        else:
            self._backlog -= 1
            self._send_next(sent.unit)


def main() -> int:
    """Run the plan on stdin."""
    outcome = Fleet(Plan(**json.load(sys.stdin))).run()
    json.dump(outcome.as_json(), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
