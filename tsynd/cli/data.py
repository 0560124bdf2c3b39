"""`tsynd data list`, `fetch` and `check`: what there is, how it gets here, and whether it is fit to train on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tsynd.cli.plain import plain

if TYPE_CHECKING:
    from tsynd.data.quality import QualityReport

# Lines of one kind that are printed.
SHOWN = 10

app = typer.Typer(no_args_is_help=False, help="Data sets: what there is, how it gets here, and whether it is fit to train on.")


@app.command("list")
def list_sets() -> None:
    """Print the data sets that --data takes by name: task, classes, images, licence, and the sizes that are here."""
    from tsynd.data.medmnist.download import where
    from tsynd.data.medmnist.registry import REGISTRY

    rows = [("name", "task", "classes", "channels", "train/val/test", "licence", "sizes in px", "here")]
    for facts in REGISTRY.values():
        here = " ".join(str(size) for size in facts.md5 if where(facts, size)[1]) or "–"
        counts, sizes = "/".join(map(str, facts.counts)), " ".join(map(str, facts.md5))
        kind = "RGB" if facts.channels == 3 else "grey"
        rows.append((facts.name, facts.task, str(len(facts.classes)), kind, counts, facts.licence, sizes, here))
    rows.append(("phantom", "binary, multi-class", "2 to 4", "grey", "made here", "–", "any", "always"))
    _print_table(rows)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A set of MedMNIST, as `tsynd data list` names it.")],
    size: Annotated[int, typer.Option(help="Side of the images in px: 28, 64, 128 or 224.")] = 28,
    to: Annotated[Path | None, typer.Option(help="Folder for the file. Default: ~/.medmnist.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Download a data set, unless it is here, and verify its checksum."""
    from tsynd.cli.progress import reporter
    from tsynd.data.medmnist.download import fetch as fetch_file
    from tsynd.data.medmnist.download import find_facts, where
    from tsynd.utils.downloads import megabytes
    from tsynd.utils.progress import within

    facts = find_facts(name, size)
    path, there = where(facts, size, to)
    if not quiet:
        typer.echo(f"{facts.title}: {sum(facts.counts)} images of {size} px, {facts.licence}. {facts.citation}")
        if facts.note:
            typer.echo(f"note: {facts.note}")
        if not there:
            typer.echo(f"to {path}: at most {megabytes(facts.bytes(size))}, what the images take in memory")
    with reporter(quiet) as progress:
        path = fetch_file(facts, size, to, progress=within("fetch", progress))
    if not quiet:
        typer.echo(f"{'was here' if there else 'fetched'}, checksum verified: {path}")


@app.command()
def check(
    path: Annotated[str, typer.Argument(help="A folder, a .csv, an .npz, or a data set's name.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every image by name.")] = False,
    write: Annotated[Path | None, typer.Option(help="A .csv to write: without copies, with groups, ready for --data.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --write if it is there.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A folder or file to pass over: masks.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing: the exit code says it.")] = False,
) -> int:
    """Look for what spoils a data set: unreadable images, duplicates, leaks. Exit code 0: clean, 1: findings, 2: cannot look."""
    from tsynd.cli.progress import reporter
    from tsynd.data.quality import check as check_data
    from tsynd.utils.atomic_files import check_new

    if write:
        check_new(write, ".csv", force, option="--write")
    with reporter(quiet or as_json) as progress:
        found = check_data(path, write=write, ignore=ignore or (), progress=progress)
    if as_json and not quiet:
        typer.echo(json.dumps(found.to_json(), indent=2))
    elif not quiet:
        _print_checked(found)
    return 1 if found.findings else 0


def _print_checked(found: "QualityReport") -> None:
    for line in found.copies:
        typer.secho(line, fg="red")
    classes = list(next(iter(found.counts.values()), {}))
    _print_table([("", *classes)] + [(split, *map(str, counts.values())) for split, counts in found.counts.items()])
    for name, kinds in (("sizes", found.sizes), ("kinds", found.kinds)):
        shown = [f"{kind} ({count})" for kind, count in list(kinds.items())[:SHOWN]]
        more = [f"… and {len(kinds) - SHOWN} more"] if len(kinds) > SHOWN else []
        typer.echo(f"{name}: {'; '.join(shown + more)}")
    for note in found.notes:
        typer.echo(f"note: {note}")
    for kind in dict.fromkeys(one.kind for one in found.findings):
        some = [one for one in found.findings if one.kind == kind]
        typer.echo(f"{kind}: {len(some)}")
        for one in some[:SHOWN]:
            typer.echo(f"  {plain(one.text)}")
        if len(some) > SHOWN:
            typer.echo(f"  … and {len(some) - SHOWN} more: --json has all")
    if found.written:
        typer.echo(found.written)
    typer.echo(f"findings: {len(found.findings)}" if found.findings else "clean")


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
