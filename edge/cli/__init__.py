"""`rollcall-edge`: the unit's program and its commands."""

import os
import sys

# Before NumPy is imported anywhere: BLAS threads would fight the inference threads for the cores (79 against 48 ms a
# frame on two cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 (sets, does not read)


def main() -> None:
    """Run the command line."""
    try:
        from edge.cli.commands import app
    except KeyboardInterrupt:
        # On a small machine this takes a while; what a command itself needs is loaded within the command.
        sys.exit(130)
    app()
