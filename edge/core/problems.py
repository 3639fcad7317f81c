"""The problems that the conversation with the hub has told of: each once, until it is over or has faded."""

from dataclasses import dataclass, field

from edge.core.actions import Action, Clear, Raise

_FADES_AFTER_S = {
    # Nobody says that the other one is gone.
    "twin_unit": 600.0,
    # Healed as soon as it is noticed; a person should still hear of it.
    "old_copy": 3600.0,
}


@dataclass(slots=True)
class ProblemBook:
    """Leaves out what is no news. One thread; monotonic seconds."""

    _told: dict[str, str] = field(default_factory=dict)
    _fades_s: dict[str, float] = field(default_factory=dict)

    def news(self, actions: list[Action], now_s: float) -> list[Action]:
        """Return the actions without problems that are told already, and without ends of what never began."""
        return [action for action in actions if self._is_news(action, now_s)]

    def faded(self, now_s: float) -> list[Action]:
        """Return the ends of problems that were not seen for long."""
        return [Clear(code) for code, at_s in self._fades_s.items() if now_s >= at_s]

    def is_told(self, code: str) -> bool:
        """Tell whether this is a problem now."""
        return code in self._told

    @property
    def next_due_s(self) -> float:
        """When the next problem fades."""
        return min(self._fades_s.values(), default=float("inf"))

    def _is_news(self, action: Action, now_s: float) -> bool:
        match action:
            case Raise(code, text):
                if code in _FADES_AFTER_S:
                    self._fades_s[code] = now_s + _FADES_AFTER_S[code]
                known, self._told[code] = self._told.get(code), text
                return known != text
            case Clear(code):
                self._fades_s.pop(code, None)
                return self._told.pop(code, None) is not None
            case _:
                return True
