"""The command line: `tsynd run` and what comes after it. Errors are one plain line on stderr with exit code 2."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tsynd import __version__
from tsynd.errors import TsyndError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
# What typer raises for a wrong command line; which module it comes from depends on typer's version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
# The exit code after Ctrl-C.
INTERRUPTED = 130


def main() -> None:
    """The entry point: one handler for every error that a user can cause."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer catches Ctrl-C by itself
            raise KeyboardInterrupt
    except UsageError as error:
        _fail(" ".join(error.format_message().split()), 2)  # type: ignore[attr-defined]
    except TsyndError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        resumed = sys.argv[1:2] == ["run"]  # the others write nothing until they are done
        _fail("interrupted" + (": the same command goes on where it stopped" if resumed else ""), INTERRUPTED)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        _fail("out of memory: use a smaller --size or fewer images", 2)
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename or 'no file named'}", 2)
    sys.exit(code if isinstance(code, int) else 0)


@app.callback(invoke_without_command=True)
def tsynd(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """TSynD: targeted synthetic data for small sets of medical images. For research and teaching, not for clinical use."""
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    data: Annotated[str, typer.Option(help="breastmnist, pneumoniamnist, retinamnist, phantom; a folder; or an .npz file.")],
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
    force: Annotated[bool, typer.Option("--force", help="Delete another run's files in --out, then run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train with targeted synthetic images and write a robustness report."""
    from tsynd.config import RunConfig  # torch takes seconds to import: not for --help
    from tsynd.pipeline import run as run_pipeline
    from tsynd.progress import reporter

    if out == Path():
        raise TsyndError("--out must name a folder of its own, got the current one")
    config = RunConfig(data, arm, _count(per_class), size, seed, budget, evaluate, device, synthetic, review)
    with reporter(quiet) as progress:
        finished = run_pipeline(config, out, force=force, progress=progress)
    if not quiet:
        clean, pgd = finished.metrics["clean"], finished.metrics["attacks"]["pgd"]
        auroc = "–" if clean["auroc"] is None else f"{clean['auroc']:.3f}"
        typer.echo(f"AUROC {auroc}, accuracy {clean['accuracy']:.3f}, under PGD 4/255 {pgd['0.0157']:.3f}")
        typer.echo(f"report: {out / 'report.html'}")


@app.command()
def predict(
    folder: Annotated[Path, typer.Option("--run", help="Folder of a finished run.")],
    data: Annotated[str, typer.Option(help="A data set's name; an .npz; or any folder of images, sorted by class or not.")],
    out: Annotated[Path, typer.Option(help="The .csv to write: one row an image.")],
    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Classify images with a finished run: probabilities, mutual information, entropy."""
    from tsynd.config import find_device
    from tsynd.files import check_new
    from tsynd.prediction import write_predictions
    from tsynd.progress import reporter
    from tsynd.runs import load_run

    check_new(out, ".csv", force)
    run = load_run(folder).to(find_device(device))
    with reporter(quiet) as progress:
        if progress:
            progress("predict", 0, 0, data)
        count = write_predictions(out, run, data)
    if not quiet:
        typer.echo(f"{count} images: {out}")


@app.command()
def synthesize(
    folder: Annotated[Path, typer.Option("--run", help="Folder of a finished run whose arm has an autoencoder.")],
    count: Annotated[int, typer.Option(help="How many images.")],
    out: Annotated[Path, typer.Option(help="The .npz to write, in MedMNIST layout; its card goes beside it, as .json.")],
    png: Annotated[Path | None, typer.Option(help="Folder for one PNG an image, named by class and source.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn. Default: the run's.")] = None,
    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Make a targeted set from a finished run. Its images are not anonymous."""
    from tsynd import sets
    from tsynd.card import describe
    from tsynd.config import find_device
    from tsynd.progress import reporter
    from tsynd.runs import load_run

    sets.check_targets(out, png, force=force)
    run = load_run(folder).to(find_device(device))
    with reporter(quiet) as progress:
        say = progress or (lambda stage, done, total, text: None)
        made = sets.synthesize(run, count, seed=seed, progress=lambda done: say("synthesize", done, count, "images"))
    words = ["tsynd", "synthesize", "--run", str(folder), "--count", str(count), "--out", str(out)]
    words += [] if seed is None else ["--seed", str(seed)]
    card = describe(run, made, shlex.join(words))
    sets.write_set(out, made, card, png=png, force=force)
    if not quiet:
        typer.echo(card["anonymity"]["statement"])
        typer.echo(f"{count} images: {out}, card: {sets.card_path(out)}")


@app.command()
def review(
    file: Annotated[Path, typer.Argument(help="A targeted set, or a run's synthetic.npz.")],
    out: Annotated[Path, typer.Option(help="The .html to write: it needs no server and no network.")],
    data: Annotated[str | None, typer.Option(help="Where the sources are. Default: as the set's card says.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Write a page on which an expert accepts, rejects or relabels each image, from the keyboard."""
    from tsynd import sets
    from tsynd.files import check_new
    from tsynd.viz.page import write_page

    check_new(out, ".html", force)
    synthesis = sets.read_set(file)
    sources = sets.source_data(file, data)
    classes, images = sets.shown(synthesis, sources)
    write_page(out, synthesis, classes, sources_BCHW=images, title=f"{len(synthesis)} targeted images: {file.name}")
    if not quiet:
        if sources is None:
            typer.echo("the sources are not at hand, so they are not shown: name them with --data")
        typer.echo(f"open {out}; its CSV goes to: tsynd run --synthetic {file} --review FILE.csv")


def _fail(message: str, code: int) -> NoReturn:
    """Print one plain line, whatever a file may be called, and stop."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
    print(f"error: {plain}", file=sys.stderr)
    sys.exit(code)


def _count(text: str) -> int | None:
    """A number of images, or None for `all`."""
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError:
        raise TsyndError(f"--per-class must be a whole number or all, got {text!r}") from None
