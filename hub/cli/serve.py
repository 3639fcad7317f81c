"""`rollcall-hub serve`: takes what units say, keeps their galleries announced, derives the register."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from hub.adapters import journal
from hub.bootstrap.service import Service, run_workers
from hub.cli import console
from hub.core.errors import BadInput, BrokerRefused, KeyUnusable, StoreRefused
from hub.core.roles import Role
from hub.loops.workers import REFUSED
from hub.settings import HubSettings
from recognition.core.errors import RecognitionError

EPILOG = (
    "One process is enough for a school. More workers help when thousands of units come back after an outage: "
    "set serve.workers, or give --workers. Several computers may serve one school: start each with --share, with the "
    "same settings and keys.\n\nExample:\n\nrollcall-hub serve --workers 4"
)
app = typer.Typer()


@app.command("serve", epilog=EPILOG)
def serve(
    ctx: typer.Context,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, max=64, help="How many processes serve. Default: serve.workers in the settings."
        ),
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Share the work with hubs on other computers that are started with --share.")
    ] = False,
    worker: Annotated[int | None, typer.Option("--worker", hidden=True)] = None,
    lifeline: Annotated[int | None, typer.Option("--lifeline", hidden=True)] = None,
    greeted: Annotated[int | None, typer.Option("--greeted", hidden=True)] = None,
) -> None:
    """Run the hub until SIGTERM or Ctrl-C. Waits for database and broker when they cannot be reached."""
    journal.set_up()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if worker is None:
        settings = console.settings(ctx)
        role = _role(settings, workers, share=share)
        if role.of > 1:
            run_workers(_command(ctx, role), role.of, stopping)
        else:
            Service(settings, stopping, role).run()
        return
    # All of it: keys, pack and settings may have changed since our parent read them.
    with _refused_for_good():
        settings = console.settings(ctx)
        role = _role(settings, workers, share=share, number=worker)
        Service(settings, stopping, role, lifeline=lifeline, greeted=greeted).run()


def _role(settings: HubSettings, workers: int | None, *, share: bool, number: int = 1) -> Role:
    return Role(number=number, of=workers or settings.serve.workers, several_hosts=share or settings.serve.share)


def _command(ctx: typer.Context, role: Role) -> list[str]:
    config = console.chosen_file(ctx)
    chosen = [] if config is None else ["--config", str(config)]
    share = ["--share"] if role.several_hosts else []
    return [sys.executable, "-m", "hub", *chosen, "serve", "--workers", str(role.of), *share]


@contextmanager
def _refused_for_good() -> Iterator[None]:
    """End with REFUSED for what would be the same at the next try: our parent would start us again and again."""
    try:
        yield
    except (StoreRefused, BrokerRefused, KeyUnusable, BadInput) as exc:
        console.say_error(str(exc), exc.hint)
        raise typer.Exit(REFUSED) from exc
    except RecognitionError as exc:
        console.say_error(str(exc))
        raise typer.Exit(REFUSED) from exc
