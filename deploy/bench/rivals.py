"""Those who are compared, each in a process of its own: started before the clock runs, asked one after the other."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from deploy.environment import PROJECT, program_environment

START_TIMEOUT_S = 240.0
ANSWER_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 5.0
_ENDED = "it ended"


class RivalLost(Exception):
    """A rival cannot be measured; the message says why in a sentence, and `log` is where it said more."""


@dataclass(frozen=True, slots=True)
class RivalPlan:
    """How a rival is started: `module` of the servant, its arguments, the Python and the variables it runs with."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    python: Path = Path(sys.executable)
    variables: Mapping[str, str] = field(default_factory=dict)


class Rival:
    """One running rival. Use it as a context manager; one thread."""

    def __init__(self, plan: RivalPlan, logs: Path) -> None:
        self.name = plan.name
        self._plan = plan
        self._log = logs / f"{''.join(c if c.isalnum() else '-' for c in plan.name.lower())}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to start; `wait_until_ready` says when it is done, so that several can start together."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [str(self._plan.python), "-m", "deploy.bench.servant", self._plan.module, *self._plan.arguments]
        with self._log.open("wb") as log:
            # In a session of its own: Ctrl-C is ours, and what was measured so far is kept.
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=program_environment(self._plan.variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait for the models to be loaded. Raises RivalLost."""
        self._read(START_TIMEOUT_S)

    def ask(self, do: str, **request: object) -> Any:
        """Send a request and return the answer. Raises RivalLost when the process ended or says nothing."""
        try:
            self._pipe("stdin").write(json.dumps({"do": do, **request}).encode() + b"\n")
            self._pipe("stdin").flush()
        except OSError as exc:
            raise self._lost(_ENDED) from exc
        return self._read(ANSWER_TIMEOUT_S)

    def stop(self) -> None:
        """End the process; does nothing when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(STOP_TIMEOUT_S)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                # What could not be sent any more is of no use to anybody.
                pipe.raw.close() if hasattr(pipe, "raw") else pipe.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self, timeout_s: float) -> Any:
        answers = self._pipe("stdout")
        ready, _, _ = select.select([answers], [], [], timeout_s)
        line = answers.readline() if ready else b""
        if not line:
            raise self._lost(_ENDED if ready else f"no answer in {timeout_s:.0f} s")
        return json.loads(line)

    def _pipe(self, name: str) -> IO[bytes]:
        pipe = getattr(self._process, name, None)
        if pipe is None:
            raise RivalLost("it does not run")
        found: IO[bytes] = pipe
        return found

    def _lost(self, what: str) -> RivalLost:
        if self._process is not None and what == _ENDED:
            # It closes its pipe before it says why it ends; killed now, it would never say.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        self.stop()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return RivalLost(f"{what}: {lines[-1][:160] if lines else 'without a word'} ({self._log})")


@dataclass(slots=True)
class Field:
    """Everybody who takes part, and why the others do not."""

    present: list[Rival] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def bring(self, plans: Sequence[RivalPlan], logs: Path) -> None:
        """Start those who are not there yet, together; who does not come up is noted as absent."""
        known = {rival.name for rival in self.present} | set(self.absent)
        new = [Rival(plan, logs) for plan in plans if plan.name not in known]
        self.present += new
        for rival in new:
            rival.start()
        for rival in new:
            try:
                rival.wait_until_ready()
            except RivalLost as exc:
                self.drop(rival, str(exc))

    def drop(self, rival: Rival, reason: str) -> None:
        """Note that a rival is out of it."""
        rival.stop()
        self.present.remove(rival)
        self.absent[rival.name] = reason

    def named(self, name: str) -> Rival | None:
        """Return a rival that is present."""
        return next((rival for rival in self.present if rival.name == name), None)

    def why_absent(self, name: str) -> str:
        """Return why a rival is not present."""
        return self.absent.get(name, "it was not started")

    def ask(self, rival: Rival, do: str, **request: object) -> Any:
        """Return a rival's answer, or None when it is lost, which is noted."""
        try:
            return rival.ask(do, **request)
        except RivalLost as exc:
            self.drop(rival, str(exc))
            return None

    def stop(self) -> None:
        """End all."""
        for rival in self.present:
            rival.stop()
