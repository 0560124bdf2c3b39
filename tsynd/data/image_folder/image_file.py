"""One image file becomes 8-bit pixels: which kinds are read, how they are made square, and what is refused by name."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tsynd.data.image_folder.dicom import NIFTI_ENDINGS, is_dicom, is_nifti, read_dicom, read_nifti
from tsynd.errors import TsyndError

ENDINGS_OF: dict[str, tuple[str, ...]] = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg", ".jfif"), "BMP": (".bmp",)}
ENDINGS_OF |= {"GIF": (".gif",), "TIFF": (".tif", ".tiff"), "WEBP": (".webp",)}
ENDINGS = tuple(chain(*ENDINGS_OF.values()))
# As messages say it.
NO_IMAGES = f"no images (files that end in {', '.join((*ENDINGS, '.dcm', *NIFTI_ENDINGS))})"
# Only these decoders are tried, whatever a file is called.
FORMATS = tuple(ENDINGS_OF)
# Smaller pictures show nothing; they are mostly accidents.
SMALLEST_SIDE = 8
WHITE_IS_ZERO, BITS_PER_SAMPLE, PHOTOMETRIC = 0, 258, 262


@dataclass(frozen=True)
class Picture:
    """What a file holds, upright, at its own size.

    Attributes:
        pixels: (H, W), grey, or (H, W, 3), RGB with colour; uint8, or uint16 for grey of more than 8 bits.
        bits: of one value: 8, 12 or 16.
        mode: Pillow's word for what the file holds, such as "L", "RGB" or "I;16".
        format: what the file is, such as "PNG", whatever it is called.
    """

    pixels: np.ndarray
    bits: int
    mode: str
    format: str


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warnings of decoders inside the block, in any thread: what matters is checked here, and raised."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(PIL|pydicom|nibabel)\..*")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def is_image(file: Path) -> bool:
    """Whether a file is taken for an image: by its ending, or as DICOM by its content."""
    return file.suffix.lower() in ENDINGS or is_nifti(file) or is_dicom(file)


def numbered(file: Path) -> tuple[Path, int | None]:
    """A file, and which frame or slice of it is meant: `scan.nii.gz#40` is slice 40, unless a file is called so.

    >>> numbered(Path("scan.nii.gz#40")), numbered(Path("a.png"))
    ((PosixPath('scan.nii.gz'), 40), (PosixPath('a.png'), None))
    """
    found = re.fullmatch(r"(.+)#(\d{1,6})", file.name)
    return (file.with_name(found[1]), int(found[2])) if found and not file.exists() else (file, None)


def read_picture(file: Path, size: int | None = None) -> Picture:
    """Read one image file; with `size`, the side that it will be resized to, a large JPEG at reduced scale.

    A JPEG is stored as frequencies, so a half, a quarter or an eighth of its size is decoded in a fraction of the time. No side
    becomes smaller than twice `size`.

    DICOM and NIfTI are read as `read_dicom` and `read_nifti` say; a frame or slice is named as in `scan.nii.gz#40`. Else:
    Grey or RGB of 8 bits, grey of 12 or 16 bits, RGB of 16 bits (its upper 8 are kept), black and white, and palettes, which
    become RGB. RGB without any colour counts as grey. The orientation in the EXIF data is applied. A channel of transparency
    is dropped where all is opaque.

    Raises:
        TsyndError: the file is damaged, is no image, is animated or has several pages, has transparent parts, is CMYK or of
            another kind, is smaller than 8 px, or claims more pixels than Pillow's limit: this by its header, before anything
            is decoded.
    """
    if file.exists() and not file.is_file():
        raise TsyndError(f"{file} cannot be read as an image (it is a pipe or a device, no file)")
    real, number = numbered(file)
    if real.exists() and (is_nifti(real) or is_dicom(real)):
        pixels, bits, kind = (read_nifti(real, number), 16, "grey") if is_nifti(real) else read_dicom(real, number)
        _check_sides(file, *pixels.shape[1::-1])
        grey = pixels.ndim == 3 and (pixels[..., :1] == pixels[..., 1:]).all()
        return Picture(pixels[..., 0] if grey else pixels, bits, kind, "NIfTI" if is_nifti(real) else "DICOM")
    try:
        # Opened here: of a TIFF that it opens by name, Pillow maps the pixels, and forgets to turn them.
        with file.open("rb") as opened, Image.open(opened, formats=FORMATS) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise Image.DecompressionBombError
            _check_sides(file, *image.size)
            frames = getattr(image, "n_frames", 1)
            if frames != 1 and image.format != "MPO":  # the JPEG of some phones: a preview follows the picture
                raise TsyndError(f"{file} has {frames} frames: only single images are read, save the one you want")
            if size is not None:
                image.draft(None, (2 * size, 2 * size))  # does nothing for other formats
            mode, kind = image.mode, str(image.format)
            tags = image.tag_v2 if kind == "TIFF" else {}  # type: ignore[attr-defined]
            deep = mode.startswith("I;16") or (mode == "I" and kind == "PNG")  # older versions of Pillow open PNGs of 16 bits so
            bits = (12 if tags.get(BITS_PER_SAMPLE) == (12,) else 16) if deep else 8
            inverted = deep and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
            pixels = _pixels(file, ImageOps.exif_transpose(image), bits)
    except TsyndError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TsyndError(f"{file} claims to have more than {Image.MAX_IMAGE_PIXELS} pixels: resize it first") from error
    except Exception as error:  # Pillow's decoders fail in many ways: OSError, SyntaxError, struct.error, …
        reason = getattr(error, "strerror", None) or re.sub(r" <_io\.[^>]*>", "", str(error))
        raise TsyndError(f"{file} cannot be read as an image ({reason})") from error
    return Picture((1 << bits) - 1 - pixels if inverted else pixels, bits, mode, "JPEG" if kind == "MPO" else kind)


def fit(picture: Picture, size: int, *, crop: bool = False) -> np.ndarray:
    """Scale to 8 bits, resize and pad to a square without distortion: uint8 of (1, size, size), or (3, size, size).

    The longer side becomes `size` (bicubic, antialiased), the shorter one in proportion, rounded to a pixel; then the edge is
    repeated on both sides alike. With `crop` the shorter side becomes `size`, and the longer one is cut on both sides alike.
    Values of 12 or 16 bits are divided by the largest value that so many bits can hold, not
    by the largest of the image or set: an image looks the same whatever stands beside it.

    >>> fit(Picture(np.full((20, 40), 65535, dtype=np.uint16), 16, "I;16", "PNG"), 28).max()
    np.uint8(255)
    """
    pixels = picture.pixels
    high, wide = pixels.shape[:2]
    image = Image.fromarray(pixels if picture.bits == 8 else pixels * np.float32(255 / ((1 << picture.bits) - 1)))
    fitted = min(high, wide) if crop else max(high, wide)
    shrunk = [max(1, round(side * size / fitted)) for side in (wide, high)]
    square = np.asarray(image.resize((shrunk[0], shrunk[1]), Image.Resampling.BICUBIC))
    if square.dtype != np.uint8:
        square = np.rint(square).clip(0, 255).astype(np.uint8)
    top, left = (max(0, side - size) // 2 for side in square.shape[:2])
    square = square[top : top + size, left : left + size]
    if (missing := [size - square.shape[0], size - square.shape[1]]) != [0, 0]:
        margins = [(gap // 2, gap - gap // 2) for gap in missing]
        square = np.pad(square, [*margins, (0, 0)][: square.ndim], mode="edge")
    return np.moveaxis(square.reshape(size, size, -1), 2, 0)


def header_of(file: Path) -> str | None:
    """What kind of image a file is, by its content, such as "PNG"; None if it is none that is read here."""
    if not file.is_file():
        return None
    try:
        with quiet_pillow(), Image.open(file, formats=FORMATS) as image:
            return str(image.format)
    except Exception:  # the same many ways as above
        return None


def _check_sides(file: Path, wide: int, high: int) -> None:
    if min(wide, high) < SMALLEST_SIDE:
        raise TsyndError(f"{file} is {wide} x {high} px: an image must have at least {SMALLEST_SIDE} px each way")


def _pixels(file: Path, image: Image.Image, bits: int) -> np.ndarray:
    if bits > 8:
        return np.asarray(image).astype(np.uint16)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            raise TsyndError(f"{file} has transparent parts, and what lies under them is not known: save it without transparency")
        image = image.convert("RGB")
    if image.mode not in ("1", "L", "P", "RGB"):
        raise TsyndError(f"{file} must be grey (8 or 16 bits), RGB or with a palette, got mode {image.mode}: convert it first")
    pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB"))
    if pixels.ndim == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        return pixels[..., 0]
    return pixels
