"""How long to wait before trying again."""


def delay_s(attempt: int, *, first_s: float, most_s: float, jitter: float) -> float:
    """Return the wait before attempt `attempt` (1 is the first repetition).

    Doubles from `first_s` to `most_s`; `jitter` in 0..1 (chosen by the caller) spreads it over 50-100 % of that, so
    that units that lost the hub together do not come back together.
    """
    full = min(most_s, first_s * 2.0 ** min(max(attempt, 1) - 1, 30))
    return full * (0.5 + 0.5 * jitter)
