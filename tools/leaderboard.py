"""Make a class's ranking from the `metrics.json` of its runs, with the controls in it.

    python tools/leaderboard.py runs/*/metrics.json [--measure pgd] [--out leaderboard.md]

A method is compared with each control at the same seeds. Runs of another data set, size, budget or split are refused, and so is a
run that was handed in twice: such numbers do not belong in one table.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scipy.stats import t  # type: ignore[import-untyped]

from tsynd.utils.atomic_files import write_text

CONTROLS = ("none", "random", "sham", "pgd")
MEASURES = {
    "pgd": ("accuracy under PGD 2/255", lambda metrics: metrics["attacks"]["pgd"]["0.0078"]),
    "auroc": ("AUROC", lambda metrics: metrics["clean"]["auroc"]),
    "balanced": ("balanced accuracy", lambda metrics: metrics["clean"]["balanced_accuracy"]),
    "augmented": ("balanced accuracy, augmented outside", lambda metrics: metrics["test_time_augmentation"]["outside"]["mean"]),
}
PROTOCOL = ("data", "per_class", "size", "budget", "evaluate", "data_fingerprint")


def leaderboard(paths: Iterable[Path], measure: str = "pgd") -> str:
    """Return the table in Markdown, the highest mean first.

    Raises:
        ValueError: for a file that is no `metrics.json`, runs of several protocols, a run that is there twice, or no control.
    """
    title, read = MEASURES[measure]
    runs: dict[str, dict[int, float]] = {}
    seen: dict[str, Path] = {}
    protocol: dict[str, Any] = {}
    for path in paths:
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
            config, value, weights = metrics["config"], float(read(metrics)), metrics["weights_hash"]
            here = {key: config.get(key) for key in PROTOCOL}
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ValueError(f"{path} is no metrics.json of a run: {type(error).__name__} {error}") from error
        protocol = protocol or here
        if other := [key for key in PROTOCOL if here[key] != protocol[key]]:
            raise ValueError(f"{path} differs in {other[0]}: {here[other[0]]!r}, the others have {protocol[other[0]]!r}")
        if weights in seen:
            raise ValueError(f"{path} holds the same network as {seen[weights]}")
        seen[weights] = path
        arm, seed = config["arm"], int(config["seed"])
        if seed in runs.setdefault(arm, {}):
            raise ValueError(f"{path} is a second run of {arm} at seed {seed}")
        runs[arm][seed] = value
    controls = [name for name in CONTROLS if name in runs]
    if not controls:
        raise ValueError(f"a ranking needs a control: add runs of {', '.join(CONTROLS)} at the seeds of the others")
    rows = [
        f"| `{arm}`{' (control)' if arm in controls else ''} | {len(values)} | {statistics.fmean(values.values()):.3f} | "
        + " | ".join("" if name == arm else difference(values, runs[name]) for name in controls)
        + " |"
        for arm, values in sorted(runs.items(), key=lambda each: -statistics.fmean(each[1].values()))
    ]
    head = f"| method | seeds | mean | {' | '.join(f'minus `{name}`' for name in controls)} |"
    rule = "|:--|--:|--:|" + ":--|" * len(controls)
    what = "{data}, {per_class} images of each class, budget {budget}, on {evaluate}".format_map(protocol)
    said = "Differences are paired by seed; in brackets Student's 95 % interval over seeds, too narrow for other test images."
    return "\n".join([f"# Leaderboard: {title}", "", f"{what}. {said}", "", head, rule, *rows, ""])


def difference(ours: dict[int, float], theirs: dict[int, float]) -> str:
    """The paired difference and its interval, in words where there is none."""
    shared = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if len(shared) < 2:
        return "one seed tells nothing" if shared else "no seed in common"
    half = float(t.ppf(0.975, len(shared) - 1)) * statistics.stdev(shared) / len(shared) ** 0.5
    mean = statistics.fmean(shared)
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"


def matching(path: Path) -> list[Path]:
    """Return the files that a pattern names, in order: a shell of Windows hands `*` on as it is."""
    found = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))) if "*" in str(path) else []
    return found or [path]


def main(arguments: list[str] | None = None) -> int:
    """Write or print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", type=Path, nargs="+", metavar="metrics.json")
    parser.add_argument("--measure", choices=MEASURES, default="pgd")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        table = leaderboard([path for each in options.paths for path in matching(each)], options.measure)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.out:
        write_text(options.out, table)
    else:
        print(table, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
