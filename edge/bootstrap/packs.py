"""Which model pack the unit opens: its own, or the one its gallery was made with."""

import threading
from collections.abc import Callable
from pathlib import Path

from edge.adapters.pack_folder import PackFolder, PackNeeds
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.bootstrap.eyes import open_eyes
from edge.bootstrap.orders import Parts
from edge.core.identities import Eyes
from edge.loops.health import Health
from edge.settings import EdgeSettings
from protocol.content import HeadBody
from recognition.core.errors import RecognitionError


def with_pack(settings: EdgeSettings, folder: Path) -> EdgeSettings:
    """Return the settings with another pack than their own."""
    recognition = settings.recognition.model_copy(update={"pack_dir": folder})
    return settings.model_copy(update={"recognition": recognition})


def open_packs(settings: EdgeSettings, opener: Callable[[EdgeSettings], object] = open_eyes) -> PackFolder:
    """Return the packs on this unit's disk; `opener` opens the models of settings, to try out a new pack."""
    wanted = settings.recognition
    needs = PackNeeds(wanted.variant, wanted.detector, liveness=wanted.liveness != "off")
    return PackFolder(
        settings.storage.data_dir, wanted.pack_dir, needs, lambda folder: opener(with_pack(settings, folder))
    )


def settings_in_use(settings: EdgeSettings, packs: PackFolder, head: HeadBody | None) -> EdgeSettings:
    """Return the settings with the pack that the gallery in use was made with: the head is what says which that is.

    The settings' own pack where that is the one, where it is not on this disk, or where no other is accepted.
    """
    place = packs.place(head.pack_id) if head and settings.recognition.accept_packs else None
    return settings if place is None else with_pack(settings, place)


def open_eyes_in_use(
    settings: EdgeSettings, parts: Parts, packs: PackFolder, gallery: SqliteGallery, health: Health
) -> Eyes:
    """Open the models of the pack in use, or of the settings' own where that cannot be opened. Raises PackError."""
    head = gallery.in_use()
    chosen = settings_in_use(settings, packs, head)
    if head is None or chosen.recognition.pack_dir == settings.recognition.pack_dir:
        return parts.open_eyes(settings)
    try:
        return parts.open_eyes(chosen)
    except RecognitionError as exc:
        # A unit that runs, and says what is wrong, can fetch what is damaged; one that does not start cannot.
        packs.distrust(head.pack_id, str(exc))
        health.problem("pack_damaged", f"model pack {head.pack_id} cannot be opened: it is fetched from the hub again")
    return parts.open_eyes(settings)


def noting(begun: threading.Event, opener: Callable[[EdgeSettings], Eyes]) -> Callable[[EdgeSettings], Eyes]:
    """Return the opener; whoever calls it is known to take long from then on."""

    def opens(settings: EdgeSettings) -> Eyes:
        begun.set()
        return opener(settings)

    return opens
