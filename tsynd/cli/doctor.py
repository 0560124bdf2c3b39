"""`tsynd doctor`: what is wrong with this machine?"""

import json
from typing import Annotated

import typer

from tsynd.cli.plain import plain


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a bug report.")] = False,
) -> int:
    """Look at Python, torch, device, memory, threads, disk, data sets, extras and notebook tools; advice for each problem.

    Exit code 0 when nothing is wrong, 1 when something is.
    """
    from tsynd.cli.diagnostics import examine, to_json

    findings = examine()
    problems = [each for each in findings if each.advice]
    if as_json:
        typer.echo(json.dumps(to_json(findings), indent=1))
        return int(bool(problems))
    width = max(len(each.name) for each in findings)
    for each in findings:
        typer.echo(plain(f"{'!' if each.advice else ' '} {each.name:{width}}  {each.value}"))
    typer.echo("")
    for each in problems:
        typer.echo(plain(f"{each.name}: {each.advice}"))
    typer.echo(f"{len(problems)} problem{'s' * (len(problems) != 1)}" if problems else "nothing is wrong")
    return int(bool(problems))
