"""`tsynd study`: run what a study file compares, and report what came out."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Compare arms over data sets, sizes and seeds, as a study file says.", no_args_is_help=True)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The study file, such as studies/smoke.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder for the results: new, or that of the same study.")],
    jobs: Annotated[int, typer.Option(help="Processes on this machine, one thread each.")] = 1,
    backend: Annotated[str, typer.Option(help="loky (processes on this machine) or dask (a cluster).")] = "loky",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler, such as tcp://HOST:8786.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and the time they will take; run nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Run what is not done of a study; what is finished is never run twice. Exit code 1 when a run failed."""
    from tsynd.cli.progress import reporter  # torch takes seconds to import: not for --help
    from tsynd.runs.estimate import duration
    from tsynd.study import read_study, run_study
    from tsynd.study.records import RUNS, check_study, finished, read_record
    from tsynd.study.runner import seconds_left

    study = read_study(file)
    runs = study.runs()
    if dry_run:
        check_study(out, study)
        todo = [each for each in runs if not finished(out, each)]
        for each in runs:
            where = f"{each.config.data}, {each.config.per_class or 'all'} per class, seed {each.config.seed}, {each.arm}"
            typer.echo(f"{each.key}  {'to do' if each in todo else 'done '}  {where}")
        records = [read_record(path) for each in runs if (path := out / RUNS / f"{each.key}.json").exists()]
        left = seconds_left(todo, records, jobs)
        told = "unknown: none has been measured" if left is None else duration(left)
        typer.echo(f"{len(todo)} of {len(runs)} runs to do; time on {jobs} process(es): {told}")
        return
    with reporter(quiet) as progress:
        counts = run_study(study, out, jobs=jobs, backend=backend, scheduler=scheduler, progress=progress)
    if not quiet:
        typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()) + f": {out / 'runs.csv'}")
    if counts["failed"] or counts["missing"]:
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study, finished or not.")],
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
) -> None:
    """Say what came out, claim by claim: text, tables and figures in DIR/report."""
    from tsynd.study import write_report

    verdicts = write_report(folder)
    if not quiet:
        for name, verdict in verdicts.items():
            typer.echo(f"{name}: {verdict}")
        typer.echo(f"report: {folder / 'report' / 'report.md'}")
