"""`python -m hub` is `rollcall-hub`."""

from hub.cli import main

main()
