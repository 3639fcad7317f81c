"""Where a face is going: its place, speed and size, guessed from the boxes seen so far, in seconds and face widths.

A Kalman filter over a walk whose speed dies away: nobody keeps a direction for ever, so a face that is not seen drifts
to a stop instead of out of the picture. The steps between frames are solved exactly, so that looking ahead once by a
second or ten times by a tenth is the same. Distances are counted in widths of the face: the same person moves by fewer
pixels at the back of the room.
"""

from dataclasses import dataclass
from math import exp, expm1, log

from recognition.core.face import Box

SMALLEST_PX = 1e-3
FURTHEST_PX = 1e6
"""Bounds within which no formula here can overflow."""


@dataclass(frozen=True, slots=True)
class Wander:
    """How one coordinate of a face moves and how well a detector measures it, in face widths (log widths for size)."""

    settle_s: float
    """Time in which a speed of which nothing more is known falls to 37 %."""
    push: float
    """How strongly the speed changes by itself: its variance grows by this a second, (widths/s)^2 / s."""
    first_speed: float
    """Standard deviation of the speed of a face just found, widths/s."""
    jitter: float
    """Standard deviation of a detector's measurement, widths."""


PLACE = Wander(settle_s=1.5, push=1.0, first_speed=2.0, jitter=0.07)
SIZE = Wander(settle_s=1.0, push=0.02, first_speed=0.25, jitter=0.07)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is not known of a coordinate: variance of the place, covariance, variance of the speed."""

    place: float
    shared: float
    speed: float

    @staticmethod
    def first(wander: Wander) -> "Doubt":
        """Return what is known after one look: the place as well as it was measured, the speed hardly."""
        return Doubt(wander.jitter**2, 0.0, wander.first_speed**2)

    def after(self, wander: Wander, elapsed_s: float) -> "Doubt":
        """Return the doubt `elapsed_s` later."""
        tau, q = wander.settle_s, wander.push
        kept = exp(-elapsed_s / tau)
        way = -tau * expm1(-elapsed_s / tau)
        # What the pushes add, integrated over the time between: the closed form, so that steps can be cut in pieces.
        more_speed = q * tau / 2 * (1 - kept * kept)
        more_shared = q / 2 * way * way
        more_place = q * tau * tau * (elapsed_s - way - way * way / (2 * tau))
        return Doubt(
            self.place + 2 * way * self.shared + way * way * self.speed + max(0.0, more_place),
            kept * (self.shared + way * self.speed) + more_shared,
            kept * kept * self.speed + more_speed,
        )

    def seen(self, wander: Wander) -> tuple[float, float, "Doubt"]:
        """Return how far a measurement moves place and speed, and the doubt that is left."""
        total = self.place + wander.jitter**2
        gain, pull = self.place / total, self.shared / total
        left = Doubt((1 - gain) * self.place, (1 - gain) * self.shared, self.speed - pull * self.shared)
        return gain, pull, left


@dataclass(frozen=True, slots=True)
class Motion:
    """A face that moves: centre in pixels, speed in pixels/s, size as log width, growth of that a second."""

    at_s: float
    x: float
    y: float
    size: float
    speed_x: float
    speed_y: float
    growth: float
    height: float
    """Height of the box in widths."""
    place_doubt: Doubt
    size_doubt: Doubt

    @staticmethod
    def begin(box: Box, at_s: float) -> "Motion":
        """Start with one box, which must be `usable`."""
        x, y = box.centre
        shape = box.height / box.width
        return Motion(at_s, x, y, log(box.width), 0.0, 0.0, 0.0, shape, Doubt.first(PLACE), Doubt.first(SIZE))

    @property
    def width(self) -> float:
        """Expected width in pixels."""
        return exp(self.size)

    @property
    def box(self) -> Box:
        """Where the face is expected."""
        width = self.width
        height = width * self.height
        return Box(self.x - width / 2, self.y - height / 2, width, height)

    def ahead(self, at_s: float) -> "Motion":
        """Return what is expected at `at_s`, which is not before `self.at_s`."""
        elapsed_s = at_s - self.at_s
        kept = exp(-elapsed_s / PLACE.settle_s)
        way = -PLACE.settle_s * expm1(-elapsed_s / PLACE.settle_s)
        grown = -SIZE.settle_s * expm1(-elapsed_s / SIZE.settle_s)
        return Motion(
            at_s,
            self.x + way * self.speed_x,
            self.y + way * self.speed_y,
            self.size + grown * self.growth,
            kept * self.speed_x,
            kept * self.speed_y,
            exp(-elapsed_s / SIZE.settle_s) * self.growth,
            self.height,
            self.place_doubt.after(PLACE, elapsed_s),
            self.size_doubt.after(SIZE, elapsed_s),
        )

    def corrected(self, box: Box) -> "Motion":
        """Return what is believed after `box` (`usable`) was seen now."""
        x, y = box.centre
        off_x, off_y, off_size = x - self.x, y - self.y, log(box.width) - self.size
        gain, pull, place_doubt = self.place_doubt.seen(PLACE)
        size_gain, size_pull, size_doubt = self.size_doubt.seen(SIZE)
        return Motion(
            self.at_s,
            self.x + gain * off_x,
            self.y + gain * off_y,
            self.size + size_gain * off_size,
            self.speed_x + pull * off_x,
            self.speed_y + pull * off_y,
            self.growth + size_pull * off_size,
            self.height + size_gain * (box.height / box.width - self.height),
            place_doubt,
            size_doubt,
        )

    def surprise(self, box: Box) -> float:
        """Return how badly `box` (`usable`) fits: the negative log likelihood, up to a constant.

        The tails are heavy: heads do jerk and boxes do jump, and one jump must not outweigh everything else.
        """
        x, y = box.centre
        place = self.place_doubt.place + PLACE.jitter**2
        size = self.size_doubt.place + SIZE.jitter**2
        away = ((x - self.x) ** 2 + (y - self.y) ** 2) / (self.width**2 * place)
        grown = (log(box.width) - self.size) ** 2 / size
        return _tail(away, 2) + log(place) + _tail(grown, 1) + log(size) / 2


def usable(box: Box) -> bool:
    """Tell whether a box can be reckoned with: it has sides, and they are numbers of pixels that a picture can have."""
    # Written out, for this is asked of every face and track of every frame. What is no number is within no bounds.
    return (
        -FURTHEST_PX <= box.x <= FURTHEST_PX
        and -FURTHEST_PX <= box.y <= FURTHEST_PX
        and SMALLEST_PX <= box.width <= FURTHEST_PX
        and SMALLEST_PX <= box.height <= FURTHEST_PX
    )


def _tail(square: float, dimensions: int) -> float:
    """Return the negative log density of Student's distribution (5 degrees) at a squared distance in deviations."""
    return (5 + dimensions) / 2 * log(1 + square / 5)
