"""`tsynd synthesize` and `tsynd review`: make a targeted set, and have an expert look at it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tsynd.errors import TsyndError


def synthesize(
    folder: Annotated[Path, typer.Option("--run", help="Folder of a finished run whose arm has an autoencoder.")],
    count: Annotated[int, typer.Option(help="How many images.")],
    out: Annotated[Path, typer.Option(help="The .npz to write, in MedMNIST layout; its card goes beside it, as .json.")],
    png: Annotated[Path | None, typer.Option(help="Folder for one PNG an image, named by class and source.")] = None,
    decode: Annotated[
        str | None, typer.Option(help="image, or residual: the change on the real image. Default: as in the run.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn. Default: the run's.")] = None,
    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Make a targeted set from a finished run. Its images are not anonymous."""
    from tsynd.cli.progress import reporter
    from tsynd.runs.card import describe
    from tsynd.runs.config import find_device
    from tsynd.runs.run import load_run
    from tsynd.runs.synthesize import synthesize as synthesize_images
    from tsynd.synthetic import sets

    sets.check_targets(out, png, force=force)
    run = load_run(folder).to(find_device(device))
    with reporter(quiet) as progress:
        made = synthesize_images(run, count, decode=decode, seed=seed, progress=progress)
    words = ["tsynd", "synthesize", "--run", str(folder), "--count", str(count), "--out", str(out)]
    words += [] if decode is None else ["--decode", decode]
    words += [] if seed is None else ["--seed", str(seed)]
    card = describe(run, made, shlex.join(words))
    sets.write_set(out, made, card, png=png, force=force)
    if not quiet:
        typer.echo(card["anonymity"]["statement"])
        typer.echo(f"{count} images: {out}, card: {sets.card_path(out)}")


def review(
    file: Annotated[Path, typer.Argument(help="A targeted set, or a run's synthetic.npz.")],
    out: Annotated[Path, typer.Option(help="The .html to write: it needs no server and no network.")],
    data: Annotated[str | None, typer.Option(help="Where the sources are. Default: as the set's card says.")] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Mix in real images, show no labels, and ask for the class.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Write a page on which an expert accepts, rejects or relabels each image, from the keyboard."""
    from tsynd.synthetic import sets
    from tsynd.synthetic.review_page import real_images, write_page
    from tsynd.utils.atomic_files import check_new

    check_new(out, ".html", force)
    synthesis = sets.read_set(file)
    sources = sets.source_data(file, data)
    classes, images = sets.shown(synthesis, sources)
    if blind and sources is None:
        raise TsyndError("--blind needs the data that the images were made from, for real ones to mix in: name them with --data")
    mixed = real_images(sources, synthesis) if blind and sources else None
    write_page(out, synthesis, classes, sources=images, title=f"{len(synthesis)} targeted images: {file.name}", blind=mixed)
    if not quiet:
        if sources is None:
            typer.echo("the sources are not at hand, so they are not shown: name them with --data")
        typer.echo(f"open {out}; its CSV goes to: tsynd run --synthetic {file} --review FILE.csv")
