"""The hub's real program, which may be told to kill itself at a named place: `[--crash NAME:K] -- ARGUMENTS`."""

import sys

from tests.faults.crash_points import DDL_POINT, CrashPoint, arm_ddl, arm_hub


def main() -> None:
    """Arm the crash point, then be `rollcall-hub`."""
    own, rest = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, rest = own[:at], own[at + 1 :]
    if own[:1] == ["--crash"]:
        point = CrashPoint.parse(own[1])
        arm = arm_ddl if point.name == DDL_POINT else arm_hub
        arm(point)
    from hub.cli import main as hub

    sys.argv = ["rollcall-hub", *rest]
    hub()


if __name__ == "__main__":
    main()
