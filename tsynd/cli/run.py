"""`tsynd run` and `tsynd predict`: train a classifier, and use it."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tsynd.cli.plain import plain
from tsynd.errors import TsyndError
from tsynd.utils.safe_parsing import from_yaml


class RunCommand(TyperCommand):
    """`tsynd run`, whose help ends in the arms, a line for each."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the arms and the named methods, from where they are registered."""
        from tsynd.training import ARMS, METHODS  # takes seconds to import: not for the help of other commands

        for title, known in (("Arms, which combine with +", ARMS), ("Named methods", METHODS)):
            with formatter.section(title):
                formatter.write_dl([(name, each.what) for name, each in known.items()])


def run(
    data: Annotated[
        str, typer.Option(help="A name (tsynd data list), such as breastmnist or phantom; a folder; a .csv; an .npz.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results: new, or that of the same run, unfinished.")],
    arm: Annotated[str, typer.Option(help="How to train, such as none, tsynd, guarded or guarded+mixup.")] = "guarded",
    per_class: Annotated[str, typer.Option(help="Training images of each class: a number, or all.")] = "all",
    size: Annotated[int | None, typer.Option(help="Side of the images in px. Default: 28; for a file its own.")] = None,
    seed: Annotated[int, typer.Option(help="Of the subset, the initialisation and all that is drawn.")] = 0,
    budget: Annotated[str, typer.Option(help="smoke (seconds), cpu (minutes) or gpu (longer training).")] = "cpu",
    evaluate: Annotated[str, typer.Option(help="The split that is evaluated: test, or val (all of it).")] = "test",
    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")] = "auto",
    synthetic: Annotated[str | None, typer.Option(help="An .npz of synthetic images to train with.")] = None,
    review: Annotated[str | None, typer.Option(help="A .csv: only the images that it accepts or relabels are used.")] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(help="Images without labels: rest (of the training split), or a folder. For arms with consistency."),
    ] = None,
    skip_unreadable: Annotated[bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be read.")] = False,
    crop: Annotated[bool, typer.Option("--crop", help="Cut images to a square, instead of padding them.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A folder or file to pass over: masks.")] = None,
    classifier: Annotated[
        str | None,
        typer.Option(help="compact, resnet18, efficientnet-lite0, or your own: FILE.py:factory, package.module:factory."),
    ] = None,
    head: Annotated[str | None, typer.Option(help="The layer of your classifier where dropout begins. Default: found.")] = None,
    classifier_weights: Annotated[str | None, typer.Option(help="A file of weights for your classifier.")] = None,
    autoencoder: Annotated[
        str | None, typer.Option(help="conv, vae, or your own: FILE.py:factory, package.module:factory.")
    ] = None,
    autoencoder_weights: Annotated[str | None, typer.Option(help="A file of weights for your autoencoder.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a number of the budget, as in radius=0.1.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Delete another run's files in --out, then run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train with targeted synthetic images and write a robustness report."""
    from tsynd.cli.progress import reporter
    from tsynd.runs.config import RunConfig  # torch takes seconds to import: not for --help
    from tsynd.runs.pipeline import run as run_pipeline
    from tsynd.runs.verdicts import with_interval

    if out == Path():
        raise TsyndError("--out must name a folder of its own, got the current one")
    if per_class != "all" and not re.fullmatch(r"\s*[-+]?\d+\s*", per_class):
        raise TsyndError(f"--per-class must be a whole number or all, got {per_class!r}")
    config = RunConfig(
        data, arm, None if per_class == "all" else int(per_class), size, seed, budget, evaluate, device, synthetic, review,
        skip_unreadable, unlabelled, _changes(set_ or []), classifier, head, classifier_weights, autoencoder, autoencoder_weights,
        crop, tuple(ignore or ()),
    )  # fmt: skip
    with reporter(quiet) as progress:
        finished = run_pipeline(config, out, force=force, progress=progress)
    if not quiet:
        clean, pgd, ends = (finished.metrics[name] for name in ("clean", "attacks", "intervals"))
        values = {"AUROC": ("auroc", clean["auroc"]), "balanced accuracy": ("balanced_accuracy", clean["balanced_accuracy"])}
        values |= {"accuracy under PGD 4/255": ("pgd_4_255", pgd["pgd"]["0.0157"])}
        told = [f"{words} {with_interval(value, ends.get(name))}" for words, (name, value) in values.items()]
        typer.echo(", ".join(told) + f" (95 % intervals over {ends['units']} {ends['unit']}s)")
        for verdict in finished.metrics["verdicts"]:
            typer.secho(plain(f"warning: {verdict['text']} What to do: {verdict['advice']}."), fg="red")
        typer.echo(f"report: {out / 'report.html'}")


def predict(
    folder: Annotated[Path, typer.Option("--run", help="Folder of a finished run.")],
    data: Annotated[str, typer.Option(help="A data set's name; an .npz; a .csv; an image; or a folder, sorted by class or not.")],
    out: Annotated[Path, typer.Option(help="The .csv to write: one row an image.")],
    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Classify images with a finished run: probabilities, mutual information, entropy."""
    from tsynd.cli.progress import reporter
    from tsynd.runs.config import find_device
    from tsynd.runs.prediction import write_predictions
    from tsynd.runs.run import load_run
    from tsynd.utils.atomic_files import check_new

    check_new(out, ".csv", force)
    run = load_run(folder).to(find_device(device))
    with reporter(quiet) as progress:
        count = write_predictions(out, run, data, progress=progress)
    if not quiet:
        typer.echo(f"{count} images: {out}")


def _changes(texts: list[str]) -> dict[str, Any]:
    """`name=value` as a dictionary; values are read as YAML reads them: 0.1, 3, true, all."""
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in changes:
            raise TsyndError(f"--set must be NAME=VALUE, each name once, got {text!r}")
        try:
            changes[name] = from_yaml(value)
        except ValueError as error:
            raise TsyndError(f"--set {name} must have a number, a word, true or false, got {value!r}: {error}") from error
    return changes


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Folders of runs; the first is the baseline.")],
    out: Annotated[Path, typer.Option(help="The .html to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Compare finished runs with the first of them in one report, paired image by image where they were evaluated on the same."""
    from tsynd.runs.report.comparison import render_comparison
    from tsynd.utils.atomic_files import check_new, write_text

    check_new(out, ".html", force)
    page, lines = render_comparison(folders)
    write_text(out, page)
    if not quiet:
        for line in lines:
            typer.echo(plain(line))
        typer.echo(f"report: {out}")
