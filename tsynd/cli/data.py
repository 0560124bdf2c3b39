"""`tsynd data list` and `tsynd data fetch`: what there is, and how it gets here."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=False, help="Data sets: what there is, and how it gets here.")


@app.command("list")
def list_sets() -> None:
    """Print the data sets that --data takes by name: task, classes, images, licence, and the sizes that are here."""
    from tsynd.data.medmnist import where
    from tsynd.data.registry import REGISTRY

    rows = [("name", "task", "classes", "channels", "train/val/test", "licence", "sizes in px", "here")]
    for facts in REGISTRY.values():
        here = [str(size) for size in facts.md5 if where(facts, size)[1]]
        rows.append(
            (
                facts.name,
                facts.task,
                str(len(facts.classes)),
                "RGB" if facts.channels == 3 else "grey",
                "/".join(map(str, facts.counts)),
                facts.licence,
                " ".join(map(str, facts.md5)),
                " ".join(here) or "–",
            )
        )
    rows.append(("phantom", "binary, multi-class", "2 to 4", "grey", "made here", "–", "any", "always"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A set of MedMNIST, as `tsynd data list` names it.")],
    size: Annotated[int, typer.Option(help="Side of the images in px: 28, 64, 128 or 224.")] = 28,
    to: Annotated[Path | None, typer.Option(help="Folder for the file. Default: ~/.medmnist.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Download a data set, unless it is here, and verify its checksum."""
    from tsynd.data.downloads import megabytes
    from tsynd.data.medmnist import fetch as fetch_file
    from tsynd.data.medmnist import find_facts, where
    from tsynd.progress import reporter

    facts = find_facts(name, size)
    path, there = where(facts, size, to)
    if not quiet:
        typer.echo(f"{facts.title}: {sum(facts.counts)} images of {size} px, {facts.licence}. {facts.citation}")
        if facts.note:
            typer.echo(f"note: {facts.note}")
        if not there:
            typer.echo(f"to {path}: at most {megabytes(facts.bytes(size))}, what the images take in memory")
    with reporter(quiet) as progress:
        say = progress or (lambda stage, done, total, text: None)
        path = fetch_file(facts, size, to, progress=lambda text, done, total: say("fetch", done, total if done else 0, text))
    if not quiet:
        typer.echo(f"{'was here' if there else 'fetched'}, checksum verified: {path}")
