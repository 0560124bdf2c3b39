"""The command line: `tsynd run`. Errors are one plain line on stderr with exit code 2."""

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
        _fail("interrupted: the same command goes on where it stopped", INTERRUPTED)
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
    force: Annotated[bool, typer.Option("--force", help="Delete another run's files in --out, then run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Train with targeted synthetic images and write a robustness report."""
    from tsynd.config import RunConfig  # torch takes seconds to import: not for --help
    from tsynd.pipeline import run as run_pipeline
    from tsynd.progress import reporter

    if out == Path():
        raise TsyndError("--out must name a folder of its own, got the current one")
    config = RunConfig(data, arm, _count(per_class), size, seed, budget, evaluate, device)
    with reporter(quiet) as progress:
        finished = run_pipeline(config, out, force=force, progress=progress)
    if not quiet:
        clean, pgd = finished.metrics["clean"], finished.metrics["attacks"]["pgd"]
        auroc = "–" if clean["auroc"] is None else f"{clean['auroc']:.3f}"
        typer.echo(f"AUROC {auroc}, accuracy {clean['accuracy']:.3f}, under PGD 4/255 {pgd['0.0157']:.3f}")
        typer.echo(f"report: {out / 'report.html'}")


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
