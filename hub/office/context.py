"""What every office function works with: settings, database, keys, clock and who is acting."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hub.adapters.database import Database
from hub.adapters.key_files import HubKeys
from hub.core.ports import Clock
from hub.settings import HubSettings


@dataclass(frozen=True, slots=True)
class Office:
    """Made by `hub.bootstrap.office.open_office`; a context manager that closes the database's connections."""

    settings: HubSettings
    database: Database
    keys: HubKeys
    clock: Clock
    actor: str
    """Who is acting, as the audit log names them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()
