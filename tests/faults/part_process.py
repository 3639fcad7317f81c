"""One part of one fault as a process: `python -m tests.faults --task PLACE.PART`, which ends when this program does."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.environment import PROJECT
from deploy.own_process import find_program
from tests.faults.bench import Bench
from tests.faults.catalogue import Line, Outcome, read_lines
from tests.faults.lanes import LONGEST_S, Task


class PartProcess:
    """Implements `tests.faults.lanes.Running`. Its answer is a file with one line. Raises ServerMissing."""

    def __init__(self, task: Task, bench: Bench, folder: Path) -> None:
        self._task = task
        self._how = bench.how
        self._answer = folder / f"{task.place}.{task.part}.json"
        self._began_s = time.monotonic()
        watched = [find_program("setpriv", "util-linux"), "--pdeathsig", "TERM"]
        command = [*watched, sys.executable, "-m", "tests.faults", *_options(task, bench), "--out", str(self._answer)]
        # In a session of its own: Ctrl-C comes to us alone, and we tell each part once.
        self._process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)

    def ended(self) -> bool:
        """Tell whether it is over."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ask it to end everything it has started."""
        if not self.ended():
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it; the kernel ends what it has started."""
        if not self.ended():
            self._process.kill()
            self._process.wait()

    def line(self, *, by_itself: bool) -> Line:
        """Return what came of it."""
        found = read_lines(self._answer) if by_itself else []
        if found:
            return found[0]
        code = self._process.returncode
        reason = f"ended with {code} and said nothing" if by_itself else f"did not end within {LONGEST_S:.0f} s"
        task, took_s = self._task, time.monotonic() - self._began_s
        broken = Outcome("broken", f"the bench itself: {reason}")
        return Line(task.fault.number, task.fault.name, broken, took_s, task.part, self._how)


def _options(task: Task, bench: Bench) -> Sequence[str]:
    options = ["--task", f"{task.place}.{task.part}", "--seed", str(bench.seed), "--kills", str(bench.kills)]
    return [*options, *(["--quick"] if bench.quick else []), *(["--inside"] if bench.alone else [])]
