"""A rival's own process: `python -m deploy.bench.servant MODULE ARGUMENT...` answers requests, a JSON line each.

Runs in the environment of the rival, which need not be ours: only the standard library and NumPy are imported here.
`MODULE` has a function `open_rival(*ARGUMENTS)`; each request names a method of what it returns.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Answer until there are no more requests."""
    # Libraries print to standard output as they like; what stays of it after this line is ours alone.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        module, *arguments = sys.argv[1:]
        rival = importlib.import_module(module).open_rival(*arguments)
        _answer(answers, {"ready": True})
        for line in sys.stdin:
            request = json.loads(line)
            do = request.pop("do")
            _answer(answers, memory_mb() if do == "memory" else getattr(rival, do)(**request))
    return 0


def memory_mb() -> dict[str, float]:
    """Return how much memory this process holds and the most it ever held, in megabytes (10^6 bytes)."""
    return read_memory_mb(Path("/proc/self/status"))


def read_memory_mb(status: Path) -> dict[str, float]:
    """Return `peak` and `now` of a process's status file. Raises OSError."""
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines() if ":" in line)
    return {name: int(fields[key].split()[0]) * 1024 / 1e6 for name, key in (("peak", "VmHWM"), ("now", "VmRSS"))}


def _answer(answers: Any, content: object) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
