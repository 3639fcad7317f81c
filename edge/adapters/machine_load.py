"""How warm the processor is and whether it is held back, from the kernel's files; nothing where they are not."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from edge.core.pace import MachineState

_SYS = Path("/sys")
_LEAST_C, _MOST_C = 1.0, 150.0
"""Outside of this a sensor is broken or absent."""
_PROCESSOR_WORDS = ("cpu", "soc", "pkg", "core")
_HELD_BACK_NOW = 0b1110
"""Raspberry Pi firmware's bits for now: frequency capped, throttled, soft temperature limit."""
_WORDS = ("under_voltage", "frequency_capped", "throttled", "too_hot")
"""The same firmware's bits 0 to 3, in words; those from 16 on say what was since the boot."""
_SLOWED_DOWN = "throttled"
_FIRMWARE_TIMEOUT_S = 2.0


def ask_firmware() -> str:
    """Return what `vcgencmd get_throttled` says, such as `throttled=0x50005`; empty where there is no such program."""
    program = shutil.which("vcgencmd")
    if program is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603 (a fixed question to a program of the system)
            [program, "get_throttled"], capture_output=True, timeout=_FIRMWARE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode(errors="replace").strip()


class MachineLoad:
    """`edge.loops.pace.Thermometer` over /sys. One thread; whoever counts by it needs one of its own."""

    def __init__(self, sys_folder: Path = _SYS, firmware: Callable[[], str] = ask_firmware) -> None:
        """Find the files once: which there are does not change while the machine runs."""
        zones = [(zone / "temp", _text(zone / "type").lower()) for zone in _listed(sys_folder, "thermal_zone*/temp")]
        processors = [path for path, kind in zones if any(word in kind for word in _PROCESSOR_WORDS)]
        # A disk or a radio may be hot without any harm to the processor.
        self._temperatures = processors or [path for path, _kind in zones]
        self._firmware = sorted(sys_folder.glob("devices/platform/soc*/*firmware/get_throttled"))
        self._counters = sorted(sys_folder.glob("devices/system/cpu/cpu*/thermal_throttle/package_throttle_count"))
        self._counted = self._told = self._count()
        self._ask_firmware = firmware

    def read(self) -> MachineState:
        """Return how the machine is now, and whether it was held back since the last call. Raises nothing."""
        values = [value for path in self._temperatures if (value := _celsius(path)) is not None]
        counted, before = self._count(), self._counted
        self._counted = counted
        now = any(_number(path, 16) & _HELD_BACK_NOW for path in self._firmware)
        return MachineState(max(values, default=None), now or counted > before)

    def throttled(self) -> tuple[str, ...] | None:
        """Return what slows the processor down now, in the protocol's words; None where nothing tells. Raises nothing.

        Where the kernel counts: what did since the last call, whoever called `read` between. Asks the firmware by a
        program where the kernel has no file for it: for a status, not for every frame.
        """
        bits = self._firmware_bits()
        if bits is not None:
            return tuple(word for number, word in enumerate(_WORDS) if bits >> number & 1)
        if not self._counters:
            return None
        told, self._told = self._told, self._count()
        return (_SLOWED_DOWN,) if self._told > told else ()

    def _firmware_bits(self) -> int | None:
        texts = [_text(path) for path in self._firmware] or [self._ask_firmware().partition("=")[2]]
        found = [bits for text in texts if (bits := _hexadecimal(text)) is not None]
        if not found:
            return None
        combined = 0
        for bits in found:
            combined |= bits
        return combined

    def _count(self) -> int:
        return sum(_number(path, 10) for path in self._counters)


def _listed(sys_folder: Path, pattern: str) -> list[Path]:
    return [path.parent for path in sorted((sys_folder / "class" / "thermal").glob(pattern))]


def _celsius(path: Path) -> float | None:
    thousandths = _number(path, 10)
    value = thousandths / 1000
    return value if _LEAST_C <= value <= _MOST_C else None


def _number(path: Path, base: int) -> int:
    try:
        return int(_text(path), base)
    except ValueError:
        return 0


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        # A sensor that sleeps answers with an error; one that was unplugged is gone.
        return ""
