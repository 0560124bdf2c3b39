"""A run's folder: what is in it, when it may be written to, and how a finished stage is found again."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tsynd.errors import TsyndError, differences
from tsynd.utils.atomic_files import write_json
from tsynd.utils.locks import at_once
from tsynd.utils.safe_parsing import read_json

CONFIG, AUTOENCODER, CLASSIFIER = "config.json", "autoencoder.safetensors", "classifier.safetensors"
SYNTHETIC, METRICS, REPORT, CHECKPOINT = "synthetic.npz", "metrics.json", "report.html", "checkpoint.safetensors"
LOCK, SPLITS, PREDICTIONS = ".lock", "splits.csv", "predictions.csv"
FILES = (METRICS, REPORT, PREDICTIONS, SPLITS, CHECKPOINT, CLASSIFIER, SYNTHETIC, AUTOENCODER, CONFIG)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Let no other process or thread write a run into the folder inside the block; TsyndError when another does."""
    if folder.exists() and not folder.is_dir():
        raise TsyndError(f"--out {folder} is a file: name a folder")
    with ExitStack() as stack:
        try:
            held = stack.enter_context(at_once(folder / LOCK))
        except OSError as error:
            raise TsyndError(f"--out {folder} cannot be written: {error.strerror}") from error
        if not held:
            raise TsyndError(f"--out {folder}: a run is being written there now: wait for its end, or name another folder")
        try:
            yield
        finally:
            if not (folder / CONFIG).exists():  # no run's folder: it is left as it was found
                (folder / LOCK).unlink(missing_ok=True)


def open_folder(folder: Path, config: dict[str, Any], force: bool) -> None:
    """Make a run's folder ready: new, or left unfinished by a run of the same configuration; else a TsyndError.

    A finished run, or one of another configuration, is replaced with `force` only; files that are not a run's own
    are never touched.
    """
    present = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []
    if present and not force:
        if CONFIG not in present:
            raise TsyndError(f"--out {folder} is not empty and holds no run: name a new folder, or add --force")
        if differing := differences(_comparable(read_json(folder / CONFIG)), _comparable(config)):
            raise TsyndError(f"--out {folder} holds a run of another configuration ({differing}): use --force to replace it")
        if METRICS in present:
            raise TsyndError(f"--out {folder} holds this run, finished: use --force to run it again")
        return
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        write_json(folder / CONFIG, config)
    except OSError as error:
        raise TsyndError(f"--out {folder} cannot be written: {error.strerror}") from error


def _comparable(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the names of files whose content it identifies: a moved file is the same configuration."""
    skipped = {"synthetic", "review"} if "synthetic_identity" in config else set[str]()
    skipped |= {name for name in config if f"{name}_identity" in config and name.endswith("weights")}
    return {name: value for name, value in config.items() if name not in skipped}
