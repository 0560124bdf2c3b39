"""The command line: `tsynd run` and what comes after it. Errors are one plain line on stderr with exit code 2."""

import io
import json
import signal
import sys
import threading
from typing import Annotated, NoReturn

import typer

from tsynd import __version__
from tsynd.cli import data, study
from tsynd.cli.plain import plain
from tsynd.cli.run import RunCommand, compare, predict, run
from tsynd.cli.synthetic import review, synthesize
from tsynd.errors import TsyndError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
# What typer raises for a wrong command line; which module it comes from depends on typer's version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
# The exit code after Ctrl-C.
INTERRUPTED = 130


def main() -> None:
    """The entry point: one handler for every error that a user can cause."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal's code page may lack a dash or a letter of a file's name
            stream.reconfigure(errors="replace")
    ending = False

    def interrupt(*_: object) -> None:
        if not ending:  # a second Ctrl-C would only add a traceback
            raise KeyboardInterrupt

    # One that is ignored, as in the background of a shell script, stays so.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer catches Ctrl-C by itself
            raise KeyboardInterrupt
    except UsageError as error:
        _fail(" ".join(error.format_message().split()), 2)  # type: ignore[attr-defined]
    except TsyndError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        ending = True  # at once: between the exception and any call there is no place for another signal
        resumed = "run" in sys.argv[1:3]  # the others write nothing until they are done
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


app.command(cls=RunCommand)(run)
for command in (predict, compare, synthesize, review):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(study.app, name="study")


def _fail(message: str, code: int) -> NoReturn:
    """Print one plain line and stop."""
    print(f"error: {plain(message)}", file=sys.stderr)
    sys.exit(code)
