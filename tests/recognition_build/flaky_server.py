"""A real HTTP server on loopback that misbehaves as told: one plan per request, and a record of what was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Answer:
    """How one request is answered. Ranges are served unless `ranges` is off; `cut_after` drops the connection."""

    content: bytes = b""
    status: int = 200
    etag: str = '"one"'
    cut_after: int | None = None
    ranges: bool = True
    length: int | None = None
    content_range: str | None = None
    send_length: bool = True


@dataclass
class FlakyServer:
    """Answers with its plans in turn, the last one for ever; `asked` holds the Range header of each request."""

    url: str = ""
    plans: list[Answer] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)

    def next_answer(self) -> Answer:
        return self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]


@contextmanager
def flaky_server(*plans: Answer) -> Iterator[FlakyServer]:
    state = FlakyServer(plans=list(plans))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
            state.asked.append(wanted)
            state.conditions.append(condition)
            answer = state.next_answer()
            start = 0
            if wanted and answer.ranges and condition in (None, answer.etag) and answer.status == 200:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            body = answer.content[start:]
            self.send_response(206 if start else answer.status)
            if start:
                total = len(answer.content)
                self.send_header("Content-Range", answer.content_range or f"bytes {start}-{total - 1}/{total}")
            if answer.etag:
                self.send_header("ETag", answer.etag)
            if answer.send_length:
                self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body if answer.cut_after is None else body[: answer.cut_after])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
