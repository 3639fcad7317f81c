"""The hub's key: what it has sealed, changing it while everything goes on, forgetting the one before.

Changing it takes these steps, each of which can be the last before a crash; the same command then goes on.
1. `hub.key.next` is written. From now on whatever is new is sealed with it, and both open.
2. Units' keys, templates and pictures are re-sealed with it, some at a time, until a pass finds none of before.
3. The files are swapped: `hub.key` is kept as `hub.key.old`, `hub.key.next` becomes `hub.key`.
4. `forget_old` deletes `hub.key.old` when nothing needs it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, literal, select

from hub.adapters import audit_log, gallery_store, reseal_store
from hub.adapters.key_files import HubKeys, alone_in, create_key, delete_key, made_at, replace_key
from hub.adapters.key_ring import key_id_of
from hub.adapters.reseal_store import BEFORE_ALL, KINDS, SealedKind
from hub.adapters.schema import audit
from hub.core.errors import Conflict, KeyUnusable, StoreRefused
from hub.office.context import Office

Role = Literal["in use", "next", "old"]
Progress = Callable[[int, int], None]
"""Told how many rows are done, and of how many."""

_MOST_PASSES = 20


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key of the hub and what it has sealed. The key itself is nowhere here."""

    role: Role
    key_id: str
    file: Path
    made_at: datetime
    rows: dict[str, int]
    """How many templates, photos and units' keys."""


@dataclass(frozen=True, slots=True)
class KeysShown:
    """All keys, and what does not belong to any."""

    keys: tuple[KeyLine, ...]
    unnoted: dict[str, int]
    """Rows that do not say their key, and that were not tried."""
    damaged: dict[str, int]
    """Rows that no key opens, or that say a key that is not here."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    outcome: Literal["rotated", "finished", "resealed"]
    """`finished`: of an earlier rotation, rows that came late. `resealed`: the files are others' to change."""
    key_id: str
    resealed: dict[str, int]
    damaged: dict[str, int]
    """Rows that no key opens: they are as they were."""


def show(office: Office) -> KeysShown:
    """Return the hub's keys and how many rows each has sealed. Raises KeyUnusable, StoreUnavailable."""
    keys = office.keys
    known = keys.hub_keys()
    counts = office.database.run(
        lambda connection: {kind.name: reseal_store.counted(connection, kind, known) for kind in KINDS}
    )
    lines = []
    for role, file in _files(keys):
        key_id = key_id_of(keys.read(file))
        rows = {name: found[key_id] for name, found in counts.items()}
        lines.append(KeyLine(role, key_id, keys.place_of(file), made_at(keys.place_of(file)), rows))
    ids = {line.key_id for line in lines}
    unnoted = {name: found[reseal_store.UNKNOWN] for name, found in counts.items()}
    strange = {
        name: sum(rows for key_id, rows in found.items() if key_id not in ids and key_id != reseal_store.UNKNOWN)
        for name, found in counts.items()
    }
    return KeysShown(tuple(lines), unnoted, strange)


def _files(keys: HubKeys) -> list[tuple[Role, Path]]:
    files: list[tuple[Role, Path]] = [("in use", keys.hub_key_file)]
    files += [("next", keys.next_key_file)] if keys.is_known(keys.next_key_file) else []
    return files + ([("old", keys.old_key_file)] if keys.is_known(keys.old_key_file) else [])


def rotate(office: Office, progress: Progress | None = None) -> Rotated:
    """Replace the hub's key by a new one, or go on where an earlier run stopped. Hubs may run meanwhile.

    With an old key that was not forgotten yet, what is still sealed with it is re-sealed and nothing else is done.
    Raises KeyUnusable, Conflict (somebody else is at it), StoreRefused (the key opens nothing here), StoreUnavailable.
    """
    keys = office.keys
    keys.hub_keys()
    with alone_in(keys.folder()):
        kept = keys.is_own(keys.old_key_file) and not _same_key(keys, keys.old_key_file, keys.hub_key_file)
        if keys.is_known(keys.next_key_file):
            if kept:
                raise Conflict(
                    f"there are {keys.next_key_file.name} and an older {keys.old_key_file.name}",
                    hint=f"put {keys.next_key_file} aside and run: rollcall-hub keys rotate",
                )
            return _go_on(office, progress)
        if kept or (keys.is_known(keys.old_key_file) and not keys.is_own(keys.old_key_file)):
            return _finish(office, progress)
        _begin(office)
        return _go_on(office, progress)


def _same_key(keys: HubKeys, one: Path, other: Path) -> bool:
    return keys.read(one) == keys.read(other)


def _begin(office: Office) -> None:
    keys = office.keys
    if not keys.is_own(keys.hub_key_file) or keys.hub_key_file.is_symlink():
        raise KeyUnusable(
            f"{keys.place_of(keys.hub_key_file)} cannot be replaced from here: it is a credential of the service, "
            "or a link to elsewhere",
            hint=f"make 32 random bytes, give them to the hub as {keys.next_key_file.name} beside the key where that "
            "is kept, start the hub anew, and run this again with the same credentials",
        )
    if office.database.run(lambda connection: gallery_store.opens_something(connection, keys.ring())) is False:
        raise StoreRefused(
            "the hub's key opens nothing in this database: it was made with another one",
            hint="is keys.hub_key_file the key this database was made with?",
        )
    create_key(keys.next_key_file)


def _go_on(office: Office, progress: Progress | None) -> Rotated:
    keys = office.keys
    before, key = key_id_of(keys.read(keys.hub_key_file)), keys.hub_keys()[0]
    if key_id_of(key) == before:
        # Somebody's copy: with the same key twice nothing would be replaced.
        raise KeyUnusable(f"{keys.next_key_file} holds the key that is in use", hint=f"delete {keys.next_key_file}")
    detail: dict[str, audit_log.Json] = {"from": before, "to": key_id_of(key)}
    _record_once(office, "keys.rotate_begin", key, detail)
    resealed, damaged = _reseal_all(office, key, progress)
    if not keys.is_own(keys.next_key_file) or not keys.is_own(keys.hub_key_file):
        return Rotated("resealed", key_id_of(key), resealed, damaged)
    replace_key(keys.hub_key_file, keys.next_key_file, keys.old_key_file)
    _record_once(office, "keys.rotate", key, detail)
    return Rotated("rotated", key_id_of(key), resealed, damaged)


def _finish(office: Office, progress: Progress | None) -> Rotated:
    """Re-seal what a program that had not seen the new key yet sealed with the old one."""
    keys = office.keys
    key = keys.hub_keys()[0]
    detail: dict[str, audit_log.Json] = {"from": key_id_of(keys.read(keys.old_key_file)), "to": key_id_of(key)}
    _record_once(office, "keys.rotate", key, detail)
    resealed, damaged = _reseal_all(office, key, progress)
    return Rotated("finished", key_id_of(key), resealed, damaged)


def _reseal_all(office: Office, key: bytes, progress: Progress | None) -> tuple[dict[str, int], dict[str, int]]:
    """Re-seal until a pass finds nothing; return how many rows of each kind were re-sealed, and were damaged."""
    resealed, damaged = {}, {}
    total = office.database.run(lambda connection: sum(reseal_store.waiting(connection, kind, key) for kind in KINDS))
    done = 0

    def told(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(done, max(done, total))

    for kind in KINDS:
        resealed[kind.name] = 0
        for _ in range(_MOST_PASSES):
            # Again until there was nothing: somebody may have sealed a row meanwhile who knew of no new key.
            found, damaged[kind.name] = _pass(office, kind, key, told)
            resealed[kind.name] += found
            if not found:
                break
    return resealed, damaged


def _pass(office: Office, kind: SealedKind, key: bytes, told: Callable[[int], None]) -> tuple[int, int]:
    resealed, damaged, after = 0, 0, BEFORE_ALL
    while True:
        done = office.database.run(
            partial(reseal_store.reseal, kind=kind, ring=office.keys.ring(), key=key, after=after)
        )
        resealed, damaged = resealed + done.resealed, damaged + len(done.damaged)
        told(done.resealed)
        if done.last is None:
            return resealed, damaged
        after = done.last


def forget_old(office: Office) -> str:
    """Delete the key that was replaced and return its id.

    Raises Conflict when there is none, while a rotation is not at its end, or while a row needs it.
    """
    keys = office.keys
    with alone_in(keys.folder()):
        if not keys.is_own(keys.old_key_file):
            raise Conflict("there is no old key to forget", hint="see: rollcall-hub keys show")
        if keys.is_own(keys.next_key_file):
            raise Conflict("the key is being replaced", hint="first finish it: rollcall-hub keys rotate")
        old, current = keys.read(keys.old_key_file), keys.hub_keys()[0]
        need = office.database.run(lambda connection: _needing(connection, old, current))
        if need:
            said = ", ".join(f"{rows} {name}" for name, rows in sorted(need.items()))
            raise Conflict(f"the old key is still needed: {said}", hint="re-seal them: rollcall-hub keys rotate")
        # Recorded first: a key that is gone without a word of it could not be told from a lost one.
        detail: dict[str, audit_log.Json] = {"key_id": key_id_of(old)}
        _record_once(office, "keys.forget_old", old, detail)
        delete_key(keys.old_key_file)
        return key_id_of(old)


def _needing(connection: Connection, old: bytes, current: bytes) -> Counter[str]:
    """Return how many rows of each kind the old key opens and the present one does not."""
    need: Counter[str] = Counter()
    for kind in KINDS:
        need[kind.name] = reseal_store.counted(connection, kind, (current, old), try_all=True)[key_id_of(old)]
    return +need


def _record_once(office: Office, action: str, key: bytes, detail: dict[str, audit_log.Json]) -> None:
    """Record a step of a key, unless it was recorded before a crash."""
    subject = f"key:{key_id_of(key)}"

    def work(connection: Connection) -> None:
        known = select(literal(1)).select_from(audit).where(audit.c.subject == subject, audit.c.action == action)
        if connection.execute(known.limit(1)).first() is None:
            audit_log.record(
                connection, at=office.clock.now(), actor=office.actor, action=action, subject=subject, detail=detail
            )

    office.database.run(work)
