"""Photographs of every kind become the same upright picture, or are refused with a reason."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from recognition.adapters.pictures import PictureLimits, decode_picture, read_picture
from recognition.core.errors import PictureRefused


def two_halves(width: int = 40, height: int = 20) -> Pillow.Image:
    """Left half red, right half blue."""
    image = Pillow.new("RGB", (width, height), (220, 30, 30))
    image.paste((30, 30, 220), (width // 2, 0, width, height))
    return image


def encoded(image: Pillow.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def refusal(content: bytes, limits: PictureLimits | None = None) -> str:
    with pytest.raises(PictureRefused) as caught:
        decode_picture(content, limits)
    assert caught.value.hint
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_every_usual_format_is_read_as_blue_green_red(kind: str) -> None:
    image = decode_picture(encoded(two_halves(), kind))
    assert image.shape == (20, 40, 3)
    assert image.dtype == np.uint8
    assert abs(image[10, 5].astype(int) - [30, 30, 220]).max() < 30
    assert abs(image[10, 35].astype(int) - [220, 30, 30]).max() < 30


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "I", "F", "I;16", "YCbCr"])
def test_every_mode_of_pixels_becomes_three_channels(mode: str) -> None:
    source = Pillow.new("L", (8, 6), 200)
    kind = "JPEG" if mode in ("CMYK", "YCbCr") else "TIFF" if mode in ("F", "I", "LA") else "PNG"
    deep = Pillow.fromarray(np.full((6, 8), 200 * 257, dtype=np.uint16))
    made = deep if mode == "I;16" else source.convert(mode, dither=Pillow.Dither.NONE)
    image = decode_picture(encoded(made, kind))
    assert image.shape == (6, 8, 3)
    assert abs(image.astype(int) - (255 if mode == "1" else 200)).max() <= 3


def test_what_is_transparent_becomes_white_and_not_whatever_colour_lies_under_it() -> None:
    image = decode_picture(encoded(Pillow.new("RGBA", (4, 4), (0, 0, 0, 0))))
    assert (image == 255).all()


def test_a_phone_held_upright_gives_an_upright_picture() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to see it upright
    image = decode_picture(encoded(two_halves(), "JPEG", exif=exif, quality=95))
    assert image.shape == (40, 20, 3)
    assert image[5, 10, 2] > 150  # red was left, is now above
    assert image[35, 10, 0] > 150


def test_a_name_that_lies_about_the_format_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(two_halves(), "PNG"))
    assert read_picture(path).shape == (20, 40, 3)


def test_a_large_picture_is_reduced_to_the_longer_side() -> None:
    for kind in ("PNG", "JPEG"):
        image = decode_picture(encoded(two_halves(400, 200), kind), PictureLimits(longer_side_px=100))
        assert image.shape == (50, 100, 3)


def test_unusable_content_is_refused_with_its_reason(tmp_path: Path) -> None:
    assert refusal(b"") == "empty"
    assert refusal(b"hello, this is text and no picture") == "not_a_picture"
    assert refusal(b"%PDF-1.7 a scan") == "not_a_picture"
    assert refusal(encoded(two_halves()), PictureLimits(max_bytes=50)) == "too_large"
    assert refusal(encoded(two_halves()), PictureLimits(max_pixels=799)) == "too_many_pixels"
    with pytest.raises(PictureRefused) as caught:
        read_picture(tmp_path / "nothing.png")
    assert caught.value.reason == "missing"
    with pytest.raises(PictureRefused):
        read_picture(tmp_path)


def test_a_bomb_is_refused_from_its_header_alone() -> None:
    """30,000 x 30,000 white pixels are a file of some hundred kilobytes and 2.7 GB of memory."""
    header = bytearray(encoded(Pillow.new("1", (8, 8))))
    header[16:24] = (30_000).to_bytes(4, "big") * 2  # width and height of the PNG
    import zlib

    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    assert refusal(bytes(header)) in {"too_many_pixels", "not_a_picture"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_a_file_cut_short_is_refused(kind: str) -> None:
    noise = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8))
    content = encoded(noise, kind)
    assert refusal(content[: len(content) // 2]) in {"damaged", "not_a_picture"}


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"]),
    at=st.integers(0, 10_000),
    value=st.integers(0, 255),
    keep=st.floats(0.02, 1),
)
def test_a_damaged_file_is_a_picture_or_a_refusal_and_nothing_else(kind: str, at: int, value: int, keep: float) -> None:
    content = bytearray(encoded(two_halves(), kind))
    content[at % len(content)] = value
    try:
        image = decode_picture(bytes(content[: max(1, int(len(content) * keep))]))
    except PictureRefused:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3
