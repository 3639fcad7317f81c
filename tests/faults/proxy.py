"""A bad line between a program and its server: delays, stalls, cuts and swallows what passes, as the test says.

TCP repairs lost packets by itself, so a proxy that threw bytes away would damage the stream, which no network does.
Lost packets are shown as what a program sees of them: a stretch of silence as long as TCP waits before it sends again.
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from deploy.own_process import LOOPBACK

_CHUNK = 1400
"""About what one packet carries."""
_RETRANSMIT_S = 0.2
"""The shortest time after which Linux sends a packet again; it doubles with each further loss."""
_MOST_LOSSES = 6

Direction = Literal["up", "down"]
"""`up` is from the program to its server."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What the line does now."""

    delay_s: float = 0.0
    """In each direction: half of the round trip."""
    jitter_s: float = 0.0
    loss_share: float = 0.0
    """Share of packets that are lost and sent again by TCP."""
    bytes_per_s: float | None = None
    swallow: bool = False
    """Half open: everything is taken, nothing is passed on, and nobody is told, not even of an end."""
    stalled: frozenset[Direction] = frozenset()
    """Directions in which nothing moves; it waits and goes on afterwards."""
    cut_share: float = 0.0
    """Chance that a connection is reset at a packet."""
    cut_after_bytes: int | None = None
    """Every connection is cut when it has passed on so many bytes upwards, in the middle of a message."""
    cut_politely: bool = False
    """With an orderly end instead of a reset: a truncated stream."""
    refuse: bool = False
    """New connections are ended at once."""


FINE = Weather()


@dataclass(frozen=True, slots=True)
class Snare:
    """Wait for words from the program; lose the server's next answer, and the connection with it."""

    armed_by: bytes
    reply_to: bytes
    times: int = 1


@dataclass(slots=True, eq=False)
class _Line:
    """One connection through the proxy."""

    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    passed_up: int = 0
    armed: bool = False
    doomed: bool = False
    tail: bytes = b""
    cut: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """Listens on a loopback port of its own and passes on to `target_port`. Use it as a context manager."""

    def __init__(self, target_port: int, seed: int = 0) -> None:
        self.target_port = target_port
        self.port = 0
        self.weather = FINE
        """Replaced as a whole; holds for everything that is read from then on, also on connections that exist."""
        self.snare: Snare | None = None
        self.snared = 0
        self.accepted = 0
        self.cuts = 0
        self.passed = {"up": 0, "down": 0}
        self._random = random.Random(seed)  # noqa: S311 (bad luck, repeatable; guards nothing)
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End every connection and the thread."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def change(self, **changes: Any) -> None:
        """Change some of the weather."""
        self.weather = replace(self.weather, **changes)

    def cut_all(self, *, politely: bool = False) -> None:
        """End every connection now."""
        self._run(self._cut_all(politely))

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._lines)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _cut_all(self, politely: bool) -> None:
        for line in list(self._lines):
            self._cut(line, politely=politely)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._come, LOOPBACK, self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            self._loop.run_until_complete(self._wind_up())
            self._loop.close()

    async def _wind_up(self) -> None:
        for line in list(self._lines):
            self._cut(line)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # The transports close in the rounds after this one.
        for _ in range(3):
            await asyncio.sleep(0)

    def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: one that the stream makes complains when it is cancelled at the end.
        task = self._loop.create_task(self._accepted(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.weather.refuse:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self.target_port)
        except OSError:
            writer.close()
            return
        line = _Line((writer, far_writer))
        self._lines.add(line)
        pumps = [
            asyncio.ensure_future(self._pump(line, "up", reader, far_writer)),
            asyncio.ensure_future(self._pump(line, "down", far_reader, writer)),
        ]
        try:
            await line.cut.wait()
        finally:
            self._cut(line)
            for pump in pumps:
                pump.cancel()
            self._lines.discard(line)

    async def _pump(
        self, line: _Line, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.ensure_future(self._send(line, direction, queue, writer))
        due_s = 0.0
        try:
            while True:
                try:
                    data = await reader.read(_CHUNK)
                except OSError:
                    data = b""
                if not data:
                    break
                due_s = max(due_s, self._loop.time() + self._lateness_s())
                queue.put_nowait((due_s, data))
            # What is under way still arrives before the end does.
            queue.put_nowait((due_s, b""))
            await sender
        finally:
            sender.cancel()

    async def _send(
        self,
        line: _Line,
        direction: Direction,
        queue: "asyncio.Queue[tuple[float, bytes]]",
        writer: asyncio.StreamWriter,
    ) -> None:
        while True:
            due_s, data = await queue.get()
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            while direction in self.weather.stalled:
                await asyncio.sleep(0.02)
            if self.weather.swallow:
                continue
            if not data:
                self._cut(line, politely=True)
                return
            if self._is_snared(line, direction, data):
                self._cut(line)
                return
            if not await self._pass_on(line, direction, data, writer):
                return

    async def _pass_on(self, line: _Line, direction: Direction, data: bytes, writer: asyncio.StreamWriter) -> bool:
        weather = self.weather
        cut = self._random.random() < weather.cut_share
        if direction == "up" and weather.cut_after_bytes is not None:
            left = weather.cut_after_bytes - line.passed_up
            cut = cut or left <= len(data)
            data = data[: max(0, left)]
        if weather.bytes_per_s:
            await asyncio.sleep(len(data) / weather.bytes_per_s)
        try:
            writer.write(data)
            await writer.drain()
        except OSError:
            cut = True
        self.passed[direction] += len(data)
        if direction == "up":
            line.passed_up += len(data)
        if cut:
            self._cut(line, politely=weather.cut_politely)
        return not cut

    def _lateness_s(self) -> float:
        weather = self.weather
        late_s = weather.delay_s + self._random.random() * weather.jitter_s
        wait_s = _RETRANSMIT_S + 2 * weather.delay_s
        for _ in range(_MOST_LOSSES):
            if self._random.random() >= weather.loss_share:
                break
            late_s += wait_s
            wait_s *= 2
        return late_s

    def _is_snared(self, line: _Line, direction: Direction, data: bytes) -> bool:
        """Tell whether this is the answer that is to be lost; note what the program asks."""
        if direction == "down":
            return line.doomed
        snare = self.snare
        if snare is not None and self.snared < snare.times:
            # Words may lie across the border of two packets.
            seen = (line.tail + data).lower()
            if not line.armed:
                _, found, after = seen.partition(snare.armed_by.lower())
                line.armed, seen = bool(found), after if found else seen
            if line.armed and snare.reply_to.lower() in seen:
                line.doomed = True
                self.snared += 1
            line.tail = seen[-64:]
        return False

    def _cut(self, line: _Line, *, politely: bool = False) -> None:
        if line.cut.is_set():
            return
        self.cuts += 1
        for writer in line.ends:
            if politely:
                writer.close()
                continue
            connection = writer.get_extra_info("socket")
            if connection is not None and connection.fileno() >= 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        line.cut.set()
