"""How warm the machine is: from the kernel's files as different machines have them; nothing where there are none."""

from pathlib import Path

import pytest

from edge.adapters.machine_load import MachineLoad, ask_firmware
from edge.core.pace import MachineState

PI = "devices/platform/soc/soc:firmware/get_throttled"
INTEL = "devices/system/cpu/cpu{}/thermal_throttle/package_throttle_count"


def write(sys_folder: Path, name: str, text: str) -> None:
    path = sys_folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def zone(sys_folder: Path, number: int, kind: str, temp: str) -> None:
    write(sys_folder, f"class/thermal/thermal_zone{number}/type", f"{kind}\n")
    write(sys_folder, f"class/thermal/thermal_zone{number}/temp", f"{temp}\n")


def test_a_machine_without_sensors_says_nothing(tmp_path: Path) -> None:
    assert MachineLoad(tmp_path).read() == MachineState(None, throttled=False)


def test_this_machine_can_be_read() -> None:
    celsius = MachineLoad().read().celsius
    assert celsius is None or 1 <= celsius <= 150


def test_a_raspberry_pi_says_its_processors_temperature(tmp_path: Path) -> None:
    zone(tmp_path, 0, "cpu-thermal", "61355")
    assert MachineLoad(tmp_path).read() == MachineState(61.355)


def test_the_warmest_part_of_the_processor_counts_and_a_radio_does_not(tmp_path: Path) -> None:
    zone(tmp_path, 0, "acpitz", "27800")
    zone(tmp_path, 1, "x86_pkg_temp", "71000")
    zone(tmp_path, 2, "coretemp", "73000")
    zone(tmp_path, 3, "iwlwifi_1", "90000")
    assert MachineLoad(tmp_path).read().celsius == 73.0


def test_where_no_sensor_is_named_after_the_processor_the_warmest_one_counts(tmp_path: Path) -> None:
    zone(tmp_path, 0, "acpitz", "41000")
    zone(tmp_path, 1, "acpitz", "48000")
    assert MachineLoad(tmp_path).read().celsius == 48.0


@pytest.mark.parametrize("temp", ["", "hot", "-273200", "0", "999999999"])
def test_a_broken_sensor_says_nothing(tmp_path: Path, temp: str) -> None:
    zone(tmp_path, 0, "cpu-thermal", temp)
    assert MachineLoad(tmp_path).read().celsius is None


def test_a_sensor_that_goes_away_says_nothing(tmp_path: Path) -> None:
    zone(tmp_path, 0, "cpu-thermal", "61355")
    machine = MachineLoad(tmp_path)
    (tmp_path / "class/thermal/thermal_zone0/temp").unlink()
    assert machine.read().celsius is None


@pytest.mark.parametrize(
    ("bits", "throttled"),
    [("0", False), ("50000", False), ("50005", True), ("2", True), ("8", True), ("1", False), ("", False)],
    ids=["fine", "was throttled once", "now", "capped", "soft limit", "weak supply alone", "unreadable"],
)
def test_a_raspberry_pi_says_whether_it_is_held_back_now(tmp_path: Path, bits: str, throttled: bool) -> None:
    write(tmp_path, PI, f"{bits}\n")
    assert MachineLoad(tmp_path).read().throttled is throttled


def test_a_processor_that_counts_is_held_back_when_the_count_rose_since_the_last_look(tmp_path: Path) -> None:
    write(tmp_path, INTEL.format(0), "7")
    write(tmp_path, INTEL.format(1), "7")
    machine = MachineLoad(tmp_path)
    assert not machine.read().throttled
    write(tmp_path, INTEL.format(1), "8")
    assert machine.read().throttled
    assert not machine.read().throttled


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ("0", ()),
        ("50000", ()),
        ("50005", ("under_voltage", "throttled")),
        ("f", ("under_voltage", "frequency_capped", "throttled", "too_hot")),
        ("8", ("too_hot",)),
    ],
)
def test_a_raspberry_pi_says_in_words_what_slows_it_down(tmp_path: Path, bits: str, words: tuple[str, ...]) -> None:
    assert MachineLoad(tmp_path, lambda: f"throttled=0x{bits}").throttled() == words
    write(tmp_path, PI, f"{bits}\n")
    assert MachineLoad(tmp_path, lambda: "never asked where there is a file").throttled() == words


@pytest.mark.parametrize("answer", ["", "error=2 error_msg='Command not registered'", "throttled=", "VCHI failed"])
def test_a_machine_that_tells_nothing_of_it_is_not_said_to_be_fine(tmp_path: Path, answer: str) -> None:
    assert MachineLoad(tmp_path, lambda: answer).throttled() is None


def test_a_mini_pc_that_counts_says_that_it_is_slowed_down(tmp_path: Path) -> None:
    write(tmp_path, INTEL.format(0), "7")
    machine = MachineLoad(tmp_path, lambda: "")
    assert machine.throttled() == ()
    write(tmp_path, INTEL.format(0), "9")
    assert machine.throttled() == ("throttled",)
    assert machine.throttled() == ()


def test_how_warm_it_is_may_be_read_before_without_losing_that_it_was_slowed_down(tmp_path: Path) -> None:
    """A status asks for both, one after the other."""
    write(tmp_path, INTEL.format(0), "7")
    machine = MachineLoad(tmp_path, lambda: "")
    write(tmp_path, INTEL.format(0), "9")
    assert machine.read().throttled
    assert machine.throttled() == ("throttled",)
    assert machine.throttled() == ()


def test_this_machines_firmware_can_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the real program where there is one; with none; with one that hangs or fails."""
    MachineLoad().throttled()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_firmware() == ""
    program = tmp_path / "vcgencmd"
    program.write_text("#!/bin/sh\necho throttled=0x5\n")
    program.chmod(0o700)
    assert ask_firmware() == "throttled=0x5"
    program.write_text("#!/nonexistent\n")
    assert ask_firmware() == ""
