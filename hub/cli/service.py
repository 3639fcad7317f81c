"""`rollcall-hub serve`: takes what units say, keeps their galleries announced, derives the register."""

import signal
import threading

import typer

from hub.adapters import journal
from hub.bootstrap import Service
from hub.cli import console


def serve(ctx: typer.Context) -> None:
    """Run the hub until SIGTERM or Ctrl-C. Waits for database and broker when they cannot be reached."""
    journal.set_up()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    Service(console.settings(ctx), stopping).run()
