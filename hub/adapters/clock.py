"""The system's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Time as the operating system tells it. Safe in any thread."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)  # noqa: TID251 (this is the Clock)

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary moment; never goes back."""
        return time.monotonic()
