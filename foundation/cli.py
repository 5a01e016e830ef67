"""One look for the four programs: errors in one line, `--debug` anywhere, exit codes, versions, progress, JSON."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from foundation import notes, stopping, streams
from foundation.errors import ResourceError, UserError, of_the_system
from foundation.imports import of_an_import
from foundation.machine import of_memory
from foundation.usage import as_called, called_as_script, in_house_style, is_usage_error

PROGRESS = "ASTRO_PROGRESS"
INTERRUPTED = 130
ENDING = f"""\b
--debug, anywhere on the line, shows the traceback of an error.
Exit codes: 0 ok, 1 a point of a sweep failed, 2 bad input, 3 damaged file, 4 resource, 130 Ctrl-C, 143 SIGTERM.
On a terminal long work shows a bar, elsewhere a line now and then; {PROGRESS}=0 turns both off.
"""
COMPLETION = "Shell completion: --install-completion, or --show-completion to look at it first."


def _print_version(asked: bool) -> None:
    if asked:
        print(version_text())
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True,
                                       help="Print versions and commit.")]


def version_text() -> str:
    """This package's version and commit, and the versions that its results depend on; loads none of them."""
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    from foundation.checkout import commit

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    at = commit()
    return (f"astro-rmaat {of('astro-rmaat')}{f', commit {at}' if at else ''}, Python {python_version()}, "
            f"brian2 {of('brian2')}, torch {of('torch')}")


def program(help_text: str, *, verbs: bool = True) -> typer.Typer:
    """A typer application in house style; `help_text` should end with examples, written as `python -m MODULE`.

    A program without verbs has one command, which takes `version: Version` itself.
    """
    script = called_as_script()  # a shell completes the name of a program, not the arguments of python
    app = typer.Typer(help=as_called(help_text), add_completion=script, no_args_is_help=True, rich_markup_mode=None,
                      epilog=ENDING + (COMPLETION if script else ""), pretty_exceptions_enable=False,
                      context_settings={"help_option_names": ["-h", "--help"]})
    if verbs:
        @app.callback()
        def options(version: Version = False) -> None:
            pass
    return app


def run(app: typer.Typer) -> None:
    """Run a program and exit: an error that a user can mend is one line on stderr; `--debug` shows the traceback."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    logging.raiseExceptions = False  # a library's log that cannot be written is no concern of a user's
    with streams.guarded(), stopping.as_ctrl_c(), notes.on_stderr():
        code = _exit_code(app, debug)
    sys.exit(code)


def _exit_code(app: typer.Typer, debug: bool) -> int:
    """Run a program; the code to exit with."""
    try:
        _look_where_we_are()
        code = _command(app)(standalone_mode=False)
    except streams.ReaderLeftError:
        code = 0  # nothing more to say
    except SystemExit as end:
        code = end.code if isinstance(end.code, int | None) else _said_at_the_end(end.code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if isinstance(error.__cause__, EOFError) and type(error).__name__ == "Abort":
            error = error.__cause__  # typer takes it for someone who ends the input of a question; we ask none
        asked = stopping.was_asked(error)
        error = error if debug else of_an_import(of_the_system(_too_large(error)))
        if not asked and (debug or not (isinstance(error, UserError) or is_usage_error(error))):
            raise error
        code = INTERRUPTED if asked else _say(error)
    code = code if isinstance(code, int) else 0
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except streams.ReaderLeftError:
        pass
    except UserError as error:
        code = code or _say(error)
    return stopping.exit_code() if code == INTERRUPTED else code


def _look_where_we_are() -> None:
    """Libraries are looked for from the working folder on: without one, some of them end Python without a word."""
    try:
        os.getcwd()
    except OSError as error:
        raise UserError(f"the working folder cannot be used ({error.strerror}): it was removed, it seems; go to one "
                        "that is there") from error


def _too_large(error: Exception) -> Exception:
    """Memory that ran out, as an error that a user can act on; others as they are."""
    told = of_memory(error)
    return error if told is None else ResourceError(
        f"the memory does not suffice{f' ({told})' if told else ''}; ask for less at a time, or close other programs")


def _said_at_the_end(text: object) -> int:
    print(text, file=sys.stderr)
    return 1


def _command(app: typer.Typer) -> Callable:
    """The application's command, its verbs' help with the programs named as they were called."""
    command = typer.main.get_command(app)
    left = [command]
    for one in left:
        one.help = as_called(one.help or "")
        left += getattr(one, "commands", {}).values()
    return command


def _say(error: Exception) -> int:
    """Print an error's one line; returns the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the program alone: its help, and that something was missing
        print(error.format_message(), file=sys.stderr)
        return 2
    said = error if isinstance(error, UserError) else in_house_style(error)
    print(f"error: {as_called(str(said))}", file=sys.stderr)
    return said.exit_code


def print_json(value: object) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=1, allow_nan=False))


class Progress:
    """A bar on a terminal, a plain line every few seconds elsewhere, as in a log; nothing where ASTRO_PROGRESS is 0.

    Use as a context manager; `update(done, text)` may be called as often as one likes.
    """

    def __init__(self, label: str, total: float, *, quiet: bool = False, every_seconds: float = 10.0):
        self.label, self.total, self.every = label, total, every_seconds
        self.quiet = quiet or os.environ.get(PROGRESS) == "0"
        self.started = self.printed = time.monotonic()
        self.bar = self.task = None

    def __enter__(self) -> "Progress":
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
                       TimeRemainingColumn(), TextColumn("{task.fields[text]}"))
            self.bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(self.label, total=self.total, text="")
        return self

    def __exit__(self, *exc) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, done: float, text: str = "") -> None:
        """Show that `done` of the total is done, and a word beside it."""
        if self.quiet:
            return
        if self.bar:
            self.bar.update(self.task, completed=done, text=text)
        elif time.monotonic() - self.printed >= self.every:
            self.printed = time.monotonic()
            share, seconds = 100 * done / self.total, self.printed - self.started
            print(f"{self.label}: {share:.0f} % after {seconds:.0f} s {text}".rstrip(), file=sys.stderr, flush=True)
