"""One image file: the kinds that are read, what becomes of their values and shapes, and what is refused by its header."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tsynd.data.image_folder.image_file import Picture, fit, header_of, read_picture
from tsynd.errors import TsyndError

RAMP = np.linspace(0, 65535, 20 * 20).astype(np.uint16).reshape(20, 20)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_scaled_by_the_range_of_the_type(tmp_path: Path, ending: str) -> None:
    Image.fromarray(RAMP).save(tmp_path / f"a.{ending}")
    picture = read_picture(tmp_path / f"a.{ending}")
    assert (picture.bits, picture.pixels.max()) == (16, 65535)
    assert (fit(picture, 20)[0] == np.rint(RAMP * (255 / 65535))).all()
    dark = Picture(RAMP // 16, 16, "I;16", "PNG")
    assert fit(dark, 20).max() == 16  # not stretched to the image's own largest value


def test_white_is_zero(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert (read_picture(tmp_path / "a.tif").pixels == 65535 - RAMP).all()


def test_colour_of_sixteen_bits_keeps_its_upper_eight(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 0x1234, 0x8000, 0xFFFF) * 20 for _ in range(20))
    (tmp_path / "a.png").write_bytes(png(20, 20, 16, 2, zlib.compress(rows)))
    assert read_picture(tmp_path / "a.png").pixels[0, 0].tolist() == [0x12, 0x80, 0xFF]


def test_palettes_and_opaque_alpha(tmp_path: Path) -> None:
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 2, (20, 20, 3), dtype=np.uint8) * 255)
    colours.quantize(8).save(tmp_path / "palette.png")
    assert (read_picture(tmp_path / "palette.png").pixels == np.asarray(colours)).all()
    colours.convert("RGBA").save(tmp_path / "opaque.png")
    assert (read_picture(tmp_path / "opaque.png").pixels == np.asarray(colours)).all()
    Image.fromarray((RAMP >> 8).astype(np.uint8)).convert("LA").save(tmp_path / "grey.png")
    assert (read_picture(tmp_path / "grey.png").pixels == RAMP >> 8).all()


def test_orientation_of_the_camera(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg").pixels.shape == (40, 20)


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (18, 40), (8, 600)])
def test_padded_not_distorted(shape: tuple[int, int]) -> None:
    """A disc stays round, to a pixel on each side, whatever the picture's shape."""
    high, wide = shape
    y, x = np.mgrid[:high, :wide]
    disc = ((y - high / 2 + 0.5) ** 2 + (x - wide / 2 + 0.5) ** 2 < (min(shape) / 3) ** 2).astype(np.uint8) * 255
    image = fit(Picture(disc, 8, "L", "PNG"), 64)[0]
    rows, columns = (image > 127).any(1).sum(), (image > 127).any(0).sum()
    assert image.shape == (64, 64)
    assert abs(int(rows) - int(columns)) <= 2


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (18, 41), (8, 600)])
def test_cropped_in_the_middle(shape: tuple[int, int]) -> None:
    high, wide = shape
    pixels = np.zeros(shape, dtype=np.uint8)
    pixels[high // 2 - 4 : high // 2 + 4, wide // 2 - 4 : wide // 2 + 4] = 255
    image = fit(Picture(pixels, 8, "L", "PNG"), 64, crop=True)[0]
    rows, columns = (image > 127).any(1).sum(), (image > 127).any(0).sum()
    assert image.shape == (64, 64) and abs(int(rows) - int(columns)) <= 3
    assert abs(int(rows) - 8 * 64 / min(shape)) <= 2  # the shorter side fills the square


@pytest.mark.parametrize("ending", ["gif", "tif", "png", "webp"])
def test_animated(tmp_path: Path, ending: str) -> None:
    frames = [Image.new("L", (20, 20), value) for value in (0, 255)]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
    with pytest.raises(TsyndError, match=r"has 2 frames: only single images are read"):
        read_picture(tmp_path / f"a.{ending}")


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000, 8, 0, b"not even compressed"))
    with pytest.raises(TsyndError, match=r"bomb.png claims to have more than \d+ pixels: resize it first"):
        read_picture(tmp_path / "bomb.png")
    (tmp_path / "large.png").write_bytes(png(10_000, 10_000, 8, 0, b"not even compressed"))  # Pillow only warns of this
    with pytest.raises(TsyndError, match=r"large.png claims to have more than \d+ pixels"):
        read_picture(tmp_path / "large.png")


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    Image.new("L", (20, 20)).save(tmp_path / "a.jpg", "PNG")
    assert read_picture(tmp_path / "a.jpg").format == header_of(tmp_path / "a.jpg") == "PNG"
    (tmp_path / "b.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    assert header_of(tmp_path / "b.jpg") is None


def png(wide: int, high: int, bits: int, colour: int, data: bytes) -> bytes:
    """A PNG file from its header's numbers and its compressed rows."""
    parts = [(b"IHDR", struct.pack(">2I5B", wide, high, bits, colour, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
