"""Who the unit is."""

from edge.adapters.key_files import read_key
from edge.core.gallery_pieces import UnitIdentity
from edge.settings import EdgeSettings


def identity_of(settings: EdgeSettings, pack_id: str) -> UnitIdentity:
    """Return who this unit is. Raises KeyUnusable."""
    return UnitIdentity(
        site=settings.site,
        unit_id=settings.unit_id,
        pack_id=pack_id,
        data_key=read_key(settings.keys.data_key_file, secret=True),
        hub_public_key=read_key(settings.keys.hub_key_file, secret=False),
    )
