"""A unit on the bench: its folder, its program with scripted eyes, and the file of what it has committed."""

import signal
from pathlib import Path
from typing import Any

from deploy.own_process import wait_until
from deploy.programs import read_json, run_command
from tests.faults import records
from tests.faults.checker import UnitRecord
from tests.faults.parts import Part, settings_variables
from tests.faults.scripted_eyes import HEIGHT_PX, WIDTH_PX
from tests.faults.scripted_unit import RUNS

FAST = {
    "camera__width_px": WIDTH_PX,
    "camera__height_px": HEIGHT_PX,
    "camera__frames_per_s": 10,
    "recognition__min_face_px": 60,
    "recognition__smallest_face_px": 40,
    "presence__absence_s": 5,
    "presence__coverage_every_s": 5,
    "delivery__status_every_s": 1,
    "delivery__drain_s": 60,
    "broker__keepalive_s": 5,
}
"""Settings of a unit on the bench: small pictures, and a day's work in a minute."""
SETTLE_S = 120.0


class BenchUnit:
    """A unit: its folder, its program, and the file of what it has committed."""

    def __init__(self, label: str, unit_id: str, folder: Path, broker_port: int, seed: int) -> None:
        self.label = label
        self.unit_id = unit_id
        self.folder = folder
        self.data_dir = folder / "data"
        self.truth = folder / "truth"
        self.camera_fault = folder / "camera.unplugged"
        self.replaced = False
        arguments = ["--config", str(folder / "edge.toml"), "--truth", str(self.truth), "--seed", str(seed)]
        arguments += ["--camera-fault", str(self.camera_fault)]
        self.program = Part(label, folder, "tests.faults.scripted_unit", arguments, RUNS)
        self.set(broker__port=broker_port)

    def set(self, **changes: object) -> None:
        """Change settings of the next start."""
        self.program.variables |= settings_variables("edge", FAST | changes)

    def committed(self) -> int:
        """Return how many events its program has committed, by its own file."""
        return len(records.read_lines(self.truth))

    def waiting(self) -> int:
        """Return how many events wait on its disk."""
        return records.waiting(self.data_dir)

    def record(self) -> UnitRecord:
        """Return everything it holds."""
        return records.read_unit(self.unit_id, self.data_dir, self.truth, replaced=self.replaced)

    def wait_for(self, more: int, timeout_s: float = 60) -> bool:
        """Wait until it has committed so many events more."""
        wanted = self.committed() + more
        return wait_until(lambda: self.committed() >= wanted, timeout_s)

    def begin(self, *extra: str) -> None:
        """Start the program with these arguments more than usual."""
        self.program.extra = list(extra)
        self.program.start()

    def command(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> Any:
        """Run a command of the real unit; return what it printed as JSON when `--json` is among the arguments."""
        done = run_command(
            "edge",
            [*arguments, "--config", str(self.folder / "edge.toml")],
            folder=self.folder,
            variables=self.program.variables,
            allowed=allowed,
        )
        return read_json(done) if "--json" in arguments else done.stdout

    def quieten(self) -> None:
        """Begin anew with nobody coming any more, without waiting; nothing is done when that is so already."""
        if self.program.running and self.program.extra == ["--students", "0"]:
            return
        self.program.kill()
        self.program.wrapper = []
        self.program.extra = ["--students", "0"]
        self.program.launch()

    def finish(self, timeout_s: float = SETTLE_S) -> str | None:
        """Deliver everything with nobody coming any more, and end; return what went wrong, or None."""
        self.quieten()
        for _ in range(3):
            self.begin("--students", "0")
            # Before it has said so it may still have something to write down, and does not know our signal.
            wait_until(lambda: self.program.ready or not self.program.running, 30)
            if not wait_until(lambda: self.waiting() == 0 or not self.program.running, timeout_s):
                return f"{self.waiting()} events of {self.label} were not delivered within {timeout_s:.0f} s"
            if self.program.running:
                self.program.signal(signal.SIGUSR1)
            code = self.program.wait_for_end(90)
            self.program.stop()
            if code == 0 and self.waiting() == 0:
                return None
        words = self.program.all_words()[-400:]
        return f"{self.label} ends with {code} and {self.waiting()} events wait: {words}"
