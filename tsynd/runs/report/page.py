"""`report.html`: one page about one run, without any other file, for light and dark screens, wide and narrow."""

import json
import shlex
import tomllib
from html import escape
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

from tsynd.audit import figures as audit_figures
from tsynd.robustness import figure as robustness_figure
from tsynd.runs.config import NETWORKS, changes
from tsynd.runs.report import figures
from tsynd.runs.report.html import by_class_section, document, figure_tag, number, review_section, table, verdict_list
from tsynd.runs.run import Run
from tsynd.utils.atomic_files import write_text

NAMES = {"auroc": "AUROC", "nll": "NLL", "brier": "Brier score"}
NAMES |= {"ece": "ECE", "ece_interval": "ECE, 95 % interval", "aurc": "AURC"}
CAPTIONS = tomllib.loads((resources.files("tsynd.runs.report") / "captions.toml").read_text(encoding="utf-8"))


def write_report(path: Path, run: Run) -> None:
    """Write the report of a run, whole or not at all."""
    write_text(path, render(run, path.parent))


def command(config: dict[str, Any], out: Path) -> str:
    """The command that makes this run again, in place of the one in the folder.

    >>> config = {"data": "phantom", "size": 28, "per_class": None, "arm": "none", "seed": 0}
    >>> command(config | {"budget": "cpu", "evaluate": "test", "device": "cpu"}, Path("a")).partition(" --arm ")[2]
    'none --seed 0 --budget cpu --evaluate test --device cpu --out a --force'
    """
    options = {name: config[name] for name in ("data", "size", "per_class", "arm", "seed", "budget", "evaluate", "device")}
    options |= {name: config[name] for name in ("synthetic", "review", *NETWORKS) if config.get(name)}
    options["per_class"] = "all" if config["per_class"] is None else config["per_class"]
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words += [f"--{name.replace('_', '-')}" for name in ("skip_unreadable", "crop") if config.get(name)]
    words += [word for name in config.get("ignore", ()) for word in ("--ignore", name)]
    words += [word for name, value in changes(config).items() for word in ("--set", f"{name}={json.dumps(value)}")]
    return shlex.join(["tsynd", "run", *words, "--out", str(out), "--force"])


def render(run: Run, out: Path) -> str:
    """The report of a run as one page of HTML; `out` is the run's folder."""
    config, data = run.config, run.data
    subset = "all" if config["per_class"] is None else f"{config['per_class']} per class"
    title, notes = f"{config['arm']} on {data.name}", "".join(f"<li>{escape(note)}</li>" for note in data.notes)
    body = f"""<p class="quiet">{len(run.chosen)} training images ({subset}) of {data.size} px; evaluated on the
{run.metrics["n"]} images of
{escape(run.metrics["split"])}; seed {config["seed"]}; budget {escape(config["budget"])}.
For research and teaching, not for clinical use.</p>
{f"<p>About these data:</p><ul>{notes}</ul>" if notes else ""}
{CAPTIONS["smoke"] if config["budget"] == "smoke" else ""}
{verdict_list(run.metrics.get("verdicts", []))}
{_tiles(run.metrics)}
{_synthesis(run)}
{_audit(run)}
{review_section(run.metrics.get("review"))}
{by_class_section(run)}
{_performance(run.metrics, run.data.classes)}
{_doubt(run.metrics)}
{_training(run)}
{_provenance(run, out)}"""
    return document(title, body)


def _tiles(metrics: dict[str, Any]) -> str:
    """The six numbers to look at first."""
    ends, seconds = metrics.get("intervals", {}), metrics["seconds"]
    tiles = {
        words: number(value) + (f"<small>{ends[name][0]:.3f} to {ends[name][1]:.3f}</small>" if ends.get(name) else "")
        for words, (name, value) in headline(metrics).items()
    }
    tiles["classifier's training"] = f"{seconds['warmup'] + seconds['targeting'] + seconds['training']:.0f} s"
    inside = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl class="tiles">{inside}</dl>'


def headline(metrics: dict[str, Any]) -> dict[str, tuple[str, float | None]]:
    """The numbers to look at first: in words, the name that `metrics["intervals"]` gives them, and the value."""
    corrupted = [value for levels in metrics["corruptions"].values() for value in levels.values()]
    return {
        "AUROC": ("auroc", metrics["clean"]["auroc"]),
        "balanced accuracy": ("balanced_accuracy", metrics["clean"]["balanced_accuracy"]),
        "randomly augmented, outside the training range": ("augmented", metrics["test_time_augmentation"]["outside"]["mean"]),
        "corrupted, mean": ("corrupted", sum(corrupted) / len(corrupted) if corrupted else None),
        "accuracy under PGD 4/255": ("pgd_4_255", metrics["attacks"]["pgd"].get("0.0157")),
    }


def _synthesis(run: Run) -> str:
    """Sources beside their targeted images, and what the search did to uncertainty."""
    if run.synthesis is None:
        return "<h2>Synthetic images</h2><p>This arm trains on real images only.</p>"
    summary = run.metrics["synthesis"]
    change = f"{summary['mutual_information_before']:.3f} to {summary['mutual_information_after']:.3f} nats"
    fall = summary["log_prob_fall"]
    opening, classifier = f"The bank held {summary['count']} images at the end of training.", "the classifier"
    panels = "Left: each image in the bank. Right: means whenever images were added."
    if run.config.get("synthetic"):
        opening = f"{summary['count']} images were given to this run. What follows is from their file."
        classifier, panels = "the classifier that they were made with", "Each image that was given."
    alt_pairs = f"Real images, where the search started, targeted images and their difference; information went from {change}"
    alt_information = f"Mutual information of each synthetic image before and after the search; on average from {change}"
    return f"""<h2>What was synthesised</h2>
<p>{opening} The search moved them by {summary["latent_displacement"]:.2f} standard deviations per latent dimension and
{summary["pixel_displacement"]:.3f} of the intensity range per pixel. Mean mutual information, on posterior samples that the
search had not seen, went from {change}; the log-probability of the copied label {"fell" if fall >= 0 else "rose"} by
{abs(fall):.2f} nats.</p>
{figure_tag(figures.pairs(run), alt_pairs, CAPTIONS["pairs"])}
<h2>What {classifier} did not know</h2>
{figure_tag(figures.information(run), alt_information, panels)}"""


def _audit(run: Run) -> str:
    """Is a synthetic image still of its class: answers, typical and worst images, and every measure."""
    found = run.metrics["audit"]
    if found is None and run.synthesis is None:
        return ""
    if found is None:
        return "<p>These images have no audit: their file does not say which data they were made from.</p>"
    told = audit_figures.words(found)
    answers = "".join(f"<p><strong>{escape(asked)}</strong> {escape(answer)}</p>" for asked, answer in told.items())
    pictures = ""
    if run.audit is not None:
        agree, before = (f"{found['groups'][name]['judge_agrees']['mean']:.0%}" for name in ("targeted", "reconstruction"))
        alt = f"Typical and worst targeted images; the judge sees the label in {agree} of all of them, in {before} of the starts"
        pictures = figure_tag(audit_figures.faces(run.audit, run.data), alt, CAPTIONS["faces"])
    notes = "".join(f'<p class="quiet">{escape(note)}</p>' for note in audit_figures.captions(found))
    return f"""<h2>Is the synthetic image still of its class?</h2>
{answers}
{pictures}
{table("mean and 95 % interval", *audit_figures.table(found))}
{notes}"""


def _performance(metrics: dict[str, Any], classes: tuple[str, ...]) -> str:
    """Clean, augmented, corrupted and attacked: one figure and the numbers behind it."""
    clean, pgd = metrics["clean"], metrics["attacks"]["pgd"]
    augmented = metrics["test_time_augmentation"]
    rows = {NAMES.get(name, name.replace("_", " ")): [number(value)] for name, value in clean.items()}
    rows.pop("auroc per label", None)
    areas = {name: [number(area)] for name, area in zip(classes, clean.get("auroc_per_label", []), strict=False)}
    some = f" Shifts and attacks: {metrics['attacks']['n']} of the images." if metrics["attacks"]["n"] < metrics["n"] else ""
    positive = f" Positive class: {metrics['positive_class']}." if "positive_class" in metrics else ""
    shifts = {
        f"augmented {where}": [number(augmented[where][key]) for key in ("mean", "worst", "consistency")]
        for where in ("inside", "outside")
    }
    corrupted = {
        name.replace("_", " "): [number(levels[level]) for level in sorted(levels, key=int)]
        for name, levels in metrics["corruptions"].items()
    }
    attacked = {f"{float(eps) * 255:.0f}/255": [number(value)] for eps, value in pgd.items()}
    alt = (
        f"Balanced accuracy {number(clean['balanced_accuracy'])} clean and {number(augmented['outside']['mean'])} augmented "
        f"outside the training range; accuracy {number(pgd['0.0157'])} under PGD 4/255"
    )
    note = CAPTIONS["performance"] + (CAPTIONS["labels"] if areas else "") + positive + some
    return f"""<h2>How it stands up</h2>
{figure_tag(figures.performance(metrics), alt, note)}
<div class="tables">
{table("clean", [""], rows)}
{table("AUROC of the label", [""], areas) if areas else ""}
{table("test-time augmentation", ["mean", "worst", "consistency"], shifts)}
{table("PGD, eps", ["accuracy"], attacked)}
{table("corruption, severity", ["1", "2", "3", "4", "5"], corrupted)}
</div>
<p>Mutual information tells the classifier's errors from its right answers with an AUROC of
{number(metrics["uncertainty"]["error_auroc"])} (.5 is chance).</p>"""


def _doubt(metrics: dict[str, Any]) -> str:
    """Does the classifier notice what happens to it? Calibration and mutual information under every condition."""
    rows = metrics["conditions"]
    clean, *_ = (row for row in rows if row["section"] == "clean")
    severe = [row for row in rows if row["section"] == "corruptions" and row["level"] == 5]
    if not severe:
        return ""
    told = {name: fmean(row[name] or 0 for row in severe) for name in ("mutual_information", "ece", "balanced_accuracy")}
    rises = "rises" if told["mutual_information"] > (clean["mutual_information"] or 0) else "does not rise"
    finds = {
        f"{name}, {label}": [number(row["ece"]), number(row["aurc"]), number(row["error_auroc"])]
        for label, at in (("clean", 0.0), ("severity 5", 5))
        for row in rows
        if row["level"] == at and row["section"] in ("clean", "corruptions")
        for name in [row["name"].replace("_", " ")]
    }
    alt = (
        f"From clean to severity 5 balanced accuracy goes from {number(clean['balanced_accuracy'])} to "
        f"{number(told['balanced_accuracy'])} on average, and mutual information {rises}"
    )
    return f"""<h2>Does it notice?</h2>
<p>Mutual information {rises} with severity: {number(clean["mutual_information"])} nats on clean images,
{number(told["mutual_information"])} at severity 5, mean over corruptions. A shift that makes a classifier wrong need not make it
unsure.</p>
{figure_tag(robustness_figure.conditions(rows), alt, "Band: 95 % interval. Below 0.5, errors are surer than right answers.")}
{table("condition", ["ECE", "AURC", "errors found (AUROC)"], finds)}"""


def _training(run: Run) -> str:
    seconds = run.metrics["seconds"]
    costs = {stage: [f"{value:.1f}"] for stage, value in seconds.items() if stage != "report"}
    alt = f"The classifier's loss over {len(run.history.loss)} optimiser steps, falling to {run.history.loss[-1]:.3f}"
    return f"""<h2>How it was trained, and what that cost</h2>
{figure_tag(figures.curves(run), alt, "Note the logarithmic axes.")}
{table("stage", ["seconds"], costs)}"""


def _provenance(run: Run, out: Path) -> str:
    versions = {name: [escape(value)] for name, value in run.metrics["versions"].items()}
    data = run.data
    return f"""<h2>How to make it again</h2>
<pre>{escape(command(run.config, out))}</pre>
<p class="quiet">Data: {escape(data.name)}, {escape(data.licence)}, fingerprint {escape(run.config["data_fingerprint"])}.
{escape(data.citation)} Device: {escape(run.metrics["device"])}.</p>
{table("version", [""], versions)}"""
