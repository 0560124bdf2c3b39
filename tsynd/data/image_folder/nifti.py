"""One slice of a NIfTI volume becomes grey levels."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tsynd.errors import TsyndError
from tsynd.utils.cache import file_state

NIFTI_ENDINGS = (".nii", ".nii.gz")
MISSING = "is a NIfTI file, and nibabel is not installed to read it: pip install 'tsynd[dicom]'"
TAILS = (0.5, 99.5)  # percentiles of a volume that become black and white where its header names no display range


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
        raise TsyndError(f"{file} {MISSING}") from error
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
