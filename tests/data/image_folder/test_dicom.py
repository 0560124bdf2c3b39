"""DICOM and NIfTI: pixels as a viewer shows them, patients as groups, and refusals that say what to do and nothing private."""

import csv
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsynd.data import load
from tsynd.data.image_folder.dicom import dicom_group, is_dicom
from tsynd.data.image_folder.image_file import quiet_pillow, read_picture
from tsynd.data.quality import check
from tsynd.errors import TsyndError

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")
FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def write(path: Path, pixels: np.ndarray, **values: Any) -> Path:
    """A DICOM file of these stored values."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.PatientName, made.PatientID = "Curie^Marie", "SECRET-7"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in values.items():
        setattr(made, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def ramp(low: int, high: int, kind: type = np.uint16) -> np.ndarray:
    return np.linspace(low, high, 256).round().astype(kind).reshape(16, 16)


def test_without_a_window_the_stored_range_is_the_whole_range(tmp_path: Path) -> None:
    found = read_picture(write(tmp_path / "a.dcm", ramp(0, 4095)))
    assert (found.bits, found.mode, found.format) == (16, "MONOCHROME2", "DICOM")
    np.testing.assert_allclose(found.pixels, ramp(0, 4095) / 4095 * 65535, atol=0.51)
    signed = read_picture(write(tmp_path / "b.dcm", ramp(-2048, 2047, np.int16), RescaleSlope="2", RescaleIntercept="-10"))
    np.testing.assert_allclose(signed.pixels, (ramp(-2048, 2047, np.int16) + 2048.0) / 4095 * 65535, atol=0.51)


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    """Window 40 ± 200 of Hounsfield units: PS3.3 C.11.2.1.2 by hand."""
    stored = ramp(0, 4095)
    values = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": ["40", "-600"], "WindowWidth": ["400", "1500"]}
    found = read_picture(write(tmp_path / "ct.dcm", stored, **values)).pixels
    expected = (((stored - 1024.0) - (40 - 0.5)) / (400 - 1) + 0.5).clip(0, 1)
    np.testing.assert_allclose(found / 65535, expected, atol=1e-4)
    assert found.min() == 0 and found.max() == 65535


def test_a_table_of_values_of_interest_and_monochrome1(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], [int(65535 * (value / 4095) ** 2) for value in range(4096)]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    values = {"VOILUTSequence": [table], "PhotometricInterpretation": "MONOCHROME1"}
    found = read_picture(write(tmp_path / "a.dcm", ramp(0, 4095), **values)).pixels
    np.testing.assert_allclose(found / 65535, 1 - (ramp(0, 4095) / 4095.0) ** 2, atol=1e-4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MR_small.dcm", "MR_small_RLE.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
        ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
        ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
        ("SC_rgb_rle.dcm", "SC_rgb_rle_16bit.dcm"),
        ("SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm"),
    ],
)
def test_pydicom_s_own_files_give_the_same_pixels_however_they_are_stored(one: str, other: str) -> None:
    if "jpeg" in other:
        pytest.importorskip("gdcm")
    with quiet_pillow():
        np.testing.assert_array_equal(read_picture(FILES / one).pixels, read_picture(FILES / other).pixels)


@pytest.mark.parametrize("name", ["SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm"])
def test_ybr_becomes_rgb(name: str) -> None:
    with quiet_pillow():
        found, rgb = read_picture(FILES / name).pixels, read_picture(FILES / "SC_rgb_rle.dcm").pixels
    assert found.dtype == np.uint8 and np.abs(found.astype(int) - rgb).mean() < 3


def test_palettes_become_rgb() -> None:
    with quiet_pillow():
        found = read_picture(FILES / "examples_palette.dcm")
    assert found.pixels.shape == (350, 800, 3) and found.pixels.dtype == np.uint8 and found.pixels.max() == 255


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("examples_ybr_color.dcm", "has 30 frames: name the one you want in a CSV, such as examples_ybr_color.dcm#0"),
        ("rtplan.dcm", "is a DICOM file without an image"),
        ("test-SR.dcm", "is a DICOM file without an image"),
        ("MR_truncated.dcm", "cannot be decoded: its pixels are damaged"),
        ("badVR.dcm", "is damaged, or is no DICOM file"),
        ("SC_rgb_small_odd.dcm", "is 3 x 3 px"),
    ],
)
def test_what_is_no_single_image_is_refused(name: str, message: str) -> None:
    with quiet_pillow(), pytest.raises(TsyndError, match=message):
        read_picture(FILES / name)


def test_no_file_of_pydicom_s_fails_in_another_way() -> None:
    seen, refused = 0, list[tuple[str, int]]()
    with quiet_pillow():
        for file in sorted(FILES.glob("*.dcm")):
            try:
                seen += read_picture(file).pixels.size > 0
            except TsyndError as error:
                lines = str(error).count("\n")
                refused.append((file.name, lines))
    assert seen > 30 and len(refused) > 10 and not any(lines for _, lines in refused)


def test_a_missing_decoder_and_an_encrypted_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.dataset import Dataset
    from pydicom.pixels.decoders.base import Decoder

    monkeypatch.setattr(Decoder, "is_available", False)
    message = r"compressed, and no decoder of JPEG-LS Lossless .* is installed: pip install 'tsynd\[dicom\]'"
    with pytest.raises(TsyndError, match=message):
        read_picture(FILES / "MR_small_jpeg_ls_lossless.dcm")
    file = write(tmp_path / "a.dcm", ramp(0, 10), EncryptedAttributesSequence=[Dataset()])
    hidden = pydicom.dcmread(file)
    del hidden.PixelData
    hidden.save_as(file)
    with pytest.raises(TsyndError, match="what is encrypted in it cannot be read"):
        read_picture(file)


def test_a_frame_is_chosen_by_number() -> None:
    with quiet_pillow():
        first, last = (read_picture(FILES / f"examples_ybr_color.dcm#{number}").pixels for number in (0, 29))
        assert first.shape == last.shape == (240, 320, 3) and (first != last).any()
        with pytest.raises(TsyndError, match="frames are numbered 0 to 29"):
            read_picture(FILES / "examples_ybr_color.dcm#30")


def test_a_file_without_ending_is_found_and_a_text_is_not(tmp_path: Path) -> None:
    file = write(tmp_path / "1.2.840.113619", ramp(0, 4095))
    (tmp_path / "notes").write_text("x" * 200)
    assert is_dicom(file) and not is_dicom(tmp_path / "notes") and not is_dicom(tmp_path)


def test_patients_are_groups_and_nothing_private_is_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = random.integers(0, 4096, (20, 20), dtype=np.uint16)
        write(tmp_path / "x" / ("no", "yes")[number % 2] / f"IM{number:04}", pixels, PatientID=f"SECRET-{number // 4}")
    data = load(tmp_path / "x", 16)
    assert len(data.train) + len(data.val) + len(data.test) == 40 and len(data.group_names) == 10
    groups = {split: set(getattr(data, split).groups.tolist()) for split in ("train", "val", "test")}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["val"]
    name, group = data.place_of("test", 0)
    assert name.startswith(("no/IM", "yes/IM")) and group.startswith("patient-")
    assert dicom_group(tmp_path / "x" / name)[0] == group
    assert "SECRET" not in repr(vars(data)) + repr(data.train.names) and "Curie" not in repr(vars(data))
    assert check(str(tmp_path / "x")).findings == []


def test_slices_of_a_series_in_a_folder_are_refused_and_in_a_csv_read(tmp_path: Path) -> None:
    rows = []
    for number in range(12):
        values = {"Modality": "CT", "SeriesInstanceUID": f"1.2.{number // 6}", "ImagePositionPatient": ["0", "0", str(number)]}
        pixels = np.random.default_rng(number).integers(0, 4096, (20, 20), dtype=np.uint16)
        file = write(tmp_path / "ab"[number // 6] / f"{number}.dcm", pixels, PatientID="", **values)
        rows.append([file.relative_to(tmp_path).as_posix(), file.parent.name])
    with pytest.raises(TsyndError, match=r"12 files are slices of 2 series, .*: name the slices that you want in a CSV"):
        load(tmp_path, 16)
    with (tmp_path / "t.csv").open("w", newline="") as table:
        csv.writer(table).writerows([["path", "label"], *rows])
    assert len(load(tmp_path / "t.csv", 16).train) > 0


@pytest.mark.parametrize("missing", ["pydicom", "nibabel"])
def test_without_the_extra_it_is_a_finding(tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = ".dcm" if missing == "pydicom" else ".nii.gz"
    for number in range(12):
        file = tmp_path / "ab"[number % 2] / f"{number}{ending}"
        pixels = np.random.default_rng(number).integers(0, 4096, (20, 20), dtype=np.uint16)
        if missing == "pydicom":
            write(file, pixels, PatientID=str(number))
        else:
            file.parent.mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(pixels[..., None].astype(np.float32), np.eye(4)), file)
    assert [one.kind for one in check(str(tmp_path)).findings] == []
    monkeypatch.setitem(sys.modules, missing, None)
    assert [one.kind for one in check(str(tmp_path)).findings] == []  # decoded already
    monkeypatch.setenv("TSYND_CACHE", str(tmp_path / "empty"))
    found = check(str(tmp_path)).findings
    assert len(found) == 12 and all("pip install 'tsynd[dicom]'" in one.text for one in found)


def test_a_slice_of_a_volume_lies_as_radiologists_look_at_it(tmp_path: Path) -> None:
    volume = np.zeros((20, 24, 5), dtype=np.float32)
    volume[2, 21, 3] = 1000.0  # low x is the left side, high y the front
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image.header["cal_max"] = 1000
    nibabel.save(image, tmp_path / "v.nii.gz")
    with pytest.raises(TsyndError, match=r"is a volume of 5 slices: name those you want in a CSV, such as v.nii.gz#2"):
        read_picture(tmp_path / "v.nii.gz")
    found = read_picture(tmp_path / "v.nii.gz#3").pixels
    assert found.shape == (24, 20)
    assert np.argwhere(found > 0).tolist() == [[2, 17]]  # front above; the left side on the right
    assert found.max() == 65535
    # The same body, stored from the other side.
    flipped = nibabel.Nifti1Image(volume[::-1], np.diag([-1.0, 1, 1, 1]), image.header)
    nibabel.save(flipped, tmp_path / "f.nii.gz")
    np.testing.assert_array_equal(read_picture(tmp_path / "f.nii.gz#3").pixels, found)
    nibabel.save(nibabel.Nifti1Image(np.zeros((20, 20, 5, 3), np.float32), np.eye(4)), tmp_path / "four.nii")
    for name, message in (("v.nii.gz#5", "slices are numbered 0 to 4"), ("four.nii#0", "has 4 dimensions")):
        with pytest.raises(TsyndError, match=message):
            read_picture(tmp_path / name)
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    with pytest.raises(TsyndError, match="is damaged, or is no NIfTI file"):
        read_picture(tmp_path / "bad.nii.gz")


def test_volumes_that_swap_their_names_swap_their_slices(tmp_path: Path) -> None:
    for name, grey in (("a.nii", 0), ("b.nii", 100)):
        image = nibabel.Nifti1Image(np.full((20, 20, 2), grey, np.float32), np.eye(4))
        image.header["cal_max"] = 100
        nibabel.save(image, tmp_path / name)
        os.utime(tmp_path / name, (1_600_000_000,) * 2)
    assert read_picture(tmp_path / "a.nii#0").pixels.max() == 0
    (tmp_path / "a.nii").rename(tmp_path / "x"), (tmp_path / "b.nii").rename(tmp_path / "a.nii")
    assert read_picture(tmp_path / "a.nii#0").pixels.max() == 65535


def test_slices_named_by_a_csv_stay_together(tmp_path: Path) -> None:
    rows = [["path", "label"]]
    for number in range(12):
        volume = np.random.default_rng(number).normal(size=(20, 20, 4)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / f"{number}.nii")
        rows += [[f"{number}.nii#{place}", "ab"[number % 2]] for place in range(4)]
    with (tmp_path / "t.csv").open("w", newline="") as table:
        csv.writer(table).writerows(rows)
    data = load(tmp_path / "t.csv", 16)
    assert data.group_names == tuple(sorted(f"{number}.nii" for number in range(12)))
    scans = {name.partition("#")[0] for name in data.test.names or ()}
    assert scans and not scans & {name.partition("#")[0] for name in data.train.names or ()}
