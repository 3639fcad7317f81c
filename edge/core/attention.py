"""Where to look in a frame: nowhere, where faces are followed, where something moved, or everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edge.core.motion import CELL_PX, Cells, Changes, MotionLimits, around, cells, changes, is_enough, within
from recognition.core.face import Box, Image

Search = Literal["nowhere", "region", "everywhere"]


@dataclass(frozen=True, slots=True)
class AttentionLimits:
    """How often is looked for new faces."""

    look_anyway_s: float = 5.0
    """The whole picture is searched this often although nothing moved: somebody may stand still from the start."""
    search_every_s: float = 0.4
    """Where something moved and no known face explains it, a search follows this soon and not sooner."""
    search_again_s: float = 0.1
    """After a face was lost where it was expected, the picture is searched this soon: it moved faster than expected."""
    grown: float = 1.5
    """A person moves more than the face: changes this far around it, in face widths to each side, are theirs."""
    grown_down: float = 5.0
    """The same downwards, where the body is."""
    margin_px: int = 64
    """What is searched around the changed cells: a face lies beside the shoulder that moved."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a frame. `region` is what to search for `search` = "region"; `moved` are the tracks to follow."""

    search: Search
    region: Box | None
    moved: frozenset[int]

    @property
    def still(self) -> bool:
        """True when there is nothing to look at."""
        return self.search == "nowhere" and not self.moved


@dataclass(slots=True)
class Attention:
    """Plans each frame from what changed since frames before. One thread.

    Cells are compared with those of the last frame that was looked at, so a slow change adds up until it counts.
    """

    motion: MotionLimits = field(default_factory=MotionLimits)
    limits: AttentionLimits = field(default_factory=AttentionLimits)
    _before: Cells | None = None
    _searched_at_s: float = float("-inf")
    _whole_at_s: float = float("-inf")
    """When all of the picture was last searched: parts of it, searched again and again, are no reason to wait."""
    _owed: bool = False
    """A face was missed when it was too soon for another search."""
    _unexplained: Changes | None = None

    def plan(self, image: Image, at_s: float, expected: Mapping[int, Box]) -> Plan:
        """Return where to look, given where the tracked faces are expected (pixels) at `at_s` (seconds)."""
        now = cells(image)
        if self._before is None or self._before.shape != now.shape or now.size == 0:
            return self._everywhere(now, at_s, expected)
        changed = changes(now, self._before, self.motion)
        waited_s = at_s - self._searched_at_s
        owed = self._owed and waited_s >= self.limits.search_again_s
        if owed or at_s - self._whole_at_s >= self.limits.look_anyway_s:
            return self._everywhere(now, at_s, expected)
        moved: frozenset[int] = frozenset()
        if is_enough(changed, self.motion):
            # Only where something changed: what changes slowly elsewhere has to add up until it counts.
            self._before = np.where(changed, now, self._before)
            self._add_unexplained(changed, expected)
            moved = frozenset(i for i, box in expected.items() if within(changed, _grown(box, 0.3, 0.3)).any())
        unexplained = self._unexplained
        too_soon = waited_s < self.limits.search_every_s
        if unexplained is None or too_soon or not is_enough(unexplained, self.motion):
            return Plan("nowhere", None, moved)
        region = _window(around(unexplained), image.shape[1], image.shape[0], self.limits.margin_px)
        self.searched(at_s, whole=region is None)
        return Plan("everywhere" if region is None else "region", region, moved)

    def may_search_again(self, at_s: float) -> bool:
        """Say whether a face that is not where it was expected may be searched for in the same frame."""
        return at_s - self._searched_at_s >= self.limits.search_again_s

    def searched(self, at_s: float, *, whole: bool = True) -> None:
        """Note that a search was made: what changed before it is settled."""
        self._searched_at_s, self._unexplained = at_s, None
        if whole:
            self._whole_at_s, self._owed = at_s, False

    def missed(self) -> None:
        """Note that a face was not where it was expected and not searched for: that is owed to a later frame."""
        self._owed = True

    def _everywhere(self, now: Cells, at_s: float, expected: Mapping[int, Box]) -> Plan:
        self._before = now
        self.searched(at_s)
        return Plan("everywhere", None, frozenset(expected))

    def _add_unexplained(self, changed: Changes, expected: Mapping[int, Box]) -> None:
        fresh = changed.copy()
        for box in expected.values():
            within(fresh, _grown(box, self.limits.grown, self.limits.grown_down))[:] = False
        self._unexplained = fresh if self._unexplained is None else self._unexplained | fresh


def _grown(box: Box, share: float, share_down: float) -> Box:
    """Return the box with so many of its widths added to each side and below."""
    side, down = share * box.width, share_down * box.width
    return Box(box.x - side, box.y - side, box.width + 2 * side, box.height + side + down)


def _window(changed: Box | None, width: int, height: int, margin_px: int) -> Box | None:
    """Return a quarter of the picture, half as wide and half as high, that holds the changes; None when none does.

    Only this one size: every size of picture costs a detector its own preparation and tens of megabytes.
    """
    if changed is None:
        return None
    left, half_width = _half(changed.x - margin_px, changed.x + changed.width + margin_px, width)
    top, half_height = _half(changed.y - margin_px, changed.y + changed.height + margin_px, height)
    if half_width == width or half_height == height:
        return None
    return Box(left, top, half_width, half_height)


def _half(start: float, stop: float, size: int) -> tuple[int, int]:
    """Return the place and length of a half of `size` around start..stop, or all of it."""
    start, stop = max(0.0, start), min(float(size), stop)
    half = size // 2
    if stop - start > half or half < 2 * CELL_PX:
        return 0, size
    middle = (start + stop) / 2
    return int(np.clip(round(middle - half / 2), 0, size - half)), half
