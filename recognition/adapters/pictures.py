"""Enrolment photographs from files of unknown origin: decided by content, turned upright, brought to BGR."""

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from recognition.core.errors import PictureRefused
from recognition.core.face import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Everything a school's phones and scanners write. Pillow knows many more, each a parser that nobody here needs."""


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a picture file may be."""

    max_bytes: int = 40 * 1024 * 1024
    max_pixels: int = 50_000_000
    longer_side_px: int = 2560
    """Larger pictures are reduced to this: a face in a portrait stays far larger than any chip."""


def read_picture(path: Path, limits: PictureLimits | None = None) -> Image:
    """Return the picture in `path` as (height, width, 3) uint8 BGR, upright by its EXIF, transparency over white.

    Raises PictureRefused with reason "missing", "empty", "too_large", "too_many_pixels", "not_a_picture" or "damaged".
    """
    limits = limits or PictureLimits()
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.max_bytes + 1)
    except OSError as exc:
        raise PictureRefused("missing", f"{path.name} cannot be read: {exc.strerror}", hint="check the path") from exc
    return decode_picture(content, limits, name=path.name)


def decode_picture(content: bytes, limits: PictureLimits | None = None, *, name: str = "the picture") -> Image:
    """Return a picture held in memory (an upload) as `read_picture` does, with the same refusals."""
    limits = limits or PictureLimits()
    if not content:
        raise PictureRefused("empty", f"{name} is empty (0 bytes)", hint="copy or take the picture again")
    if len(content) > limits.max_bytes:
        raise PictureRefused(
            "too_large",
            f"{name} is larger than {limits.max_bytes // 1024**2} MB",
            hint="save it with a smaller size",
        )
    with warnings.catch_warnings():
        # Pillow warns about large pictures and odd metadata; the limits here refuse what matters.
        warnings.simplefilter("ignore")
        return _decoded(content, limits, name)


def _decoded(content: bytes, limits: PictureLimits, name: str) -> Image:
    try:
        file = Pillow.open(BytesIO(content), formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as exc:
        raise PictureRefused(
            "not_a_picture",
            f"{name} is not a picture that can be read",
            hint="use a JPEG, PNG or WebP file; a photograph in HEIC must be converted first",
        ) from exc
    # Known from the header alone: a small file may unpack to more memory than the machine has.
    if file.width * file.height > limits.max_pixels:
        raise PictureRefused(
            "too_many_pixels",
            f"{name} has {file.width} x {file.height} pixels, more than {limits.max_pixels // 10**6} million",
            hint="scale it down",
        )
    try:
        longer = limits.longer_side_px
        file.draft("RGB", (longer, longer))  # a JPEG decoder can skip what would be thrown away
        file.load()
        picture = ImageOps.exif_transpose(file)
        picture.thumbnail((longer, longer), Pillow.Resampling.BOX)
        rgb = np.asarray(_as_rgb(picture), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, MemoryError) as exc:
        raise PictureRefused(
            "damaged", f"{name} is damaged or cut short", hint="copy it again, or take another picture"
        ) from exc
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _as_rgb(picture: Pillow.Image) -> Pillow.Image:
    """Bring any mode to RGB: 16-bit grey by its upper byte, transparency over white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep_grey(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        white = Pillow.new("RGBA", with_alpha.size, (255, 255, 255, 255))
        return Pillow.alpha_composite(white, with_alpha).convert("RGB")
    return picture.convert("RGB")


def _from_deep_grey(picture: Pillow.Image) -> Pillow.Image:
    # Pillow's own conversion cuts every value above 255 to white, so a 16-bit scan would become a blank sheet.
    values = np.asarray(picture, dtype=np.float64)
    deepest = 65535.0 if values.max(initial=0) > 255 else 255.0
    grey = np.clip(np.nan_to_num(values) * (255.0 / deepest), 0, 255).astype(np.uint8)
    return Pillow.fromarray(grey).convert("RGB")
