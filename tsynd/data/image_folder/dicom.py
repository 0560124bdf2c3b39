"""A DICOM file, or a slice of a NIfTI volume, becomes grey levels or RGB. Of headers a hash of the patient's number is kept."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tsynd.errors import TsyndError
from tsynd.utils.cache import file_state

DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
MISSING = "is a DICOM file, and pydicom is not installed to read it: pip install 'tsynd[dicom]'"

NIFTI_ENDINGS = (".nii", ".nii.gz")
NO_NIBABEL = "is a NIfTI file, and nibabel is not installed to read it: pip install 'tsynd[dicom]'"
TAILS = (0.5, 99.5)  # percentiles of a volume that become black and white where its header names no display range


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM: by its ending, or by the mark that follows its first 128 bytes, whatever it is called."""
    if file.suffix.lower() in DICOM_ENDINGS:
        return True
    try:
        if not file.is_file():  # a pipe would be waited for
            return False
        with file.open("rb") as start:
            return start.read(132)[128:] == b"DICM"
    except OSError:
        return False


def dicom_group(file: Path) -> tuple[str | None, str | None]:
    """The patient and, of a slice in space (CT, MR), the series that a file belongs to, both hashed; None where it says neither.

    Only four header values are read. Without pydicom, and for a damaged file, both are None.
    """
    try:
        import pydicom

        names = ["PatientID", "SeriesInstanceUID", "ImagePositionPatient", "Modality"]
        header = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=names)
        patient, series = (str(header.get(name) or "").strip() for name in names[:2])
        sliced = "ImagePositionPatient" in header and header.get("Modality") in ("CT", "MR", "PT")
    except Exception:  # pydicom fails in many ways on what is damaged; reading the pixels says so
        return None, None
    return _hashed("patient", patient), _hashed("series", series) if sliced else None


def read_dicom(file: Path, frame: int | None = None) -> tuple[np.ndarray, int, str]:
    """Read one DICOM image, or frame `frame` of it from 0, as a viewer would show it at first.

    Grey values are rescaled (slope and intercept, or a table), then cut to the first window, or mapped by the first table of
    values of interest. Without either, the whole range that its stored bits can hold becomes 0 to 1, so that an image looks
    the same whatever stands beside it. MONOCHROME1 is inverted; YBR and palettes become RGB.

    Returns:
        Pixels (H, W) or (H, W, 3), uint8 or, grey of more than 8 bits, uint16; the bits, 8 or 16; the photometric interpretation.

    Raises:
        TsyndError: the file is damaged, holds no image or several, or no decoder or pydicom is here. No message repeats a header
        value.
    """
    try:
        import pydicom
        from pydicom.pixels.processing import apply_color_lut
        from pydicom.pixels.utils import pixel_array
    except ModuleNotFoundError as error:
        raise TsyndError(f"{file} {MISSING}") from error
    try:
        header = pydicom.dcmread(file, force=True)
        frames = int(header.get("NumberOfFrames") or 1)
    except Exception as error:
        raise TsyndError(f"{file} is damaged, or is no DICOM file") from error
    if "PixelData" not in header:
        hidden = "EncryptedAttributesSequence" in header
        what = "what is encrypted in it cannot be read" if hidden else "it may be a report, a plan or a waveform"
        raise TsyndError(f"{file} is a DICOM file without an image ({what}): leave it out")
    if frames > 1 and frame is None:
        raise TsyndError(f"{file} has {frames} frames: name the one you want in a CSV, such as {file.name}#0")
    if frame is not None and not 0 <= frame < frames:
        raise TsyndError(f"{file}#{frame}: frames are numbered 0 to {frames - 1}")
    _check_decoder(file, header)
    try:
        pixels, kind = pixel_array(header, index=frame or 0), str(header.PhotometricInterpretation)
        if kind == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, header)
        if pixels.ndim == 3:
            bits = 8 * pixels.dtype.itemsize if kind == "PALETTE COLOR" else int(header.BitsStored)
            return (pixels >> max(0, bits - 8)).astype(np.uint8), 8, kind
        groups = [*header.get("SharedFunctionalGroupsSequence", [])[:1]]  # where files with several frames keep these values
        groups += header.get("PerFrameFunctionalGroupsSequence", [])[frame or 0 : (frame or 0) + 1]
        for group in groups:
            for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                header.update(group[name][0] if name in group else {})
        grey = _shown(pixels, header)
        bits = 8 if int(header.BitsStored) <= 8 else 16
    except Exception as error:  # each decoder fails in its own ways, and their messages may repeat header values
        raise TsyndError(f"{file} cannot be decoded: its pixels are damaged, or of a kind that is not read") from error
    grey = 1 - grey if kind == "MONOCHROME1" else grey
    return np.rint(grey * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16), bits, kind


def _shown(pixels: np.ndarray, header: Any) -> np.ndarray:
    """Stored grey values as 0 to 1: rescaled, and cut to the window where there is one."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing

    bits, signed = int(header.BitsStored), bool(header.get("PixelRepresentation"))
    ends = np.array([-(1 << bits - 1), (1 << bits - 1) - 1] if signed else [0, (1 << bits) - 1])
    values = apply_modality_lut(pixels, header).astype(np.float64)
    low, high = sorted(apply_modality_lut(ends.astype(pixels.dtype), header).astype(np.float64))
    if header.get("VOILUTSequence"):
        values = apply_voi(np.rint(values).astype(np.int64), header, index=0)
        low, high = 0, (1 << int(header.VOILUTSequence[0].LUTDescriptor[2])) - 1
    elif header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        values = apply_windowing(values, header, index=0)
        low, high = sorted(apply_windowing(np.array([-1e12, 1e12]), header, index=0))  # what it maps black and white to
    return ((values - low) / max(high - low, 1e-9)).clip(0, 1)


def _check_decoder(file: Path, header: Any) -> None:
    """Name how a file is compressed if nothing here can undo it; say how numbers lie in a file that does not."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    syntax = header.file_meta.TransferSyntaxUID
    try:
        found = get_decoder(syntax).is_available
    except NotImplementedError as error:
        raise TsyndError(f"{file} is compressed in a way that is not read: {syntax.name}") from error
    if not found:
        raise TsyndError(f"{file} is compressed, and no decoder of {syntax.name} is installed: pip install 'tsynd[dicom]'")


def _hashed(kind: str, value: str) -> str | None:
    return f"{kind}-{hashlib.blake2b(value.encode(), digest_size=6).hexdigest()}" if value else None


def is_nifti(file: Path) -> bool:
    """Whether a file is NIfTI, by its ending."""
    return file.name.lower().endswith(NIFTI_ENDINGS)


def read_nifti(file: Path, number: int | None = None) -> np.ndarray:
    """Read one axial slice, (H, W) uint16: front of the body above, its right side on the left; number 0 is at the feet.

    The display range of the header (cal_min, cal_max) becomes black and white; without one, percentiles 0.5 and 99.5 of the
    whole volume, so that its slices are alike.

    Raises:
        TsyndError: the file is damaged, has four dimensions or colour, or several slices of which none is named; also when
            nibabel is missing.
    """
    try:
        import nibabel  # noqa: F401
    except ModuleNotFoundError as error:
        raise TsyndError(f"{file} {NO_NIBABEL}") from error
    try:
        volume, low, high = _volume(file, file_state(file))
    except TsyndError:
        raise
    except Exception as error:  # nibabel, gzip and zlib each fail in their own ways
        raise TsyndError(f"{file} is damaged, or is no NIfTI file") from error
    depth = volume.shape[2]
    if number is None and depth > 1:
        name = f"{file.name}#{depth // 2}"
        raise TsyndError(f"{file} is a volume of {depth} slices: name those you want in a CSV, such as {name}")
    if not 0 <= (number or 0) < depth:
        raise TsyndError(f"{file}#{number}: slices are numbered 0 to {depth - 1}")
    grey = (volume[::-1, ::-1, number or 0].T.astype(np.float64) - low) / max(high - low, 1e-9)
    return np.rint(grey.clip(0, 1) * 65535).astype(np.uint16)


@lru_cache(maxsize=2)  # slices of one volume follow each other
def _volume(file: Path, state: tuple[int | str, ...]) -> tuple[np.ndarray, float, float]:
    """A volume (right, front, up) with what becomes black and white; `state` tells whether the file has changed."""
    import nibabel

    image: Any = nibabel.load(file)
    shape = image.shape
    if len(shape) > 3 and any(side > 1 for side in shape[3:]):
        raise TsyndError(f"{file} has {len(shape)} dimensions ({' x '.join(map(str, shape))}): save one volume of them first")
    if len(shape) < 2 or image.get_data_dtype().names:
        raise TsyndError(f"{file} must hold one grey value for each voxel of a slice or a volume")
    if len(shape) != 3:
        image = nibabel.Nifti1Image(np.asanyarray(image.dataobj).reshape(*(*shape, 1)[:3]), image.affine, image.header)
    image = nibabel.as_closest_canonical(image)
    voxels = np.nan_to_num(np.asanyarray(image.dataobj).astype(np.float32))
    low, high = (float(image.header[name]) for name in ("cal_min", "cal_max"))
    if not high > low:
        low, high = (float(edge) for edge in np.percentile(voxels, TAILS))
    return voxels, low, high
