"""What every command has in common: errors as sentences with a remedy, exit codes, JSON for scripts."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from edge.core.errors import EdgeError, SettingsWrong
from recognition.core.errors import RecognitionError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_PIPED_WIDTH = 240


class _Output(Console):
    def on_broken_pipe(self) -> None:
        # Rich itself would end the program with a failure; `explained` knows better.
        raise BrokenPipeError


errors = _Output(stderr=True, highlight=False)
# Into a pipe or a file, lines are not folded: an id on two lines is found by no grep.
console = _Output(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)

P = ParamSpec("P")
R = TypeVar("R")


def fail(message: str, hint: str = "", code: int = FAILED) -> typer.Exit:
    """Print a sentence and its remedy; return the exception that ends the command."""
    errors.print(f"[red]problem:[/] {escape(message)}", soft_wrap=True)
    if hint:
        errors.print(f"[green]fix:[/] {escape(hint)}", soft_wrap=True)
    return typer.Exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """Turn this program's own errors into a sentence and an exit code."""
    try:
        yield
        # Here and not at the end of the interpreter, where a reader who left would make the program look failed.
        sys.stdout.flush()
    except SettingsWrong as exc:
        raise fail(str(exc), exc.hint, USAGE) from exc
    except EdgeError as exc:
        raise fail(str(exc), exc.hint) from exc
    except RecognitionError as exc:
        raise fail(Exception.__str__(exc), exc.hint) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(INTERRUPTED) from exc
    except BrokenPipeError:
        # `rollcall-edge events | head`: the reader has seen enough. What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(OK) from None


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function a command whose errors are explained."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with explained():
            return function(*args, **kwargs)

    return wrapper


def print_json(value: Any) -> None:
    """Print one JSON value on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
