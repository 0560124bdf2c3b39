"""Small files that would fill the memory or the disk: refused by what they declare, before anything is unpacked."""

import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import tsynd
from tests.bad.mutations import Files, no_longer_than
from tsynd.data.medmnist import memory_map
from tsynd.errors import TsyndError
from tsynd.study import read_study
from tsynd.study.comparisons import Answers
from tsynd.synthetic.sets import read_set
from tsynd.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.deep

MEMORY = 50 * 10**6


def refused(read: Callable[[], object]) -> str:
    """What is said, with little memory and time taken."""
    tracemalloc.start()
    try:
        with no_longer_than(20), pytest.raises(TsyndError) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def head(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    """What an array in a file begins with."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def swollen(path: Path, name: str, before: bytes, megabytes: int) -> None:
    """An `.npz` in which one array is so many megabytes of zeros."""
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
        with new.open(name, "w") as file:
            file.write(head((megabytes * 1000, 1000)))
            for _ in range(megabytes):
                file.write(bytes(10**6))


@pytest.mark.parametrize("name", ["train_labels.npy", "test_images.npy", "extra.npy"])
@pytest.mark.parametrize("large", [False, True])
def test_a_zip_bomb(npz: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, large: bool) -> None:
    if large:
        monkeypatch.setattr(memory_map, "LARGE", 1000)
    swollen(tmp_path / "own.npz", name, npz["own.npz"], 70)
    assert (tmp_path / "own.npz").stat().st_size < 10**6
    assert "would unpack to 700" in refused(lambda: tsynd.load(tmp_path / "own.npz"))
    assert not memory_map.unpacked_folder("x").parent.exists()


def test_a_zip_bomb_of_synthetic_images_or_answers(run: Files, study: Files, tmp_path: Path) -> None:
    swollen(tmp_path / "set.npz", "train_images.npy", run["synthetic.npz"], 70)
    assert "would unpack to 700" in refused(lambda: read_set(tmp_path / "set.npz"))
    for name, content in study.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    name = next(name for name in study if name.endswith(".npz"))
    swollen(tmp_path / name, "probs.npy", study[name], 70)
    key = Path(name).stem
    assert "would unpack to 700" in refused(lambda: Answers(tmp_path).arrays(key))


@pytest.mark.parametrize("shape", [(10**13, 16, 16), (2**62, 2**62), (-1, 16), (10**30,), (0, -5)])
def test_an_array_that_says_it_is_larger_than_the_file(npz: Files, tmp_path: Path, shape: tuple[int, ...]) -> None:
    with zipfile.ZipFile(io.BytesIO(npz["own.npz"])) as old, zipfile.ZipFile(tmp_path / "own.npz", "w") as new:
        for member in old.namelist():
            new.writestr(member, head(shape) if member == "train_images.npy" else old.read(member))
    assert "truncated or damaged" in refused(lambda: tsynd.load(tmp_path / "own.npz"))
    (tmp_path / "own.npz").write_bytes(head(shape))
    assert "is a single array" in refused(lambda: tsynd.load(tmp_path / "own.npz"))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("side", [20_000, 2**31 - 1])
def test_a_png_that_says_it_has_very_many_pixels(tmp_path: Path, side: int) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        content += chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
        for number in range(12):
            (tmp_path / name / f"{number}.png").write_bytes(content)
    assert "claims to have more than" in refused(lambda: tsynd.load(tmp_path))


def test_a_png_whose_texts_are_a_bomb(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0))
        content += chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(70 * 10**6)))
        content += chunk(b"IDAT", zlib.compress(bytes(17 * 16)))
        for number in range(12):
            (tmp_path / name / f"{number}.png").write_bytes(content + chunk(b"IEND", b""))
    assert "cannot be read as an image" in refused(lambda: tsynd.load(tmp_path))


def tensors(header: object, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    "content",
    [
        tensors({}, 2**63),
        tensors({}, 10**11),
        tensors({"weight": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}),
        tensors({"weight": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}) + bytes(4),
        tensors({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [2**64 - 4, 2**64 - 1]}}) + bytes(4),
        tensors({f"t{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(10_000)}),
    ],
    ids=["2^63 header", "100 GB header", "4 TB tensor", "overflowing shape", "overflowing offsets", "many tensors"],
)
def test_tensors_that_say_they_are_huge(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(content)
    refused(lambda: tsynd.load_weights(nn.Linear(1, 1), path))
    refused(lambda: load_checkpoint(path, {}))


LAUGHS = "\n".join(["l0: &l0 [lol, lol]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)])


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        f"name: toy\ntiers: *l29\n{LAUGHS}",
        LAUGHS.replace("l29: ", "name: toy\ntiers: "),
        LAUGHS.replace("l29: ", "seeds: "),
        "name: toy\ntiers: &a [*a]",
        "&a {name: toy, tiers: [*a]}",
        "[" * 400,
        "? " * 5000,
        "name: " + "9" * 5000,
        "name: 0x" + "f" * 50_000,
        "name: !!python/object/apply:os.system [exit]",
        "name: !!timestamp x\ntiers: 2020-99-99",
        "name: !!bool x",
        "name: !!int ''",
        "name: !!binary \xe9",
        "<<: [1]",
        "name: x\ntiers: [{sets: [{data: phantom, per_class: 2}], seeds: 0-99999999999, arms: [none]}]",
        "name: x\ntiers: [{sets: [{data: phantom, per_class: 2}], seeds: 0-²³, arms: [none]}]",
        "name: x\ntiers: [{sets: [{data: phantom, per_class: 2}], seeds: [0xffffffffffffffffffff], arms: [none]}]",
    ],
)
def test_a_study_file_that_laughs(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    said = refused(lambda: read_study(tmp_path / "study.yaml"))
    assert len(said) < 2000
