"""`python -m edge` is `rollcall-edge`."""

from edge.cli import main

main()
